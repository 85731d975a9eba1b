//! Providers: where values of secrets come from that the vault does not have, as the person configured it.
//!
//! A provider is asked for one secret at a time, by its name and the machine's. What it gives is used and never stored.

mod command;
mod dotenv;

use crate::{CancellationToken, MachineError, MachineName, Secret};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The providers, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Vec<Provider>")]
pub struct Providers(Vec<Provider>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Provider {
    /// What it is called; no other has the name.
    pub name: String,
    /// Where it looks.
    pub kind: ProviderKind,
}

/// Where a provider looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKind {
    /// Variables of codchi's own environment: this prefix and the secret's name.
    Environment {
        /// The prefix.
        prefix: String,
    },
    /// A file of lines `NAME=value`; no value where it is not there.
    Dotenv {
        /// The file; relative to the home folder.
        file: PathBuf,
        /// What its names begin with before the secret's.
        prefix: String,
    },
    /// What a program prints, without the last newline.
    Command {
        /// The program.
        program: String,
        /// Its arguments, in which `{name}` and `{machine}` stand for the secret's and the machine's name.
        arguments: Vec<String>,
        /// The exit code that says that it has no value.
        missing: i32,
        /// How long it may take.
        limit: Duration,
    },
}

/// What a provider of [`ProviderKind::Environment`] puts before a name, where it is not said.
const PREFIX: &str = "CODCHI_SECRET_";
/// How long a program may take in seconds, where it is not said: a person may have to put a finger somewhere.
const LIMIT: u64 = 60;

/// As it is written in `config.toml`.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Written {
    Environment { name: Option<String>, prefix: Option<String> },
    Dotenv { name: Option<String>, file: PathBuf, prefix: Option<String> },
    Command { name: Option<String>, command: Vec<String>, missing: Option<i32>, timeout: Option<u64> },
}

impl TryFrom<Written> for Provider {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (name, kind) = match written {
            Written::Environment { name, prefix } => {
                let prefix = prefix.unwrap_or_else(|| PREFIX.into());
                (name.unwrap_or_else(|| "environment".into()), ProviderKind::Environment { prefix })
            }
            Written::Dotenv { name, file, prefix } => {
                let prefix = prefix.unwrap_or_default();
                (name.unwrap_or_else(|| "dotenv".into()), ProviderKind::Dotenv { file, prefix })
            }
            Written::Command { name, command, missing, timeout } => {
                let mut words = command.into_iter();
                let program = words.next().filter(|program| !program.is_empty());
                let program = program.ok_or("the `command` of a secret provider names no program")?;
                let missing = missing.unwrap_or(1);
                if !(1..=255).contains(&missing) {
                    return Err("`missing` of a secret provider is an exit code between 1 and 255".into());
                }
                let limit = Duration::from_secs(timeout.unwrap_or(LIMIT));
                if limit.is_zero() {
                    return Err("`timeout` of a secret provider is a number of seconds, at least 1".into());
                }
                let name = name.unwrap_or_else(|| {
                    let file = Path::new(&program).file_name();
                    file.map_or_else(|| program.clone(), |file| file.to_string_lossy().into_owned())
                });
                let kind = ProviderKind::Command { program, arguments: words.collect(), missing, limit };
                (name, kind)
            }
        };
        if name.trim().is_empty() {
            return Err("the `name` of a secret provider is empty".into());
        }
        Ok(Self { name, kind })
    }
}

impl TryFrom<Vec<Provider>> for Providers {
    type Error = String;

    fn try_from(providers: Vec<Provider>) -> Result<Self, String> {
        let mut names = BTreeSet::new();
        match providers.iter().find(|provider| !names.insert(&provider.name)) {
            Some(twice) => {
                Err(format!("two secret providers are called `{}`: give one a `name`", twice.name))
            }
            None => Ok(Self(providers)),
        }
    }
}

/// How a provider is, as far as that can be known without asking it for a secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// What it is called.
    pub name: String,
    /// Its kind, as in `config.toml`.
    pub kind: &'static str,
    /// Whether it can be asked.
    pub ok: bool,
    /// What was found, as a sentence.
    pub message: String,
}

/// What a provider said about one secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ProviderAnswer {
    /// It has a value.
    Has,
    /// It has none.
    None,
    /// It could not be asked.
    Failed {
        /// Why and what to do, as sentences.
        why: String,
    },
}

impl Providers {
    /// All of them, in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }

