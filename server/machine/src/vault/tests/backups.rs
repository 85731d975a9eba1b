//! Backups, migration and repair.

use super::*;
use crate::MachineError;
use std::os::unix::fs::PermissionsExt as _;

/// Writes these contents as the vault, encrypted to its key.
fn write_contents(lab: &Lab, json: &str) -> Vec<u8> {
    let encrypted = age::encrypt(&lab.vault.keys.existing().unwrap().to_public(), json.as_bytes()).unwrap();
    std::fs::write(lab.path("vault.age"), &encrypted).unwrap();
    encrypted
}

fn values(lab: &Lab, name: &str) -> Option<usize> {
    let backups = lab.vault.backups().unwrap();
    backups.iter().find(|backup| backup.path == lab.path(name)).map(|backup| backup.values.unwrap())
}

#[test]
fn what_was_before_the_last_change_can_be_had_again_and_that_can_be_taken_back() {
    let lab = Lab::new();
    let get = || lab.vault.get(&machine("a"), "X").unwrap();
    lab.vault.set(&Scope::All, "X", &secret("good")).unwrap();
    assert_eq!(values(&lab, "vault.age.bak"), None);
    let MachineError::User { message, .. } = lab.vault.restore(None).unwrap_err() else { panic!() };
    assert!(message.contains("no backup"), "{message}");
    lab.vault.set(&Scope::All, "X", &secret("overwritten by mistake")).unwrap();
    // What changes nothing leaves the backup alone.
    lab.vault.set(&Scope::All, "X", &secret("overwritten by mistake")).unwrap();
    assert_eq!(lab.vault.restore(None).unwrap().values, Some(1));
    assert_eq!(get(), Some(secret("good")));
    lab.vault.restore(Some(&lab.path("vault.age.bak"))).unwrap();
    assert_eq!(get(), Some(secret("overwritten by mistake")));
    for other in ["vault.age", "vault.key", "nonsense"] {
        assert!(lab.vault.restore(Some(&lab.path(other))).is_err(), "{other}");
    }
}

