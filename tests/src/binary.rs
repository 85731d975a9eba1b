//! The built `codchi` program, and a place for it to live in that has nothing of the person who runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The program under test: `$CODCHI_BIN`, else the one that cargo built beside this test, which is built now, so that it is
/// never an old one.
///
/// # Panics
/// Where it cannot be built.
#[must_use]
pub fn codchi() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = std::env::var_os("CODCHI_BIN") {
            return program.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "codchi"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        // Tests lie in target/PROFILE/deps.
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "codchi does not build");
        profile.join("codchi")
    })
}

/// A home folder of its own: nothing in it, and nothing of it left afterwards.
pub struct Home {
    folder: TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// Makes one.
    ///
    /// # Panics
    /// Where no temporary folder can be made.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it, and gives its path.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is in the home folder"))
            .expect("folders can be made");
        std::fs::write(&path, text).expect("it can be written");
        path
    }

    /// `codchi`, living here: no driver, no Nix, no keyring, no agent.
    #[must_use]
    pub fn codchi(&self) -> Command {
        let mut command = Command::new(codchi());
        command
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", self.path().join("bin"))
            .env("LXD_SOCKET", self.path().join("no-lxd"))
            .env("INCUS_SOCKET", self.path().join("no-incus"))
            .env("CODCHI_LOG", "debug")
            .current_dir(self.path());
        command
    }

    /// Checks that no file in here holds `value`.
    ///
    /// # Panics
    /// Where one does, or cannot be read.
    pub fn assert_nowhere(&self, value: &str) {
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder of ours") {
                let entry = entry.expect("an entry of it");
                if entry.file_type().expect("it has a type").is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let bytes = std::fs::read(entry.path()).expect("a file of ours");
                let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
                assert!(!found, "{} holds the value", entry.path().display());
            }
        }
    }
}
