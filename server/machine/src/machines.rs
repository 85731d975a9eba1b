//! The controller: every verb of the command line and of the editor.

use crate::log;
use crate::operate::Prepared;
use crate::state::{Definition, Generations, Journal, machine_names};
use crate::{
    CancellationToken, Front, MachineError, MachineName, ModuleSource, NixpkgsChoice, Offer, Operation,
    Paths, Providers, Repository, StoreOptions, Vault,
};
use codchi_driver::{Driver, DriverKind, Stdio};
use codchi_host::Host;
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
    /// About the store that machines share.
    pub store: StoreOptions,
    /// Where values of secrets come from that the vault does not have.
    pub providers: Providers,
    /// Files with certificate authorities that machines get beside those of this computer; absolute.
    pub ca_certificates: Vec<PathBuf>,
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
    /// The repository to clone into it, which is then where one works.
    pub checkout: Option<Repository>,
    /// What of this computer it may have without a question.
    pub allowed: Vec<Offer>,
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
    /// VS Code's name for the machine as a remote, e.g. `ssh-remote+codchi-x`; on WSL `wsl+codchi-x`, which needs no SSH. `None` where
    /// there is no way for it.
    pub remote: Option<String>,
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

    /// The same with a vault that others of this process use, too: what is asked for to open it, is asked for once.
    #[must_use]
    pub fn with_vault(self, vault: Vault) -> Self {
        Self { vault, ..self }
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

    /// What this computer offers to machines of the driver; one that was not asked anything yet may be taken for another kind.
    #[must_use]
    pub fn host(&self) -> Host {
        Host::this().with_wsl(self.driver.kind() == DriverKind::Wsl)
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
        let store = self.store_of_new().await;
        let make = || {
            let definition = Definition { store, ..self.definition(&request)? };
            let mut prepared = Prepared::new(definition, Journal::new(Operation::Create));
            prepared.next.allowed = request.allowed.clone();
            Ok(prepared)
        };
        self.make(&request.name, Operation::Create, make, front, cancel).await
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
