//! A key that is protected by a passphrase.

use super::*;
use crate::{Answer, Event, Front, MachineError, Question};
use std::sync::Mutex;

/// Answers with one passphrase after the other, then closes the question.
#[derive(Default)]
struct Person {
    answers: Mutex<Vec<&'static str>>,
    asked: Mutex<Vec<String>>,
    cannot: bool,
}

impl Person {
    fn who_types(answers: &[&'static str]) -> Self {
        Self { answers: Mutex::new(answers.iter().rev().copied().collect()), ..Self::default() }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl Front for Person {
    fn event(&self, _: Event) {}

    async fn ask(&self, question: Question) -> Answer {
        let Question::Passphrase { detail, .. } = question else { panic!("{question:?}") };
        self.asked.lock().unwrap().push(detail);
        // So that others come to wait meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        match self.answers.lock().unwrap().pop() {
            _ if self.cannot => Answer::CannotAsk,
            Some(text) => Answer::Secret(secret(text)),
            None => Answer::Cancelled,
        }
    }
}

fn protected() -> Lab {
    let lab = Lab::new();
    lab.vault.set(&Scope::All, "X", &secret("value")).unwrap();
    assert_eq!(lab.vault.protect(Some(&secret("correct horse"))).unwrap(), None);
    lab
}

#[tokio::test]
async fn a_protected_vault_is_locked_until_the_passphrase_was_given_once() {
    let lab = protected();
    let key = std::fs::read(lab.path("vault.key")).unwrap();
    assert!(key.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    // Who protected it has it open.
    assert_eq!(lab.vault.get(&machine("a"), "X").unwrap(), Some(secret("value")));

    let vault = open(lab.folder.path());
    let is_locked = |error: &VaultError| matches!(error, VaultError::Locked { by: LockedBy::Passphrase, .. });
    assert!(is_locked(&vault.names().unwrap_err()) && is_locked(&vault.entries().unwrap_err()));
    assert!(is_locked(&vault.set(&Scope::All, "Y", &secret("y")).unwrap_err()));
    assert_eq!(vault.status().unwrap().state, VaultState::Locked { by: LockedBy::Passphrase });
    assert!(matches!(vault.repair().unwrap_err(), MachineError::Vault(error) if is_locked(&error)));

    let person = Person::who_types(&["wrong", "correct horse"]);
    vault.unlock(&person).await.unwrap();
    vault.clone().unlock(&person).await.unwrap();
    assert_eq!(person.asked(), 2);
    assert!(person.asked.lock().unwrap()[1].contains("not the passphrase"));
    vault.set(&Scope::All, "Y", &secret("y")).unwrap();
    assert_eq!(vault.clone().names().unwrap()[&Scope::All], ["X", "Y"]);

    // Taken away, nobody is asked any more; a process that has it open goes on.
    vault.protect(None).unwrap();
    let other = open(lab.folder.path());
    other.unlock(&Person::default()).await.unwrap();
    assert_eq!(other.names().unwrap()[&Scope::All], ["X", "Y"]);
    assert_eq!(vault.names().unwrap()[&Scope::All], ["X", "Y"]);
}

#[tokio::test]
async fn three_wrong_passphrases_closing_and_nobody_to_ask_are_told_and_change_nothing() {
    let lab = protected();
    let key = std::fs::read(lab.path("vault.key")).unwrap();
    let vault = open(lab.folder.path());
    let person = Person::who_types(&["a", "b", "c", "correct horse"]);
    let MachineError::User { message, .. } = vault.unlock(&person).await.unwrap_err() else { panic!() };
    assert!(message.contains("3 times") && !message.contains("correct"), "{message}");
    assert!(matches!(vault.unlock(&Person::default()).await, Err(MachineError::Cancelled)));
    let nobody = Person { cannot: true, ..Person::default() };
    let error = vault.unlock(&nobody).await.unwrap_err();
    let hint = error.hint().unwrap();
    assert!(matches!(error, MachineError::Vault(VaultError::Locked { .. })));
    assert!(hint.contains("$CODCHI_VAULT_PASSPHRASE_FILE"), "{hint}");
    assert_eq!(std::fs::read(lab.path("vault.key")).unwrap(), key);

    // A key file that is cut off is no question of the passphrase.
    std::fs::write(lab.path("vault.key"), &key[..key.len() - 1]).unwrap();
    let error = vault.unlock(&Person::who_types(&["correct horse"])).await.unwrap_err();
    assert!(matches!(error, MachineError::Vault(VaultError::Corrupt { .. })), "{error:?}");
}

#[tokio::test]
async fn operations_at_the_same_time_ask_once_for_all_of_them() {
    let lab = protected();
    for (answers, ok) in [(&["correct horse"][..], true), (&[], false)] {
        let (vault, person) = (open(lab.folder.path()), Person::who_types(answers));
        let unlock = || vault.unlock(&person);
        let (a, b, c) = tokio::join!(unlock(), unlock(), unlock());
        assert_eq!(person.asked(), 1);
        for done in [a, b, c] {
            assert_eq!(done.is_ok(), ok, "{done:?}");
        }
    }
}

#[test]
fn a_file_gives_the_passphrase_to_scripts() {
    let lab = protected();
    let file = lab.path("passphrase");
    let vault = open_with(lab.folder.path(), Some(file.clone()));
    let error = vault.names().unwrap_err();
    assert!(matches!(&error, VaultError::Io { path, .. } if path.ends_with("passphrase")), "{error:?}");
    std::fs::write(&file, "wrong\n").unwrap();
    let error = vault.names().unwrap_err();
    assert!(
        matches!(error, VaultError::WrongPassphrase { .. }) && !error.to_string().contains("wrong"),
        "{error}"
    );
    std::fs::write(&file, "correct horse\nanother line\n").unwrap();
    assert_eq!(vault.names().unwrap()[&Scope::All], ["X"]);
}
