//! What is around the steps of every operation: the machine's lock, what an interrupted operation has left, the journal
//! before the first step, and the news at the end.

use crate::files::is_full;
use crate::instance::{id, instance_name, machine_of};
use crate::log::Reporter;
use crate::run::{Next, Run};
use crate::state::{Definition, Generations, Journal, Lock, MachineFolder, machine_names, sweep};
use crate::{CancellationToken, Front, MachineError, MachineName, Machines, Operation};
use codchi_driver::DriverError;
use std::sync::Arc;

/// An operation before its first step.
pub(crate) struct Prepared {
    /// What the machine is made of, or will be.
    pub(crate) definition: Definition,
    /// What will be on disk.
    pub(crate) journal: Journal,
    /// What its first steps start from.
    pub(crate) next: Next,
    /// The machine's, where the operation chooses among them.
    pub(crate) generations: Generations,
}

impl Prepared {
    /// Of a machine that is made.
    pub(crate) fn new(definition: Definition, journal: Journal) -> Self {
        Self { definition, journal, next: Next::default(), generations: Generations::default() }
    }
}

/// Who works on a machine, and what ends it.
struct Around<'a> {
    name: &'a MachineName,
    report: &'a Reporter<'a>,
    cancel: &'a CancellationToken,
    lock: &'a Arc<Lock>,
}

impl Machines {
    /// An operation that makes a machine, as `make` says once nobody else is at work on its name.
    ///
    /// # Errors
    /// Any; then nothing of it is left but its secrets and its log.
    pub(crate) async fn make(
        &self,
        name: &MachineName,
        operation: Operation,
        make: impl FnOnce() -> Result<Prepared, MachineError> + Send,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let lock = Arc::new(Lock::take(self.paths(), name, operation).await?);
        let folder = MachineFolder::new(self.paths(), name);
        self.check_free(name)?;
        let mut prepared = make()?;
        let report = Reporter::new(self.paths(), name, operation, front)?;
        let around = Around { name, report: &report, cancel, lock: &lock };
        let result = async {
            self.recover(&around).await?;
            // Only now it is sure which engine it is.
            prepared.definition.driver = self.driver().server().await?.kind;
            if let Some(instance) = self.driver().instance(&instance_name(name)?).await? {
                return Err(DriverError::NameTaken { name: instance.name.to_string() }.into());
            }
            folder.found(&prepared.definition, &prepared.journal)?;
            self.run(&around, prepared)?.execute().await
        }
        .await;
        self.ended(result, &report, lock)
    }

