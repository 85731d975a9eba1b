//! What is known about a machine: the JSON of `codchi status --json` and of `codchi/machinesChanged`.

use crate::{MachineName, Operation};
use codchi_driver::DriverKind;
use std::path::PathBuf;

/// A machine and how it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineStatus {
    /// Its name.
    pub name: MachineName,
    /// How it is.
    pub state: MachineState,
    /// What is being done to it, by whichever process.
    pub operation: Option<Operation>,
    /// What runs it.
    pub driver: DriverKind,
    /// Its modules, as a person writes them.
    pub modules: Vec<String>,
    /// The local folders its modules live in.
    pub module_folders: Vec<PathBuf>,
    /// The project folder on the host that is mounted in it.
    pub project: Option<PathBuf>,
    /// Where that folder is in the machine.
    pub workspace: String,
    /// The host alias for SSH.
    pub ssh_host: String,
    /// The current generation; 0 before the first.
    pub generation: u32,
    /// The secrets its modules declare (as of the last evaluation).
    pub secrets: Vec<SecretStatus>,
    /// Its last operation's log, where there is one.
    pub log: Option<PathBuf>,
    /// What is wrong and what to do about it, as sentences; empty where all is well.
    pub problems: Vec<String>,
}

/// How a machine is. Whether it runs is the driver's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// It runs.
    Running,
    /// It is stopped.
    Stopped,
    /// An operation is under way.
    Busy,
    /// An operation was interrupted; the next one finishes or undoes it.
    Interrupted,
    /// Its instance is gone; a rebuild makes it again.
    Missing,
    /// The driver reports an error, or cannot be asked.
    Unknown,
}

/// A declared secret of a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether the machine needs it.
    pub required: bool,
    /// Whether there is a value.
    pub set: bool,
}
