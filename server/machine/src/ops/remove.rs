//! The last step of a deletion.

use crate::run::{Outcome, Run};
use crate::{MachineError, Scope};

impl Run<'_> {
    /// [`Step::RemoveState`](crate::Step::RemoveState). The folder goes last: until then the journal in it says that the
    /// deletion goes on.
    pub(crate) fn remove_state(&mut self, secrets: bool) -> Result<Outcome, MachineError> {
        self.remove_ssh_config()?;
        if secrets {
            let scope = Scope::Machine(self.name.clone());
            for name in self.machines.vault().names()?.remove(&scope).unwrap_or_default() {
                self.machines.vault().remove(&scope, &name)?;
            }
        }
        self.folder.remove()?;
        Ok(Outcome::Done)
    }
}
