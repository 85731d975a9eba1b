//! Why the vault could not be read or written, and what to do about it.

use std::fmt;
use std::path::Path;

/// The variable that names a file with the passphrase of the key file, for scripts.
pub(super) const PASSPHRASE_FILE: &str = "CODCHI_VAULT_PASSPHRASE_FILE";

/// What keeps the key from being read without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockedBy {
    /// The key file is encrypted to a passphrase, which this process was not told.
    Passphrase,
    /// The keyring that has the key is locked.
    Keyring,
}

impl fmt::Display for LockedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "its key is protected by a passphrase",
            Self::Keyring => "the keyring that has its key is locked",
        })
    }
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
    /// The file, or the key's, is damaged.
    #[error("The vault {path} cannot be read: {reason}")]
    Corrupt {
        /// The vault's file.
        path: String,
        /// Why not; no values.
        reason: String,
    },
    /// A newer codchi has written the file.
    #[error("The vault {path} is of version {version}, and this codchi knows versions up to {known}")]
    Newer {
        /// The vault's file.
        path: String,
        /// Its version.
        version: u32,
        /// The newest that can be read.
        known: u32,
    },
    /// The vault exists but its key does not.
    #[error("The key to the vault {path} is gone: it was looked for in {searched}")]
    KeyMissing {
        /// The vault's file.
        path: String,
        /// Where.
        searched: String,
        /// Whether there is a keyring that gave no answer: then the key may be there.
        unanswered: bool,
    },
    /// The key is there and a person is needed to get at it. [`Vault::unlock`](super::Vault::unlock) asks.
    #[error("The vault {path} is locked: {by}")]
    Locked {
        /// The vault's file.
        path: String,
        /// By what.
        by: LockedBy,
    },
    /// The passphrase in the file that the environment names is wrong, or there is none in it.
    #[error("The passphrase in {file} does not open the key of the vault")]
    WrongPassphrase {
        /// The file.
        file: String,
    },
}

impl VaultError {
    /// What the user can do next, as a sentence; `None` where the message already says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::KeyMissing { unanswered: true, .. } => {
                Some("Start or unlock the keyring of your session, then try again.".into())
            }
            Self::WrongKey { .. } | Self::KeyMissing { .. } => Some(
                "Restore the key from a backup, or try again in the session whose keyring has it. Where it is lost, the \
                 values are too: `codchi vault repair` sets the file aside and starts anew."
                    .into(),
            ),
            Self::Corrupt { .. } => Some(
                "`codchi vault repair` sets it aside, and takes the last backup that can be read in its place.".into(),
            ),
            Self::Newer { .. } => Some("Update codchi; the file stays as it is.".into()),
            Self::Locked { by: LockedBy::Passphrase, .. } => Some(format!(
                "`codchi secret ls` and every operation that needs a secret ask for the passphrase where there is a person \
                 to be asked; for scripts, ${PASSPHRASE_FILE} names a file that holds it."
            )),
            Self::Locked { by: LockedBy::Keyring, .. } => Some(
                "Unlock the keyring; every operation that needs a secret makes it ask for its password, too.".into(),
            ),
            Self::WrongPassphrase { .. } => Some(format!(
                "Correct the file, or unset ${PASSPHRASE_FILE} to be asked."
            )),
            Self::Io { source, .. } => crate::explain::hint(&source.to_string()).map(Into::into),
        }
    }

    /// Whether [`Vault::repair`](super::Vault::repair) can do something about it: the file or the key is there, and no good.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::WrongKey { .. } | Self::Corrupt { .. } => true,
            Self::KeyMissing { unanswered, .. } => !unanswered,
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::InvalidData,
            Self::Newer { .. } | Self::Locked { .. } | Self::WrongPassphrase { .. } => false,
        }
    }
}

pub(super) fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> VaultError {
    VaultError::Io { action, path: path.display().to_string(), source }
}
