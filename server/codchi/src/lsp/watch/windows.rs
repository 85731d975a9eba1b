//! Watching on Windows: `ReadDirectoryChangesW`, by the crate `notify`.

use super::{FOLDERS, is_about_modules};
use codchi_machine::Paths;
use notify::event::{Event, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Watches the folders that hold the machines' state, the locks and the vault.
pub(crate) struct Watch {
    watcher: Mutex<RecommendedWatcher>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Where the operating system does not tell of changes.
    pub(crate) fn new() -> io::Result<Self> {
        // State is written by renaming, so a change is a name that comes or goes; locks are written into.
        let matters = |event: &Event| {
            is_name(event.kind)
                || event.paths.iter().filter_map(|path| path.parent()).any(|it| it.ends_with("locks"))
        };
        let changed = Arc::new(Notify::new());
        Ok(Self { watcher: Mutex::new(watcher(changed.clone(), matters)?), changed })
    }

    /// Watches what there is by now; what is watched already stays so.
    pub(crate) fn add(&self, paths: &Paths) {
        let machines = paths.data.join("machines");
        let found = std::fs::read_dir(&machines).into_iter().flatten().flatten().map(|entry| entry.path());
        // A parent is watched for the day its child is made.
        let parent = paths.data.parent().map(Path::to_owned);
        let folders = [parent, Some(paths.data.clone()), Some(paths.data.join("locks")), Some(machines)];
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in folders.into_iter().flatten().chain(found).filter(|folder| folder.is_dir()) {
            if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                tracing::warn!("{} cannot be watched: {error}", folder.display());
            }
        }
    }

    /// Waits for a change.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Watches folders for Nix files that come, go or change, and for folders that do.
///
/// Only the uppermost folders are opened, with all that is below them: a folder in which one is open cannot be renamed or removed.
pub(crate) struct FolderWatch {
    watcher: Mutex<RecommendedWatcher>,
    opened: Mutex<BTreeSet<PathBuf>>,
    changed: Arc<Notify>,
    watched: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl FolderWatch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// Where the operating system does not tell of changes.
    pub(crate) fn new() -> io::Result<Self> {
        Self::of(|event, path| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            // What is gone was perhaps a folder, and a name without an ending most often is.
            is_about_modules(name) || is_name(event.kind) && (path.is_dir() || path.extension().is_none())
        })
    }

    /// The same, for files of any kind.
    ///
    /// # Errors
    /// Where the operating system does not tell of changes.
    pub(crate) fn of_all_files() -> io::Result<Self> {
        Self::of(|_, _| true)
    }

    fn of(matters: impl Fn(&Event, &Path) -> bool + Send + 'static) -> io::Result<Self> {
        let (changed, watched) = (Arc::new(Notify::new()), Arc::new(Mutex::new(BTreeSet::<PathBuf>::new())));
        let known = watched.clone();
        let matters = move |event: &Event| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let is_known = |path: &&PathBuf| path.parent().is_some_and(|folder| known.contains(folder));
            event.need_rescan() || event.paths.iter().filter(is_known).any(|path| matters(event, path))
        };
        let watcher = Mutex::new(watcher(changed.clone(), matters)?);
        Ok(Self { watcher, opened: Mutex::default(), changed, watched })
    }

    /// Whether all these folders are watched.
    pub(crate) fn covers(&self, folders: &BTreeSet<&Path>) -> bool {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        folders.iter().all(|folder| watched.contains(*folder))
    }

    /// Watches these folders, and no longer counts those that are not among them; says whether one is new.
    pub(crate) fn add(&self, folders: BTreeSet<&Path>) -> bool {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let mut added: BTreeSet<PathBuf> = BTreeSet::new();
        if folders.len() > FOLDERS {
            tracing::warn!("only {FOLDERS} folders are watched for changes by other programs");
        }
        // Sorted: each folder comes after the one that it is in.
        for folder in folders.into_iter().take(FOLDERS).filter(|folder| folder.is_dir()) {
            if !folder.ancestors().any(|above| opened.contains(above)) {
                if let Err(error) = watcher.watch(folder, RecursiveMode::Recursive) {
                    tracing::debug!("{} cannot be watched: {error}", folder.display());
                    continue;
                }
                opened.insert(folder.to_owned());
            }
            added.insert(folder.to_owned());
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = added.iter().any(|folder| !watched.contains(folder));
        *watched = added;
        is_new
    }

    /// Waits for a change that matters.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn watcher(
    changed: Arc<Notify>,
    matters: impl Fn(&Event) -> bool + Send + 'static,
) -> io::Result<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) if matters(&event) => changed.notify_one(),
        Ok(_) => {}
        Err(error) => tracing::debug!("a change may not have been seen: {error}"),
    });
    watcher.map_err(io::Error::other)
}

/// Whether a name has come or gone.
fn is_name(kind: EventKind) -> bool {
    matches!(kind, EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)))
}
