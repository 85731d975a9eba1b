//! The controller: every verb of the command line and of the editor.

use crate::instance::{instance_name, machine_of};
use crate::log::{self, Reporter};
use crate::run::Run;
use crate::state::{Definition, Generations, Journal, Lock, MachineFolder, machine_names};
use crate::{
    CancellationToken, Front, MachineError, MachineName, ModuleSource, NixpkgsChoice, Operation, Paths, Vault,
};
use codchi_driver::{Driver, DriverError, Stdio};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// All machines of this user on this computer. Cheap to clone; safe to use from many tasks and processes at once.
#[derive(Clone)]
pub struct Machines {
    paths: Paths,
    driver: Arc<dyn Driver>,
    vault: Vault,
    options: Options,
}

/// What the user's configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The flake URL of the nixpkgs that machines share; codchi's default where `None`.
    pub nixpkgs: Option<String>,
    /// The sources of modules that every new machine gets, as the user wrote them.
    pub personal_modules: Vec<String>,
    /// The path of the `codchi` program, for `ProxyCommand`.
    pub program: PathBuf,
    /// Whether the user's ssh config may be touched: `None` asks the first time and remembers.
    pub ssh_config: Option<bool>,
}

/// What to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its name.
    pub name: MachineName,
    /// Its modules, in order.
    pub modules: Vec<ModuleSource>,
    /// The project folder to mount, absolute; the folder of the first local module where `None` and there is one.
    pub project: Option<PathBuf>,
    /// Its nixpkgs; the one that machines share where `None`.
    pub nixpkgs: Option<NixpkgsChoice>,
}

/// What to run in a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program and arguments; the user's login shell where empty.
    pub command: Vec<String>,
    /// Working folder inside; the project's where `None`.
    pub cwd: Option<String>,
    /// Whether to run as root instead of the machine's user.
    pub root: bool,
    /// Environment to add (`TERM`, `LANG`, …); never a secret.
    pub environment: BTreeMap<String, String>,
    /// Streams.
    pub stdio: Stdio,
}

/// How an editor gets into a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attach {
    /// The machine.
    pub name: MachineName,
    /// The host alias for SSH; `None` where the ssh config was not allowed to be touched.
    pub ssh_host: Option<String>,
    /// The folder to open in the machine.
    pub folder: String,
    /// The command that opens a shell in it, for a terminal.
    pub terminal: Vec<String>,
}

impl Machines {
    /// The machines in `paths`, run by `driver`.
    #[must_use]
    pub fn new(paths: Paths, driver: Arc<dyn Driver>, options: Options) -> Self {
        let vault = Vault::new(paths.clone());
        Self { paths, driver, vault, options }
    }

    /// The vault.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Where things live.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The driver.
    #[must_use]
    pub fn driver(&self) -> &Arc<dyn Driver> {
        &self.driver
    }

    /// What the user's configuration says.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The log of the last operation on a machine, also of one that failed to be created or was deleted; `None` where
    /// there was none.
    #[must_use]
    pub fn log(&self, name: &MachineName) -> Option<PathBuf> {
        log::last(&self.paths, name)
    }

    /// Creates a machine and starts it.
    ///
    /// # Errors
    /// Any; then nothing of it is left but its secrets and its log.
    pub async fn create(
        &self,
        request: CreateRequest,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let name = &request.name;
        let lock = Arc::new(Lock::take(&self.paths, name, Operation::Create).await?);
        let folder = MachineFolder::new(&self.paths, name);
        if folder.exists() && folder.journal()?.is_none_or(|j| !leaves_nothing(j.operation)) {
            return Err(MachineError::User {
                message: format!("There already is a machine `{name}`"),
                hint: Some(format!("Choose another name, or apply changes with `codchi rebuild {name}`.")),
            });
        }
        let definition = self.definition(&request)?;
        let report = Reporter::new(&self.paths, name, Operation::Create, front)?;
        let result = async {
            self.recover(name, &report, cancel, &lock).await?;
            self.driver.server().await?;
            if let Some(instance) = self.driver.instance(&instance_name(name)?).await? {
                return Err(DriverError::NameTaken { name: instance.name.to_string() }.into());
            }
            let journal = Journal::new(Operation::Create);
            folder.found(&definition, &journal)?;
            self.run(name, definition, journal, &report, cancel, &lock)?.execute().await
        }
        .await;
        self.ended(result, &report, lock)
    }

