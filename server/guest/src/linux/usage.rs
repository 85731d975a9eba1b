//! How much a volume takes.

use anyhow::{Context as _, Result};
use codchi_guest::VOLUME;
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// In bytes: the blocks of all that is on the volume, once for each, without what else is mounted there.
pub(crate) fn volume() -> Result<u64> {
    of(Path::new(VOLUME)).with_context(|| format!("looking through {VOLUME}"))
}

fn of(folder: &Path) -> std::io::Result<u64> {
    /// What `stat` counts blocks in.
    const BLOCK: u64 = 512;
    let top = fs::symlink_metadata(folder)?;
    let mut bytes = top.blocks() * BLOCK;
    let mut seen = HashSet::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        // What is deleted meanwhile takes nothing any more.
        let Some(entries) = unless_gone(fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let Some(entry) = unless_gone(entry)? else { continue };
            let Some(metadata) = unless_gone(entry.metadata())? else { continue };
            if metadata.dev() != top.dev()
                || metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert(metadata.ino())
            {
                continue;
            }
            bytes += metadata.blocks() * BLOCK;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

fn unless_gone<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_many_names_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let empty = of(folder.path()).unwrap();
        fs::write(folder.path().join("file"), vec![1; 1 << 20]).unwrap();
        let one = of(folder.path()).unwrap();
        assert!((1 << 20..2 << 20).contains(&(one - empty)), "{empty} {one}");
        fs::hard_link(folder.path().join("file"), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
        assert!(of(folder.path()).unwrap() - one < 1 << 20);
    }
}
