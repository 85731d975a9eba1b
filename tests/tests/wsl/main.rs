//! A machine on WSL, as somebody on Windows makes it: with the command line, a project and a data folder on drive C:, and a store that is
//! another distribution.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod bridge;
mod guest;

use codchi_tests::binary::codchi;
use codchi_tests::engine::{self, Kind};
use codchi_tests::lsp::Client;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
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
        // Nix in the store's distribution sees that of the data folder which it needs.
        let from = std::env::var("CODCHI_TEST_FLAKE_NIXPKGS").expect("the lab sets it");
        let standin = person.path("data/codchi/store/standin");
        assert!(Command::new("cp").args(["-r", &from]).arg(&standin).status().unwrap().success());
        let nix = std::env::var("CODCHI_TEST_STORE_NIX").expect("the lab sets it");
        let config = format!(
            "nixpkgs = \"path:{}\"\nstore-nix = \"{nix}\"\nstore-settings = \"substituters =\\nsandbox = false\"\n[ssh]\nconfig = false\n",
            standin.display().to_string().replace(' ', "%20").replace('ñ', "%C3%B1")
        );
        fs::write(person.path("config/codchi/config.toml"), config).unwrap();
        fs::write(person.path("project/codchi.nix"), module).unwrap();
        person
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let folders = ["config", "data", "state", "cache"]
            .map(|name| (format!("XDG_{}_HOME", name.to_uppercase()), self.path(name).display().to_string()));
        folders.into_iter().chain([("HOME".to_owned(), self.path("home").display().to_string())]).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(codchi());
        command.args(arguments).current_dir(self.path("project")).envs(self.environment());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints; it must succeed.
    fn codchi(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "codchi {arguments:?}\n{out}\n{err}");
        out.trim_end().to_owned()
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
        for (name, _) in self.distributions() {
            engine::ask_client(&["--unregister", &name]);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_machine_is_made_from_the_editor_and_changed_and_deleted() {
    assert_eq!(engine::kind(), Kind::Wsl, "this is about WSL");
    let person = Person::new();
    assert!(person.codchi(&["doctor"]).contains("✓ driver"), "WSL is there");

    // The editor asks for the secret before anything is built.
    let mut command = Command::new(codchi());
    command.current_dir(person.path("project")).envs(person.environment());
    let mut editor = Client::start_with(command);
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

/// A computer of a test's own, on which WSL is as `config` says, in the words of tests/wsl/README.md.
struct Computer {
    folder: TempDir,
}

impl Computer {
    fn new(config: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("c/Windows/System32");
        fs::create_dir_all(&system).unwrap();
        fs::create_dir_all(folder.path().join("c/home")).unwrap();
        fs::copy(std::env::var_os("CODCHI_WSL_EXE").unwrap(), system.join("wsl.exe")).unwrap();
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        Self { folder }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("CODCHI_TEST_WSL", self.folder.path()).env("CODCHI_WSL_DRIVES", self.folder.path());
        command.env("CODCHI_WSL_EXE", self.folder.path().join("c/Windows/System32/wsl.exe"));
        command
            .env("HOME", self.folder.path().join("c/home"))
            .env("XDG_DATA_HOME", self.folder.path().join("c/data"));
        command
    }

    /// What the driver's line of `codchi doctor` says, and the line with what to do.
    fn doctor(&self) -> String {
        let output = self.command(codchi().to_str().unwrap()).arg("doctor").output().unwrap();
        let text = text(&output.stdout);
        let mut lines = text.lines().skip_while(|line| !line.contains(" driver "));
        let (Some(told), Some(remedy)) = (lines.next(), lines.next()) else { panic!("no driver in {text}") };
        format!("{told}\n{remedy}")
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        let program = self.folder.path().join("c/Windows/System32/wsl.exe");
        let _ = self.command(program.to_str().unwrap()).arg("--codchi-test-down").output();
    }
}

#[test]
fn a_wsl_that_cannot_run_machines_is_told_with_what_to_do() {
    let cases = [
        (json!({ "version": "inbox" }), ["does not know its version", "wsl --update"]),
        (json!({ "version": "0.58.3.0", "locale": "de-DE" }), ["version 0.58.3, and 0.67.6", "wsl --update"]),
        (json!({ "optionalComponent": false }), ["optional component", "wsl --install --no-distribution"]),
        (json!({ "faults": { "list": { "garbage": true } } }), ["list", ""]),
    ];
    for (config, said) in cases {
        let told = Computer::new(&config).doctor();
        assert!(told.starts_with('✗') && said.iter().all(|said| told.contains(said)), "{config}: {told}");
    }
    let told = Computer::new(&json!({ "locale": "ja-JP" })).doctor();
    assert!(told.contains("WSL 2.6.1"), "another language is no trouble: {told}");
}

#[test]
fn a_data_folder_that_is_on_no_drive_is_told_before_anything_is_made() {
    let computer = Computer::new(&json!({}));
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = tempfile::tempdir_in(elsewhere).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = computer.command(codchi().to_str().unwrap());
        for name in ["DATA", "STATE", "CONFIG", "CACHE"] {
            command.env(format!("XDG_{name}_HOME"), home.path().join(name));
        }
        command.current_dir(computer.folder.path().join("c/home")).args(arguments).output().unwrap()
    };
    fs::write(computer.folder.path().join("c/home/codchi.nix"), "{ }").unwrap();
    let told = failed(&run(&["create", ".", "--name", "x"]));
    assert!(told.contains("is on no drive of Windows") && told.contains("data = \"/mnt/c/"), "{told}");
    assert!(!home.path().join("DATA/codchi/machines/x").exists());
    // What it says to do helps.
    fs::create_dir_all(home.path().join("CONFIG/codchi")).unwrap();
    let data = computer.folder.path().join("c/data");
    fs::write(home.path().join("CONFIG/codchi/config.toml"), format!("data = {data:?}")).unwrap();
    let doctor = text(&run(&["doctor"]).stdout);
    assert!(doctor.contains("✓ driver"), "{doctor}");
}

/// What a command that fails says.
fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn what_wsl_cannot_make_leaves_nothing() {
    let create = |computer: &Computer| {
        let project = computer.folder.path().join("c/project");
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("codchi.nix"), "{ }").unwrap();
        let config = computer.folder.path().join("c/config/codchi");
        fs::create_dir_all(&config).unwrap();
        let nix = std::env::var("CODCHI_TEST_STORE_NIX").unwrap();
        fs::write(config.join("config.toml"), format!("store-nix = \"{nix}\"\n[ssh]\nconfig = false\n"))
            .unwrap();
        let mut command = computer.command(codchi().to_str().unwrap());
        command.env("XDG_CONFIG_HOME", computer.folder.path().join("c/config")).current_dir(&project);
        command.args(["create", ".", "--name", "x"]).output().unwrap()
    };
    for (config, said) in [
        (json!({ "faults": { "import": { "diskFull": true } } }), "the disk is full"),
        (json!({ "virtualization": false }), "virtualization is off"),
    ] {
        let computer = Computer::new(&config);
        let told = failed(&create(&computer));
        assert!(told.contains(said), "{config}: {told}");
        let left = fs::read_dir(computer.folder.path().join("c/data/codchi/machines"));
        assert!(left.map_or(0, Iterator::count) == 0, "{config}: a machine is left");
        let log = fs::read_to_string(computer.folder.path().join("shutdown.log")).unwrap_or_default();
        assert_eq!(log, "", "WSL is never shut down");
    }
}
