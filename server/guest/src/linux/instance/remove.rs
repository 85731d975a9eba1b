//! Removing a root file system, and nothing that is mounted in it.

use super::super::proc;
use anyhow::{Context as _, Result, bail};
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, UnmountFlags, open_tree, unmount};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Removes the folder at `path`, where it is there.
pub(super) fn folder(path: &str) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if !metadata.is_dir() => bail!("{path} is no folder"),
        known => known.with_context(|| format!("looking at {path}"))?,
    };
    unmount_all(path)?;
    // Seen through a mount of its own, on which none of the others is.
    let bare = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .with_context(|| format!("opening {path}"))?;
    let empty = || {
        for entry in fs::read_dir(format!("/proc/self/fd/{}", bare.as_raw_fd()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok::<_, std::io::Error>(())
    };
    empty().with_context(|| format!("emptying {path}"))?;
    drop(bare);
    fs::remove_dir(path).with_context(|| format!("removing {path}"))
}

/// Unmounts what is mounted in the folder at `path`, and at it.
fn unmount_all(path: &str) -> Result<()> {
    let mounts = || {
        let mut mounts = proc::mounts(std::process::id())?;
        mounts.retain(|mounted| mounted.path.starts_with(Path::new(path)));
        Ok::<_, anyhow::Error>(mounts)
    };
    for mounted in mounts()?.iter().rev() {
        // What was on another one has gone with it, perhaps.
        let _ = unmount(&mounted.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    match mounts()?.first() {
        Some(left) => bail!("{} is mounted there, and stays", left.path.display()),
        None => Ok(()),
    }
}
