//! WSL in trouble, as a person meets it: each on a computer of its own, whose `wsl.exe` is as bad as `config.json` says, in the words of
//! tests/wsl/README.md, and with what others do to WSL meanwhile.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::codchi;
use codchi_tests::program::{printed, text};
use codchi_tests::store;
use codchi_tests::wsl::OwnWsl;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a secret is made of that survives nothing but care.
const SECRET: &str = "quotes \" ' $HOME `id` \\ ü";

/// Seconds that `wsl.exe` may take for what is quick where it is going to hang.
const PATIENCE: u64 = 2;
/// The same where it does its best, however busy this computer is.
const MORE: u64 = 60;

/// A computer with somebody who has a project.
struct Computer {
    wsl: OwnWsl,
}

impl Computer {
    /// On which WSL is as `config` says.
    fn new(config: &Value) -> Self {
        let computer = Self { wsl: OwnWsl::new(config) };
        for made in ["Windows/System32", "home", "config/codchi", "data/codchi/store", "project", "tmp"] {
            fs::create_dir_all(computer.path(made)).unwrap();
        }
        fs::copy(std::env::var_os("CODCHI_WSL_EXE").unwrap(), computer.program()).unwrap();
        computer.be_patient(PATIENCE);
        let module = "{ codchi.secrets.TOKEN = { description = \"a token\"; required = false; }; }";
        fs::write(computer.path("project/codchi.nix"), module).unwrap();
        computer
    }

    /// `wsl.exe` may take so many seconds for what is quick.
    fn be_patient(&self, seconds: u64) {
        let config = store::whole_config(&self.path("data/codchi"));
        let text = format!("wsl-timeout = {seconds}\n{config}");
        fs::write(self.path("config/codchi/config.toml"), text).unwrap();
    }

    /// A path on its drive C:.
    fn path(&self, path: &str) -> PathBuf {
        self.wsl.path().join("c").join(path)
    }

