//! What can go wrong, sorted by who can do something about it.

use crate::explain;
use crate::{InvalidMachineName, InvalidSource, VaultError};
use codchi_driver::DriverError;
use codchi_nix::NixError;

/// Why an operation failed. The message says what happened; [`MachineError::hint`] what to do next; the source chain
/// why.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The engine.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Nix.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A bad name.
    #[error(transparent)]
    Name(#[from] InvalidMachineName),
    /// A bad module source.
    #[error(transparent)]
    Source(#[from] InvalidSource),
    /// The person or the client cancelled it; everything was undone.
    #[error("Cancelled")]
    Cancelled,
    /// Another process is at work on the machine.
    #[error("Another codchi process is working on `{name}` ({operation}, process {pid})")]
    Busy {
        /// The machine.
        name: String,
        /// What it does.
        operation: String,
        /// Its process.
        pid: u32,
    },
    /// What the person asked for cannot be done.
    #[error("{message}")]
    User {
        /// What and why.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// A file could not be read or written.
    #[error("{action} {path} failed")]
    Io {
        /// E.g. `Writing`.
        action: &'static str,
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of codchi's state does not say what it should.
    #[error("{at}: {message}")]
    Damaged {
        /// Which file.
        path: String,
        /// The file with line and column, counted from 1, as far as they are known.
        at: String,
        /// What is wrong there.
        message: String,
    },
    /// Units failed when the machine switched to another generation.
    #[error("Switching to the new generation failed in `{name}`: {message}")]
    Activation {
        /// The machine.
        name: String,
        /// Which, and what they said last; no values of the vault.
        message: String,
        /// Where the user's modules define the first of them, where that is known.
        definition: Option<Box<codchi_nix::Position>>,
    },
    /// A step inside the machine failed.
    #[error("{action} failed in `{name}`: {message}")]
    Inside {
        /// The machine.
        name: String,
        /// What was done.
        action: String,
        /// What it printed; never a secret.
        message: String,
    },
}

impl MachineError {
    /// What the user can do next, as a sentence; `None` where the message already says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Driver(e) => e.hint().or_else(|| known_cause(e)),
            Self::Nix(NixError::Failed { message, build, .. }) => {
                let log = build.iter().flat_map(|build| &build.last_lines);
                std::iter::once(message).chain(log).find_map(|text| explain::hint(text)).map(Into::into)
            }
            Self::Nix(e) => e.hint(),
            Self::Damaged { .. } => Some(format!("Correct it, or restore it from a backup. {}", DELETABLE)),
            Self::Io { source, path, .. } => known_cause(source).or_else(|| next_step(source, path)),
            Self::Vault(e) => e.hint(),
            Self::User { hint, .. } => hint.clone(),
            Self::Busy { .. } => {
                Some("Wait until it is done, or end that process; its work is resumed or undone.".into())
            }
            Self::Activation { name, .. } | Self::Inside { name, .. } => {
                Some(format!("`codchi log {name}` shows all that was printed."))
            }
            _ => None,
        }
    }
}

/// What can be done where all is lost.
const DELETABLE: &str = "A machine whose files are damaged can still be deleted with `codchi delete` and created again: its \
                         project folder and its secrets stay.";

fn next_step(source: &std::io::Error, path: &str) -> Option<String> {
    use std::io::ErrorKind::{InvalidData, PermissionDenied, ReadOnlyFilesystem, UnexpectedEof};
    match source.kind() {
        InvalidData | UnexpectedEof => Some(format!("Restore {path} from a backup. {DELETABLE}")),
        PermissionDenied | ReadOnlyFilesystem => Some(
            "codchi must be able to write below the data, state and configuration folders; `XDG_DATA_HOME`, \
             `XDG_STATE_HOME` and `XDG_CONFIG_HOME` choose others."
                .into(),
        ),
        _ => None,
    }
}

fn known_cause(error: &dyn std::error::Error) -> Option<String> {
    explain::hint(&error.to_string()).map(Into::into)
}
