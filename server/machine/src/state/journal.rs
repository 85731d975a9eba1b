//! `journal.json`: the operation under way, so that the next run can finish or undo an interrupted one.

use super::definition::{newer_codchi, of_any_format};
use super::{Definition, MachineFolder};
use crate::files::remove_file;
use crate::{MachineError, MachineName, Operation, Step};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
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
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "of_any_format")]
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

/// What a journal of any version calls what is done.
#[derive(serde::Deserialize)]
struct Names {
    operation: String,
    #[serde(default)]
    begun: Vec<String>,
    definition: Option<Version>,
}

#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

impl Names {
    /// Whether this version does not know all of it: it cannot undo what it does not know.
    fn are_new(&self) -> bool {
        fn is_known<T: DeserializeOwned>(name: &str) -> bool {
            let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
            T::deserialize(name).is_ok()
        }
        !is_known::<Operation>(&self.operation)
            || !self.begun.iter().all(|step| is_known::<Step>(step))
            || self.definition.as_ref().is_some_and(|it| it.version > Definition::VERSION)
    }
}

impl MachineFolder {
    /// Reads the journal; `None` where no operation is under way or was interrupted.
    ///
    /// # Errors
    /// [`MachineError::Damaged`], and where a newer codchi has written it.
    pub(crate) fn journal(&self) -> Result<Option<Journal>, MachineError> {
        const FILE: &str = "journal.json";
        let journal = self.read_json(FILE);
        match (&journal, self.read_json::<Names>(FILE)) {
            (Err(_), Ok(Some(names))) if names.are_new() => Err(newer_codchi(&self.root().join(FILE))),
            _ => journal,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::NixpkgsFrom;

    /// What reading this journal gives.
    fn read(text: &str) -> Result<Option<Journal>, MachineError> {
        let data = tempfile::tempdir().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &"a".parse().unwrap());
        std::fs::create_dir_all(folder.root()).unwrap();
        std::fs::write(folder.root().join("journal.json"), text).unwrap();
        folder.journal()
    }

    #[test]
    fn a_journal_with_words_that_this_version_does_not_know_is_a_newer_ones() {
        for text in [
            r#"{ "operation": "teleport", "begun": [] }"#,
            r#"{ "operation": "rebuild", "begun": ["lock", "teleport"] }"#,
            r#"{ "operation": "rebuild", "begun": [], "definition": { "version": 99, "new": {} } }"#,
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().ends_with("journal.json was written by a newer codchi"), "{error}");
            assert_eq!(error.hint().as_deref(), Some("Update codchi."));
        }
        // What is merely wrong is not newer.
        let error = read(r#"{ "operation": "rebuild", "begun": "lock" }"#).unwrap_err();
        assert!(error.to_string().contains("journal.json:1:"), "{error}");
        assert_eq!(
            read(r#"{ "operation": "stop", "begun": [] }"#).unwrap(),
            Some(Journal::new(Operation::Stop))
        );
    }

    #[test]
    fn what_a_machine_was_made_of_is_read_in_the_first_format_too() {
        let text = r#"{ "operation": "rebuild", "begun": ["lock"], "definition": {
            "version": 1, "id": "x", "driver": "incus", "nixpkgs": "github:NixOS/nixpkgs", "created": 5,
            "modules": [{ "folder": "/p", "output": "dev" }, { "file": "/q.nix" }] } }"#;
        let definition = read(text).unwrap().unwrap().definition.unwrap();
        assert_eq!((definition.version, definition.next_input), (Definition::VERSION, 2));
        assert_eq!(definition.nixpkgs, NixpkgsFrom::Url("github:NixOS/nixpkgs".into()));
        let inputs: Vec<&str> = definition.modules.iter().map(|module| module.input.as_str()).collect();
        assert_eq!(inputs, ["module-0", "module-1"]);
        // And as this version writes it.
        let journal = Journal { definition: Some(definition), ..Journal::new(Operation::Rebuild) };
        assert_eq!(read(&serde_json::to_string(&journal).unwrap()).unwrap(), Some(journal));
    }
}
