//! Changing what is mounted for a system that runs.

use super::mounts::{RECORD, Tree, attach, protect, take_up};
use super::proc::{self, OwnThread};
use super::started::Started;
use super::{enter, instance, lock, put};
use anyhow::{Context as _, Result, bail};
use codchi_guest::{Boot, BootMount, Target};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// Makes the mounts of a running system those of `boot`.
pub(crate) fn apply(target: Target, boot: &Boot) -> Result<()> {
    let _lock = lock::lock()?;
    let file = match target {
        Target::Distribution => RECORD,
        Target::Instance => instance::RECORD,
    };
    let mut started = match (Started::read(file)?, target) {
        (Some(started), _) => started,
        // One that was not started by us has nothing of ours.
        (None, Target::Distribution) => Started::of(1, String::new(), Vec::new())?,
        (None, Target::Instance) => bail!("the instance does not run"),
    };
    let there = proc::mounts(started.pid)?.into_iter().map(|mounted| mounted.path).collect();
    let change = Change::between(&started.mounts, &boot.mounts, &there);
    if change.gone.is_empty() && change.new.is_empty() {
        return Ok(());
    }
    let trees = take_up(change.new.iter().copied())?;
    let change_to = |thread: &OwnThread| change_to(&change, &trees, thread);
    let changed = match target {
        Target::Distribution => change_to(&OwnThread::open()?),
        Target::Instance => enter::within(&started, change_to),
    };
    let mut mounts = boot.mounts.clone();
    if changed.is_err() {
        // What may be half done is no one's wish, so that the next time makes it anew.
        mounts
            .iter_mut()
            .filter(|mount| change.new.contains(&&**mount))
            .for_each(|mount| mount.source.clear());
    }
    started.mounts = mounts;
    started.write(file)?;
    changed
}

fn change_to(change: &Change<'_>, trees: &[Tree<'_>], thread: &OwnThread) -> Result<()> {
    for mount in &change.gone {
        match unmount(&mount.path, UnmountFlags::DETACH) {
            // It is not mounted, or not even there.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("unmounting {}", mount.path)),
        }
    }
    attach(trees, &put::root("/")?)?;
    protect(change.new.iter().copied(), thread)
}

/// What is to be done.
struct Change<'a> {
    /// What is unmounted, in this order.
    gone: Vec<&'a BootMount>,
    /// What is mounted after that, in this order.
    new: Vec<&'a BootMount>,
}

impl<'a> Change<'a> {
    /// From `old` to `new`, where something is mounted at each of `there`.
    fn between(old: &'a [BootMount], new: &'a [BootMount], there: &HashSet<PathBuf>) -> Self {
        let path = |mount: &'a BootMount| Path::new(&mount.path);
        let mut stays: BTreeSet<&BootMount> =
            old.iter().filter(|mount| new.contains(mount) && there.contains(path(mount))).collect();
        // What is mounted on something that goes or comes does so, too.
        loop {
            let moves: Vec<&Path> =
                old.iter().chain(new).filter(|mount| !stays.contains(mount)).map(path).collect();
            let before = stays.len();
            stays.retain(|mount| !moves.iter().any(|moved| path(mount).starts_with(moved)));
            if stays.len() == before {
                break;
            }
        }
        Self {
            gone: old.iter().rev().filter(|mount| !stays.contains(mount)).collect(),
            new: new.iter().filter(|mount| !stays.contains(mount)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(source: &str, path: &str) -> BootMount {
        BootMount { source: source.into(), path: path.into(), read_only: false }
    }

    fn change(old: &[BootMount], new: &[BootMount], there: &[&str]) -> (Vec<String>, Vec<String>) {
        let Change { gone, new } = Change::between(old, new, &there.iter().map(PathBuf::from).collect());
        let paths = |mounts: Vec<&BootMount>| mounts.into_iter().map(|mount| mount.path.clone()).collect();
        (paths(gone), paths(new))
    }

    #[test]
    fn only_what_differs_changes() {
        let old = [mount("/1", "/a"), mount("/2", "/b"), mount("/3", "/c")];
        let new = [mount("/1", "/a"), mount("/4", "/b"), mount("/5", "/d")];
        assert_eq!(change(&old, &old, &["/a", "/b", "/c"]), (vec![], vec![]));
        let (gone, came) = change(&old, &new, &["/a", "/b", "/c"]);
        assert_eq!(gone, ["/c", "/b"]);
        assert_eq!(came, ["/b", "/d"]);
    }

    #[test]
    fn what_was_unmounted_by_somebody_comes_again() {
        let old = [mount("/1", "/a"), mount("/2", "/b")];
        assert_eq!(change(&old, &old, &["/b"]).1, ["/a"]);
    }

    #[test]
    fn what_lies_on_a_changed_mount_is_made_anew() {
        let old = [mount("/1", "/a"), mount("/2", "/a/b"), mount("/3", "/ab")];
        let new = [mount("/9", "/a"), mount("/2", "/a/b"), mount("/3", "/ab")];
        let (gone, came) = change(&old, &new, &["/a", "/a/b", "/ab"]);
        assert_eq!(gone, ["/a/b", "/a"]);
        assert_eq!(came, ["/a", "/a/b"]);
    }
}
