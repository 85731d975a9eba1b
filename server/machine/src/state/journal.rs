//! `journal.json`: the operation under way, so that the next run can finish or undo an interrupted one.

use super::{Definition, MachineFolder};
use crate::files::remove_file;
use crate::{MachineError, MachineName, Operation, Step};
use std::path::PathBuf;

/// The operation under way and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Journal {
    /// What is done.
    pub(crate) operation: Operation,
    /// Steps that were begun and had something to do; the last one may not be done.
    pub(crate) begun: Vec<Step>,
    /// For [`Operation::Delete`]: whether the machine's own secrets go too.
    #[serde(default)]
    pub(crate) secrets: bool,
    /// For [`Operation::Rollback`]: to which generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u32>,
    /// The current generation before; another one now says that the operation has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<u32>,
    /// For [`Operation::Update`] and [`Operation::Rebuild`]: the flake inputs of which newer revisions are locked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) update: Vec<String>,
    /// What the machine was made of before, where the operation changes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<Definition>,
    /// The text of `flake.lock` before, where the operation may change that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<String>,
    /// For [`Operation::Rename`]: the name it had. For [`Operation::Duplicate`]: the machine it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<MachineName>,
    /// For [`Operation::Rename`]: the name it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<MachineName>,
    /// Whether the machine ran before; told where the operation stops it for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ran: bool,
    /// For [`Operation::Export`]: the file that is being written, under its name of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<PathBuf>,
    /// The names of secrets that the operation puts into the vault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets_kept: Vec<String>,
}

impl Journal {
    /// Before the first step.
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            operation,
            begun: Vec::new(),
            secrets: false,
            generation: None,
            current: None,
            update: Vec::new(),
            definition: None,
            lock: None,
            from: None,
            to: None,
            ran: false,
            file: None,
            secrets_kept: Vec::new(),
        }
    }
}

impl MachineFolder {
    /// Reads the journal; `None` where no operation is under way or was interrupted.
    ///
    /// # Errors
    /// [`MachineError::Io`] where it is damaged.
    pub(crate) fn journal(&self) -> Result<Option<Journal>, MachineError> {
        self.read_json("journal.json")
    }

    /// Writes the journal.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn write_journal(&self, journal: &Journal) -> Result<(), MachineError> {
        self.write_json("journal.json", journal)
    }

    /// Removes the journal: the operation is done or undone.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn close_journal(&self) -> Result<(), MachineError> {
        remove_file(&self.root().join("journal.json"))
    }
}
