//! What can go wrong with an engine, sorted by who can do something about it.

use crate::types::DriverKind;

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No engine was found on this computer.
    #[error("No {} was found on this computer: {searched}", wanted.map_or_else(|| "LXD or Incus".to_owned(), |kind| kind.to_string()))]
    NotInstalled {
        /// Which was looked for, where it had to be a certain one.
        wanted: Option<DriverKind>,
        /// Where it was looked for, as a sentence.
        searched: String,
    },
    /// The engine is there but cannot run machines as it is.
    #[error("{kind} cannot be used: {reason}")]
    Unusable {
        /// The engine.
        kind: DriverKind,
        /// Why, e.g. `it is version 0.58, and 0.67.6 is the first that can run systemd`.
        reason: String,
        /// What to do about it, as a sentence.
        remedy: String,
    },
    /// The engine is there, but this user may not use it.
    #[error("{kind} is installed, but {socket} may not be used by this user")]
    NoPermission {
        /// The engine.
        kind: DriverKind,
        /// Its socket's path.
        socket: String,
        /// The Unix group that owns the socket.
        group: String,
    },
    /// The engine is there but does not answer.
    #[error("{kind} does not answer on {socket}")]
    Unreachable {
        /// The engine.
        kind: DriverKind,
        /// Its socket's path.
        socket: String,
        /// What the connection said.
        #[source]
        source: std::io::Error,
    },
    /// The engine was never set up: there is nothing to keep an instance's root file system on.
    #[error("{kind} is not set up: {}", match pool { Some(_) => "its default profile has no root disk", None => "it has no storage pool" })]
    NotInitialised {
        /// The engine.
        kind: DriverKind,
        /// A storage pool that there is, where only the profile lacks its root disk.
        pool: Option<String>,
    },
    /// The name is used by an instance that is not ours, or is being created by somebody else.
    #[error("The name `{name}` is already taken by another instance")]
    NameTaken {
        /// The instance's name.
        name: String,
    },
    /// There is no such instance.
    #[error("There is no instance `{name}`")]
    NotFound {
        /// The instance's name.
        name: String,
    },
    /// The instance is not running, and the request needs it to be.
    #[error("The instance `{name}` is not running")]
    NotRunning {
        /// The instance's name.
        name: String,
    },
    /// The instance runs or is about to, and the request needs it stopped.
    #[error("The instance `{name}` is running")]
    StillRunning {
        /// The instance's name.
        name: String,
    },
    /// An archive could not be read or written, or is none.
    #[error("{} failed because of the archive", capitalised(action))]
    Archive {
        /// What was being done, e.g. `importing instance codchi-x`.
        action: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine refused or failed.
    #[error("{} failed: {message}", capitalised(action))]
    Engine {
        /// What was being done, e.g. `creating instance codchi-x`.
        action: String,
        /// The engine's own words.
        message: String,
    },
    /// The engine answered something that its API does not allow.
    #[error("Unexpected answer while {action}: {message}")]
    Protocol {
        /// What was being done.
        action: String,
        /// What was unexpected.
        message: String,
    },
    /// A connection broke in the middle.
    #[error("The connection to the engine broke while {action}")]
    Connection {
        /// What was being done.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DriverError {
    /// What the user can do next, as a sentence; `None` where the message already says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotInstalled { wanted: Some(DriverKind::Wsl), .. } => {
                Some("Run `wsl --install --no-distribution` in a terminal of Windows as administrator, restart Windows, then run `codchi doctor`.".into())
            }
            Self::Unusable { remedy, .. } => Some(remedy.clone()),
            Self::NotInstalled { .. } => Some(
                "Install Incus (Debian, Ubuntu: `sudo apt install incus`; NixOS: `virtualisation.incus.enable = true`) \
                 or LXD (`sudo snap install lxd && sudo lxd init --minimal`), then run `codchi doctor`."
                    .into(),
            ),
            Self::NoPermission { group, .. } => Some(format!(
                "Add yourself to the group `{group}` with `sudo usermod -aG {group} $USER`, then log in again \
                 (or run `newgrp {group}` in this terminal)."
            )),
            Self::Unreachable { kind, .. } => Some(match kind {
                DriverKind::Incus => "Start it with `sudo systemctl start incus`.".into(),
                _ => "Start it with `sudo systemctl start lxd` (or `sudo snap start lxd`).".into(),
            }),
            Self::NotInitialised { kind, pool } => Some(match (kind, pool) {
                (DriverKind::Incus, None) => "Run `sudo incus admin init --minimal`.".into(),
                (_, None) => "Run `sudo lxd init --minimal`.".into(),
                (kind, Some(pool)) => {
                    let client = if *kind == DriverKind::Incus { "incus" } else { "lxc" };
                    format!("Run `{client} profile device add default root disk path=/ pool={pool}`.")
                }
            }),
            Self::NotRunning { name } => Some(format!("Start it with `codchi start {}`.", machine(name))),
            Self::StillRunning { name } => Some(format!("Stop it with `codchi stop {}`.", machine(name))),
            Self::NameTaken { .. } => {
                Some("Choose another name, or delete or rename that instance with the engine's own tools.".into())
            }
            _ => None,
        }
    }
}

/// The machine whose instance this is.
fn machine(instance: &str) -> &str {
    instance.strip_prefix("codchi-").unwrap_or(instance)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_a_pool_is_told_from_a_profile_without_a_disk() {
        let error = DriverError::NotInitialised { kind: DriverKind::Lxd, pool: None };
        assert_eq!(error.to_string(), "LXD is not set up: it has no storage pool");
        assert_eq!(error.hint().unwrap(), "Run `sudo lxd init --minimal`.");
        let error = DriverError::NotInitialised { kind: DriverKind::Incus, pool: Some("fast".into()) };
        assert_eq!(error.to_string(), "Incus is not set up: its default profile has no root disk");
        assert_eq!(
            error.hint().unwrap(),
            "Run `incus profile device add default root disk path=/ pool=fast`."
        );
    }

    #[test]
    fn a_failure_begins_with_a_capital() {
        let error = DriverError::Engine { action: "starting instance x".into(), message: "no".into() };
        assert_eq!(error.to_string(), "Starting instance x failed: no");
    }
}
