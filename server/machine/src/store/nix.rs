//! The Nix of a store.

use super::{StoreKind, Tell};
use crate::{CancellationToken, MachineError, Machines};
use codchi_nix::{Nix, NixError};

impl Machines {
    /// The Nix of the store `kind`. The store instance is made and started where that has to be.
    ///
    /// # Errors
    /// Where there is no such Nix.
    pub(crate) async fn nix_of(
        &self,
        kind: StoreKind,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<Nix, MachineError> {
        match kind {
            StoreKind::Host => match Nix::find().await {
                Err(NixError::NotInstalled) => Err(MachineError::User {
                    message: "Nix was not found on this computer, and its store is to be used".into(),
                    hint: Some(
                        "Install Nix (https://nixos.org/download); or make machines with the store instance: \
                         `store = \"instance\"` in config.toml. A machine stays with the store that it was made with."
                            .into(),
                    ),
                }),
                found => Ok(found?),
            },
            StoreKind::Instance => {
                self.store_up(tell, cancel).await?;
                let program = self.options().program.clone();
                Ok(Nix::through(program, ["store", "exec", "--"]).await?)
            }
        }
    }

    /// The Nix of the store `kind` where that is there and runs; nothing is made or started.
    pub(crate) async fn nix_at_hand(&self, kind: StoreKind) -> Option<Nix> {
        match kind {
            StoreKind::Host => Nix::find().await.ok(),
            StoreKind::Instance => {
                let program = self.options().program.clone();
                Nix::through(program, ["store", "exec", "--"]).await.ok()
            }
        }
    }
}
