//! `--eval`: what Nix says about the modules that the checked files are of.

use super::disk::Disk;
use crate::context::Context;
use crate::evaluation::{Evaluator, Job, Mode, Outcome, Surroundings};
use crate::pins::Pins;
use codchi_ide::{Analysis, Evaluable, ModuleKey, World};
use codchi_machine::MachineError;
use codchi_nix::CancellationToken;
use futures_util::{StreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// No more run side by side, however many processors there are: each may take a GiB.
const AT_ONCE: usize = 4;

/// Evaluates the modules of the checked files and puts what was found into `world`; gives what could not be evaluated for
/// reasons that are not the module's, each once.
pub(super) async fn evaluate(
    disk: &Arc<Disk>,
    world: &mut World,
    context: &Context,
) -> anyhow::Result<Vec<String>> {
    let cancel = cancelled_by_interrupt();
    let config = &context.config;
    let surroundings = Surroundings {
        machines: world.machines.clone(),
        nixpkgs: config.nixpkgs.clone(),
        // Who asks for it gets it.
        mode: if config.evaluation == Mode::Off { Mode::Auto } else { config.evaluation },
    };
    let (files, known) = (disk.clone(), world.clone());
    let jobs = tokio::task::spawn_blocking(move || jobs(&files, &known)).await?;
    let pins = Arc::new(Pins::new(context.paths.clone()));
    let evaluator = Evaluator::new(pins, context.paths.clone());
    let evaluate = |job: Job| async {
        let key = job.key().clone();
        (key, evaluator.evaluate(Arc::new(job), &surroundings, &|_| {}, &cancel).await)
    };
    let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(AT_ONCE);
    let outcomes: Vec<_> = stream::iter(jobs).map(evaluate).buffer_unordered(at_once).collect().await;
    if cancel.is_cancelled() {
        return Err(MachineError::Cancelled.into());
    }
    let mut troubles = BTreeSet::new();
    for (key, Outcome { found, trouble }) in outcomes {
        if let Some(trouble) = trouble {
            let report = crate::error::report(&trouble);
            // What is about the computer is said for all modules together.
            let what = if trouble.is_of_the_text() { super::shown(&key.0) } else { "the modules".into() };
            troubles.insert(format!("evaluating {what} failed: {report}"));
        }
        if let Some(found) = found {
            world.evaluations.insert(key, Arc::new(found));
        }
    }
    Ok(troubles.into_iter().collect())
}

fn jobs(disk: &Disk, world: &World) -> Vec<Job> {
    let analysis = Analysis::new(disk, world);
    let mut evaluables: BTreeMap<ModuleKey, Evaluable> = BTreeMap::new();
    for path in disk.checked() {
        evaluables.extend(analysis.evaluables(path).into_iter().map(|it| (it.key.clone(), it)));
    }
    evaluables.into_values().map(|evaluable| Job::new(evaluable, disk)).collect()
}

/// A token that Ctrl-C cancels: Nix runs in a group of its own, which the terminal does not reach.
fn cancelled_by_interrupt() -> CancellationToken {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            token.cancel();
        }
    });
    cancel
}
