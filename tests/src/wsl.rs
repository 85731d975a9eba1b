//! A WSL that is a test's own: what it breaks there is nobody else's.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A computer's WSL, by the `wsl.exe` of tests/wsl. Its distributions end with it.
pub struct OwnWsl {
    folder: TempDir,
    /// The root file systems of its distributions: where the lab's are, in memory.
    _disks: TempDir,
}

impl OwnWsl {
    /// One that is as `config` says, in the words of tests/wsl/README.md.
    ///
    /// # Panics
    /// Where there is no lab with WSL.
    #[must_use]
    pub fn new(config: &Value) -> Self {
        let lab = PathBuf::from(std::env::var_os("CODCHI_TEST_WSL").expect("the lab sets it"));
        let folder = tempfile::tempdir().unwrap();
        let disks = tempfile::tempdir_in(lab.join("disks")).unwrap();
        symlink(disks.path(), folder.path().join("disks")).unwrap();
        let wsl = Self { folder, _disks: disks };
        wsl.set(config);
        wsl
    }

    /// From now on it is as `config` says.
    ///
    /// # Panics
    /// Where that cannot be written.
    pub fn set(&self, config: &Value) {
        let (new, file) = (self.path().join("config.new"), self.path().join("config.json"));
        fs::write(&new, config.to_string()).unwrap();
        fs::rename(new, file).unwrap();
    }

    /// Its folder, with the computer's drives.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its `wsl.exe`, as somebody else than codchi runs it.
    ///
    /// # Panics
    /// Where there is no lab with WSL.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CODCHI_WSL_EXE").expect("the lab sets it"));
        command.args(arguments).env("CODCHI_TEST_WSL", self.path()).env("WSL_UTF8", "1").stdin(Stdio::null());
        command
    }
}

impl Drop for OwnWsl {
    fn drop(&mut self) {
        let _ = self.command(&["--codchi-test-down"]).output();
    }
}
