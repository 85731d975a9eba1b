//! Giving a machine something of this computer, and taking it away, while it runs.

use crate::state::{Journal, MachineFolder, Permissions};
use crate::{CancellationToken, Front, MachineError, MachineName, Machines, Operation};
use codchi_driver::RunState;
use codchi_host::{Capability, HostSecret};
use std::fmt;
use std::str::FromStr;

/// What this computer may offer to a machine. `ssh-agent` is the host secret, whatever the modules call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offer {
    /// Something of the person's.
    HostSecret(HostSecret),
    /// Something of the computer's.
    Capability(Capability),
}

impl Offer {
    /// The names of all of them: host secrets, then those capabilities that are none.
    pub fn names() -> impl Iterator<Item = &'static str> {
        HostSecret::ALL.map(HostSecret::name).into_iter().chain(capabilities())
    }
}

/// The names of the capabilities that are no host secrets.
fn capabilities() -> impl Iterator<Item = &'static str> {
    let names = Capability::ALL.map(Capability::name).into_iter();
    names.filter(|name| name.parse::<HostSecret>().is_err())
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostSecret(secret) => secret.fmt(f),
            Self::Capability(capability) => capability.fmt(f),
        }
    }
}

impl FromStr for Offer {
    type Err = MachineError;

    fn from_str(name: &str) -> Result<Self, MachineError> {
        let secret = name.parse().map(Self::HostSecret).ok();
        secret.or_else(|| name.parse().map(Self::Capability).ok()).ok_or_else(|| MachineError::User {
            message: format!("`{name}` is nothing that a machine can be given"),
            hint: Some(format!(
                "There are the host secrets {}, and the capabilities {}.",
                HostSecret::ALL.map(HostSecret::name).join(", "),
                capabilities().collect::<Vec<_>>().join(", ")
            )),
        })
    }
}

impl Machines {
    /// What the person lets a machine have.
    ///
    /// # Errors
    /// Where there is no such machine, or its files cannot be read.
    pub fn permissions(&self, name: &MachineName) -> Result<Permissions, MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        if folder.exists() { folder.permissions() } else { Err(self.unknown(name)) }
    }

    /// Lets a machine have `offers` or not, from now on; one that runs gets them, or loses them, at once. What its next operation is to
    /// know is written first, so that it holds even where the running machine could not be changed.
    ///
    /// # Errors
    /// Any.
    pub async fn permit(
        &self,
        name: &MachineName,
        offers: &[Offer],
        allowed: bool,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let mut permissions = self.permissions(name)?;
        for offer in offers {
            permissions.set(*offer, allowed);
        }
        MachineFolder::new(self.paths(), name).write_permissions(&permissions)?;
        let instance = self.driver().instance(&crate::instance::instance_name(name)?).await?;
        if instance.is_some_and(|instance| instance.state == RunState::Running) {
            // A start of what runs already makes its devices what they are to be, and delivers anew.
            self.operate(name, Journal::new(Operation::Start), front, cancel).await?;
        }
        Ok(())
    }
}
