//! Where a machine's module comes from.

mod git;
mod repository;

pub use repository::Repository;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A module's source and what of it to take. Written `SOURCE[#OUTPUT]`, where SOURCE is a folder, a `.nix` file, a git
/// URL (`https://…`, `ssh://…`, `git@host:path`, `git+file:///…`, with `?ref=…&dir=…`), a flake shorthand
/// (`github:owner/repository`) or an editor's `file:` URI of a folder or file, and OUTPUT the name of a module output of
/// a flake (`default` where it is left out and there is a flake).
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
    /// folder from a file. Paths come out absolute and without symbolic links, so that two ways to write one are equal.
    ///
    /// # Errors
    /// [`InvalidSource`] where the path does not exist or the URL is of no kind that git knows.
    pub fn parse(text: &str, base: &Path) -> Result<Self, InvalidSource> {
        Self::read(text.trim(), base)
            .map_err(|reason| InvalidSource { text: git::without_password(text), reason })
    }

    fn read(text: &str, base: &Path) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        // A folder may well have `#` in its name.
        if base.join(text).exists() {
            return Self::local(&base.join(text), None);
        }
        let (place, output) = match text.rsplit_once('#') {
            Some((place, output)) => (place, Some(output_name(output)?)),
            None => (text, None),
        };
        if let Some(path) = file_uri(place)? {
            return Self::local(&path, output);
        }
        if let Some(url) = git::url(place)? {
            return Ok(Self { kind: SourceKind::Git(url), output });
        }
        Self::local(&base.join(place.strip_prefix("path:").unwrap_or(place)), output)
    }

    fn local(path: &Path, output: Option<String>) -> Result<Self, String> {
        let path = dunce::canonicalize(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
            _ => format!("it cannot be read ({error})"),
        })?;
        if path.to_str().is_none() {
            return Err("its path is not valid UTF-8".into());
        }
        let kind = if path.is_dir() {
            SourceKind::Folder(path)
        } else if path.file_name().is_some_and(|name| name == "flake.nix") {
            SourceKind::Folder(path.parent().unwrap_or(Path::new("/")).to_owned())
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "nix") {
            if output.is_some() {
                return Err("only a flake has outputs, and this is a plain file".into());
            }
            SourceKind::File(path)
        } else {
            return Err("it is neither a folder nor a .nix file".into());
        };
        Ok(Self { kind, output })
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

/// The name of a module output, with or without the set that it is in.
fn output_name(text: &str) -> Result<String, String> {
    let name = ["codchiModules.", "nixosModules."]
        .into_iter()
        .find_map(|set| text.strip_prefix(set))
        .unwrap_or(text);
    if name.is_empty() {
        return Err("the name of an output is missing after `#`".into());
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'$\\/#".contains(c)) {
        return Err(format!("`{name}` is not the name of an output"));
    }
    Ok(name.to_owned())
}

/// The path of an editor's `file:` URI; one with a query is a git URL.
fn file_uri(text: &str) -> Result<Option<PathBuf>, String> {
    if !text.starts_with("file:") || text.contains('?') {
        return Ok(None);
    }
    let path = url::Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
    path.map(Some).ok_or_else(|| "it is not the URI of a file of this computer".into())
}

#[cfg(test)]
mod tests;
