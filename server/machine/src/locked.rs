//! What a machine has locked, and what to do where that fails.

use crate::flake::PIN;
use crate::state::{Definition, MachineFolder, NixpkgsFrom};
use crate::{MachineError, MachineName};
use codchi_nix::{Lock, NixError, Revision};
use serde_json::Value;
use std::path::{Path, PathBuf};

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

/// A lock's text whose entry of the shared nixpkgs says that this lies in `pin`, where it says another place: a machine's
/// folder may have come from another computer, and keeps the revision that it has.
pub(crate) fn moved_pin(text: &str, pin: &Path) -> Option<String> {
    let mut lock: Value = serde_json::from_str(text).ok()?;
    let root = lock.get("root")?.as_str()?.to_owned();
    let node = lock.get("nodes")?.get(&root)?.get("inputs")?.get(PIN)?.as_str()?.to_owned();
    let node = lock.get_mut("nodes")?.get_mut(&node)?.as_object_mut()?;
    let place = Value::from(pin.to_str()?);
    if node.get("original")?.get("path")? == &place {
        return None;
    }
    for part in ["original", "locked"] {
        node.get_mut(part)?.as_object_mut()?.insert("path".into(), place.clone());
    }
    serde_json::to_string_pretty(&lock).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_shared_nixpkgs_is_looked_for_where_it_is_now_and_keeps_its_revision() {
        let lock = |path: &str| {
            json!({
                "nodes": {
                    "pin": {
                        "inputs": { "nixpkgs": "nixpkgs" },
                        "locked": { "narHash": "sha256-x", "path": path, "type": "path" },
                        "original": { "path": path, "type": "path" },
                    },
                    "nixpkgs": { "locked": { "type": "github", "rev": "abc" } },
                    "root": { "inputs": { "nixpkgs": ["pin", "nixpkgs"], "pin": "pin" } },
                },
                "root": "root",
                "version": 7,
            })
        };
        let moved = moved_pin(&lock("/old").to_string(), Path::new("/new")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&moved).unwrap(), lock("/new"));
        assert_eq!(moved_pin(&moved, Path::new("/new")), None, "it is there already");
        for other in ["", "{}", r#"{"root":"root","nodes":{"root":{"inputs":{"nixpkgs":"n"}}}}"#] {
            assert_eq!(moved_pin(other, Path::new("/new")), None, "{other}");
        }
    }
}
