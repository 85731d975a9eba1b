//! The vault: every secret's value, in one age-encrypted file per user.

use crate::{MachineName, Paths, Secret};
use std::collections::BTreeMap;

/// For which machines a value holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// For all machines that have no value of their own.
    All,
    /// For this one.
    Machine(MachineName),
}

/// Why the vault could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file or its key could not be read or written.
    #[error("{action} {path} failed")]
    Io {
        /// `Reading` or `Writing`.
        action: &'static str,
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key does not open the file.
    #[error("The vault {path} cannot be opened with the key in {key}")]
    WrongKey {
        /// The vault's file.
        path: String,
        /// Where the key was found.
        key: String,
    },
    /// The file is not a vault, or of a newer version.
    #[error("The vault {path} cannot be read: {reason}")]
    Corrupt {
        /// The vault's file.
        path: String,
        /// Why not; no values.
        reason: String,
    },
    /// The vault exists but its key does not.
    #[error("The key to the vault {path} is gone: it was looked for in {searched}")]
    KeyMissing {
        /// The vault's file.
        path: String,
        /// Where.
        searched: String,
    },
}

/// The vault of this user. Reads the file at each call, writes it atomically under a lock between processes.
#[derive(Debug, Clone)]
pub struct Vault {
    paths: Paths,
}

impl Vault {
    /// The vault in `paths`; nothing is read yet.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self { paths }
    }

    /// The value that `machine` gets: its own, else that for all machines.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub fn get(&self, machine: &MachineName, name: &str) -> Result<Option<Secret>, VaultError> {
        let _ = (machine, name, &self.paths);
        unimplemented!()
    }

    /// Which names have a value, by scope. Values are not looked at.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub fn names(&self) -> Result<BTreeMap<Scope, Vec<String>>, VaultError> {
        unimplemented!()
    }

    /// Stores a value.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub fn set(&self, scope: &Scope, name: &str, value: &Secret) -> Result<(), VaultError> {
        let _ = (scope, name, value);
        unimplemented!()
    }

    /// Forgets a value; whether there was one.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub fn remove(&self, scope: &Scope, name: &str) -> Result<bool, VaultError> {
        let _ = (scope, name);
        unimplemented!()
    }
}
