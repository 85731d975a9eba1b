//! What is known about the host and the machines at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What is known about the host and the machines. What is not known is absent, and nothing is reported about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// The host's answer per capability's name; `None` before it was asked.
    pub capabilities: Option<BTreeMap<String, Capability>>,
    /// Names of secrets that are set for all machines; `None` before the vault was read, or where it cannot be.
    pub secrets: Option<BTreeSet<String>>,
    /// The machines of this computer.
    pub machines: Vec<Machine>,
}

/// The host's answer about a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Whether the host offers it.
    pub available: bool,
    /// What was looked at, as a sentence.
    pub probed: String,
    /// What to do where it is missing, as a sentence.
    pub remedy: Option<String>,
}

/// A machine, as far as an editor cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: MachineState,
    /// The local modules it is made of.
    pub modules: Vec<MachineModule>,
    /// Names of secrets that are set for it (its own and those for all).
    pub secrets: BTreeSet<String>,
    /// Its current generation.
    pub generation: u32,
}

/// A local module that a machine is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineModule {
    /// Its folder or file, absolute.
    pub path: PathBuf,
    /// Which module output of the folder's flake; `None` for the default one, or where there is no flake.
    pub output: Option<String>,
}

/// How a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineState {
    /// It runs.
    Running,
    /// It is stopped.
    Stopped,
    /// Something is being done to it.
    Busy,
    /// Its instance is gone, or an operation was interrupted.
    Broken,
    /// Its driver cannot be asked.
    Unknown,
}
