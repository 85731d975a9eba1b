//! What a machine has locked, and what to do where that fails.

use crate::state::{Definition, MachineFolder, NixpkgsFrom};
use crate::{MachineError, MachineName};
use codchi_nix::{Lock, NixError, Revision};
use std::path::PathBuf;

/// What a machine has locked.
#[derive(Default)]
pub(crate) struct Locked {
    lock: Option<Lock>,
    folder: PathBuf,
}

impl Locked {
    /// Reads it; nothing is locked where that is damaged, and Nix then says so.
    pub(crate) fn read(folder: &MachineFolder) -> Result<Self, MachineError> {
        Ok(Self { folder: folder.flake(), ..Self::parse(folder.flake_lock()?.as_deref()) })
    }

    pub(crate) fn parse(text: Option<&str>) -> Self {
        Self { lock: text.and_then(|text| Lock::parse(text).ok()), folder: PathBuf::new() }
    }

    /// The revision of an input.
    pub(crate) fn revision(&self, input: &str) -> Option<Revision> {
        self.lock.as_ref()?.locked(input, &self.folder).map(|locked| Revision::new(&locked))
    }

    /// Whether an input is locked, and then whether it is read as a flake.
    pub(crate) fn is_flake(&self, input: &str) -> Option<bool> {
        self.lock.as_ref()?.is_flake(input)
    }
}

/// What to do where Nix cannot lock what a machine is made of.
pub(crate) fn explain_lock(error: NixError, definition: &Definition, name: &MachineName) -> MachineError {
    let NixError::Failed { message, .. } = &error else { return error.into() };
    if let (NixpkgsFrom::Follow(_), true) = (&definition.nixpkgs, message.contains("non-existent input")) {
        let choice = definition.nixpkgs_choice().to_string();
        let module = choice.trim_start_matches("follow:");
        return MachineError::User {
            message: format!("The module {module} has no input `nixpkgs` that `{name}` could follow"),
            hint: Some(format!("Choose another nixpkgs, e.g. `codchi nixpkgs {name} pin`.")),
        };
    }
    if message.contains("parse_error") && message.contains("json") {
        return MachineError::User {
            message: format!("The flake.lock of one of the modules of `{name}`, or of their inputs, is no lock: {message}"),
            hint: Some(
                "Where two branches were merged, resolve the conflict in flake.lock (the lines between <<<<<<< and >>>>>>>), or \
                 remove it and run `nix flake lock`; then commit it."
                    .into(),
            ),
        };
    }
    error.into()
}