    /// Fails where there is a machine `name`, or one that had the name still has secrets under it. What an operation has left
    /// that made a machine, or deleted it, counts for nothing.
    pub(crate) fn check_free(&self, name: &MachineName) -> Result<(), MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        if folder.exists() && folder.journal()?.is_none_or(|j| !leaves_nothing(j.operation)) {
            return Err(MachineError::User {
                message: format!("There already is a machine `{name}`"),
                hint: Some(format!("Choose another name, or apply changes with `codchi rebuild {name}`.")),
            });
        }
        for other in machine_names(self.paths())? {
            // One that cannot be read is a problem of that machine.
            let journal = MachineFolder::new(self.paths(), &other).journal().ok().flatten();
            if journal.is_some_and(|journal| {
                journal.to.as_ref() == Some(&other) && journal.from.as_ref() == Some(name)
            }) {
                return Err(MachineError::User {
                    message: format!(
                        "`{other}` had the name `{name}`, and getting another one was interrupted"
                    ),
                    hint: Some(format!("`codchi start {other}` finishes that.")),
                });
            }
        }
        Ok(())
    }

    /// An operation on a machine that is there.
    pub(crate) async fn operate(
        &self,
        name: &MachineName,
        journal: Journal,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        self.operate_prepared(name, journal, |_| Ok(()), front, cancel).await
    }

    /// The same, with what `prepare` makes of it once the machine is known and nobody else is at work on it.
    pub(crate) async fn operate_prepared(
        &self,
        name: &MachineName,
        journal: Journal,
        prepare: impl FnOnce(&mut Prepared) -> Result<(), MachineError> + Send,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let operation = journal.operation;
        let lock = Arc::new(Lock::take(self.paths(), name, operation).await?);
        let folder = MachineFolder::new(self.paths(), name);
        if !folder.exists() {
            if operation != Operation::Delete || !self.is_orphan(name).await? {
                return Err(self.unknown(name));
            }
            folder.found(&self.trusting_the_name(name, None).await?, &journal)?;
        }
        let report = Reporter::new(self.paths(), name, operation, front)?;
        let around = Around { name, report: &report, cancel, lock: &lock };
        let result = async {
            if operation == Operation::Delete {
                return self.delete_whatever_it_is(&around, &folder, journal).await;
            }
            self.recover(&around).await?;
            let Some(definition) = folder.exists().then(|| folder.definition()).transpose()?.flatten() else {
                return Err(self.unknown(name));
            };
            self.check_driver(name, &definition).await?;
            let prepared = self.prepared(&folder, Prepared::new(definition, journal), prepare)?;
            self.run(&around, prepared)?.execute().await
        }
        .await;
        self.ended(result, &report, lock)
    }

    /// A deletion wants nothing of what is there but that it goes.
    async fn delete_whatever_it_is(
        &self,
        around: &Around<'_>,
        folder: &MachineFolder,
        mut journal: Journal,
    ) -> Result<(), MachineError> {
        let definition = folder.definition();
        match folder.journal() {
            // It goes on with that, and with what is asked for now.
            Ok(Some(earlier)) if earlier.operation == Operation::Delete => journal.secrets |= earlier.secrets,
            // What was begun may have left something elsewhere; what cannot be read cannot be undone, and goes with the rest.
            Ok(Some(_)) if matches!(definition, Ok(Some(_))) => {
                self.recover(around).await?;
                if !folder.exists() {
                    return Ok(());
                }
            }
            Ok(_) => {}
            Err(error) => around.report.info(&error.to_string()),
        }
        let definition = match folder.definition() {
            Ok(Some(definition)) => definition,
            damaged => self.trusting_the_name(around.name, damaged.err()).await?,
        };
        self.check_driver(around.name, &definition).await?;
        match folder.write_journal(&journal) {
            // A deletion makes room, and is what there is to do about a full disk.
            Err(error) if is_full(&error) => around.report.info(&error.to_string()),
            written => written?,
        }
        self.run(around, Prepared::new(definition, journal))?.execute().await
    }

    async fn check_driver(&self, name: &MachineName, definition: &Definition) -> Result<(), MachineError> {
        let made_with = definition.driver;
        if made_with == self.driver().kind() {
            return Ok(());
        }
        // Which engine it is, is sure only once it has answered.
        let now = self.driver().server().await?.kind;
        if made_with == now {
            return Ok(());
        }
        Err(MachineError::User {
            message: format!("`{name}` was made with {made_with}, but codchi now uses {now}"),
            hint: Some(format!("Start {made_with}, or choose it in codchi's configuration.")),
        })
    }

    /// Writes down what is about to be done, before anything is.
    fn prepared(
        &self,
        folder: &MachineFolder,
        mut prepared: Prepared,
        prepare: impl FnOnce(&mut Prepared) -> Result<(), MachineError>,
    ) -> Result<Prepared, MachineError> {
        if matches!(prepared.journal.operation, Operation::Rebuild | Operation::Rollback) {
            prepared.generations = folder.generations()?;
            prepared.journal.current = prepared.generations.current().map(|generation| generation.number);
        }
        if matches!(prepared.journal.operation, Operation::Rebuild | Operation::Update) {
            prepared.journal.lock = folder.flake_lock()?;
        }
        prepare(&mut prepared)?;
        folder.write_journal(&prepared.journal)?;
        // The journal holds the one of before.
        if prepared.journal.definition.is_some() {
            folder.write_definition(&prepared.definition)?;
        }
        Ok(prepared)
    }

    fn run<'a>(&'a self, around: &Around<'a>, prepared: Prepared) -> Result<Run<'a>, MachineError> {
        let Around { name, report, cancel, lock } = around;
        let Prepared { definition, journal, next, .. } = prepared;
        let instance = instance_name(name)?;
        let mut run = Run::new(self, name, instance, definition, journal, report, cancel, Arc::clone(lock))?;
        run.next = Next { generation: run.next.generation, manifest: run.next.manifest, ..next };
        Ok(run)
    }

    /// Finishes or undoes what an interrupted operation has left.
    async fn recover(&self, around: &Around<'_>) -> Result<(), MachineError> {
        sweep(self.paths(), around.name);
        let folder = MachineFolder::new(self.paths(), around.name);
        let Some(journal) = folder.journal()? else { return Ok(()) };
        let operation = journal.operation;
        let Some(definition) = folder.definition()? else { return Ok(()) };
        around.report.info(&format!("An earlier {operation} was interrupted."));
        let current = folder.generations()?.current().map(|now| now.number);
        if operation == Operation::Rename || !journal.secrets_kept.is_empty() {
            // Finishing or undoing it changes the vault.
            self.vault().unlock(around.report.front()).await?;
        }
        match operation {
            // All but the journal's end: what the machine is made of goes with the generation that it has.
            Operation::Rebuild | Operation::Rollback
                if journal.current.is_some() && current != journal.current =>
            {
                folder.close_journal()
            }
            made if made.makes() && current.is_some() => folder.close_journal(),
            // Whether it runs is the engine's word; nothing is half done.
            Operation::Start | Operation::Deliver | Operation::Stop => folder.close_journal(),
            Operation::Delete => self.run(around, Prepared::new(definition, journal))?.execute().await,
            _ => self.run(around, Prepared::new(definition, journal))?.undo(&[]).await,
        }
    }

    fn ended(
        &self,
        result: Result<(), MachineError>,
        report: &Reporter<'_>,
        lock: Arc<Lock>,
    ) -> Result<(), MachineError> {
        report.ended(&result);
        // Before the news: who looks then must not find the machine busy.
        drop(lock);
        report.changed();
        result
    }

    /// Enough of a definition to delete a machine whose own cannot be read: the instance is ours if it carries the
    /// machine's name.
    async fn trusting_the_name(
        &self,
        name: &MachineName,
        damaged: Option<MachineError>,
    ) -> Result<Definition, MachineError> {
        if let Some(error) = damaged {
            tracing::warn!("deleting `{name}` without knowing what it is made of: {error}");
        }
        let instance = self.driver().instance(&instance_name(name)?).await?;
        let id = instance.as_ref().and_then(id).unwrap_or_default();
        Ok(Definition::new(id, self.driver().kind()))
    }

    /// Whether there is an instance that was made here for a machine whose files are gone.
    async fn is_orphan(&self, name: &MachineName) -> Result<bool, MachineError> {
        let instance = self.driver().instance(&instance_name(name)?).await?;
        let machine = instance.and_then(|instance| machine_of(&instance, &self.paths().data));
        Ok(machine.as_ref() == Some(name))
    }
}

/// Whether undoing or finishing an interrupted `operation` ends with the machine gone.
fn leaves_nothing(operation: Operation) -> bool {
    operation.makes() || operation == Operation::Delete
}
