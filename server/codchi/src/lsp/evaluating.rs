//! When modules are evaluated, and telling what was found.
//!
//! The modules of the open files are evaluated when one of their files is saved, at once; and a moment after one is opened,
//! after files changed on the disk, after the machines or the settings changed. Nothing waits for it. In a workspace that the
//! person does not trust, nothing is evaluated: Nix reads whatever the module names.

mod schedule;
mod status;

use super::publish::Changed;
use super::shared::Shared;
use super::{workspace::Snapshot, world};
use crate::evaluation::{Evaluator, Job, Mode, Outcome, Surroundings};
use codchi_ide::{Analysis, Evaluable, Evaluated, Files as _, Machine, ModuleKey, World};
use codchi_nix::CancellationToken;
use schedule::{Evaluate, Schedule};
pub(super) use status::Off;
use status::{EvaluationChanged, ModuleStatus, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tower_lsp::Client;

/// So long changes other than saving are gathered.
const GATHER: Duration = Duration::from_millis(150);

/// So many modules of open files are evaluated: a file that more are made of is looked at in the first ones.
const MODULES: usize = 32;

/// Says when to look.
#[derive(Default)]
pub(crate) struct Evaluating {
    saved: Mutex<BTreeSet<PathBuf>>,
    save: Notify,
    look: Notify,
    ended: CancellationToken,
    tasks: TaskTracker,
}

impl Evaluating {
    /// A text was saved.
    pub(crate) fn saved(&self, path: PathBuf) {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        self.save.notify_one();
    }

    /// Something that evaluations depend on may have changed.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Ends all evaluations with their processes, and waits for that.
    pub(crate) async fn end(&self) {
        self.ended.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn take_saved(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.saved.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[tower_lsp::async_trait]
impl Evaluate for Evaluator {
    async fn evaluate(
        &self,
        job: Arc<Job>,
        surroundings: Arc<Surroundings>,
        tell: &(dyn Fn(Evaluated) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Outcome {
        Evaluator::evaluate(self, job, &surroundings, tell, cancel).await
    }
}

/// Evaluates until the session ends.
pub(crate) async fn run(shared: Arc<Shared>, client: Client) {
    let evaluator = Evaluator::new(shared.pins.clone(), shared.context.paths.clone());
    let (mut schedule, mut told) = Schedule::new(evaluator, shared.evaluating.tasks.clone());
    let mut teller = Teller::new(shared.clone(), client);
    let mut world = shared.world.subscribe();
    let mut machines: Vec<Machine> = Vec::new();
    let mut next: Option<Instant> = None;
    loop {
        tokio::select! {
            () = shared.evaluating.ended.cancelled() => return,
            () = teller.tell_status(schedule.modules()) => {}
        }
        let gathered = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // What is wanted no longer is cancelled.
            () = shared.evaluating.ended.cancelled() => return,
            () = shared.evaluating.save.notified() => {
                let saved = shared.evaluating.take_saved();
                let wanted = wanted(&shared, Some(saved)).await;
                schedule.want(wanted.jobs, &wanted.surroundings, true);
            }
            () = shared.evaluating.look.notified() => next = next.or_else(|| Some(Instant::now() + GATHER)),
            Ok(()) = world.changed() => {
                let now = shared.world();
                if now.machines != machines {
                    machines.clone_from(&now.machines);
                    shared.evaluating.look();
                }
            }
            () = gathered => {
                next = None;
                let wanted = wanted(&shared, None).await;
                let keys = wanted.jobs.iter().map(|job| job.key().clone()).collect();
                schedule.retain(&keys);
                teller.forget_gone(wanted.surroundings.mode == Mode::Off);
                schedule.want(wanted.jobs, &wanted.surroundings, false);
            }
            Some(message) = told.recv() => {
                if let Some((key, outcome)) = schedule.take(message) {
                    teller.tell(key, outcome);
                }
            }
        }
    }
}

/// What is to be evaluated.
struct Wanted {
    jobs: Vec<Job>,
    surroundings: Arc<Surroundings>,
}

/// The modules of the open files; of those of `saved`, where that is given.
async fn wanted(shared: &Arc<Shared>, saved: Option<BTreeSet<PathBuf>>) -> Wanted {
    let surroundings = Arc::new(shared.surroundings());
    if surroundings.mode == Mode::Off {
        return Wanted { jobs: Vec::new(), surroundings };
    }
    // Which modules a file is of is known only once its importers are.
    shared.indexing.settled().await;
    let shared = shared.clone();
    let work = tokio::task::spawn_blocking(move || {
        let (files, world) = (shared.workspace.snapshot(), shared.world());
        jobs(&files, &world, saved.as_ref())
    });
    // A panic is logged by the hook.
    Wanted { jobs: work.await.unwrap_or_default(), surroundings }
}

fn jobs(files: &Snapshot, world: &World, saved: Option<&BTreeSet<PathBuf>>) -> Vec<Job> {
    let analysis = Analysis::new(files, world);
    let mut open: Vec<&PathBuf> = files.open_paths().collect();
    open.sort();
    let mut evaluables: BTreeMap<ModuleKey, Evaluable> = BTreeMap::new();
    for path in open {
        for evaluable in analysis.evaluables(path) {
            if evaluables.len() >= MODULES && !evaluables.contains_key(&evaluable.key) {
                tracing::debug!("more than {MODULES} modules are open; {} is not evaluated", path.display());
                break;
            }
            evaluables.entry(evaluable.key.clone()).or_insert(evaluable);
        }
    }
    let mut jobs: Vec<Job> = evaluables.into_values().map(|evaluable| Job::new(evaluable, files)).collect();
    if let Some(saved) = saved {
        let is_read = |path: &PathBuf| jobs.iter().any(|job| job.may_read(path));
        // A module may read a file in ways that only an evaluation sees.
        if saved.iter().all(is_read) {
            jobs.retain(|job| saved.iter().any(|path| job.may_read(path)));
        }
    }
    jobs
}

/// Tells what was found.
struct Teller {
    shared: Arc<Shared>,
    client: Client,
    /// What went wrong, said once.
    said: BTreeSet<String>,
    /// Why modules could not be evaluated, or not as a whole.
    whys: BTreeMap<ModuleKey, String>,
    /// How the client knows the evaluations to be.
    status: Status,
}

impl Teller {
    fn new(shared: Arc<Shared>, client: Client) -> Self {
        Self { shared, client, said: BTreeSet::new(), whys: BTreeMap::new(), status: Status::default() }
    }

    /// Tells a client that shows it how the evaluations of modules are, where that is new.
    async fn tell_status(&mut self, modules: impl Iterator<Item = (&ModuleKey, bool)>) {
        if !self.shared.session().evaluation {
            return;
        }
        let off = self.shared.mode().err();
        let modules = modules.map(|(key, is_running)| ModuleStatus::new(key, is_running, self.whys.get(key)));
        let status = Status { off, modules: modules.collect() };
        if status != self.status {
            self.status = status.clone();
            self.client.send_notification::<EvaluationChanged>(status).await;
        }
    }

    fn tell(&mut self, key: ModuleKey, outcome: Outcome) {
        let Outcome { found, trouble } = outcome;
        match &trouble {
            None => drop(self.whys.remove(&key)),
            Some(trouble) if trouble.is_cancelled() => {}
            Some(trouble) => drop(self.whys.insert(key.clone(), crate::error::report(trouble))),
        }
        if let Some(trouble) = trouble.filter(|trouble| !trouble.is_cancelled()) {
            let text = format!(
                "{} is not evaluated{}: {}",
                named(&key),
                if found.is_some() { " as a whole" } else { "" },
                crate::error::report(&trouble)
            );
            // What is about the computer is said for all modules together.
            let about = if trouble.is_of_the_text() { text.clone() } else { crate::error::report(&trouble) };
            if self.said.insert(about) {
                tracing::warn!("{text}");
            } else {
                tracing::debug!("{text}");
            }
        }
        let Some(found) = found else { return };
        self.change(|evaluations| {
            let is_new = evaluations.get(&key).is_none_or(|known| **known != found);
            if is_new {
                evaluations.insert(key, Arc::new(found));
            }
            is_new
        });
    }

    /// Forgets what was found about modules that are not there any more; about all where nothing is evaluated.
    fn forget_gone(&self, all: bool) {
        let files = self.shared.workspace.snapshot();
        self.change(|evaluations| {
            let before = evaluations.len();
            evaluations.retain(|(path, _), _| !all && files.exists(path));
            evaluations.len() != before
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<ModuleKey, Arc<Evaluated>>) -> bool) {
        let is_new = self.shared.world.send_if_modified(|now| {
            let mut evaluations = now.evaluations.clone();
            let is_new = change(&mut evaluations);
            if is_new {
                *now = Arc::new(World { evaluations, ..World::clone(now) });
            }
            is_new
        });
        if is_new {
            self.shared.changed(Changed::Evaluated);
            world::refresh(&self.shared, &self.client);
        }
    }
}

/// A module as a person calls it.
fn named((path, output): &ModuleKey) -> String {
    match output {
        Some(output) => format!("{}#{output}", path.display()),
        None => path.display().to_string(),
    }
}
