//! Our program in distributions that another codchi has made: each gets this one's at its next start.

use super::session::Session;
use super::{Found, Wsl, on_disk};
use crate::{DriverError, InstanceName};
use codchi_guest::{Entry, PROGRAM, PutRequest, Request, Target};
use sha2::{Digest as _, Sha256};

/// This codchi's.
pub(super) struct Guest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
}

impl Wsl {
    /// Reads this codchi's program.
    ///
    /// # Errors
    /// [`DriverError::Engine`] of `action` where it cannot be read.
    pub(super) async fn guest(&self, action: &str) -> Result<Guest, DriverError> {
        let bytes = tokio::fs::read(&self.options.guest).await.map_err(|error| {
            let path = self.options.guest.display();
            let message = format!("{path} belongs to codchi and cannot be read: {error}");
            DriverError::Engine { action: action.to_owned(), message }
        })?;
        let digest = hex::encode(Sha256::digest(&bytes));
        Ok(Guest { bytes, digest })
    }

    /// Puts this codchi's program into a distribution that has another one; starts it then. Every version has to understand how it is
    /// replaced, whatever else it speaks.
    pub(super) async fn renew_guest(&self, name: &InstanceName, found: &Found) -> Result<(), DriverError> {
        const ACTION: &str = "starting";
        let guest = self.guest(&format!("{ACTION} instance {name}")).await?;
        if found.mark.guest.as_ref() == Some(&guest.digest) {
            return Ok(());
        }
        let entry = PutRequest { path: PROGRAM.into(), uid: 0, gid: 0, mode: 0o755, entry: Entry::File };
        let request = Request::Put { target: Target::Distribution, entry };
        let put = async {
            let mut session = Session::open_whatever_it_speaks(&self.program, name).await?;
            session.request(&request).await?;
            // What it does not want it does not read.
            let _ = session.input(guest.bytes.as_slice()).await;
            session.done().await?.map_err(super::CallError::Failed)
        };
        put.await.map_err(|error| self.explain(error, ACTION, name))?;
        tracing::info!(%name, "has the program of this codchi now");
        let mark = super::Mark { guest: Some(guest.digest), ..found.mark.clone() };
        found.folder.set_mark(&mark).map_err(|error| on_disk(ACTION, name, &error))
    }
}
