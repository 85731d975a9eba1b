//! The one executor of all plans: steps in order, a journal of what was begun, and its undoing in reverse.
//!
//! Invariant: whatever ends a run (an error, a cancellation, the process), the journal on disk names every step that may
//! have changed something, and `undo` puts each of them right, however far it got.

use crate::export::{Export, Target};
use crate::files::is_full;
use crate::flake::{Copied, User};
use crate::log::Reporter;
use crate::ops::Original;
use crate::state::{Definition, Generation, Generations, Journal, Lock, MachineFolder, now};
use crate::values::{Answers, Values};
use crate::{
    CancellationToken, MachineError, MachineName, Machines, Manifest, ModuleSource, Offer, Operation, Secret,
    Step, StepState, fault,
};
use codchi_driver::InstanceName;
use codchi_nix::Nix;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An operation on a machine, under its lock.
pub(crate) struct Run<'a> {
    pub(crate) machines: &'a Machines,
    pub(crate) name: MachineName,
    pub(crate) instance: InstanceName,
    pub(crate) folder: MachineFolder,
    pub(crate) definition: Definition,
    pub(crate) generations: Generations,
    pub(crate) report: &'a Reporter<'a>,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) lock: Arc<Lock>,
    pub(crate) next: Next,
    pub(crate) journal: Journal,
}

/// What the steps of a build have found out so far.
#[derive(Default)]
pub(crate) struct Next {
    pub(crate) nix: Option<Nix>,
    pub(crate) user: Option<User>,
    pub(crate) copies: Vec<Copied>,
    /// Those of the files of local modules.
    pub(crate) digests: BTreeMap<String, String>,
    pub(crate) manifest: Option<Manifest>,
    /// Built, and not yet current.
    pub(crate) generation: Option<Generation>,
    /// The machine that this one is made a copy of.
    pub(crate) original: Option<Original>,
    /// The export file that the machine is made of.
    pub(crate) export: Option<Arc<Export>>,
    /// The export file that it is written to.
    pub(crate) target: Option<Target>,
    /// The secrets that come with the machine.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// What providers of secrets have said.
    pub(crate) answers: Answers,
    /// What of this computer the machine may have without a question.
    pub(crate) allowed: Vec<Offer>,
}

/// Whether a step had something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did it.
    Done,
    /// There was nothing to do.
    Skipped,
}

impl<'a> Run<'a> {
    /// An operation about to begin. `journal` is what is on disk, or will be.
    #[expect(clippy::too_many_arguments, reason = "what an operation is made of; there is one caller")]
    pub(crate) fn new(
        machines: &'a Machines,
        name: &'a MachineName,
        instance: InstanceName,
        definition: Definition,
        journal: Journal,
        report: &'a Reporter<'a>,
        cancel: &'a CancellationToken,
        lock: Arc<Lock>,
    ) -> Result<Self, MachineError> {
        let folder = MachineFolder::new(machines.paths(), name);
        let generations = match folder.generations() {
            // A deletion needs none of it.
            Err(_) if journal.operation == Operation::Delete => Generations::default(),
            generations => generations?,
        };
        let mut next = Next::default();
        if let Some(number) = journal.generation {
            next.generation = generations.numbered(number).cloned();
            next.manifest = next.generation.as_ref().map(|generation| generation.manifest.clone());
        }
        Ok(Self {
            machines,
            name: name.clone(),
            instance,
            folder,
            definition,
            generations,
            report,
            cancel,
            lock,
            next,
            journal,
        })
    }

