//! Files and folders that something interrupted, or another version of codchi, has left.

use crate::files::io_error;
use crate::our_nix;
use crate::state::Lock;
use crate::{MachineError, MachineName, Operation, Paths};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is written beside a file and renamed over it takes no longer than this.
const UNFINISHED: Duration = Duration::from_secs(60 * 60);

/// A copy of our `nix/` folder that another version made is left alone for so long after it was used.
const OTHER_VERSIONS: Duration = Duration::from_secs(24 * 60 * 60);

/// A file or folder that nothing needs any more.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// What it was, e.g. `an interrupted deletion`.
    pub what: String,
    /// What it takes on the disk.
    pub bytes: u64,
    /// Who may use it after all.
    #[serde(skip)]
    guard: Guard,
}

/// Who may use a leftover after all: it is removed only while nobody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Nobody.
    Nobody,
    /// An operation on this machine, by its lock.
    Machine(MachineName),
    /// Whoever holds a lock on this file or folder.
    Lock(PathBuf),
}

impl Leftover {
    /// Of what is at `path`. Blocking: adds up what is in it.
    #[must_use]
    pub fn new(path: PathBuf, what: &str, guard: Guard) -> Self {
        Self { bytes: on_disk(&path), path, what: what.into(), guard }
    }

    /// Removes it, unless somebody uses it.
    ///
    /// # Errors
    /// [`MachineError::Busy`] where somebody does; [`MachineError::Io`].
    pub(super) async fn remove(&self, paths: &Paths) -> Result<(), MachineError> {
        let failed = |e| io_error("Removing", &self.path, e);
        let _held = match &self.guard {
            Guard::Nobody => (None, None),
            Guard::Machine(name) => (Some(Lock::take(paths, name, Operation::Delete).await?), None),
            Guard::Lock(file) => match File::open(file) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => (None, None),
                file => {
                    let file = file.map_err(failed)?;
                    file.try_lock().map_err(|e| failed(e.into()))?;
                    (None, Some(file))
                }
            },
        };
        let path = self.path.clone();
        let removed = tokio::task::spawn_blocking(move || match std::fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
        });
        removed.await.unwrap_or_else(|e| Err(io::Error::other(e))).map_err(failed)
    }
}

/// What is left in the folders of codchi. Blocking.
pub(super) fn of(paths: &Paths) -> Vec<Leftover> {
    let mut found = Vec::new();
    let machines = paths.data.join("machines");
    for (name, path) in entries(&machines) {
        // Made and removed under the machine's lock, so that there is no need to wait until they are old.
        for (prefix, what) in [(".removed-", "an interrupted deletion"), (".new-", "an interrupted creation")]
        {
            let machine = name.strip_prefix(prefix).and_then(|name| name.parse::<MachineName>().ok());
            if let Some(machine) = machine.filter(|machine| !Lock::is_held(paths, machine)) {
                found.push(Leftover::new(path.clone(), what, Guard::Machine(machine)));
            }
        }
        let Ok(machine) = name.parse::<MachineName>() else { continue };
        if !Lock::is_held(paths, &machine) {
            for folder in ["", "flake", "profile"] {
                unfinished(&path.join(folder), &Guard::Machine(machine.clone()), &mut found);
            }
        }
    }
    for folder in ["", "nixpkgs", "ssh"] {
        unfinished(&paths.data.join(folder), &Guard::Nobody, &mut found);
    }
    let copies = paths.cache.join("nix");
    unfinished(&copies, &Guard::Nobody, &mut found);
    let current = our_nix::name();
    let others = entries(&copies).filter(|(name, _)| !name.starts_with('.') && *name != current);
    for (_, path) in others.filter(|(_, path)| is_older(path, OTHER_VERSIONS)) {
        found.push(Leftover::new(path, "the options of another version of codchi", Guard::Nobody));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Files and folders that were written beside others and never took their place.
fn unfinished(folder: &Path, guard: &Guard, found: &mut Vec<Leftover>) {
    for (_, path) in entries(folder).filter(|(name, _)| name.starts_with(".new-")) {
        if is_older(&path, UNFINISHED) {
            found.push(Leftover::new(path, "an interrupted write", guard.clone()));
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn is_older(path: &Path, age: Duration) -> bool {
    let changed = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    changed.and_then(|time| time.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
}

/// What there is on the disk at `path`, and below. Links are not followed.
fn on_disk(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
    let inside = if metadata.is_dir() { entries_of(path).map(|path| on_disk(&path)).sum() } else { 0 };
    own(&metadata) + inside
}

/// What a file takes on the disk, without what is below a folder.
fn own(metadata: &Metadata) -> u64 {
    // Blocks of `st_blocks` are of this size whatever the file system's are.
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::blocks(metadata) * 512;
    #[cfg(not(unix))]
    metadata.len()
}

fn entries_of(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn old(path: &Path) {
        let time = SystemTime::now() - Duration::from_secs(7 * 24 * 60 * 60);
        File::open(path).unwrap().set_modified(time).unwrap();
    }

    fn folder(path: PathBuf) -> PathBuf {
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn what_was_interrupted_is_found_and_removed_and_what_is_under_way_stays() {
        let root = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(root.path());
        let machines = paths.data.join("machines");
        let copies = paths.cache.join("nix");
        let removed = folder(machines.join(".removed-gone"));
        std::fs::write(removed.join("large"), vec![1; 100_000]).unwrap();
        let new = folder(machines.join(".new-half"));
        // What a person has is never looked at, whatever it is called.
        let kept = folder(machines.join("a/modules/x")).join(".new-idea");
        let (fresh, stale) = (machines.join("a/.new-1"), machines.join("a/.new-2"));
        for file in [&kept, &fresh, &stale] {
            std::fs::write(file, "").unwrap();
        }
        old(&kept);
        old(&stale);
        our_nix::our_nix(&paths).unwrap();
        let (other, recent) = (folder(copies.join("other")), folder(copies.join("recent")));
        old(&other);
        old(&copies.join(our_nix::name()));
        let found = |paths: &Paths| of(paths).into_iter().map(|left| left.path).collect::<Vec<_>>();
        let mut all = vec![other.clone(), new.clone(), removed.clone(), stale.clone()];
        all.sort();
        assert_eq!(found(&paths), all);
        let large = of(&paths).into_iter().find(|left| left.path == removed).unwrap();
        assert!(large.bytes >= 100_000, "{large:?}");

        // Somebody is at it: before it is looked for, or between the look and the removal.
        let lock = Lock::take(&paths, &"gone".parse().unwrap(), Operation::Delete).await.unwrap();
        assert!(!found(&paths).contains(&removed));
        assert!(matches!(large.remove(&paths).await.unwrap_err(), MachineError::Busy { .. }));
        drop(lock);
        for left in of(&paths) {
            left.remove(&paths).await.unwrap();
        }
        large.remove(&paths).await.unwrap();
        assert!(found(&paths).is_empty());
        assert!(kept.exists() && fresh.exists() && recent.exists() && !removed.exists() && !other.exists());
    }

    #[tokio::test]
    async fn what_somebody_holds_a_lock_on_stays() {
        let root = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(root.path());
        let held = folder(root.path().join("held"));
        let left = Leftover::new(held.clone(), "x", Guard::Lock(held.clone()));
        let user = File::open(&held).unwrap();
        user.lock_shared().unwrap();
        left.remove(&paths).await.unwrap_err();
        assert!(held.exists());
        drop(user);
        left.remove(&paths).await.unwrap();
        assert!(!held.exists());
    }
}
