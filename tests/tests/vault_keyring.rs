//! The vault's key in a real keyring: GNOME Keyring on a D-Bus of the test's own.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_machine::{
    Answer, Event, Front, LockedBy, Paths, Question, Scope, Secret, Vault, VaultError, VaultState,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the process within the session does; set there only.
const ROLE: &str = "CODCHI_TEST_KEYRING";

fn paths(home: &Path) -> Paths {
    let at = |name: &str| home.join(name);
    Paths {
        data: at("data"),
        config: at("config"),
        state: at("state"),
        cache: at("cache"),
        home: home.to_owned(),
    }
}

fn vault(home: &Path) -> Vault {
    Vault::new(paths(home))
}

/// Hears what happens, and is asked nothing.
struct Ears<'a>(&'a Mutex<Vec<Event>>);

#[async_trait::async_trait]
impl Front for Ears<'_> {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    async fn ask(&self, question: Question) -> Answer {
        panic!("{question:?}")
    }
}

/// Runs [`inside`] in the `role`, in a session of its own in which `keyring` was run.
fn in_session(home: &Path, keyring: &str, role: &str) {
    let script = format!("{keyring} && exec \"$@\"");
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--nocapture"])
        .env(ROLE, role)
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home)
        .env_remove("XDG_DATA_HOME")
        .output()
        .expect("dbus-run-session of the package dbus-daemon");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

const OPEN: &str = "printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null";
/// What the bus starts by itself is locked, and there is no desktop that could ask for its password.
const LOCKED: &str = "true";

/// Not a test of its own: what the others run within a session.
#[test]
fn inside() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    let machine = "a".parse().unwrap();
    let value = Secret::new("value").unwrap();
    let start = Instant::now();
    match role.as_str() {
        "set" => vault(&home).set(&Scope::All, "X", &value).unwrap(),
        "get" => assert_eq!(vault(&home).get(&machine, "X").unwrap(), Some(value)),
        // Nobody is asked but by who unlocks, and then once; here the keyring can ask nobody.
        "locked" => {
            let vault = vault(&home);
            let is_locked =
                |error: VaultError| matches!(error, VaultError::Locked { by: LockedBy::Keyring, .. });
            assert!(is_locked(vault.set(&Scope::All, "X", &value).unwrap_err()));
            assert!(is_locked(vault.names().unwrap_err()));
            assert_eq!(vault.status().unwrap().state, VaultState::Locked { by: LockedBy::Keyring });
            assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
            let told = Mutex::default();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let error = runtime.block_on(vault.unlock(&Ears(&told))).unwrap_err();
            assert!(error.to_string().contains("keyring") && error.hint().is_some(), "{error}");
            assert_eq!(told.lock().unwrap().len(), 1);
        }
        // From now on the key is a file, and the keyring has none.
        "protect" => {
            let passphrase = Secret::new("correct horse").unwrap();
            assert_eq!(vault(&home).protect(Some(&passphrase)).unwrap(), None);
            std::fs::rename(home.join("data/vault.key"), home.join("kept")).unwrap();
            let error = vault(&home).names().unwrap_err();
            assert!(matches!(error, VaultError::KeyMissing { unanswered: false, .. }), "{error:?}");
            std::fs::rename(home.join("kept"), home.join("data/vault.key")).unwrap();
            let error = vault(&home).names().unwrap_err();
            assert!(matches!(error, VaultError::Locked { by: LockedBy::Passphrase, .. }), "{error:?}");
        }
        role => panic!("{role}"),
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_key_is_kept_in_an_open_keyring_and_found_by_the_next_process() {
    let home = tempfile::tempdir().unwrap();
    in_session(home.path(), OPEN, "set");
    assert!(!home.path().join("data/vault.key").exists());
    let before = std::fs::read(home.path().join("data/vault.age")).unwrap();
    in_session(home.path(), OPEN, "get");

    // A session that cannot open the keyring has no key, and must not make another.
    in_session(home.path(), LOCKED, "locked");
    assert!(!home.path().join("data/vault.key").exists());
    assert_eq!(std::fs::read(home.path().join("data/vault.age")).unwrap(), before);
    in_session(home.path(), OPEN, "get");
    in_session(home.path(), OPEN, "protect");
}

#[test]
fn where_no_keyring_is_open_the_key_is_a_file() {
    let home = tempfile::tempdir().unwrap();
    in_session(home.path(), LOCKED, "set");
    assert!(home.path().join("data/vault.key").exists());
    // A keyring that comes later changes nothing.
    in_session(home.path(), OPEN, "get");
    in_session(home.path(), LOCKED, "get");
}