    /// Executes the operation's plan; undoes what was done where a step fails or the operation is cancelled.
    ///
    /// Boxed, so that what uses this crate is not compiled with all that it is made of.
    pub(crate) fn execute(self) -> BoxFuture<'a, Result<(), MachineError>> {
        Box::pin(self.executed())
    }

    async fn executed(mut self) -> Result<(), MachineError> {
        let plan = self.journal.operation.plan();
        self.report.began(&self.name, self.journal.operation, plan.clone());
        self.report.changed();
        let worked = match self.unlock_for(&plan).await {
            Ok(()) => self.steps(&plan).await,
            failed => failed,
        };
        let done = match worked {
            Ok(()) => self.commit(),
            failed => failed,
        };
        let Err(error) = done else {
            fault::point(&format!("{}/commit", self.journal.operation))?;
            // It has happened; that the journal is still there is told, and the next operation finds that out, too.
            return if self.journal.operation == Operation::Delete {
                Ok(())
            } else {
                self.folder.close_journal()
            };
        };
        // A deletion cannot be undone; what is left of it is in the journal, and doing it again goes on.
        if self.journal.operation != Operation::Delete {
            match self.undo(&plan).await {
                Ok(()) if matches!(error, MachineError::Activation { .. }) => {
                    if let Some(current) = self.generations.current() {
                        let number = current.number;
                        self.report.warning(&format!("`{}` is its generation {number} again.", self.name));
                    }
                }
                Ok(()) => {}
                Err(undo) => self.report.warning(&format!(
                    "Undoing it failed, too, and is tried again with the next operation on this machine: {undo}"
                )),
            }
        }
        Err(error)
    }

    /// The flake inputs of which newer revisions are asked for.
    pub(crate) fn updated_inputs(&self) -> &[String] {
        &self.journal.update
    }

    /// Whether the operation makes the machine of this module, which it was not before.
    pub(crate) fn is_new(&self, source: &ModuleSource) -> bool {
        match (&self.journal.definition, self.journal.operation) {
            (_, operation) if operation.makes() => true,
            (Some(before), _) => !before.modules.iter().any(|module| module.source == *source),
            (None, _) => false,
        }
    }

    /// Puts back what the machine is made of, and the revisions of that.
    fn restore_inputs(&mut self) -> Result<(), MachineError> {
        if let Some(definition) = &self.journal.definition {
            self.folder.write_definition(definition)?;
            self.definition = definition.clone();
        }
        if let Some(lock) = &self.journal.lock {
            self.folder.write_flake_lock(lock)?;
        }
        Ok(())
    }

    /// Which operation this is.
    pub(crate) fn operation(&self) -> Operation {
        self.journal.operation
    }

    /// Asks for what opens the vault before the first step, where it is known by then that a step needs it.
    async fn unlock_for(&self, plan: &[Step]) -> Result<(), MachineError> {
        let current = self.target().ok().map(|generation| &generation.manifest);
        let is_needed = |step: &Step| match step {
            Step::MoveState | Step::CopyState => true,
            Step::RemoveState => self.journal.secrets,
            Step::WriteExport => self.next.target.as_ref().is_some_and(|target| target.passphrase.is_some()),
            // What a build declares is known later; it asks for secrets then.
            Step::Deliver => {
                !plan.contains(&Step::Build) && current.is_some_and(|manifest| !manifest.secrets.is_empty())
            }
            Step::KeepSecrets => !self.next.secrets.is_empty() || !self.journal.secrets_kept.is_empty(),
            _ => false,
        };
        if plan.iter().any(is_needed) { self.unlock().await } else { Ok(()) }
    }

    /// Asks for what opens the vault, where it is locked.
    pub(crate) async fn unlock(&self) -> Result<(), MachineError> {
        let cancel = self.cancel_of_now();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(MachineError::Cancelled),
            done = self.machines.vault().unlock(self.report.front()) => done,
        }
    }

    /// What cancels what is done now: nothing where that is to undo what was cancelled.
    fn cancel_of_now(&self) -> CancellationToken {
        if self.cancel.is_cancelled() { CancellationToken::new() } else { self.cancel.clone() }
    }

    /// The values of the secrets that `manifest` declares, of the vault and of providers.
    pub(crate) async fn values(&mut self, manifest: &Manifest) -> Result<Values, MachineError> {
        if !manifest.secrets.is_empty() {
            self.unlock().await?;
        }
        let cancel = self.cancel_of_now();
        self.machines.values_with(&self.name, manifest, &mut self.next.answers, &cancel).await
    }

    async fn steps(&mut self, plan: &[Step]) -> Result<(), MachineError> {
        for (index, &step) in plan.iter().enumerate() {
            if self.cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            self.report.looks(index, step);
            match self.is_done_already(step).await {
                Ok(false) => {}
                Ok(true) => {
                    self.report.step(index, step, StepState::Skipped);
                    continue;
                }
                Err(error) => {
                    self.report.step(index, step, StepState::Failed);
                    return Err(error);
                }
            }
            if !step.may_find_nothing() {
                self.report.works();
            }
            self.journal.begun.push(step);
            self.note()?;
            let done = match self.point(step, "begun") {
                Ok(()) => self.cancellable(step).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(Outcome::Done) => {
                    self.report.step(index, step, StepState::Done);
                    self.point(step, "done")?;
                }
                Ok(Outcome::Skipped) => {
                    self.journal.begun.pop();
                    self.report.step(index, step, StepState::Skipped);
                }
                Err(error) => {
                    self.report.step(index, step, StepState::Failed);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes the journal. A deletion does without on a full disk, since it is what makes room.
    fn note(&self) -> Result<(), MachineError> {
        match self.folder.write_journal(&self.journal) {
            Err(error) if self.journal.operation == Operation::Delete && is_full(&error) => {
                self.report.info(&error.to_string());
                Ok(())
            }
            written => written,
        }
    }

    /// See [`fault`].
    fn point(&self, step: Step, place: &str) -> Result<(), MachineError> {
        fault::point(&format!("{}/{step:?}/{place}", self.journal.operation))
    }

    /// Whether a step whose undoing takes something away finds that there. The journal must never name such a step, not
    /// even while the engine is asked: who then undoes it takes away what was there before.
    async fn is_done_already(&self, step: Step) -> Result<bool, MachineError> {
        let look = async {
            match step {
                Step::CreateInstance => Ok(self.own_instance().await?.is_some()),
                Step::StartInstance if self.stopped_for_a_while() && !self.journal.ran => Ok(true),
                Step::StartInstance => self.is_running().await,
                _ => Ok(false),
            }
        };
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(MachineError::Cancelled),
            result = look => result,
        }
    }

    async fn cancellable(&mut self, step: Step) -> Result<Outcome, MachineError> {
        // These look at the token themselves: dropping them would leave a thread or a process at work.
        if matches!(
            step,
            Step::Lock | Step::Evaluate | Step::Build | Step::MoveState | Step::Unpack | Step::WriteExport
        ) {
            return self.perform(step).await;
        }
        let cancel = self.cancel;
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(MachineError::Cancelled),
            result = self.perform(step) => result,
        }
    }

    async fn perform(&mut self, step: Step) -> Result<Outcome, MachineError> {
        match step {
            Step::Lock => self.lock_inputs().await,
            Step::Evaluate => self.evaluate().await,
            Step::CheckCapabilities => self.check_capabilities(),
            Step::AskSecrets => self.ask().await,
            Step::Build => self.build().await,
            Step::CreateInstance => self.create_instance().await,
            Step::Configure => self.configure().await,
            Step::StartInstance => self.start_instance().await,
            Step::Deliver => self.deliver().await,
            Step::Switch => self.switch().await,
            Step::Clone => self.clone_repository().await,
            Step::InitScript => self.init_script().await,
            Step::SshConfig => self.ssh_config().await,
            Step::StopInstance => self.stop_instance().await,
            Step::DeleteInstance => self.delete_instance().await,
            Step::RemoveState => self.remove_state(self.journal.secrets),
            Step::RenameInstance => self.rename_instance().await,
            Step::MoveState => self.move_state().await,
            Step::CopyState => self.copy_state().await,
            Step::CopyInstance => self.copy_instance().await,
            Step::WriteExport => self.write_export().await,
            Step::Unpack => self.unpack().await,
            Step::ImportInstance => self.import_instance().await,
            Step::KeepSecrets => self.keep_secrets(),
            // Of a preview, which performs its steps itself.
            Step::Compare => Ok(Outcome::Skipped),
        }
    }

    /// Makes what was built, or copied, current: from here on the operation has happened.
    fn commit(&mut self) -> Result<(), MachineError> {
        let mut generations = self.generations.clone();
        match self.next.generation.take() {
            Some(mut generation) => {
                if self.journal.generation.is_none() {
                    generation.created = now();
                }
                generations.activate(generation);
            }
            None if self.journal.operation == Operation::Duplicate => {}
            None => return Ok(()),
        }
        self.folder.write_generations(&generations)?;
        self.generations = generations;
        Ok(())
    }

    /// The system that the instance is to run: what was just built, or else the current one.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn target(&self) -> Result<&Generation, MachineError> {
        self.next.generation.as_ref().or_else(|| self.generations.current()).ok_or_else(|| {
            MachineError::User {
                message: format!("`{}` was never built", self.name),
                hint: Some(format!("Build it with `codchi rebuild {}`.", self.name)),
            }
        })
    }

    /// Undoes every step that the journal names, the last one first, and closes the journal. Goes on where undoing one
    /// fails, and then leaves the journal for the next try.
    pub(crate) async fn undo(&mut self, plan: &[Step]) -> Result<(), MachineError> {
        if self.is_moved() {
            return self.finish_move().await;
        }
        // First of all, as what the instance is to be follows from it.
        self.restore_inputs()?;
        let mut failed = None;
        for step in self.journal.begun.clone().into_iter().rev() {
            match self.undo_step(step).await {
                Ok(Outcome::Skipped) => {}
                Ok(Outcome::Done) => {
                    if let Some(index) = plan.iter().position(|s| *s == step) {
                        self.report.step(index, step, StepState::Undone);
                    }
                }
                Err(error) => {
                    self.report.warning(&format!("{}: undoing it failed: {error}", step.title()));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) => Err(error),
            None if self.journal.operation.makes() => self.remove_folder(),
            None => self.folder.close_journal(),
        }
    }

    async fn undo_step(&mut self, step: Step) -> Result<Outcome, MachineError> {
        self.point(step, "undo")?;
        self.next.generation = None;
        let has_system = self.generations.current().is_some();
        match (self.journal.operation, step) {
            // What a creation has built goes with its folder.
            (Operation::Rebuild, Step::Build) => {
                self.folder.reset_profile(self.generations.current().map(|g| g.number))?;
                Ok(Outcome::Done)
            }
            // An instance is never taken away from a machine that there was before: the current system fits it.
            (Operation::Rebuild | Operation::Rollback, Step::CreateInstance) if has_system => {
                self.configure().await
            }
            (_, Step::ImportInstance) => {
                self.sweep().await?;
                self.delete_instance().await
            }
            (_, Step::CreateInstance | Step::CopyInstance) => self.delete_instance().await,
            (operation, Step::SshConfig) if operation.makes() => self.remove_ssh_config(),
            (_, Step::KeepSecrets) => self.forget_secrets(),
            (_, Step::MoveState) => self.stay(),
            (_, Step::RenameInstance) => self.rename_instance_back().await,
            (_, Step::WriteExport) => {
                self.sweep().await?;
                self.remove_unfinished_file()
            }
            (Operation::Rename | Operation::Export, Step::StopInstance) => Ok(self.start_again().await),
            (Operation::Rebuild | Operation::Rollback, Step::Configure) if has_system => {
                self.configure().await
            }
            (Operation::Rebuild | Operation::Rollback, Step::Deliver) if has_system => self.deliver().await,
            (Operation::Rebuild | Operation::Rollback, Step::Switch) if has_system => self.switch().await,
            (Operation::Start, Step::StartInstance) => self.stop_instance().await,
            _ => Ok(Outcome::Skipped),
        }
    }
}
