//! How the vault is.

use super::backup::count;
use super::{Backup, KeyPlace, LockedBy, Vault, VaultError};
use crate::status::sentence;
use std::path::PathBuf;

/// How the vault is. Nobody is asked for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultStatus {
    /// Its file, whether it is there or not.
    pub file: PathBuf,
    /// What is known of its contents.
    pub state: VaultState,
    /// The version of its format; `None` where it is not known.
    pub format: Option<u32>,
    /// The key file, whether it is there or not.
    pub key_file: PathBuf,
    /// Where the key is.
    pub key: KeyPlace,
    /// The backups, the newest first.
    pub backups: Vec<Backup>,
}

/// What is known of a vault's contents.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum VaultState {
    /// There is none yet: nothing was set.
    None,
    /// It can be read.
    Open {
        /// How many values are in it.
        values: usize,
    },
    /// A person is needed to open it.
    Locked {
        /// By what.
        by: LockedBy,
    },
    /// It cannot be read.
    Unreadable {
        /// Why and what to do, as sentences.
        why: String,
        /// Whether it is damage, which [`Vault::repair`] is for.
        damaged: bool,
    },
}

impl Vault {
    /// How the vault is. Blocking.
    ///
    /// # Errors
    /// Where the data folder cannot be read.
    pub fn status(&self) -> Result<VaultStatus, VaultError> {
        let (state, format) = match self.load(&self.file) {
            Ok(None) => (VaultState::None, None),
            Ok(Some(loaded)) => (VaultState::Open { values: count(&loaded.values) }, Some(loaded.version)),
            Err(VaultError::Locked { by, .. }) => (VaultState::Locked { by }, None),
            Err(error) => {
                let why = sentence(&error, error.hint().as_deref());
                let format = match &error {
                    VaultError::Newer { version, .. } => Some(*version),
                    _ => None,
                };
                (VaultState::Unreadable { why, damaged: error.is_damage() }, format)
            }
        };
        Ok(VaultStatus {
            file: self.file.clone(),
            state,
            format,
            key_file: self.keys.file().to_owned(),
            key: self.keys.place()?,
            backups: self.backups()?,
        })
    }
}
