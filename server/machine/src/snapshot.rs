//! Copies of local modules: what Nix reads, so that an edit during a build cannot tear it.
//!
//! A copy is what `git add --all` would take, whether or not the folder is in a git repository: hidden and untracked
//! files too, but nothing that git ignores. The Nix files and the lock file beside the module itself are always taken.
//! Symbolic links are copied as links. Sockets and pipes, which Nix cannot read, are left out, and so are `.git`,
//! `.direnv` and the `result` links of builds. A module that is its own repository is copied whole by naming its root;
//! nothing outside the named folder is ever read.
//!
//! Of a folder that holds everything of a person's, as the home folder does, only what its Nix files name is taken
//! ([`named`]): a module that lies beside `~/.ssh` must not bring that into the store, which everybody reads.

mod copy;
mod listing;
mod named;

use crate::files::io_error;
use crate::{CancellationToken, MachineError, Paths};
use std::path::{Path, PathBuf};

/// How much of a folder is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All that git would.
    Whole,
    /// What its Nix files name.
    Named,
}

impl Scope {
    /// That of `source` on the computer of `paths`.
    pub(crate) fn of(source: &Path, paths: &Paths) -> Self {
        let holds = |folder: &PathBuf| folder.starts_with(source);
        if [&paths.home, &paths.data, &paths.config, &paths.state, &paths.cache].into_iter().any(holds) {
            Self::Named
        } else {
            Self::Whole
        }
    }
}

/// Makes `destination` a copy of the folder `source` without what git ignores and without `.git`; what was in
/// `destination` before is gone afterwards, unless it is the same already: then it is left alone. Gives a hash of the
/// contents (hexadecimal SHA-256 of names, kinds, executable bits and bytes), by which two copies can be compared.
/// Blocking; stops early with [`MachineError::Cancelled`] once `cancel` is.
///
/// # Errors
/// [`MachineError::Io`] naming the file; [`MachineError::User`] where the folder holds too much. Then `destination` is
/// as before.
pub(crate) fn take(
    source: &Path,
    destination: &Path,
    scope: Scope,
    cancel: &CancellationToken,
) -> Result<String, MachineError> {
    let entries = match scope {
        Scope::Whole => listing::list(source, cancel)?,
        Scope::Named => named::list(source, cancel)?,
    };
    let parent = destination.parent().unwrap_or(Path::new("/"));
    let failed = |action: &'static str| move |e| io_error(action, destination, e);
    // Removed again on every way out but the last.
    let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(failed("Writing"))?;
    let digest = copy::copy(source, &entries, temporary.path(), cancel)?;
    if copy::digest(destination).is_some_and(|present| present == digest) {
        return Ok(digest.to_string());
    }
    // Old and new cannot change places at once on every file system; the copy is taken anew by the next operation
    // should this process die between the two.
    let old = tempfile::Builder::new().prefix(".old-").tempdir_in(parent).map_err(failed("Writing"))?;
    match std::fs::rename(destination, old.path().join("old")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed("Replacing")(e)),
        _ => {}
    }
    std::fs::rename(temporary.keep(), destination).map_err(failed("Writing"))?;
    Ok(digest.to_string())
}

#[cfg(test)]
mod tests;
