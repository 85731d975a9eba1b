//! Values of a vault that is protected by a passphrase, and of a provider, in a real machine.
//!
//! Needs what `cargo xtask lab up` sets up, as `main_job` does.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_machine::{
    Answer, CreateRequest, Event, Front, MachineState, ModuleSource, Options, Question, Scope, Secret, Vault,
};
use codchi_tests::program;
use codchi_tests::user::User;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Knows the passphrase, and no secret.
#[derive(Default)]
struct Person(AtomicUsize);

#[async_trait::async_trait]
impl Front for Person {
    fn event(&self, _: Event) {}

    async fn ask(&self, question: Question) -> Answer {
        let Question::Passphrase { .. } = question else { return Answer::CannotAsk };
        self.0.fetch_add(1, Ordering::Relaxed);
        Answer::Secret(Secret::new("correct horse").unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_gets_values_of_a_protected_vault_and_of_a_provider_and_nobody_is_asked_twice() {
    let options = |root: &std::path::Path| {
        let provider =
            serde_json::json!([{ "kind": "command", "command": [root.join("ask"), "{name}", "{machine}"] }]);
        Options {
            ssh_config: Some(false),
            providers: serde_json::from_value(provider).unwrap(),
            ..Options::default()
        }
    };
    let user = User::new("v", "project", options).await;
    let asked = user.folder().join("asked");
    let answers = |script: &str| {
        let text = format!("echo \"$@\" >> {}\n{script}", asked.display());
        program::script(&user.folder().join("ask"), &text);
        let _ = fs::remove_file(&asked);
    };
    answers("test \"$1\" = TOKEN && printf \"first ' \\$1 value\"");
    let module = "{ codchi.secrets.TOKEN.description = \"a\"; codchi.secrets.KEY.description = \"b\"; }";
    fs::write(user.project().join("codchi.nix"), module).unwrap();
    // As another process did it earlier.
    let vault = Vault::new(user.machines.paths().clone());
    vault.set(&Scope::All, "KEY", &Secret::new("of the vault").unwrap()).unwrap();
    vault.protect(Some(&Secret::new("correct horse").unwrap())).unwrap();

    let person = Person::default();
    let request = CreateRequest {
        name: user.name.clone(),
        modules: vec![ModuleSource::parse(".", user.project()).unwrap()],
        project: Some(user.project().into()),
        nixpkgs: None,
        checkout: None,
        allowed: Vec::new(),
    };
    user.machines.create(request, &person, &user.cancel).await.unwrap();
    assert_eq!(person.0.load(Ordering::Relaxed), 1);
    // While it asks for secrets; what it was told then is delivered.
    assert_eq!(fs::read_to_string(&asked).unwrap(), format!("TOKEN {}\n", user.name));
    let values = "printf '%s|%s' \"$CODCHI_TOKEN\" \"$CODCHI_KEY\"";
    assert_eq!(user.shell(values).await, "first ' $1 value|of the vault");
    assert_eq!(vault.names().unwrap()[&Scope::All], ["KEY"], "what a provider gives is not stored");

    // How it is, is told without asking anybody, also while the vault is locked.
    fs::remove_file(&asked).unwrap();
    let status = user.machines.status().await.unwrap().remove(0);
    let secret = |name: &str| status.secrets.iter().find(|secret| secret.name == name).unwrap().clone();
    assert_eq!((secret("TOKEN").set, secret("TOKEN").provider.as_deref()), (true, Some("ask")));
    assert_eq!((secret("KEY").set, secret("KEY").provider), (true, None));
    assert_eq!((status.drift, status.problems), (vec![], vec![]));
    let another = codchi_machine::Machines::new(
        user.machines.paths().clone(),
        user.driver.clone(),
        user.machines.options().clone(),
    );
    let status = another.status().await.unwrap().remove(0);
    assert_eq!((status.state, status.drift, status.secrets), (MachineState::Running, vec![], vec![]));
    assert!(status.problems.len() == 1 && status.problems[0].contains("locked"), "{:?}", status.problems);
    assert!(!asked.exists(), "a program was run to tell how a machine is");

    // A provider that fails is told, and changes nothing.
    answers("echo 'not signed in' >&2; exit 2");
    let error = user.machines.start(&user.name, &person, &user.cancel).await.unwrap_err().to_string();
    assert!(error.contains("`ask`") && error.contains("not signed in"), "{error}");
    assert_eq!(user.shell(values).await, "first ' $1 value|of the vault");
    // What the vault has goes first, and nobody else is asked.
    user.machines.vault().set(&Scope::All, "TOKEN", &Secret::new("set").unwrap()).unwrap();
    fs::remove_file(&asked).unwrap();
    user.machines.start(&user.name, &person, &user.cancel).await.unwrap();
    assert_eq!(user.shell(values).await, "set|of the vault");
    assert!(!asked.exists() && person.0.load(Ordering::Relaxed) == 1);

    user.machines.delete(&user.name, true, &person, &user.cancel).await.unwrap();
    user.nothing_is_left().await;
}
