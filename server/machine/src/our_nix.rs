//! Our `nix/` folder, which is a part of the program: the options and the NixOS side of a machine.

use crate::files::{io_error, make_folder, remove_folder};
use crate::{MachineError, Paths};
use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

static NIX: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../nix");

/// Makes `folder` equal to our `nix/` folder.
pub(crate) fn write(folder: &Path) -> Result<(), MachineError> {
    remove_folder(folder)?;
    make_folder(folder)?;
    NIX.extract(folder).map_err(|e| io_error("Writing", folder, e))
}

/// A copy of our `nix/` folder that all programs of this version share, below the cache folder; made at the first call.
///
/// # Errors
/// [`MachineError::Io`] where it cannot be written.
pub fn our_nix(paths: &Paths) -> Result<PathBuf, MachineError> {
    let all = paths.cache.join("nix");
    let folder = all.join(name());
    // It gets its name when it is whole.
    if folder.exists() {
        // Other versions see by it that it is in use; where that fails they may remove it, and it is made again.
        let _ = File::open(&folder).and_then(|folder| folder.set_modified(SystemTime::now()));
        return Ok(folder);
    }
    make_folder(&all)?;
    let failed = |e| io_error("Writing", &folder, e);
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&all).map_err(failed)?;
    NIX.extract(new.path()).map_err(failed)?;
    match std::fs::rename(new.path(), &folder) {
        Ok(()) => drop(new.keep()),
        // Another program was quicker.
        Err(_) if folder.exists() => {}
        Err(e) => return Err(failed(e)),
    }
    Ok(folder)
}

/// What the copy of this version is called.
pub(crate) fn name() -> String {
    digest(&NIX)
}

/// Of the names and contents of all files.
fn digest(folder: &Dir<'_>) -> String {
    let mut hash = Sha256::new();
    let mut open = vec![folder];
    while let Some(folder) = open.pop() {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(folder) => open.push(folder),
                DirEntry::File(file) => {
                    for part in [file.path().as_os_str().as_encoded_bytes(), file.contents()] {
                        hash.update((part.len() as u64).to_le_bytes());
                        hash.update(part);
                    }
                }
            }
        }
    }
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_nix_folder_is_embedded_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("stale"), "").unwrap();
        write(folder.path()).unwrap();
        assert!(folder.path().join("README.md").is_file());
        assert!(!folder.path().join("stale").exists());
    }

    #[test]
    fn the_shared_copy_is_made_once_and_is_whole() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        let first = our_nix(&paths).unwrap();
        assert!(first.join("lib.nix").is_file() && first.starts_with(&paths.cache));
        assert_eq!(our_nix(&paths).unwrap(), first);
        let entries: Vec<_> = std::fs::read_dir(first.parent().unwrap()).unwrap().collect();
        assert_eq!(entries.len(), 1, "nothing else is left");
    }
}
