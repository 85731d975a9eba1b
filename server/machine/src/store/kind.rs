//! Which store a machine's systems lie in.

use crate::Machines;
use codchi_nix::{Nix, NixError};

/// Which store a machine's systems lie in. It is chosen when the machine is made and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// That of this computer's own Nix.
    #[default]
    Host,
    /// That of the store instance.
    Instance,
}

impl StoreKind {
    /// Whether it is this computer's own.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn is_host(&self) -> bool {
        *self == Self::Host
    }

    /// As the flake of a machine has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Instance => "instance",
        }
    }
}

/// Which store new machines get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreChoice {
    /// This computer's own where it has a Nix, else the store instance.
    #[default]
    Auto,
    /// This computer's own.
    Host,
    /// The store instance.
    Instance,
}

impl Machines {
    /// Which store new machines get.
    pub async fn store_of_new(&self) -> StoreKind {
        // Which engine there is shows when it is asked; one that does not answer is told of by who needs it.
        let _ = self.driver().server().await;
        if !self.driver().kind().mounts_linux_files() {
            return StoreKind::Instance;
        }
        match self.options().store.choice {
            StoreChoice::Host => StoreKind::Host,
            StoreChoice::Instance => StoreKind::Instance,
            // One that is there and does not run is to be told of, not passed by.
            StoreChoice::Auto => match Nix::find().await {
                Err(NixError::NotInstalled) => StoreKind::Instance,
                _ => StoreKind::Host,
            },
        }
    }
}
