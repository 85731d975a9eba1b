//! Which nixpkgs a machine is made of, as a person chooses it, and the pin that the machines of a computer share.
//!
//! The pin is a flake of one input below the data folder, locked once: machines that are made later get the same
//! revision, until an update moves it. A machine's own lock holds the revision that it took from there, so that moving
//! the pin changes no machine.

use crate::files::{io_error, make_folder, read_optional, replace, write_atomic};
use crate::flake::quote;
use crate::state::FileLock;
use crate::{CancellationToken, MachineError, Paths};
use codchi_nix::{Lock, Nix, NixError, Revision};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// nixpkgs where neither the request nor the configuration names one.
pub const DEFAULT_NIXPKGS: &str = "github:NixOS/nixpkgs/nixos-unstable";

/// Which nixpkgs a machine is made of. Written `pin`, `follow`, `follow:MODULE` or a flake URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NixpkgsChoice {
    /// The one that all machines of this computer share: what one has downloaded, the next one needs not.
    Pin,
    /// The input `nixpkgs` of one of its modules (the first where it is not said): what the module was tested with.
    Follow(Option<String>),
    /// A flake URL of its own.
    Url(String),
}

/// A text is not a choice of nixpkgs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no nixpkgs: write `pin`, `follow`, `follow:MODULE` or a flake URL")]
pub struct InvalidNixpkgs(String);

impl FromStr for NixpkgsChoice {
    type Err = InvalidNixpkgs;

    fn from_str(text: &str) -> Result<Self, InvalidNixpkgs> {
        let text = text.trim();
        match text.split_once(':') {
            _ if text == "pin" => Ok(Self::Pin),
            _ if text == "follow" => Ok(Self::Follow(None)),
            Some(("follow", module)) if !module.is_empty() => Ok(Self::Follow(Some(module.to_owned()))),
            Some((scheme, rest)) if scheme != "follow" && !scheme.is_empty() && !rest.is_empty() => {
                Ok(Self::Url(text.to_owned()))
            }
            None if text.starts_with('/') => Ok(Self::Url(text.to_owned())),
            _ => Err(InvalidNixpkgs(text.to_owned())),
        }
    }
}

impl fmt::Display for NixpkgsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin => f.write_str("pin"),
            Self::Follow(None) => f.write_str("follow"),
            Self::Follow(Some(module)) => write!(f, "follow:{module}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// The pin of this computer.
pub(crate) struct Pin {
    folder: PathBuf,
    lock: PathBuf,
}

/// The name of the pin's only input.
const INPUT: &str = "nixpkgs";

impl Pin {
    /// The pin below these folders; it need not be there.
    pub(crate) fn new(paths: &Paths) -> Self {
        // No machine's name begins with a dot.
        Self { folder: paths.data.join("nixpkgs"), lock: paths.data.join("locks").join(".nixpkgs") }
    }

    /// The flake.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("flake.lock")
    }

    /// Whether it is there, and of `url`.
    pub(crate) fn is_of(&self, url: &str) -> bool {
        let written = read_optional(&self.folder.join("flake.nix")).ok().flatten();
        written.is_some_and(|written| written == render(url).as_bytes()) && self.lock_file().is_file()
    }

    /// The revision that it holds; `None` where there is none yet.
    pub(crate) fn revision(&self) -> Option<Revision> {
        let text = read_optional(&self.lock_file()).ok()??;
        let lock = Lock::parse(&String::from_utf8(text).ok()?).ok()?;
        lock.locked(INPUT, &self.folder).map(|locked| Revision::new(&locked))
    }

    /// Makes it hold a revision of `url`: the newest where it is of another one, or `newest` is asked for. It stays so
    /// until what this gives is dropped.
    ///
    /// # Errors
    /// Where that cannot be fetched; then it is as before.
    pub(crate) async fn hold(
        &self,
        url: &str,
        newest: bool,
        nix: &Nix,
        cancel: &CancellationToken,
    ) -> Result<FileLock, MachineError> {
        let held = FileLock::wait(&self.lock, cancel).await?;
        let is_of = self.is_of(url);
        if is_of && !newest {
            return Ok(held);
        }
        make_folder(&self.folder)?;
        let failed = |e| io_error("Writing", &self.folder, e);
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.folder).map_err(failed)?;
        let flake = render(url);
        replace(&new.path().join("flake.nix"), flake.as_bytes(), 0o600).map_err(failed)?;
        nix.lock(new.path(), &[], cancel).await.map_err(|error| match error {
            NixError::Cancelled => MachineError::Cancelled,
            error => error.into(),
        })?;
        let locked = std::fs::read(new.path().join("flake.lock")).map_err(failed)?;
        // Whatever a crash leaves: a lock of another flake is never taken for this one's.
        if !is_of {
            write_atomic(&self.folder.join("flake.nix"), b"", 0o600)?;
        }
        write_atomic(&self.lock_file(), &locked, 0o600)?;
        write_atomic(&self.folder.join("flake.nix"), flake.as_bytes(), 0o600)?;
        Ok(held)
    }
}

/// The lock file of the pin that new machines get, where there is one of the nixpkgs with this URL.
#[must_use]
pub fn nixpkgs_pin(paths: &Paths, url: &str) -> Option<PathBuf> {
    let pin = Pin::new(paths);
    pin.is_of(url).then(|| pin.lock_file())
}

fn render(url: &str) -> String {
    format!(
        "# Written by codchi: the nixpkgs that the machines of this computer share.\n\
         {{\n  inputs.{INPUT}.url = {};\n  outputs = _: {{ }};\n}}\n",
        quote(url)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_as_it_is_read() {
        for text in ["pin", "follow", "follow:2", "follow:git+https://host/a#x", "github:NixOS/nixpkgs", "/a"]
        {
            assert_eq!(text.parse::<NixpkgsChoice>().unwrap().to_string(), text);
        }
        assert_eq!("follow:/a b".parse(), Ok(NixpkgsChoice::Follow(Some("/a b".into()))));
        for wrong in ["", "pinned", "follow:", ":", "github:", "./nixpkgs"] {
            assert!(wrong.parse::<NixpkgsChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pin_is_of_the_url_that_it_was_locked_for() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        let pin = Pin::new(&paths);
        assert!(!pin.is_of("path:/a") && pin.revision().is_none());
        std::fs::create_dir_all(&pin.folder).unwrap();
        std::fs::write(pin.folder.join("flake.nix"), render("path:/a")).unwrap();
        assert_eq!(nixpkgs_pin(&paths, "path:/a"), None, "nothing is locked yet");
        let lock = r#"{"nodes":{"nixpkgs":{"locked":{"type":"git","rev":"abc"}},
            "root":{"inputs":{"nixpkgs":"nixpkgs"}}},"root":"root","version":7}"#;
        std::fs::write(pin.lock_file(), lock).unwrap();
        assert_eq!(nixpkgs_pin(&paths, "path:/a"), Some(pin.lock_file()));
        assert_eq!(nixpkgs_pin(&paths, "path:/b"), None);
        assert_eq!(pin.revision().unwrap().commit.as_deref(), Some("abc"));
    }
}