    /// Whether there is one that only a program can ask: then a secret without a value elsewhere may have one.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.0.iter().any(|provider| matches!(provider.kind, ProviderKind::Command { .. }))
    }

    /// The names of the secrets that have a value in the environment or in a file, and from which provider. Blocking. What
    /// cannot be read has none.
    #[must_use]
    pub fn at_hand(&self, home: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for provider in &self.0 {
            for name in provider.names(home) {
                found.entry(name).or_insert_with(|| provider.name.clone());
            }
        }
        found
    }

    /// How each of them is; `home` is the person's home folder. Blocking.
    #[must_use]
    pub fn status(&self, home: &Path) -> Vec<ProviderStatus> {
        self.0.iter().map(|provider| provider.status(home)).collect()
    }
}

impl Provider {
    /// Its value of a secret for `machine`; `None` where it has none.
    ///
    /// # Errors
    /// [`MachineError::User`] where it cannot be asked, or answers something that is no value; [`MachineError::Cancelled`].
    pub(crate) async fn value(
        &self,
        name: &str,
        machine: Option<&MachineName>,
        home: &Path,
        cancel: &CancellationToken,
    ) -> Result<Option<Secret>, MachineError> {
        match &self.kind {
            ProviderKind::Environment { prefix } => {
                let Some(value) = std::env::var_os(format!("{prefix}{name}")) else { return Ok(None) };
                let value = Secret::new(value.into_encoded_bytes());
                Ok(value.filter(|value| !value.expose().is_empty()))
            }
            ProviderKind::Dotenv { file, prefix } => {
                let path = dotenv::path(file, home);
                let values = tokio::task::spawn_blocking(move || dotenv::read(&path)).await;
                let values = values.map_err(|e| self.failed(&e.to_string(), None))?;
                let mut values = values.map_err(|why| self.failed(&why, Some("Correct the file.".into())))?;
                Ok(values.remove(&format!("{prefix}{name}")))
            }
            ProviderKind::Command { program, arguments, missing, limit } => {
                let command = command::Command { program, arguments, missing: *missing, limit: *limit };
                let done = command.run(name, machine, home, cancel).await;
                done.map_err(|failure| match failure {
                    command::Failure::Cancelled => MachineError::Cancelled,
                    command::Failure::Told(why) => self.failed(
                        &format!("asking for the secret `{name}`: {why}"),
                        Some(format!(
                            "Try `codchi vault providers test {name}`, or set it: `codchi secret set {name}`."
                        )),
                    ),
                })
            }
        }
    }

    /// The names of the secrets that it has a value of, where that can be said without running a program.
    fn names(&self, home: &Path) -> BTreeSet<String> {
        match &self.kind {
            ProviderKind::Environment { prefix } => std::env::vars_os()
                .filter(|(_, value)| !value.is_empty())
                .filter_map(|(name, _)| named(prefix, name.to_str()?))
                .collect(),
            ProviderKind::Dotenv { file, prefix } => {
                let values = dotenv::read(&dotenv::path(file, home)).unwrap_or_default();
                values.keys().filter_map(|name| named(prefix, name)).collect()
            }
            ProviderKind::Command { .. } => BTreeSet::new(),
        }
    }

    fn status(&self, home: &Path) -> ProviderStatus {
        let (kind, found) = match &self.kind {
            ProviderKind::Environment { prefix } => {
                let count = self.names(home).len();
                ("environment", Ok(format!("{count} variables begin with {prefix}.")))
            }
            ProviderKind::Dotenv { file, .. } => {
                let path = dotenv::path(file, home);
                let found = match (path.exists(), dotenv::read(&path)) {
                    (false, _) => Err(format!("{} is not there.", path.display())),
                    (true, Ok(values)) => Ok(format!("{} has {} values.", path.display(), values.len())),
                    (true, Err(why)) => Err(format!("{why}.")),
                };
                ("dotenv", found)
            }
            ProviderKind::Command { program, .. } => {
                let found =
                    command::find(program, home).map(|path| format!("{} can be run.", path.display()));
                ("command", found.ok_or_else(|| format!("There is no program `{program}`.")))
            }
        };
        let ok = found.is_ok();
        ProviderStatus { name: self.name.clone(), kind, ok, message: found.unwrap_or_else(|why| why) }
    }

    fn failed(&self, why: &str, hint: Option<String>) -> MachineError {
        MachineError::User { message: format!("The secret provider `{}` failed: {why}", self.name), hint }
    }
}

/// The secret that a variable is about.
fn named(prefix: &str, variable: &str) -> Option<String> {
    variable.strip_prefix(prefix).filter(|name| !name.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests;
