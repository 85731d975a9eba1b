//! Windows' Credential Manager. It is open as long as the person is logged in, and asks nobody.

use super::Lookup;
use keyring::{Entry, Error};
use std::path::Path;
use zeroize::Zeroizing;

/// The keyring of this session.
pub(in crate::vault) struct Keyring(());

impl Keyring {
    /// The keyring; every session has one.
    pub(in crate::vault) fn of_session() -> Option<Self> {
        Some(Self(()))
    }

    /// What is stored for `vault`.
    pub(in crate::vault) fn lookup(&self, vault: &Path, _unlock: bool) -> Lookup {
        match entry(vault).and_then(|entry| entry.get_password()) {
            Ok(text) => Lookup::Found(Zeroizing::new(text)),
            Err(Error::NoEntry | Error::BadEncoding(_) | Error::Ambiguous(_)) => Lookup::Nothing,
            Err(error) => Lookup::NoAnswer(error.to_string()),
        }
    }

    /// Forgets what is stored for `vault`.
    ///
    /// # Errors
    /// Why it may still be there.
    pub(in crate::vault) fn remove(&self, vault: &Path) -> Result<(), String> {
        match entry(vault).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Stores `text` for `vault`; whether the keyring has taken it.
    pub(in crate::vault) fn store(&self, vault: &Path, text: &str) -> bool {
        let stored = entry(vault).and_then(|entry| {
            entry.set_password(text)?;
            // A policy of the organisation may keep credentials from being stored.
            Ok(Zeroizing::new(entry.get_password()?).as_str() == text)
        });
        stored.unwrap_or_else(|error| {
            tracing::info!("the keyring was not used: {error}");
            false
        })
    }
}

fn entry(vault: &Path) -> Result<Entry, Error> {
    Entry::new("codchi", &vault.display().to_string())
}
