//! A machine made of an export file.

use crate::files::{io_error, make_folder};
use crate::instance::explain_refusal;
use crate::run::{Outcome, Run};
use crate::{MachineError, export};
use tokio_util::io::SyncIoBridge;

/// Between the file and the engine.
const BUFFER: usize = 1 << 20;

impl Run<'_> {
    /// [`Step::Unpack`](crate::Step::Unpack).
    pub(crate) async fn unpack(&mut self) -> Result<Outcome, MachineError> {
        let Some(file) = self.next.export.clone() else { return Ok(Outcome::Skipped) };
        if let Some(lock) = &file.lock {
            make_folder(&self.folder.flake())?;
            self.folder.write_flake_lock(lock)?;
        }
        let to = self.machines.paths().imported(&self.definition.id);
        let unpacked = tokio::task::spawn_blocking(move || file.unpack_modules(&to));
        unpacked.await.map_err(|e| io_error("Unpacking", self.folder.root(), std::io::Error::other(e)))??;
        Ok(Outcome::Done)
    }

    /// [`Step::ImportInstance`](crate::Step::ImportInstance).
    pub(crate) async fn import_instance(&mut self) -> Result<Outcome, MachineError> {
        let Some(file) = self.next.export.clone() else { return Ok(Outcome::Skipped) };
        let (spec, server) = self.spec().await?;
        let (engine, writer) = tokio::io::duplex(BUFFER);
        let runtime = tokio::runtime::Handle::current();
        let size = file.root_size();
        let path = file.path().to_owned();
        let read = tokio::task::spawn_blocking(move || {
            export::read_root(&file, &mut SyncIoBridge::new_with_handle(writer, runtime))
        });
        let imported = self.driver().import(&self.instance, &spec, Box::new(engine), size);
        let (imported, read) = tokio::join!(imported, read);
        imported.map_err(|error| explain_refusal(error, &self.definition, &server))?;
        read.map_err(|e| io_error("Reading", &path, std::io::Error::other(e)))??;
        Ok(Outcome::Done)
    }
}
