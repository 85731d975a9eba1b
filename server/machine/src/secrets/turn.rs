//! Whose turn it is to ask for a secret: one question at a time for each, between processes, so that nobody is asked twice
//! for what they have just said.

use super::refuse_name;
use crate::state::FileLock;
use crate::{CancellationToken, MachineError, Machines, Scope};
use std::path::PathBuf;

/// The turn to ask for a secret; the next one's once it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: FileLock,
}

impl Machines {
    /// Waits until nobody else asks for the secret `name` of `scope`. `None` where it has got another value meanwhile: then
    /// there is nothing to ask any more. `wait` is called where somebody else asks now.
    ///
    /// # Errors
    /// [`MachineError::Cancelled`] while it waits; where `name` is no secret's, or the vault or the lock cannot be read.
    pub async fn turn_to_ask(
        &self,
        scope: &Scope,
        name: &str,
        wait: impl FnOnce() + Send,
        cancel: &CancellationToken,
    ) -> Result<Option<Turn>, MachineError> {
        let value = || {
            let (scope, name) = (scope.clone(), name.to_owned());
            self.with_files(move |machines| Ok(machines.vault().of_scope(&scope)?.remove(&name)))
        };
        let before = value().await?;
        let turn = self.turn(scope, name, wait, cancel).await?;
        let now = value().await?;
        Ok((now.is_none() || now == before).then_some(turn))
    }

    /// The same, whatever has happened to the value.
    ///
    /// # Errors
    /// [`MachineError::Cancelled`] while it waits; where `name` is no secret's, or the lock cannot be taken.
    pub(crate) async fn turn(
        &self,
        scope: &Scope,
        name: &str,
        wait: impl FnOnce() + Send,
        cancel: &CancellationToken,
    ) -> Result<Turn, MachineError> {
        refuse_name(name)?;
        let path = self.question(scope, name);
        let lock = match FileLock::try_take(&path)? {
            Some(lock) => lock,
            None => {
                wait();
                FileLock::wait(&path, cancel).await?
            }
        };
        Ok(Turn { _lock: lock })
    }

    /// The lock around a question. The names in it are those of a machine and a secret, which have no `/`.
    fn question(&self, scope: &Scope, name: &str) -> PathBuf {
        let folder = self.paths().state.join("questions");
        match scope {
            Scope::All => folder.join("all").join(name),
            Scope::Machine(machine) => folder.join("machines").join(machine.as_str()).join(name),
        }
    }
}
