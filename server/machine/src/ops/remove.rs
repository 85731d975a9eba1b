//! The last step of a deletion.

use crate::files::remove_folder;
use crate::run::{Outcome, Run};
use crate::{MachineError, Scope, fault};

impl Run<'_> {
    /// [`Step::RemoveState`](crate::Step::RemoveState). The folder goes last: until then the journal in it says that the
    /// deletion goes on.
    pub(crate) fn remove_state(&mut self, secrets: bool) -> Result<Outcome, MachineError> {
        // What each build makes anew goes first: on a full disk that is the room for what is to be written.
        remove_folder(&self.folder.flake())?;
        remove_folder(&self.folder.modules())?;
        self.remove_ssh_config()?;
        fault::point("delete/host-block")?;
        if secrets {
            self.machines.vault().remove_all(&Scope::Machine(self.name.clone()))?;
        }
        fault::point("delete/secrets")?;
        self.remove_folder()?;
        Ok(Outcome::Done)
    }

    /// Removes the machine's folder and what an import has laid elsewhere.
    pub(crate) fn remove_folder(&self) -> Result<(), MachineError> {
        remove_folder(&self.machines.paths().imported(&self.definition.id))?;
        self.folder.remove()
    }
}
