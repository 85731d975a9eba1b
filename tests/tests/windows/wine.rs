//! A Windows that Wine plays, with `codchi.exe` on it.

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One of its own, which is kept for the next run: to make one takes a while.
pub(crate) struct Windows {
    prefix: PathBuf,
}

impl Windows {
    /// The one of this name, on which codchi has not run yet.
    pub(crate) fn of(name: &str) -> Self {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&prefix).unwrap();
        let windows = Self { prefix };
        // One at a time may make it.
        assert!(windows.codchi().arg("--version").output().unwrap().status.success());
        for folder in ["Local", "Roaming"] {
            let _ = std::fs::remove_dir_all(windows.profile().join(folder).join("codchi"));
        }
        windows
    }

    /// Its drive C:.
    pub(crate) fn drive(&self) -> PathBuf {
        self.prefix.join("drive_c")
    }

    /// Where programs keep what they know of the one person who uses it.
    pub(crate) fn profile(&self) -> PathBuf {
        let people = std::fs::read_dir(self.drive().join("users")).unwrap();
        let mut profiles = people
            .map(|person| person.unwrap().path().join("AppData"))
            .filter(|it| it.join("Local").is_dir());
        profiles.next().expect("Wine makes one person")
    }

    /// `codchi.exe`.
    pub(crate) fn codchi(&self) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian keeps it out of the way.
        let folders = std::env::split_paths(&path).chain(["/usr/lib/wine".into()]);
        let programs = folders.flat_map(|folder| [folder.join("wine64"), folder.join("wine")]);
        let mut command =
            Command::new(programs.into_iter().find(|file| file.is_file()).expect("Wine is installed"));
        command.arg(std::env::var_os("CODCHI_WINDOWS_EXE").expect("CODCHI_WINDOWS_EXE is set"));
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all").env("CODCHI_LOG", "debug");
        // Nobody is asked whether more of Wine shall be installed.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
        // What the lab sets for codchi on Linux.
        for name in ["CODCHI_GUEST", "CODCHI_WSL_EXE", "CODCHI_WSL_DRIVES", "TMPDIR"] {
            command.env_remove(name);
        }
        command
    }
}

/// What a command has printed, with the ends of lines that Linux has.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Of `command`, with `input` on its standard input.
    pub(crate) fn of(mut command: Command, input: &[u8]) -> Self {
        // What goes on in the background has the pipe of errors, too: that is how Wine starts programs, whoever else is to have it.
        let mut errors = tempfile::tempfile().unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
        let mut told = Vec::new();
        errors.rewind().and_then(|()| errors.read_to_end(&mut told)).unwrap();
        Self { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(told) }
    }
}
