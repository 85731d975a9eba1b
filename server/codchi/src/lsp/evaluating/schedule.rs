//! Which evaluations run: at most one per module and [`AT_ONCE`] in all; a newer one ends the older of its module.

use crate::evaluation::{Job, Outcome, Surroundings};
use codchi_ide::{Evaluated, ModuleKey};
use codchi_nix::CancellationToken;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// So many run side by side: one that takes long shall not hold up another, and the computer is the person's.
pub(super) const AT_ONCE: usize = 2;

/// What evaluates.
#[tower_lsp::async_trait]
pub(super) trait Evaluate: Send + Sync + 'static {
    /// Evaluates a module; `tell` gets what is known before the whole is.
    async fn evaluate(
        &self,
        job: Arc<Job>,
        surroundings: Arc<Surroundings>,
        tell: &(dyn Fn(Evaluated) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Outcome;
}

/// What an evaluation tells.
#[derive(Debug)]
pub(super) struct Told {
    key: ModuleKey,
    run: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// More is to come.
    Sofar(Evaluated),
    End(Outcome),
}

/// The evaluations of a session.
pub(super) struct Schedule<E> {
    evaluate: Arc<E>,
    slots: Arc<Semaphore>,
    modules: BTreeMap<ModuleKey, Module>,
    tell: mpsc::UnboundedSender<Told>,
    tasks: TaskTracker,
    runs: u64,
}

/// The latest evaluation of a module.
struct Module {
    /// What was, or is being, evaluated.
    print: u64,
    run: u64,
    cancel: CancellationToken,
    task: Option<JoinHandle<()>>,
    /// Whether it is pointless to evaluate the same once more.
    is_hopeless: bool,
}

impl Drop for Module {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<E: Evaluate> Schedule<E> {
    /// None yet; they are among `tasks`, and what they tell comes out of the receiver and is to be given to [`Self::take`].
    pub(super) fn new(evaluate: E, tasks: TaskTracker) -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (tell, told) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        (Self { evaluate: Arc::new(evaluate), slots, modules: BTreeMap::new(), tell, tasks, runs: 0 }, told)
    }

    /// Evaluates what was not evaluated like this yet; where `again`, also what was, unless that is pointless.
    pub(super) fn want(&mut self, jobs: Vec<Job>, surroundings: &Arc<Surroundings>, again: bool) {
        for job in jobs {
            let print = print(&job, surroundings);
            let older = match self.modules.get_mut(job.key()) {
                Some(module) if module.print == print => {
                    if module.task.is_some() || module.is_hopeless || !again {
                        continue;
                    }
                    None
                }
                Some(module) => module.task.take(),
                None => None,
            };
            self.start(job, surroundings.clone(), print, older);
        }
    }

    /// The modules, sorted, and whether each is being evaluated.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&ModuleKey, bool)> {
        self.modules.iter().map(|(key, module)| (key, module.task.is_some()))
    }

    /// Ends the evaluations of other modules and forgets them.
    pub(super) fn retain(&mut self, keys: &BTreeSet<ModuleKey>) {
        self.modules.retain(|key, _| keys.contains(key));
    }

    fn start(
        &mut self,
        job: Job,
        surroundings: Arc<Surroundings>,
        print: u64,
        older: Option<JoinHandle<()>>,
    ) {
        self.runs += 1;
        let (key, run) = (job.key().clone(), self.runs);
        let cancel = CancellationToken::new();
        let work = work(
            self.evaluate.clone(),
            self.slots.clone(),
            self.tell.clone(),
            (Arc::new(job), surroundings, run),
            cancel.clone(),
        );
        // The older one is cancelled by the newer taking its place.
        self.modules.insert(key, Module { print, run, cancel, task: None, is_hopeless: false });
        let task = self.tasks.spawn(async move {
            if let Some(older) = older {
                // It ends with its process; only then there is at most one of a module.
                let _ = older.await;
            }
            work.await;
        });
        if let Some(module) = self.modules.values_mut().find(|module| module.run == run) {
            module.task = Some(task);
        }
    }

    /// What there is to know of a module now; `None` where a newer evaluation is under way, or what was told was taken back.
    pub(super) fn take(&mut self, told: Told) -> Option<(ModuleKey, Outcome)> {
        let Told { key, run, what } = told;
        let module = self.modules.get_mut(&key).filter(|module| module.run == run)?;
        let outcome = match what {
            What::Sofar(found) => Outcome { found: Some(found), trouble: None },
            What::End(outcome) => {
                module.task = None;
                module.is_hopeless =
                    outcome.trouble.as_ref().is_some_and(crate::evaluation::Trouble::is_of_the_text);
                outcome
            }
        };
        Some((key, outcome))
    }
}

async fn work<E: Evaluate>(
    evaluate: Arc<E>,
    slots: Arc<Semaphore>,
    tell: mpsc::UnboundedSender<Told>,
    (job, surroundings, run): (Arc<Job>, Arc<Surroundings>, u64),
    cancel: CancellationToken,
) {
    let slot = tokio::select! {
        slot = slots.acquire() => slot,
        () = cancel.cancelled() => return,
    };
    if slot.is_err() || cancel.is_cancelled() {
        return;
    }
    let key = job.key().clone();
    // After the session's end nobody listens, which is fine.
    let sofar = |found| drop(tell.send(Told { key: key.clone(), run, what: What::Sofar(found) }));
    let outcome = evaluate.evaluate(job, surroundings, &sofar, &cancel).await;
    if !cancel.is_cancelled() {
        let _ = tell.send(Told { key: key.clone(), run, what: What::End(outcome) });
    }
}

/// What an evaluation's answer depends on, as far as we know.
fn print(job: &Job, surroundings: &Surroundings) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Surroundings { machines, nixpkgs, mode } = surroundings;
    (job.hash(), nixpkgs, mode).hash(&mut hasher);
    // A machine that is made of the module, and when it was built, say which nixpkgs it has.
    for machine in machines {
        if machine.modules.iter().any(|module| module.path == job.key().0) {
            (&machine.name, machine.generation).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
