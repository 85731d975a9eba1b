//! A machine's life by the program of Windows, on the `wsl.exe` of tests/wsl, which it reaches through a relay (tests/wine): Wine starts
//! programs of Linux, but not with pipes for streams. git is a script that is reached in the same way.
//!
//! `CODCHI_WINDOWS_RELAY` is the relay's program of Windows.

use crate::wine::{Ran, Windows};
use codchi_test_wine::{Program, serve};
use codchi_tests::program::{script, text};
use codchi_tests::store;
use codchi_tests::wsl::OwnWsl;
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a secret is made of that survives nothing but care.
const SECRET: &str = "quotes \" ' $HOME `id` \\ ü %PATH%";
/// Prints it in the machine.
const TOKEN: [&str; 6] = ["exec", "one", "--", "sh", "-c", "printf %s \"$CODCHI_TOKEN\""];
const PASSWORD: &str = "correct-horse";

/// A computer with Windows, WSL and git.
struct Computer {
    windows: Windows,
    wsl: OwnWsl,
}

impl Computer {
    fn new() -> Self {
        let windows = Windows::of("wine-with-wsl");
        let wsl = OwnWsl::new(&json!({}));
        symlink(windows.drive(), wsl.path().join("c")).unwrap();
        let git = wsl.path().join("git");
        script(
            &git,
            &format!("[ \"$*\" != 'credential fill' ] || printf 'username=me\\npassword={PASSWORD}\\n'"),
        );
        let computer = Self { windows, wsl };
        computer.has("wsl", &PathBuf::from(std::env::var_os("CODCHI_WSL_EXE").expect("the lab sets it")));
        computer.has("git", &git);
        computer.configure();
        computer
    }

    /// Makes `program` of Linux one of Windows.
    fn has(&self, name: &str, program: &Path) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let system = self.windows.drive().join("windows/system32");
        let relay = PathBuf::from(std::env::var_os("CODCHI_WINDOWS_RELAY").expect("it is set"));
        for (file, to) in [
            (relay.clone(), format!("{name}.exe")),
            (relay.with_file_name("bcryptprimitives.dll"), "bcryptprimitives.dll".into()),
        ] {
            let to = system.join(to);
            // It may be a link to Wine's own.
            let _ = fs::remove_file(&to);
            fs::copy(file, to).unwrap();
        }
        fs::write(system.join(name).with_extension("relay"), listener.local_addr().unwrap().to_string())
            .unwrap();
        let program = Program {
            path: program.into(),
            environment: vec![("CODCHI_TEST_WSL".into(), self.wsl.path().into())],
            drives: self.wsl.path().into(),
        };
        serve(listener, program);
    }

    /// Has codchi build offline.
    fn configure(&self) {
        let profile = self.windows.profile();
        let standin = profile.join("Local/codchi/data/store/standin");
        fs::create_dir_all(standin.parent().unwrap()).unwrap();
        store::copy_nixpkgs(&standin);
        let config = profile.join("Roaming/codchi");
        fs::create_dir_all(&config).unwrap();
        let inside = Path::new("/mnt/c").join(standin.strip_prefix(self.windows.drive()).unwrap());
        let text = format!(
            "nixpkgs = {:?}\nwsl-timeout = 60\n{}[ssh]\nconfig = false\n",
            format!("path:{}", inside.display()),
            store::config().replace("store-nix = \"/", "store-nix = \"Z:/"),
        );
        fs::write(config.join("config.toml"), text).unwrap();
    }

    fn project(&self) -> PathBuf {
        let project = self.windows.drive().join("Users of ü/a project");
        fs::create_dir_all(&project).unwrap();
        project
    }

    fn write_module(&self, more: &str) {
        let text = format!(
            "{{ pkgs, ... }}: {{\n  codchi.secrets.TOKEN.description = \"a token\";\n  codchi.hostSecrets.gitCredentials = true;\n{more}}}\n"
        );
        fs::write(self.project().join("codchi.nix"), text).unwrap();
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.windows.codchi();
        command.args(arguments).current_dir(self.project());
        Ran::of(command, input)
    }

    /// What a command prints; it must succeed.
    #[track_caller]
    fn codchi(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments, b"");
        assert_eq!(ran.code, 0, "codchi {arguments:?}: {ran:?}");
        ran.stdout
    }

    /// What a shell in the machine prints.
    #[track_caller]
    fn shell(&self, script: &str) -> String {
        self.codchi(&["exec", "one", "--", "sh", "-c", script])
    }

    /// What WSL says.
    fn wsl(&self, arguments: &[&str]) -> String {
        text(&self.wsl.command(arguments).output().unwrap().stdout)
    }
}

