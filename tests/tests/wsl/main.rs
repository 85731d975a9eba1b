//! A machine on WSL, as somebody on Windows makes it: with the command line, a project and a data folder on drive C:, and a store that is
//! another distribution.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod bridge;
mod guest;

use codchi_tests::binary::codchi;
use codchi_tests::engine::{self, Kind};
use codchi_tests::lsp::Client;
use codchi_tests::program::printed;
use codchi_tests::store;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// What a secret is made of that survives nothing but care.
const SECRET: &str = "quotes \" ' $HOME `id` \\ ü";

const MODULE: &str = r#"{ pkgs, ... }: {
  codchi.secrets.API_TOKEN.description = "What the tests call a token";
  codchi.initScript = "echo initialised >~/initialised";
  environment.etc."flavour".text = "one";
}
"#;

/// Somebody with a project. Their distributions are gone when the test ends.
struct Person {
    folder: TempDir,
}

impl Person {
    fn new() -> Self {
        Self::with_module(MODULE)
    }

    /// Whose project is this module.
    fn with_module(module: &str) -> Self {
        // Below the drive, as `TMPDIR` says; with a name as people have.
        let folder = tempfile::Builder::new().prefix("Ana Muñoz ").tempdir().unwrap();
        let person = Self { folder };
        for made in ["home", "config/codchi", "data/codchi/store", "project"] {
            fs::create_dir_all(person.path(made)).unwrap();
        }
        let config = store::whole_config(&person.path("data/codchi"));
        fs::write(person.path("config/codchi/config.toml"), config).unwrap();
        fs::write(person.path("project/codchi.nix"), module).unwrap();
        person
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(codchi());
        command.args(arguments).current_dir(self.path("project")).env("HOME", self.path("home"));
        command.envs(store::variables(self.folder.path()));
        command
    }

    /// What a command prints; it must succeed.
    fn codchi(&self, arguments: &[&str]) -> String {
        printed(&mut self.command(arguments)).trim_end().to_owned()
    }

    /// What a shell in the machine prints.
    fn inside(&self, script: &str) -> String {
        self.codchi(&["exec", "hello", "--", "sh", "-c", script])
    }

    /// The names and states of the distributions that are this person's.
    fn distributions(&self) -> Vec<(String, String)> {
        let ours = self.path("data/codchi/wsl");
        let listed = engine::ask_client(&["--list", "--verbose"]);
        let rows =
            listed.lines().map(|line| line.trim_start_matches('*').split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row.len() == 3 && ours.join(row[0]).exists())
            .map(|row| (row[0].to_owned(), row[1].to_owned()))
            .collect()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        engine::forget_in(&self.path("data/codchi/wsl"));
    }
}

#[test]
fn a_machine_is_made_from_the_editor_and_changed_and_deleted() {
    assert_eq!(engine::kind(), Kind::Wsl, "this is about WSL");
    let person = Person::new();
    assert!(person.codchi(&["doctor"]).contains("✓ driver"), "WSL is there");

    // The editor asks for the secret before anything is built.
    let mut editor = Client::start_with(person.command(&[]));
    editor.answer_with(|request| {
        let is_secret = request["method"] == "codchi/input" && request["params"]["kind"] == "secret";
        Some(if is_secret { json!({ "value": SECRET }) } else { Value::Null })
    });
    editor.initialize(&json!({ "experimental": { "codchi": { "input": true } } }), &person.path("project"));
    let mut ask = |name: &str, argument: Value| {
        let command = json!({ "command": name, "arguments": [argument] });
        editor.request("workspace/executeCommand", &command).unwrap()
    };
    let made =
        ask("codchi.machine.create", json!({ "module": person.path("project/codchi.nix"), "name": "hello" }));
    assert_eq!(made["name"], "hello", "{made}");
    assert_eq!(ask("codchi.machine.open", json!({ "name": "hello" }))["remote"], "wsl+codchi-hello");
    editor.shutdown();

    assert_eq!(person.inside("printf %s \"$CODCHI_API_TOKEN\""), SECRET);
    let seen = person.inside("id -un; hostname; cat /etc/flavour ~/initialised; pwd");
    assert_eq!(
        seen.lines().collect::<Vec<_>>(),
        ["codchi", "hello", "oneinitialised", "/home/codchi/project"]
    );
    person.inside("echo from inside >made");
    assert_eq!(fs::read_to_string(person.path("project/made")).unwrap(), "from inside\n");
    let states = person.distributions();
    assert!(states.len() == 2 && states.iter().all(|(_, state)| state == "Running"), "{states:?}");

    fs::write(person.path("project/codchi.nix"), MODULE.replace("\"one\"", "\"two\"")).unwrap();
    person.codchi(&["rebuild", "hello"]);
    assert_eq!(person.inside("cat /etc/flavour"), "two");
    person.codchi(&["rollback", "hello"]);
    assert_eq!(person.inside("cat /etc/flavour"), "one");

    person.codchi(&["stop", "hello"]);
    assert!(person.distributions().contains(&("codchi-hello".into(), "Stopped".into())));
    person.codchi(&["start", "hello"]);
    assert_eq!(person.inside("cat /etc/flavour; printf %s \"$CODCHI_API_TOKEN\""), format!("one{SECRET}"));

    person.codchi(&["delete", "hello", "--yes"]);
    assert!(!person.distributions().iter().any(|(name, _)| name == "codchi-hello"));
    assert_eq!(
        fs::read_to_string(person.path("project/made")).unwrap(),
        "from inside\n",
        "the project stays"
    );
}
