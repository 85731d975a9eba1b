//! `runtime.json`: what was found out about a running instance.

use super::MachineFolder;
use crate::MachineError;
use crate::capabilities::Given;
use codchi_host::HostSecret;
use std::collections::BTreeMap;

/// What was found out about a running instance when secrets were delivered to it. Holds only as long as the engine
/// names the same start.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Runtime {
    /// The start of the instance that this is about, as the engine names it.
    pub(crate) start: String,
    /// Units that had failed once it was up.
    pub(crate) failed_units: Vec<String>,
    /// What was delivered last: each secret with a digest that says nothing to who has not the vault's key. `None` where an
    /// earlier codchi delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secrets: Option<BTreeMap<String, String>>,
    /// The secrets that were delivered with a provider's value, and its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) provided: BTreeMap<String, String>,
    /// The capabilities that it has. `None` where an earlier codchi started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capabilities: Option<Given>,
    /// What of this computer's files was delivered, each with a digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) host: BTreeMap<HostSecret, String>,
}

impl MachineFolder {
    /// Reads `runtime.json`; `None` where nothing was delivered yet.
    ///
    /// # Errors
    /// [`MachineError::Io`]; [`MachineError::Damaged`].
    pub(crate) fn runtime(&self) -> Result<Option<Runtime>, MachineError> {
        self.read_json("runtime.json")
    }

    /// Writes `runtime.json`.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn write_runtime(&self, runtime: &Runtime) -> Result<(), MachineError> {
        self.write_json("runtime.json", runtime)
    }
}
