//! The `nix` process.

use crate::{CancellationToken, NixError, Progress};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A Nix on this computer.
#[derive(Debug, Clone)]
pub struct Nix {
    program: PathBuf,
    version: Version,
}

/// A Nix version, e.g. 2.18.1 -> (2, 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The output's path in the store.
    pub out: PathBuf,
    /// The derivation that made it.
    pub derivation: PathBuf,
}

impl Nix {
    /// Looks for `nix` on PATH, in `~/.nix-profile/bin`, `/nix/var/nix/profiles/default/bin` and
    /// `/run/current-system/sw/bin`, and asks its version.
    ///
    /// # Errors
    /// [`NixError::NotInstalled`]; [`NixError::Process`] where it does not run.
    pub async fn find() -> Result<Self, NixError> {
        unimplemented!()
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Evaluates `installable` (`path:/folder#attribute`) to JSON.
    ///
    /// # Errors
    /// [`NixError::Failed`] with the place of the error, and the others.
    pub async fn eval<T: DeserializeOwned>(
        &self,
        installable: &str,
        cancel: &CancellationToken,
    ) -> Result<T, NixError> {
        let _ = (installable, cancel);
        unimplemented!()
    }

    /// Builds `installable` and makes `profile` (an absolute path; its folder exists) point to the result as a new
    /// generation, which also keeps it from being collected. `progress` is called at most ten times a second;
    /// `log` gets every line a person would want in a log file, without its newline.
    ///
    /// # Errors
    /// [`NixError::Failed`] with the failed derivation, and the others.
    pub async fn build(
        &self,
        installable: &str,
        profile: &Path,
        progress: &mut (dyn FnMut(Progress) + Send),
        log: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Built, NixError> {
        let _ = (installable, profile, progress, log, cancel);
        unimplemented!()
    }

    /// Writes `flake.lock` of the flake in `folder`: adds missing inputs, and takes those named in `update` anew.
    ///
    /// # Errors
    /// [`NixError::Failed`] where an input cannot be fetched, and the others.
    pub async fn lock(
        &self,
        folder: &Path,
        update: &[&str],
        cancel: &CancellationToken,
    ) -> Result<(), NixError> {
        let _ = (folder, update, cancel);
        unimplemented!()
    }

    /// The names of a flake's module outputs: (`nixosModules` | `codchiModules`, name), sorted.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it is not a flake or does not evaluate.
    pub async fn module_outputs(
        &self,
        flake_url: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<(String, String)>, NixError> {
        let _ = (flake_url, cancel);
        unimplemented!()
    }
}