    /// Builds a machine's modules anew and switches to the result; makes its instance again where it is missing.
    ///
    /// # Errors
    /// Any; then the machine is as before.
    pub async fn rebuild(
        &self,
        name: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        self.operate(name, Journal::new(Operation::Rebuild), front, cancel).await
    }

    /// Changes what a machine is made of, builds that and switches to it.
    ///
    /// # Errors
    /// Any, also that of `change`; then the machine is as before.
    pub(crate) async fn change(
        &self,
        name: &MachineName,
        change: impl FnOnce(&mut Definition) -> Result<(), MachineError> + Send,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let prepare = |prepared: &mut Prepared| {
            let before = prepared.definition.clone();
            change(&mut prepared.definition)?;
            prepared.journal.definition = Some(before);
            Ok(())
        };
        self.operate_prepared(name, Journal::new(Operation::Rebuild), prepare, front, cancel).await
    }

    /// Switches a machine to another of its generations: the one before the current where `generation` is `None`. One that
    /// does not run boots it at its next start.
    ///
    /// # Errors
    /// Any, also where there is no such generation; then the machine is as before.
    pub async fn rollback(
        &self,
        name: &MachineName,
        generation: Option<u32>,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let prepare = |prepared: &mut Prepared| {
            prepared.journal.generation = Some(earlier(name, &prepared.generations, generation)?);
            Ok(())
        };
        self.operate_prepared(name, Journal::new(Operation::Rollback), prepare, front, cancel).await
    }

    /// Starts a machine and delivers its secrets. One that runs gets its secrets delivered anew.
    ///
    /// # Errors
    /// Any.
    pub async fn start(
        &self,
        name: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        self.operate(name, Journal::new(Operation::Start), front, cancel).await
    }

    /// Stops a machine.
    ///
    /// # Errors
    /// Any.
    pub async fn stop(
        &self,
        name: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        self.operate(name, Journal::new(Operation::Stop), front, cancel).await
    }

    /// Deletes a machine: instance, state folder, host block; its own secrets too where `secrets`. The project
    /// folder is not touched.
    ///
    /// # Errors
    /// Any; calling it again goes on where it stopped.
    pub async fn delete(
        &self,
        name: &MachineName,
        secrets: bool,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let journal = Journal { secrets, ..Journal::new(Operation::Delete) };
        self.operate(name, journal, front, cancel).await
    }

    /// An operation on a machine that is there.
    async fn operate(
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
        let lock = Arc::new(Lock::take(&self.paths, name, operation).await?);
        let folder = MachineFolder::new(&self.paths, name);
        if !folder.exists() {
            if operation != Operation::Delete || !self.is_orphan(name).await? {
                return Err(self.unknown(name));
            }
            folder.found(&self.trusting_the_name(name, None).await?, &journal)?;
        }
        let report = Reporter::new(&self.paths, name, operation, front)?;
        let result = async {
            match self.recover(name, &report, cancel, &lock).await {
                // What cannot be read cannot be finished either, and what it left goes with the rest.
                Err(error @ (MachineError::Io { .. } | MachineError::Damaged { .. }))
                    if operation == Operation::Delete =>
                {
                    report.info(&error.to_string());
                }
                recovered => recovered?,
            }
            if !folder.exists() {
                // What was interrupted ended with the machine gone, and that is all that a deletion wants.
                return if operation == Operation::Delete { Ok(()) } else { Err(self.unknown(name)) };
            }
            let definition = match folder.definition() {
                Ok(Some(definition)) => definition,
                damaged if operation == Operation::Delete => {
                    self.trusting_the_name(name, damaged.err()).await?
                }
                Ok(None) => return Err(self.unknown(name)),
                Err(error) => return Err(error),
            };
            if definition.driver != self.driver.kind() {
                return Err(MachineError::User {
                    message: format!(
                        "`{name}` was made with {}, but codchi now uses {}",
                        definition.driver,
                        self.driver.kind()
                    ),
                    hint: Some(format!(
                        "Start {}, or choose it in codchi's configuration.",
                        definition.driver
                    )),
                });
            }
            let (definition, journal) = self.prepared(&folder, definition, journal, prepare)?;
            self.run(name, definition, journal, &report, cancel, &lock)?.execute().await
        }
        .await;
        self.ended(result, &report, lock)
    }

