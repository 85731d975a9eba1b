//! The bridge of Windows: there is none. What machines would ask of it, they cannot reach yet, and the probes of this computer
//! (`codchi-host`) say so.

use crate::state::Definition;
use crate::{MachineError, MachineName, Machines, Paths};
use codchi_host::HostSecret;
use std::path::PathBuf;

/// What is asked for at each use.
pub(crate) const SERVED: [HostSecret; 2] = [HostSecret::SshAgent, HostSecret::GitCredentials];

/// Where the bridge's sockets would be.
pub(crate) struct Place;

impl Place {
    /// Nowhere.
    pub(crate) fn of(_: &Paths) -> Self {
        Self
    }

    /// None.
    ///
    /// # Errors
    /// [`MachineError::User`], always.
    pub(crate) fn socket(&self, _: &Definition, secret: HostSecret) -> Result<PathBuf, MachineError> {
        Err(unavailable(&format!("`{secret}` of Windows")))
    }
}

impl Machines {
    /// Nothing: a machine works without, and says itself what it misses.
    pub async fn bridge_up(&self, _: &MachineName) {}

    /// Nobody is answered.
    ///
    /// # Errors
    /// [`MachineError::User`], always.
    pub async fn serve_bridge(&self, _ended: impl Future<Output = ()>) -> Result<(), MachineError> {
        Err(unavailable("this computer"))
    }
}

fn unavailable(what: &str) -> MachineError {
    MachineError::User { message: format!("Machines in WSL cannot ask {what} for anything yet"), hint: None }
}
