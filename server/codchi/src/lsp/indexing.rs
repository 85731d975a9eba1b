//! Keeps what is known of the files on the disk up to date.
//!
//! The client tells of changes where it can; the folders are watched besides, for those clients that do not and for what
//! they leave out (folders that are renamed, files outside of the workspace). Every hint only makes us look.

use super::publish::Changed;
use super::shared::Shared;
use super::watch::FolderWatch;
use crate::files::{Index, Wanted};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// So long changes are gathered before the next look.
const GATHER: Duration = Duration::from_millis(50);

/// No longer than this anything waits for a look: the disk may be slow.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says when to look, and when that was done.
#[derive(Default)]
pub(crate) struct Indexing {
    wake: Notify,
    /// How many looks something waits for, and how many of these were taken.
    asked: AtomicU64,
    done: watch::Sender<u64>,
    folders: Mutex<Vec<PathBuf>>,
}

impl Indexing {
    /// Something may have changed.
    pub(crate) fn hint(&self) {
        self.wake.notify_one();
    }

    /// Something is not known yet that the next answers need.
    pub(crate) fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Waits until all that was asked for is known.
    pub(crate) async fn settled(&self) {
        let asked = self.asked.load(Ordering::Relaxed);
        let mut done = self.done.subscribe();
        // The sender lives as long as we do; patience may end, and then what is known has to do.
        let _ = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= asked)).await;
    }

    /// The workspace's folders.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The workspace has other folders now.
    pub(crate) fn change_folders(&self, change: impl FnOnce(&mut Vec<PathBuf>)) {
        change(&mut self.folders.lock().unwrap_or_else(PoisonError::into_inner));
        self.ask();
    }
}

/// Looks now and whenever something may have changed, until the session ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut watch = None;
    let mut world = shared.world.subscribe();
    let mut before: Option<Wanted> = None;
    loop {
        let asked = shared.indexing.asked.load(Ordering::Relaxed);
        let wanted = wanted(&shared);
        if before.as_ref().is_none_or(|before| before.folders != wanted.folders) {
            // What is watched no longer matters.
            watch =
                FolderWatch::new().inspect_err(|error| tracing::warn!("files are not watched: {error}")).ok();
        }
        before = Some(wanted.clone());
        let known = shared.workspace.snapshot().index().clone();
        let added = watch.take();
        let work = tokio::task::spawn_blocking(move || {
            let index = Index::load(&wanted, &known);
            // A change between the look and the watch is seen at the next look.
            let is_new = added.as_ref().is_some_and(|watch: &FolderWatch| watch.add(index.watched()));
            (index, added, is_new)
        });
        // A panic is logged by the hook; then what was known has to do.
        if let Ok((index, added, is_new)) = work.await {
            watch = added;
            for (path, why) in index.errors() {
                tracing::debug!("{} cannot be looked at: {why}", path.display());
            }
            shared.workspace.set_index(Arc::new(index));
            if is_new {
                shared.indexing.hint();
            }
        }
        shared.indexing.done.send_replace(asked);
        shared.changed(Changed::Everything);
        shared.evaluating.look();
        loop {
            let changed = async {
                match &watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.indexing.wake.notified() => break,
                () = changed => break,
                Ok(()) = world.changed() => {
                    if before.as_ref() != Some(&self::wanted(&shared)) {
                        break;
                    }
                }
            }
        }
        // Where nobody waits.
        if shared.indexing.asked.load(Ordering::Relaxed) == asked {
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// The workspace's folders, the open files and the modules of the machines.
fn wanted(shared: &Shared) -> Wanted {
    let snapshot = shared.workspace.snapshot();
    let open = snapshot.open_paths().filter(|path| path.is_absolute()).cloned();
    let world = shared.world();
    let machines =
        world.machines.iter().flat_map(|machine| &machine.modules).map(|module| module.path.clone());
    let modules: BTreeSet<PathBuf> = open.chain(machines).collect();
    Wanted { folders: shared.indexing.folders(), modules }
}
