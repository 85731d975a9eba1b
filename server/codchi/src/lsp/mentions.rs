//! Keeps up to date where the names of secrets are written in the files of the workspace, for the secrets that nothing uses.
//!
//! Only where a Nix file declares one that no Nix file uses; in the background, and not again before some seconds have passed.

use super::publish::Changed;
use super::shared::Shared;
use super::watch::FolderWatch;
use crate::files::{Scan, roots};
use codchi_ide::{Analysis, DiagnosticCode, Files as _, Level, Mentions, World};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long nothing may have changed before we look whether there is something to look for: typing is not to be slowed.
const PAUSE: Duration = Duration::from_millis(300);

/// So long it rests between two looks, and a large project for so many times as long as the last look took.
const REST: Duration = Duration::from_secs(3);
const REST_BY_WORK: u32 = 20;

/// What is looked for, and where.
#[derive(Default, PartialEq, Eq)]
struct Wanted {
    names: BTreeSet<String>,
    roots: Vec<PathBuf>,
}

/// Looks whenever something may have changed, until the session ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let session = shared.operations.session();
    tokio::select! {
        () = keep(&shared) => {}
        () = session.cancelled() => {}
    }
}

async fn keep(shared: &Arc<Shared>) {
    let mut generation = shared.generation.subscribe();
    let (mut scan, mut before) = (Arc::new(Scan::default()), Wanted::default());
    let mut watch: Option<Arc<FolderWatch>> = None;
    let mut has_changed = false;
    loop {
        // What is said before all is known may be wrong.
        shared.indexing.settled().await;
        generation.borrow_and_update();
        let wanted = wanted(shared).await;
        if wanted.names.is_empty() {
            (scan, watch, before) = (Arc::default(), None, Wanted::default());
            set(shared, None);
        } else if has_changed || wanted != before {
            if wanted.roots != before.roots || watch.is_none() {
                watch = FolderWatch::of_all_files().map(Arc::new).ok();
            }
            let begin = Instant::now();
            let (known, names, roots, watching) =
                (scan.clone(), wanted.names.clone(), wanted.roots.clone(), watch.clone());
            let work = tokio::task::spawn_blocking(move || {
                let scan = Scan::of(&roots, names, &known);
                let is_new = watching.as_ref().is_some_and(|watch| watch.add(scan.folders()));
                let covers = watching.as_ref().is_some_and(|watch| watch.covers(&scan.folders()));
                (scan, is_new, covers)
            });
            // A panic is logged by the hook; then nothing is known.
            let (found, is_new, covers) = work.await.unwrap_or_default();
            scan = Arc::new(found);
            // What was found does not hold for files that are not watched.
            set(shared, scan.mentions().filter(|_| covers).cloned());
            // What changed before it was watched is seen at the next look.
            has_changed = is_new;
            before = wanted;
            tokio::time::sleep(REST.max(begin.elapsed() * REST_BY_WORK)).await;
            if has_changed {
                continue;
            }
        }
        let changed = async {
            match &watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => has_changed = true,
            changed = generation.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The secrets that the Nix files of the workspace declare and do not use, and the folders of the projects.
async fn wanted(shared: &Arc<Shared>) -> Wanted {
    let shared = shared.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (files, world, folders) =
            (shared.workspace.snapshot(), shared.world(), shared.indexing.folders());
        if world.rules.levels.get(&DiagnosticCode::SecretUnused) == Some(&Level::Off) || folders.is_empty() {
            return Wanted::default();
        }
        let open = files.open_paths().filter(|path| path.is_absolute()).cloned();
        let paths: BTreeSet<PathBuf> = files.nix_files().into_iter().chain(open).collect();
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let names = Analysis::new(&files, &world).unused_secrets(&paths);
        Wanted { roots: if names.is_empty() { Vec::new() } else { roots(&folders, &world) }, names }
    });
    work.await.unwrap_or_default()
}

fn set(shared: &Shared, mentions: Option<Arc<Mentions>>) {
    let is_new = shared.world.send_if_modified(|now| {
        let is_new = now.mentions != mentions;
        if is_new {
            *now = Arc::new(World { mentions, ..World::clone(now) });
        }
        is_new
    });
    if is_new {
        shared.changed(Changed::Everything);
    }
}