#[test]
fn a_machine_is_made_used_changed_and_deleted() {
    let computer = Computer::new();
    computer.write_module("");
    assert_eq!(computer.run(&["secret", "set", "TOKEN"], SECRET.as_bytes()).code, 0);
    computer.codchi(&["create", ".", "--name", "one", "--yes", "--allow", "git-credentials"]);
    assert_eq!(computer.codchi(&TOKEN), SECRET);

    // Streams, exit codes, the project's folder and who one is in it.
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| b"0123456789abcdef"[(number % 16) as usize]).collect();
    let through = computer.run(&["exec", "one", "--", "cat"], &bytes);
    assert!(through.code == 0 && through.stdout.as_bytes() == bytes, "{} bytes", through.stdout.len());
    assert_eq!(computer.run(&["exec", "one", "--", "sh", "-c", "exit 7"], b"").code, 7);
    let who = computer.shell("id -un; basename \"$PWD\"; echo new > file; stat -c %U file");
    assert_eq!(who, "codchi\na project\ncodchi\n");
    assert_eq!(fs::read_to_string(computer.project().join("file")).unwrap(), "new\n");
    let status = computer.codchi(&["status", "one"]);
    assert!(status.contains("running") && status.contains(r"C:\Users of ü\a project"), "{status}");

    // The bridge, which is greeted by a named pipe.
    let fill = "printf 'protocol=https\\nhost=git.example\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill";
    assert!(computer.shell(fill).contains(&format!("password={PASSWORD}")));
    computer.codchi(&["deny", "one", "git-credentials"]);
    let denied = computer.run(&["exec", "one", "--", "sh", "-c", fill], b"");
    assert!(!denied.stdout.contains(PASSWORD), "{denied:?}");

    // Another system. Generations are not told apart here: those are links that lead nowhere outside of a distribution, which Windows
    // lists and Wine does not.
    computer.write_module("  environment.etc.\"made-by-codchi\".text = \"second\";\n");
    let preview = computer.codchi(&["rebuild", "one", "--dry-run"]);
    assert!(preview.contains("one"), "{preview}");
    computer.codchi(&["rebuild", "one", "--yes"]);
    assert_eq!(computer.shell("cat /etc/made-by-codchi"), "second");

    // It ends with all that kept it running, and comes back with its secrets.
    computer.codchi(&["stop", "one"]);
    assert!(!computer.wsl(&["--list", "--running", "--quiet"]).contains("codchi-one"));
    assert_eq!(computer.codchi(&TOKEN), SECRET);

    let told = computer.codchi(&["store", "gc", "--yes"]);
    assert!(!told.is_empty());
    // Wine cannot remove what it does not list.
    let machines = computer.windows.profile().join("Local/codchi/data/machines");
    assert!(Command::new("find").arg(machines).args(["-type", "l", "-delete"]).status().unwrap().success());
    computer.codchi(&["delete", "one", "--yes"]);
    assert!(computer.codchi(&["status"]).contains("no code machine"));
    assert!(!computer.wsl(&["--list", "--quiet"]).contains("codchi-one"));
    assert!(computer.project().join("codchi.nix").is_file());
}
