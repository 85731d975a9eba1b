//! Looking at a host: its files and its environment.

use super::Host;
use std::path::{Path, PathBuf};

impl Host {
    /// An absolute path of the host, as seen from here.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is something at `path`.
    pub(super) fn has(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// The person's home folder.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).map(Path::new)
    }

    /// A variable that is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where a program is, by `$PATH`.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let mut folders = std::env::split_paths(self.variable("PATH").unwrap_or_default());
        folders
            .by_ref()
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(&name))
            .find(|path| self.at(path).is_file())
    }
}
