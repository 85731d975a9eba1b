//! What can go wrong with an engine, sorted by who can do something about it.

use crate::types::DriverKind;

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No engine was found on this computer.
    #[error("No LXD or Incus was found on this computer: {searched}")]
    NotInstalled {
        /// Where it was looked for, as a sentence.
        searched: String,
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
    /// The engine refused or failed.
    #[error("{action} failed: {message}")]
    Engine {
        /// What was being done, e.g. `Creating instance codchi-x`.
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
            Self::NotRunning { name } => {
                Some(format!("Start it with `codchi start {}`.", name.strip_prefix("codchi-").unwrap_or(name)))
            }
            _ => None,
        }
    }
}