    fn program(&self) -> PathBuf {
        self.path("Windows/System32/wsl.exe")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("CODCHI_TEST_WSL", self.wsl.path()).env("CODCHI_WSL_DRIVES", self.wsl.path());
        command.env("CODCHI_WSL_EXE", self.program()).env("WSL_UTF8", "1");
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.envs(store::variables(&self.path(""))).current_dir(self.path("project"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(codchi()).args(arguments).output().unwrap()
    }

    /// What a command prints; it must succeed.
    fn codchi(&self, arguments: &[&str]) -> String {
        printed(self.command(codchi()).args(arguments))
    }

    /// What a command says that fails.
    fn failed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "codchi {arguments:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// Cancels a command once it has said `said`; gives how long it took to end then.
    fn cancelled(&self, arguments: &[&str], said: &str) -> Duration {
        let errors = self.path("tmp/errors");
        let mut command = self.command(codchi());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(fs::File::create(&errors).unwrap()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&errors).unwrap().contains(said) {
            assert!(Instant::now() < end, "it never says {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Until it waits for `wsl.exe`.
        std::thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{}", fs::read_to_string(&errors).unwrap());
        began.elapsed()
    }

    /// What `wsl.exe` prints that somebody else runs; it must succeed.
    fn wsl(&self, arguments: &[&str]) -> String {
        printed(&mut self.wsl.command(arguments))
    }

    /// The token, as a shell in the machine has it.
    fn token(&self) -> String {
        self.codchi(&["exec", "one", "--", "sh", "-c", "printf %s \"$CODCHI_TOKEN\""])
    }

    /// What `codchi status` says about a machine.
    fn status(&self) -> String {
        self.codchi(&["status"])
    }

    /// What the driver's line of `codchi doctor` says, and the line with what to do.
    fn doctor(&self) -> String {
        let printed = text(&self.run(&["doctor"]).stdout);
        let mut lines = printed.lines().skip_while(|line| !line.contains(" driver "));
        let (Some(told), Some(remedy)) = (lines.next(), lines.next()) else {
            panic!("no driver in {printed}")
        };
        format!("{told}\n{remedy}")
    }

    /// Asserts that there is nothing of a machine, and that nobody has shut WSL down.
    fn nothing_is_left(&self) {
        let machines = fs::read_dir(self.path("data/codchi/machines"));
        assert_eq!(machines.map_or(0, Iterator::count), 0, "a machine is left");
        let log = fs::read_to_string(self.wsl.path().join("shutdown.log")).unwrap_or_default();
        assert_eq!(log, "", "WSL is never shut down");
    }
}

/// Asserts that each of `parts` is in what a person is told.
fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "no `{part}` in: {told}");
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
fn what_wsl_cannot_make_leaves_nothing() {
    let seconds = format!("did not answer within {} seconds while creating", 15 * PATIENCE);
    for (config, said) in [
        (json!({ "faults": { "import": { "diskFull": true } } }), "the disk is full"),
        (json!({ "virtualization": false }), "virtualization is off"),
        (json!({ "faults": { "list": { "hang": true } } }), "did not answer within 2 seconds while listing"),
        (json!({ "faults": { "import": { "hang": true } } }), &seconds),
    ] {
        let computer = Computer::new(&config);
        let told = computer.failed(&["create", ".", "--name", "x", "--yes"]);
        says(&told, &[said, "Help: "]);
        computer.nothing_is_left();
        let left = fs::read_dir(computer.path("data/codchi/wsl")).into_iter().flatten();
        let left: Vec<_> =
            left.map(|entry| entry.unwrap().file_name()).filter(|name| name != ".locks").collect();
        assert!(left.is_empty(), "{config}: {left:?}");
    }
}

#[test]
fn what_hangs_can_be_cancelled_at_once() {
    let computer = Computer::new(&json!({ "faults": { "import": { "hang": true } } }));
    let took = computer.cancelled(&["create", ".", "--name", "x", "--yes"], "Reading modules");
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    computer.nothing_is_left();
    // What is half made of the store goes with the next try.
    computer.wsl.set(&json!({ "faults": { "import": { "diskFull": true } } }));
    says(&computer.failed(&["create", ".", "--name", "x", "--yes"]), &["the disk is full"]);
    assert!(
        !computer
            .path("data/codchi/wsl")
            .read_dir()
            .unwrap()
            .any(|entry| entry.unwrap().file_name() != ".locks")
    );
}

#[test]
fn what_others_do_to_wsl_is_told_and_put_right() {
    let computer = Computer::new(&json!({}));
    computer.be_patient(MORE);
    let mut set = computer.command(codchi());
    let mut set =
        set.args(["secret", "set", "TOKEN"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    set.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
    assert!(set.wait().unwrap().success());
    computer.codchi(&["create", ".", "--name", "one", "--yes"]);
    assert_eq!(computer.token(), SECRET);
    let store = serde_json::from_str::<Value>(&computer.codchi(&["store", "--json"])).unwrap();
    let store = store["instance"].as_str().unwrap();

    // It hangs.
    computer.be_patient(PATIENCE);
    computer.wsl.set(&json!({ "faults": { "exec": { "hang": true } } }));
    let hint = "run `wsl --shutdown` in a terminal of Windows";
    says(&computer.failed(&["exec", "one", "true"]), &["within 4 seconds while running a command", hint]);
    let took = computer.cancelled(&["stop", "one"], "Stopping");
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    computer.wsl.set(&json!({ "faults": { "list": { "hang": true } } }));
    says(&computer.status(), &["unknown", "within 2 seconds while listing", hint]);
    computer.be_patient(MORE);
    // It is gone, as while WSL is updated.
    computer.wsl.set(&json!({}));
    fs::rename(computer.program(), computer.path("wsl.exe")).unwrap();
    let told = computer.failed(&["exec", "one", "true"]);
    says(&told, &["No WSL was found on this computer", "wsl --install"]);
    fs::rename(computer.path("wsl.exe"), computer.program()).unwrap();
    assert_eq!(computer.token(), SECRET);

    // Somebody shuts WSL down.
    computer.wsl(&["--shutdown"]);
    says(&computer.status(), &["stopped"]);
    assert_eq!(computer.token(), SECRET);

    // Somebody unregisters the machine.
    computer.wsl(&["--unregister", "codchi-one"]);
    says(&computer.status(), &["missing", "`codchi rebuild one`"]);
    for command in ["exec", "start"] {
        says(&computer.failed(&[command, "one"]), &["The instance of `one` is gone", "`codchi rebuild one`"]);
    }
    computer.codchi(&["rebuild", "one", "--yes"]);
    assert_eq!(computer.token(), SECRET);

    // Somebody unregisters the store, under a machine that runs.
    computer.wsl(&["--unregister", store]);
    let command = computer.run(&["exec", "one", "true"]);
    assert_eq!(command.status.code(), Some(127));
    for told in [computer.status(), text(&command.stderr)] {
        says(&told, &["The store is gone", "`codchi rebuild one` makes both anew"]);
    }
    computer.codchi(&["stop", "one"]);
    says(&computer.codchi(&["store", "repair"]), &["all that is in the store is as it should be"]);
    let told = computer.failed(&["start", "one"]);
    says(&told, &["The store lost what was in it", "`codchi rebuild one`"]);
    computer.codchi(&["rebuild", "one", "--yes"]);
    assert_eq!(computer.token(), SECRET);

    // Somebody has a distribution of the name that a machine is to have.
    let theirs = computer.path("theirs.tar");
    let mut archive = tar::Builder::new(fs::File::create(&theirs).unwrap());
    for folder in ["etc", "bin/sh"] {
        archive.append_dir(folder, "/").unwrap();
    }
    archive.into_inner().unwrap();
    computer.wsl(&["--import", "codchi-two", "C:\\two", "C:\\theirs.tar"]);
    let told = computer.failed(&["create", ".", "--name", "two", "--yes"]);
    says(&told, &["The name `codchi-two` is already taken", "Choose another name"]);
    says(&computer.wsl(&["--list", "--quiet"]), &["codchi-two"]);

    // What is gone can be deleted.
    computer.wsl(&["--unregister", "codchi-one"]);
    computer.codchi(&["delete", "one", "--yes"]);
    assert!(
        !computer.path("data/codchi/wsl/codchi-one").exists()
            && !computer.path("data/codchi/machines/one").exists()
    );
}

#[test]
fn a_data_folder_that_is_on_no_drive_is_told_before_anything_is_made() {
    let computer = Computer::new(&json!({}));
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = computer.command(codchi());
        for name in ["DATA", "STATE", "CONFIG", "CACHE"] {
            command.env(format!("XDG_{name}_HOME"), home.path().join(name));
        }
        command.args(arguments).output().unwrap()
    };
    let create = run(&["create", ".", "--name", "x"]);
    let told = text(&create.stderr);
    assert!(!create.status.success() && told.contains("is on no drive of Windows"), "{told}");
    assert!(told.contains("data = \"/mnt/c/"), "{told}");
    assert!(!home.path().join("DATA/codchi/machines/x").exists());
    // What it says to do helps.
    fs::create_dir_all(home.path().join("CONFIG/codchi")).unwrap();
    let config = format!("data = {:?}", computer.path("elsewhere"));
    fs::write(home.path().join("CONFIG/codchi/config.toml"), config).unwrap();
    let doctor = text(&run(&["doctor"]).stdout);
    assert!(doctor.contains("✓ driver"), "{doctor}");
}