    /// Writes down what is about to be done, before anything is.
    fn prepared(
        &self,
        folder: &MachineFolder,
        definition: Definition,
        journal: Journal,
        prepare: impl FnOnce(&mut Prepared) -> Result<(), MachineError>,
    ) -> Result<(Definition, Journal), MachineError> {
        let mut prepared = Prepared { definition, journal, generations: Generations::default() };
        if matches!(prepared.journal.operation, Operation::Rebuild | Operation::Rollback) {
            prepared.generations = folder.generations()?;
            prepared.journal.current = prepared.generations.current().map(|generation| generation.number);
        }
        if matches!(prepared.journal.operation, Operation::Rebuild | Operation::Update) {
            prepared.journal.lock = folder.flake_lock()?;
        }
        prepare(&mut prepared)?;
        let Prepared { definition, journal, .. } = prepared;
        folder.write_journal(&journal)?;
        // The journal holds the one of before.
        if journal.definition.is_some() {
            folder.write_definition(&definition)?;
        }
        Ok((definition, journal))
    }

    fn run<'a>(
        &'a self,
        name: &'a MachineName,
        definition: Definition,
        journal: Journal,
        report: &'a Reporter<'a>,
        cancel: &'a CancellationToken,
        lock: &Arc<Lock>,
    ) -> Result<Run<'a>, MachineError> {
        Run::new(self, name, instance_name(name)?, definition, journal, report, cancel, Arc::clone(lock))
    }

    /// Finishes or undoes what an interrupted operation has left.
    async fn recover(
        &self,
        name: &MachineName,
        report: &Reporter<'_>,
        cancel: &CancellationToken,
        lock: &Arc<Lock>,
    ) -> Result<(), MachineError> {
        let folder = MachineFolder::new(&self.paths, name);
        let Some(journal) = folder.journal()? else { return Ok(()) };
        let operation = journal.operation;
        let Some(definition) = folder.definition()? else { return Ok(()) };
        report.info(&format!("An earlier {operation} was interrupted."));
        let current = folder.generations()?.current().map(|now| now.number);
        match operation {
            // All but the journal's end: what the machine is made of goes with the generation that it has.
            Operation::Rebuild | Operation::Rollback
                if journal.current.is_some() && current != journal.current =>
            {
                folder.close_journal()
            }
            // Whether it runs is the engine's word; nothing is half done.
            Operation::Start | Operation::Stop => folder.close_journal(),
            Operation::Delete => self.run(name, definition, journal, report, cancel, lock)?.execute().await,
            Operation::Create | Operation::Rebuild | Operation::Rollback | Operation::Update => {
                self.run(name, definition, journal, report, cancel, lock)?.undo(&[]).await
            }
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
        let instance = self.driver.instance(&instance_name(name)?).await?;
        let id = instance.as_ref().and_then(crate::instance::id).unwrap_or_default();
        Ok(Definition::new(id, self.driver.kind()))
    }

    /// Whether there is an instance that was made here for a machine whose files are gone.
    async fn is_orphan(&self, name: &MachineName) -> Result<bool, MachineError> {
        let instance = self.driver.instance(&instance_name(name)?).await?;
        let machine = instance.and_then(|instance| machine_of(&instance, &self.paths.data));
        Ok(machine.as_ref() == Some(name))
    }

    /// There is no such machine.
    pub(crate) fn unknown(&self, name: &MachineName) -> MachineError {
        let names: Vec<String> =
            machine_names(&self.paths).unwrap_or_default().iter().map(|n| format!("`{n}`")).collect();
        MachineError::User {
            message: format!("There is no machine `{name}`"),
            hint: Some(if names.is_empty() {
                "Create one with `codchi create`.".into()
            } else {
                format!("There are {}.", names.join(", "))
            }),
        }
    }
}

/// An operation before its first step.
pub(crate) struct Prepared {
    pub(crate) definition: Definition,
    pub(crate) journal: Journal,
    generations: Generations,
}

/// The generation to go back to.
fn earlier(name: &MachineName, generations: &Generations, number: Option<u32>) -> Result<u32, MachineError> {
    let found = match number {
        Some(number) => generations.numbered(number),
        None => generations.previous(),
    };
    found.map(|generation| generation.number).ok_or_else(|| MachineError::User {
        message: match number {
            Some(number) => format!("`{name}` has no generation {number}"),
            None => format!("`{name}` has no earlier generation"),
        },
        hint: Some(format!("`codchi generations {name}` lists those that it has.")),
    })
}

/// Whether undoing or finishing an interrupted `operation` ends with the machine gone.
fn leaves_nothing(operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Delete)
}
