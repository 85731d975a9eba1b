//! The controller: every verb of the command line and of the editor.

use crate::{CancellationToken, Front, MachineError, MachineName, MachineStatus, ModuleSource, Paths, Vault};
use codchi_driver::{Driver, Process, Stdio};
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
    /// The flake URL of nixpkgs for new machines; codchi's default where `None`.
    pub nixpkgs: Option<String>,
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
    /// The flake URL of nixpkgs, where it is not the configured one.
    pub nixpkgs: Option<String>,
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

    /// How every machine is, sorted by name; one round trip to the driver. A driver that cannot be asked is told in
    /// each machine's problems, not as an error.
    ///
    /// # Errors
    /// Where the state folder cannot be read.
    pub async fn status(&self) -> Result<Vec<MachineStatus>, MachineError> {
        let _ = &self.options;
        unimplemented!()
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
        let _ = (request, front, cancel);
        unimplemented!()
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
        let _ = (name, front, cancel);
        unimplemented!()
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
        let _ = (name, front, cancel);
        unimplemented!()
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
        let _ = (name, front, cancel);
        unimplemented!()
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
        let _ = (name, secrets, front, cancel);
        unimplemented!()
    }

    /// Runs a command in a machine, starting the machine first where it is stopped.
    ///
    /// # Errors
    /// Any.
    pub async fn exec(&self, name: &MachineName, request: ExecRequest) -> Result<Process, MachineError> {
        let _ = (name, request);
        unimplemented!()
    }

    /// Runs `sshd -i` in a machine, starting the machine first where it is stopped: the other end of
    /// `codchi ssh-proxy`.
    ///
    /// # Errors
    /// Any.
    pub async fn ssh_proxy(&self, name: &MachineName) -> Result<Process, MachineError> {
        let _ = name;
        unimplemented!()
    }

    /// Makes sure that a machine runs and says how to get into it.
    ///
    /// # Errors
    /// Any.
    pub async fn attach(
        &self,
        name: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Attach, MachineError> {
        let _ = (name, front, cancel);
        unimplemented!()
    }
}
