//! Keeps the catalogue of each module that somebody has a file of open: which options and packages there are.
//!
//! One after the other, in the background, and anew only where the module's files, its locks or the machines changed.

use super::shared::Shared;
use crate::catalogue::{CatalogueError, Catalogues, ThisComputer};
use crate::evaluation::Mode;
use codchi_ide::{Analysis, Catalogue, Evaluable, Machine, ModuleKey, World};
use codchi_machine::CancellationToken;
use codchi_nix::InspectedModule;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tower_lsp::Client;

/// So long nothing may have changed before we look: nobody waits for it, and typing is not to be slowed.
const PAUSE: Duration = Duration::from_millis(400);

/// Nobody types for longer than this without wanting an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a catalogue is made of; it is the same while this is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    module: Evaluable,
    /// When its files and the lock of its flake changed.
    stamps: Vec<Option<(SystemTime, u64)>>,
    machines: Vec<Machine>,
    nixpkgs: Option<String>,
}

/// Looks now and whenever something may have changed, until the session ends.
pub(crate) async fn run(shared: Arc<Shared>, client: Client) {
    let (catalogues, questions) = Catalogues::new(&shared.context.paths.cache, Arc::new(ThisComputer));
    let session = shared.operations.session();
    tokio::spawn(questions.answer(session.clone()));
    let mut told = BTreeSet::new();
    let mut before: BTreeMap<ModuleKey, Wanted> = BTreeMap::new();
    let mut generation = shared.generation.subscribe();
    loop {
        generation.borrow_and_update();
        let now = wanted(&shared).await;
        forget(&shared, &now);
        for (key, wanted) in &now {
            if before.get(key) == Some(wanted) || session.is_cancelled() {
                continue;
            }
            match one(&shared, &client, &catalogues, key, wanted, &session).await {
                Ok(catalogue) => set(&shared, key, catalogue),
                Err(why) => {
                    if let Some(why) = why
                        && told.insert(why.clone())
                    {
                        tracing::info!("NixOS options are not completed in {}: {why}", key.0.display());
                    }
                }
            }
        }
        before = now;
        tokio::select! {
            changed = generation.changed() => if changed.is_err() { return },
            () = session.cancelled() => return,
        }
        let quiet = async { while tokio::time::timeout(PAUSE, generation.changed()).await.is_ok() {} };
        // It goes on where nobody pauses.
        let _ = tokio::time::timeout(PATIENCE, quiet).await;
    }
}

/// The modules that open files are a part of; none where the person does not trust them or wants no evaluation.
async fn wanted(shared: &Arc<Shared>) -> BTreeMap<ModuleKey, Wanted> {
    if shared.surroundings().mode == Mode::Off {
        return BTreeMap::new();
    }
    let shared = shared.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (files, world) = (shared.workspace.snapshot(), shared.world());
        let analysis = Analysis::new(&files, &world);
        let nixpkgs = shared.nixpkgs();
        let mut wanted = BTreeMap::new();
        for module in files.open_paths().flat_map(|path| analysis.evaluables(path)) {
            wanted.entry(module.key.clone()).or_insert_with(|| Wanted {
                stamps: stamps(&module),
                machines: machines_of(&world, &module.key),
                nixpkgs: nixpkgs.clone(),
                module,
            });
        }
        wanted
    });
    // A panic is logged by the hook; then nothing is wanted until the next change.
    work.await.unwrap_or_default()
}

/// The machines whose locks may say which nixpkgs it is.
fn machines_of(world: &World, (path, _): &ModuleKey) -> Vec<Machine> {
    let is_of = |machine: &&Machine| machine.modules.iter().any(|module| module.path == *path);
    world.machines.iter().filter(is_of).cloned().collect()
}

fn stamps(module: &Evaluable) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    let lock = crate::pins::lock_of(&module.key.0);
    module.files.iter().map(|file| &**file).chain(lock.as_deref()).map(stamp).collect()
}

/// The catalogue of one module; why there is none where there is something to tell.
async fn one(
    shared: &Arc<Shared>,
    client: &Client,
    catalogues: &Catalogues,
    key: &ModuleKey,
    wanted: &Wanted,
    session: &CancellationToken,
) -> Result<Arc<dyn Catalogue>, Option<String>> {
    let cancel = session.child_token();
    let _ended_when_dropped = cancel.clone().drop_guard();
    let pin = shared.pins.of(key, &wanted.machines, wanted.nixpkgs.as_deref(), &cancel).await;
    // What cannot be fetched is said by who fetches it, and that there is no Nix by who evaluates.
    let pin = pin.map_err(|error| {
        tracing::debug!("no catalogue of {}: {error}", key.0.display());
        None
    })?;
    let own = own(&wanted.module);
    let work = catalogues.of(&pin.path, &pin.revision, &own, &cancel);
    let title = "Reading the options of nixpkgs";
    let result = shared.operations.show(client, shared.session(), title, &cancel, work).await;
    result.map_err(|error| match error {
        CatalogueError::Cancelled => None,
        error => Some(with_hint(crate::error::report(&error), error.hint())),
    })
}

fn with_hint(mut report: String, hint: Option<String>) -> String {
    if let Some(hint) = hint {
        report.push_str(". ");
        report.push_str(&hint);
    }
    report
}

/// What of a module may declare options: each of its files, and the output that its flake writes in place.
fn own(module: &Evaluable) -> Vec<InspectedModule> {
    let part = |file: &Arc<Path>| match file.parent() {
        Some(folder) if file.ends_with("flake.nix") => {
            InspectedModule::Output { folder: folder.to_owned(), output: module.key.1.clone() }
        }
        _ => InspectedModule::File(PathBuf::from(&**file)),
    };
    module.files.iter().map(part).collect()
}

fn set(shared: &Shared, key: &ModuleKey, catalogue: Arc<dyn Catalogue>) {
    change(shared, |catalogues| {
        let is_new = catalogues.get(key).is_none_or(|before| **before != *catalogue);
        if is_new {
            catalogues.insert(key.clone(), catalogue);
        }
        is_new
    });
}

/// Modules that nobody has open any more take no memory.
fn forget(shared: &Shared, wanted: &BTreeMap<ModuleKey, Wanted>) {
    change(shared, |catalogues| {
        let before = catalogues.len();
        catalogues.retain(|key, _| wanted.contains_key(key));
        catalogues.len() != before
    });
}

/// Nothing that is published depends on catalogues, so that nobody is told.
fn change(shared: &Shared, change: impl FnOnce(&mut BTreeMap<ModuleKey, Arc<dyn Catalogue>>) -> bool) {
    shared.world.send_if_modified(|now| {
        let mut catalogues = now.catalogues.clone();
        let is_new = change(&mut catalogues);
        if is_new {
            *now = Arc::new(World { catalogues, ..World::clone(now) });
        }
        is_new
    });
}
