//! A machine's life by the program of Windows, on the `wsl.exe` of tests/wsl, which it reaches through a relay (tests/wine): Wine starts
//! programs of Linux, but not with pipes for streams.
//!
//! `CODCHI_WINDOWS_WSL` is the program of Windows that stands for that `wsl.exe`.

use crate::wine::{Ran, Windows};
use codchi_test_wine::{Program, serve};
use codchi_tests::store;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a secret is made of that survives nothing but care.
const SECRET: &str = "quotes \" ' $HOME `id` \\ ü %PATH%";

/// A computer with Windows and WSL.
struct Computer {
    windows: Windows,
    folder: TempDir,
    /// The root file systems of its distributions: where the lab's are, in memory.
    _disks: TempDir,
    relay: SocketAddr,
}

impl Computer {
    fn new() -> Self {
        let windows = Windows::of("wine-with-wsl");
        let lab = PathBuf::from(std::env::var_os("CODCHI_TEST_WSL").expect("the lab sets it"));
        let disks = tempfile::tempdir_in(lab.join("disks")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        symlink(disks.path(), folder.path().join("disks")).unwrap();
        symlink(windows.drive(), folder.path().join("c")).unwrap();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = listener.local_addr().unwrap();
        let program = Program {
            path: std::env::var_os("CODCHI_WSL_EXE").expect("the lab sets it").into(),
            environment: vec![("CODCHI_TEST_WSL".into(), folder.path().into())],
            drives: folder.path().into(),
        };
        serve(listener, program);
        let computer = Self { windows, folder, _disks: disks, relay };
        computer.configure();
        computer
    }

    /// Where `codchi` is told to build offline.
    fn configure(&self) {
        let profile = self.windows.profile();
        let standin = profile.join("Local/codchi/data/store/standin");
        fs::create_dir_all(standin.parent().unwrap()).unwrap();
        store::copy_nixpkgs(&standin);
        let config = profile.join("Roaming/codchi");
        fs::create_dir_all(&config).unwrap();
        let inside = Path::new("/mnt/c").join(standin.strip_prefix(self.windows.drive()).unwrap());
        let text = format!(
            "nixpkgs = {:?}\nwsl-timeout = 120\n{}[ssh]\nconfig = false\n",
            format!("path:{}", inside.display()),
            store::config().replace("store-nix = \"/", "store-nix = \"Z:/"),
        );
        fs::write(config.join("config.toml"), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.windows.codchi();
        command.env("CODCHI_TEST_RELAY", self.relay.to_string());
        command.env("CODCHI_WSL_EXE", std::env::var_os("CODCHI_WINDOWS_WSL").expect("it is set"));
        command.args(arguments).current_dir(self.project());
        command
    }

    fn project(&self) -> PathBuf {
        let project = self.windows.drive().join("Users of ü/a project");
        fs::create_dir_all(&project).unwrap();
        project
    }

    /// What a command prints; it must succeed.
    fn codchi(&self, arguments: &[&str]) -> String {
        let ran = Ran::of(self.command(arguments), b"");
        assert_eq!(ran.code, 0, "codchi {arguments:?}: {ran:?}");
        ran.stdout
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        let mut down = Command::new(std::env::var_os("CODCHI_WSL_EXE").unwrap());
        let _ = down.arg("--codchi-test-down").env("CODCHI_TEST_WSL", self.folder.path()).output();
    }
}

#[test]
fn a_machine_is_made_used_rebuilt_rolled_back_and_deleted() {
    let computer = Computer::new();
    let module = computer.project().join("codchi.nix");
    fs::write(&module, "{ codchi.secrets.TOKEN.description = \"a token\"; }\n").unwrap();
    assert_eq!(Ran::of(computer.command(&["secret", "set", "TOKEN"]), SECRET.as_bytes()).code, 0);
    computer.codchi(&["create", ".", "--name", "one", "--yes"]);
    let token = computer.codchi(&["exec", "one", "--", "sh", "-c", "printf %s \"$CODCHI_TOKEN\""]);
    assert_eq!(token, SECRET);
}
