//! The engines that a lab can start, and what is called differently in each.

use super::incus;
use crate::apt;
use crate::process::path_with;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An engine that a lab can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Canonical's LXD, as this distribution has it.
    Lxd,
    /// Incus, as Debian's backports have it.
    Incus,
}

/// What an engine and its parts are called.
pub(crate) struct Words {
    /// As people say it.
    pub(crate) name: &'static str,
    /// The folder of its state in a lab.
    pub(crate) folder: &'static str,
    /// The variable that names the daemon's folder.
    dir: &'static str,
    /// The variable that names the folder of the client's own configuration.
    conf: &'static str,
    /// The variable that names a socket, which would count for more than the folder.
    socket: &'static str,
    /// The client.
    pub(crate) client: &'static str,
    /// The daemon.
    pub(crate) daemon: &'static str,
    /// What the daemon's own commands begin with.
    pub(crate) admin: &'static [&'static str],
    /// The packages that it needs on this computer.
    packages: &'static [&'static str],
}

impl Engine {
    /// All there are.
    pub(crate) const ALL: [Self; 2] = [Self::Lxd, Self::Incus];

    /// What it and its parts are called.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::Lxd => &Words {
                name: "LXD",
                folder: "lxd",
                dir: "LXD_DIR",
                conf: "LXD_CONF",
                socket: "LXD_SOCKET",
                client: "lxc",
                daemon: "lxd",
                admin: &["lxd"],
                packages: &["lxd", "lxd-client", "iproute2"],
            },
            Self::Incus => &Words {
                name: "Incus",
                folder: "incus",
                dir: "INCUS_DIR",
                conf: "INCUS_CONF",
                socket: "INCUS_SOCKET",
                client: "incus",
                daemon: "incusd",
                admin: &["incus", "admin"],
                packages: incus::NEEDED,
            },
        }
    }

    /// Installs what is missing, `also` among it; gives the folder of its programs where they are not on `PATH`.
    pub(crate) fn install(self, cache: &Path, also: &[&str]) -> Result<Option<PathBuf>> {
        apt::packages(&[self.words().packages, also].concat())?;
        match self {
            Self::Lxd => Ok(None),
            Self::Incus => incus::prepare(cache).map(Some),
        }
    }
}

/// An engine of a lab.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// Which it is.
    pub(crate) engine: Engine,
    /// The daemon's folder; its socket is `unix.socket` in it.
    pub(crate) dir: PathBuf,
    /// The folder of the client's own configuration.
    pub(crate) conf: PathBuf,
    /// The folder of its programs, where they are not on `PATH`.
    pub(crate) programs: Option<PathBuf>,
}

impl Running {
    /// The environment in which its client and codchi talk to this daemon and to no other.
    pub(crate) fn env(&self) -> Vec<(&'static str, PathBuf)> {
        let Words { dir, conf, .. } = self.engine.words();
        let mut env = vec![(*dir, self.dir.clone()), (*conf, self.conf.clone())];
        env.extend(self.programs.as_deref().map(|folder| ("PATH", path_with(folder).into())));
        env
    }

    /// A command in that environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env()).env_remove(self.engine.words().socket).stdin(Stdio::null());
        command
    }
}
