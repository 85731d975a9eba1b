//! What Nix says when it fails.

use std::path::PathBuf;

/// A place in a source file, as Nix reports it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// The file; may lie in the Nix store.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// Why a `nix` run did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NixError {
    /// No `nix` on PATH or in the places where installers put it.
    #[error("Nix was not found on this computer")]
    NotInstalled,
    /// The installed Nix is too old for the expression at hand.
    #[error("Nix {found} is installed, but {needed} or newer is needed")]
    TooOld {
        /// What is installed.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// Nix evaluated or built and reported an error.
    #[error("{message}")]
    Failed {
        /// The error's first paragraph, without colours and without `error:`.
        message: String,
        /// Where, if Nix says it.
        position: Option<Position>,
        /// The trace, innermost first: text and place.
        trace: Vec<(String, Option<Position>)>,
        /// For a failed build: the derivation, and its log's last lines.
        build: Option<Box<FailedBuild>>,
    },
    /// Cancelled by the caller.
    #[error("Cancelled")]
    Cancelled,
    /// It took longer than it may, and was ended.
    #[error("Nix took longer than {} and was stopped", seconds(*limit))]
    TooSlow {
        /// What it may take.
        limit: std::time::Duration,
    },
    /// It needed more memory than it may, or than there is.
    #[error("Nix needed too much memory{}", within(*limit))]
    TooMuchMemory {
        /// What it may take, in bytes; `None` where something else ended it.
        limit: Option<u64>,
    },
    /// It printed more than it may, and was ended.
    #[error("Nix printed more than {} and was stopped", mebibytes(*limit))]
    TooMuchOutput {
        /// What it may print, in bytes.
        limit: u64,
    },
    /// The process could not be run or its output could not be read.
    #[error("Running `{command}` failed")]
    Process {
        /// Program and subcommand; no values.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nix succeeded but its output is not what was expected.
    #[error("`{command}` printed something unexpected")]
    Output {
        /// Program and subcommand.
        command: String,
        /// Why it could not be read.
        #[source]
        source: serde_json::Error,
    },
}

/// A derivation that did not build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBuild {
    /// Its path in the store.
    pub derivation: String,
    /// The last lines of its log, at most 25.
    pub last_lines: Vec<String>,
}

impl NixError {
    /// What the user can do next, as a sentence; `None` where the message already says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotInstalled if cfg!(windows) => Some(
                "Nix is not made for Windows: machines have it in WSL. What only it could tell of a module is not known while \
                 that is edited."
                    .into(),
            ),
            Self::NotInstalled => Some(
                "Install Nix (https://nixos.org/download, or `sudo apt install nix-bin` on Debian and Ubuntu), open a \
                 new terminal and run `codchi doctor`."
                    .into(),
            ),
            Self::TooSlow { .. } | Self::TooMuchMemory { limit: Some(_) } | Self::TooMuchOutput { .. } => Some(
                "Look for a recursion without an end, or a very large value, in what was evaluated.".into(),
            ),
            Self::TooMuchMemory { limit: None } => Some("Close other programs, then try again.".into()),
            Self::TooOld { .. } => Some("Update Nix, then run `codchi doctor`.".into()),
            _ => None,
        }
    }
}

fn seconds(time: std::time::Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

fn mebibytes(bytes: u64) -> String {
    let mebibyte = 1 << 20;
    if bytes < mebibyte { format!("{bytes} bytes") } else { format!("{} MiB", bytes / mebibyte) }
}

fn within(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!(" (more than {})", mebibytes(limit)),
        None => ": it was killed".into(),
    }
}
