//! Passphrases: of the vault's key, and of the secrets in an export.

use super::prompt::{self, Reply};
use anyhow::Context as _;
use codchi_machine::{MachineError, Secret};
use std::path::Path;
use zeroize::Zeroizing;

/// The first line of a file.
pub(super) fn of_file(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("Reading {} failed", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    let secret = Secret::new(line).filter(|secret| !secret.expose().is_empty());
    secret.ok_or_else(|| error(&format!("{} holds no passphrase", path.display())).into())
}

/// A new one, asked for twice: a passphrase that nobody knows opens nothing.
pub(super) async fn new(prompt: &str) -> anyhow::Result<Secret> {
    let mut asked = Vec::new();
    for prompt in [prompt, "The passphrase again"] {
        match prompt::secret(prompt.into(), None, false).await {
            Reply::Given(secret) => asked.push(secret),
            Reply::Closed => return Err(MachineError::Cancelled.into()),
            Reply::CannotAsk => return Err(cannot_ask().into()),
        }
    }
    match asked.as_slice() {
        [first, second] if first == second && !first.expose().is_empty() => Ok(first.clone()),
        [first, second] if first == second => Err(error("The passphrase is empty").into()),
        _ => Err(error("The two passphrases differ").into()),
    }
}

/// There is no terminal to ask on.
pub(super) fn cannot_ask() -> MachineError {
    MachineError::User {
        message: "There is no terminal to ask for the passphrase on".into(),
        hint: Some("Name a file that holds it: `--passphrase-file FILE`.".into()),
    }
}

pub(super) fn error(message: &str) -> MachineError {
    MachineError::User { message: message.into(), hint: Some("Try again.".into()) }
}
