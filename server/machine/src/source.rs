//! Where a machine's module comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A module's source and what of it to take. Written `SOURCE[#OUTPUT]`, where SOURCE is a folder, a `.nix` file or a
/// git URL (`https://…`, `ssh://…`, `git@host:path`, with `?ref=…&dir=…`), and OUTPUT the name of a module output of a
/// flake (`default` where it is left out and there is a flake).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModuleSource {
    /// Folder, file or URL.
    #[serde(flatten)]
    pub kind: SourceKind,
    /// The flake output's name: of `codchiModules` or `nixosModules`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What a [`ModuleSource`] points at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A local folder with a `flake.nix`, or else with a `codchi.nix` or `default.nix`. Absolute.
    Folder(PathBuf),
    /// A plain module file. Absolute.
    File(PathBuf),
    /// A git repository with a `flake.nix`, or else with a `codchi.nix` or `default.nix`, as a flake URL without the
    /// output: `git+https://host/path?ref=main`.
    Git(String),
}

/// A text is not a module source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a module: {reason}")]
pub struct InvalidSource {
    /// What was given.
    pub text: String,
    /// Why not, as a clause.
    pub reason: String,
}

impl ModuleSource {
    /// Reads `text` as a person writes it; a relative path is taken from `base`. Looks at the file system to tell a
    /// folder from a file.
    ///
    /// # Errors
    /// [`InvalidSource`] where the path does not exist or the URL is of no kind that git knows.
    pub fn parse(text: &str, base: &Path) -> Result<Self, InvalidSource> {
        let _ = (text, base);
        unimplemented!()
    }

    /// The local folder that the module lives in; `None` for a URL.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            SourceKind::Folder(folder) => Some(folder),
            SourceKind::File(file) => file.parent(),
            SourceKind::Git(_) => None,
        }
    }
}

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SourceKind::Folder(path) | SourceKind::File(path) => write!(f, "{}", path.display())?,
            SourceKind::Git(url) => f.write_str(url)?,
        }
        match &self.output {
            Some(output) => write!(f, "#{output}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ModuleSource {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        let base = std::env::current_dir().map_err(|e| InvalidSource {
            text: text.into(),
            reason: format!("the current folder is gone ({e})"),
        })?;
        Self::parse(text, &base)
    }
}
