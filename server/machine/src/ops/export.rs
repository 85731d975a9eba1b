//! A machine written to a file.

use super::duplicate::gone;
use crate::export::{Contents, Target};
use crate::files::{io_error, remove_file, sync_folder};
use crate::run::{Outcome, Run};
use crate::{MachineError, Secret, export};
use std::collections::BTreeMap;
use tokio_util::io::SyncIoBridge;

/// Between the engine and the file.
const BUFFER: usize = 1 << 20;

impl Run<'_> {
    /// [`Step::WriteExport`](crate::Step::WriteExport). The file gets its name when it is whole.
    pub(crate) async fn write_export(&mut self) -> Result<Outcome, MachineError> {
        let (Some(Target { file, passphrase }), Some(part)) =
            (self.next.target.take(), self.journal.file.clone())
        else {
            return Ok(Outcome::Skipped);
        };
        if self.own_instance().await?.is_none() {
            return Err(gone(&self.name));
        }
        let contents = Contents::of(self, passphrase.as_ref().map(|_| self.all_secrets()).transpose()?)?;
        let (mut engine, reader) = tokio::io::duplex(BUFFER);
        let runtime = tokio::runtime::Handle::current();
        let path = part.clone();
        let written = tokio::task::spawn_blocking(move || {
            export::write(&path, &contents, passphrase, SyncIoBridge::new_with_handle(reader, runtime))
        });
        let exported = async {
            let exported = tokio::select! {
                exported = self.driver().export(&self.instance, &mut engine) => exported.map_err(Into::into),
                () = self.cancel.cancelled() => Err(MachineError::Cancelled),
            };
            // The other end reads until here.
            drop(engine);
            exported
        };
        let (exported, written) = tokio::join!(exported, written);
        // Who writes says why there is no more room; who is no longer read only that.
        written.map_err(|e| io_error("Writing", &part, std::io::Error::other(e)))??;
        exported?;
        std::fs::rename(&part, &file).map_err(|e| io_error("Writing", &file, e))?;
        sync_folder(&file)?;
        Ok(Outcome::Done)
    }

    /// Removes what is left in the engine where the process was killed while the instance left it or came in.
    pub(crate) async fn sweep(&self) -> Result<(), MachineError> {
        Ok(self.driver().sweep(&self.instance).await?)
    }

    /// Undoes [`Self::write_export`].
    pub(crate) fn remove_unfinished_file(&self) -> Result<Outcome, MachineError> {
        match &self.journal.file {
            Some(part) => remove_file(part).map(|()| Outcome::Done),
            None => Ok(Outcome::Skipped),
        }
    }

    /// The machine's own values, and those for all machines that its modules ask for.
    fn all_secrets(&self) -> Result<BTreeMap<String, Secret>, MachineError> {
        let vault = self.machines.vault();
        let mut values = vault.own(&self.name)?;
        let declared = self.generations.current().map(|generation| &generation.manifest.secrets);
        for name in declared.into_iter().flat_map(BTreeMap::keys) {
            if !values.contains_key(name)
                && let Some(value) = vault.get(&self.name, name)?
            {
                values.insert(name.clone(), value);
            }
        }
        Ok(values)
    }
}
