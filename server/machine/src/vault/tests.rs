mod backups;
mod passphrase;

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

struct Lab {
    folder: tempfile::TempDir,
    vault: Vault,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = open(folder.path());
        Self { folder, vault }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }
}

/// As another process would open it.
fn open(folder: &Path) -> Vault {
    open_with(folder, None)
}

/// The same, with a file that holds the passphrase.
fn open_with(folder: &Path, passphrase_file: Option<PathBuf>) -> Vault {
    Vault::with(&crate::test::paths(folder), None, passphrase_file)
}

fn secret(value: &str) -> Secret {
    Secret::new(value).unwrap()
}

fn machine(name: &str) -> MachineName {
    name.parse().unwrap()
}

#[test]
fn a_machine_gets_its_own_value_else_that_for_all() {
    let lab = Lab::new();
    let (a, b) = (machine("a"), machine("b"));
    assert_eq!(lab.vault.get(&a, "X").unwrap(), None);
    lab.vault.set(&Scope::All, "X", &secret("all")).unwrap();
    lab.vault.set(&Scope::Machine(a.clone()), "X", &secret("own")).unwrap();
    assert_eq!(lab.vault.get(&a, "X").unwrap(), Some(secret("own")));
    assert_eq!(lab.vault.get(&b, "X").unwrap(), Some(secret("all")));
    assert!(lab.vault.remove(&Scope::Machine(a.clone()), "X").unwrap());
    assert!(!lab.vault.remove(&Scope::Machine(a.clone()), "X").unwrap());
    assert_eq!(lab.vault.get(&a, "X").unwrap(), Some(secret("all")));
    assert_eq!(lab.vault.names().unwrap(), BTreeMap::from([(Scope::All, vec!["X".into()])]));
}

#[test]
fn nothing_is_made_by_reading() {
    let lab = Lab::new();
    assert!(lab.vault.names().unwrap().is_empty());
    assert!(!lab.folder.path().join("data").exists());
}

#[test]
fn only_the_owner_can_read_it_and_the_value_is_not_in_any_file() {
    let lab = Lab::new();
    let value = "hunter2-hunter2-hunter2";
    lab.vault.set(&Scope::All, "PASSWORD_OF_ALL", &secret(value)).unwrap();
    assert_eq!(std::fs::metadata(lab.path("")).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(lab.path("")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("hunter2") && !text.contains("PASSWORD"), "{path:?}");
    }
    for debug in [format!("{:?}", lab.vault), format!("{:?}", secret(value))] {
        assert!(!debug.contains("hunter2") && !debug.contains("AGE-SECRET"), "{debug}");
    }
}

#[test]
fn writers_in_many_threads_and_handles_lose_nothing() {
    let lab = Lab::new();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let folder = lab.folder.path();
            scope.spawn(move || {
                for n in 0..5 {
                    let value = secret(&format!("{writer}/{n}"));
                    open(folder).set(&Scope::All, &format!("N{writer}_{n}"), &value).unwrap();
                    open(folder).names().unwrap();
                }
            });
        }
    });
    assert_eq!(lab.vault.names().unwrap()[&Scope::All].len(), 40);
    assert_eq!(lab.vault.get(&machine("a"), "N7_4").unwrap(), Some(secret("7/4")));
}

/// Not a test of its own: what [`writers_in_other_processes_lose_nothing`] runs several times at once.
#[test]
fn writer_process() {
    let Some(folder) = std::env::var_os("CODCHI_TEST_VAULT") else { return };
    for n in 0..10 {
        let name = format!("P{}_{n}", std::process::id());
        open(Path::new(&folder)).set(&Scope::All, &name, &secret("x")).unwrap();
    }
}

#[test]
fn writers_in_other_processes_lose_nothing() {
    let lab = Lab::new();
    let program = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = Command::new(&program);
            command.args(["--exact", "vault::tests::writer_process"]).stdout(std::process::Stdio::null());
            command.env("CODCHI_TEST_VAULT", lab.folder.path()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(lab.vault.names().unwrap()[&Scope::All].len(), 40);
}

#[test]
fn a_lost_or_wrong_or_damaged_key_or_file_is_told_and_nothing_is_overwritten() {
    let lab = Lab::new();
    lab.vault.set(&Scope::All, "X", &secret("kept")).unwrap();
    let (vault, key) = (lab.path("vault.age"), lab.path("vault.key"));
    let [vault_before, key_before] = [&vault, &key].map(|path| std::fs::read(path).unwrap());
    let refused = || {
        let vault_now = std::fs::read(&vault).unwrap();
        let key_now = std::fs::read(&key).ok();
        // A process that has never seen the key, and one that has.
        let error = open(lab.folder.path()).set(&Scope::All, "Y", &secret("new")).unwrap_err();
        assert!(lab.vault.set(&Scope::All, "Y", &secret("new")).is_err());
        assert_eq!(std::fs::read(&vault).unwrap(), vault_now);
        assert_eq!(std::fs::read(&key).ok(), key_now);
        error
    };

    std::fs::remove_file(&key).unwrap();
    assert!(matches!(refused(), VaultError::KeyMissing { searched, .. } if searched.contains("vault.key")));
    {
        use age::secrecy::ExposeSecret as _;
        std::fs::write(&key, Identity::generate().to_string().expose_secret()).unwrap();
    }
    assert!(matches!(refused(), VaultError::WrongKey { key, .. } if key.contains("vault.key")));
    std::fs::write(&key, "").unwrap();
    assert!(matches!(refused(), VaultError::Corrupt { reason, .. } if reason.contains("holds no key")));
    std::fs::write(&key, &key_before).unwrap();
    std::fs::write(&vault, &vault_before[..vault_before.len() - 1]).unwrap();
    assert!(matches!(refused(), VaultError::Corrupt { .. }));
    std::fs::write(&vault, "").unwrap();
    assert!(matches!(refused(), VaultError::Corrupt { .. }));

    // Cut off and changed at every place, whatever is there: told, not taken for another vault.
    for at in (0..vault_before.len()).step_by(7) {
        let mut bytes = vault_before.clone();
        bytes[at] ^= 1;
        for damaged in [&bytes[..], &vault_before[..at]] {
            std::fs::write(&vault, damaged).unwrap();
            let error = lab.vault.names().unwrap_err();
            assert!(
                matches!(error, VaultError::Corrupt { .. } | VaultError::WrongKey { .. }),
                "{at}: {error:?}"
            );
        }
    }

    std::fs::write(&vault, &vault_before).unwrap();
    assert_eq!(lab.vault.get(&machine("a"), "X").unwrap(), Some(secret("kept")));
}