#[test]
fn version_1_is_read_as_it_is_and_kept_before_the_first_change() {
    let lab = Lab::new();
    lab.vault.set(&Scope::All, "NEW", &secret("x")).unwrap();
    let before = write_contents(&lab, r#"{"version":1,"all":{"OLD":"b2xk"},"machines":{}}"#);
    let file = || std::fs::read(lab.path("vault.age")).unwrap();
    assert_eq!(lab.vault.get(&machine("a"), "OLD").unwrap(), Some(secret("old")));
    assert_eq!(lab.vault.status().unwrap().format, Some(1));
    assert_eq!((file(), values(&lab, "vault.age.v1.bak")), (before.clone(), None));

    lab.vault.set(&Scope::All, "NEW", &secret("new")).unwrap();
    assert_eq!(std::fs::read(lab.path("vault.age.v1.bak")).unwrap(), before);
    assert_eq!(lab.vault.status().unwrap().format, Some(2));
    let mode = std::fs::metadata(lab.path("vault.age.v1.bak")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let set: Vec<_> = lab.vault.entries().unwrap().into_iter().map(|e| (e.name, e.set.is_some())).collect();
    assert_eq!(set, [("NEW".to_owned(), true), ("OLD".to_owned(), false)]);

    lab.vault.set(&Scope::All, "NEW", &secret("newer")).unwrap();
    assert_eq!((values(&lab, "vault.age.v1.bak"), values(&lab, "vault.age.bak")), (Some(1), Some(2)));
    lab.vault.restore(Some(&lab.path("vault.age.v1.bak"))).unwrap();
    assert_eq!(lab.vault.get(&machine("a"), "NEW").unwrap(), None);
}

#[test]
fn a_newer_version_is_refused_and_left_alone_also_by_repair() {
    let lab = Lab::new();
    lab.vault.set(&Scope::All, "X", &secret("x")).unwrap();
    let newer = write_contents(&lab, r#"{"version":3,"new":{}}"#);
    let refused = |error| matches!(error, VaultError::Newer { version: 3, known: 2, .. });
    assert!(refused(lab.vault.names().unwrap_err()));
    assert!(refused(lab.vault.set(&Scope::All, "Y", &secret("y")).unwrap_err()));
    for error in [lab.vault.repair().unwrap_err(), lab.vault.restore(None).unwrap_err()] {
        let MachineError::Vault(error) = error else { panic!("{error:?}") };
        assert!(refused(error));
    }
    assert_eq!(std::fs::read(lab.path("vault.age")).unwrap(), newer);
    assert!(!lab.path("vault.age.damaged-1").exists());
}

#[test]
fn a_damaged_vault_is_set_aside_and_the_newest_backup_that_can_be_read_takes_its_place() {
    let lab = Lab::new();
    let MachineError::User { message, .. } = lab.vault.repair().unwrap_err() else { panic!() };
    assert!(message.contains("nothing to repair"), "{message}");
    for name in ["A", "B", "C"] {
        lab.vault.set(&Scope::All, name, &secret(name)).unwrap();
    }
    std::fs::write(lab.path("vault.age"), "age-encryption.org/v1\nnonsense").unwrap();
    let repaired = lab.vault.repair().unwrap();
    assert_eq!(repaired.aside, [lab.path("vault.age.damaged-1")]);
    assert_eq!(repaired.restored.unwrap().values, Some(2));
    assert_eq!(lab.vault.names().unwrap()[&Scope::All], ["A", "B"]);
    let aside = std::fs::read(lab.path("vault.age.damaged-1")).unwrap();
    assert_eq!(aside, b"age-encryption.org/v1\nnonsense");

    // Where the backup is no good either, it begins anew, and what was set aside before stays.
    std::fs::write(lab.path("vault.age"), "").unwrap();
    std::fs::write(lab.path("vault.age.bak"), "").unwrap();
    let repaired = lab.vault.repair().unwrap();
    assert_eq!((repaired.aside, repaired.restored), (vec![lab.path("vault.age.damaged-2")], None));
    lab.vault.set(&Scope::All, "NEW", &secret("new")).unwrap();
    assert_eq!(lab.vault.names().unwrap()[&Scope::All], ["NEW"]);
    assert_eq!(std::fs::read(lab.path("vault.age.damaged-1")).unwrap(), aside);
}

#[test]
fn a_lost_or_damaged_key_is_repaired_by_beginning_anew_and_what_was_can_be_put_back() {
    let lab = Lab::new();
    for name in ["A", "B"] {
        lab.vault.set(&Scope::All, name, &secret(name)).unwrap();
    }
    let key = std::fs::read(lab.path("vault.key")).unwrap();
    std::fs::write(lab.path("vault.key"), "nonsense").unwrap();
    let other = open(lab.folder.path());
    assert!(matches!(other.status().unwrap().state, VaultState::Unreadable { damaged: true, .. }));
    let repaired = other.repair().unwrap();
    assert_eq!(repaired.aside, [lab.path("vault.age.damaged-1"), lab.path("vault.key.damaged-1")]);
    assert_eq!(repaired.restored, None);
    other.set(&Scope::All, "NEW", &secret("new")).unwrap();
    assert_eq!(other.names().unwrap()[&Scope::All], ["NEW"]);

    std::fs::write(lab.path("vault.key"), &key).unwrap();
    std::fs::rename(lab.path("vault.age.damaged-1"), lab.path("vault.age")).unwrap();
    assert_eq!(open(lab.folder.path()).names().unwrap()[&Scope::All], ["A", "B"]);

    std::fs::remove_file(lab.path("vault.key")).unwrap();
    let repaired = open(lab.folder.path()).repair().unwrap();
    assert_eq!((repaired.aside, repaired.restored), (vec![lab.path("vault.age.damaged-1")], None));
}

#[test]
fn where_nothing_can_be_written_a_change_is_an_error_and_the_vault_as_it_was() {
    let lab = Lab::new();
    lab.vault.set(&Scope::All, "X", &secret("x")).unwrap();
    let before = std::fs::read(lab.path("vault.age")).unwrap();
    // A folder in the place of the backup: root, whom permissions do not stop, cannot write there either.
    std::fs::create_dir(lab.path("vault.age.bak")).unwrap();
    let error = lab.vault.set(&Scope::All, "Y", &secret("y")).unwrap_err();
    assert!(
        matches!(&error, VaultError::Io { action: "Writing", path, .. } if path.ends_with(".bak")),
        "{error}"
    );
    assert_eq!(std::fs::read(lab.path("vault.age")).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(lab.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".new-")), "{left:?}");
}
