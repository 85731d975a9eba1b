//! Why there is no catalogue.

use codchi_nix::NixError;
use std::io;

/// Why there is no catalogue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    /// Nix could not be asked, or the nixpkgs does not evaluate.
    #[error("Nix does not say which options there are")]
    Nix(#[source] NixError),
    /// The same, not long ago.
    #[error("{0} (not tried again for a day)")]
    Before(String),
    /// The cache cannot be read or written.
    #[error("The cache of options cannot be used")]
    Io(#[source] io::Error),
    /// Nobody wants it any more.
    #[error("Cancelled")]
    Cancelled,
}

impl CatalogueError {
    /// Whether it would be the same the next time.
    pub(super) fn is_lasting(&self) -> bool {
        let is_of_this_moment = |error: &NixError| {
            matches!(
                error,
                NixError::NotInstalled | NixError::Process { .. } | NixError::TooMuchMemory { limit: None }
            )
        };
        match self {
            Self::Nix(error) => !is_of_this_moment(error),
            Self::Before(_) | Self::Io(_) => true,
            Self::Cancelled => false,
        }
    }

    /// What the person can do next, as a sentence.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Nix(error) => error.hint(),
            Self::Io(_) => {
                Some("Make room in the cache folder ($XDG_CACHE_HOME, ~/.cache) or make it writable.".into())
            }
            Self::Before(_) | Self::Cancelled => None,
        }
    }
}

impl From<NixError> for CatalogueError {
    fn from(error: NixError) -> Self {
        match error {
            NixError::Cancelled => Self::Cancelled,
            error => Self::Nix(error),
        }
    }
}

impl From<io::Error> for CatalogueError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::Interrupted => Self::Cancelled,
            _ => Self::Io(error),
        }
    }
}
