//! What already is on this computer and may be handed into a machine. The names are those of `codchi.hostSecrets` in
//! `nix/modules`, as a person writes them on a command line.

use crate::probe::{no, yes};
use crate::{Availability, Host};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Something of the person's on this computer that a machine gets on request, and with their permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostSecret {
    /// The certificate authorities that this computer trusts.
    CaCertificates,
    /// The SSH agent: its keys can be used, not read.
    SshAgent,
    /// SSH keys and configuration, read-only.
    SshKeys,
    /// git's identity, and its credential helper, asked anew for each request.
    GitCredentials,
    /// Access tokens of tools such as `gh`.
    Tokens,
}

/// A name is not a host secret's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host secret")]
pub struct UnknownHostSecret(pub String);

impl HostSecret {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::CaCertificates, Self::SshAgent, Self::SshKeys, Self::GitCredentials, Self::Tokens];

    /// The name that a person writes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CaCertificates => "ca-certificates",
            Self::SshAgent => "ssh-agent",
            Self::SshKeys => "ssh-keys",
            Self::GitCredentials => "git-credentials",
            Self::Tokens => "tokens",
        }
    }
}

impl Host {
    /// Whether there is such a thing on this computer, and what; `certificates` are the person's own files of certificates.
    #[must_use]
    pub fn probe_secret(&self, secret: HostSecret, certificates: &[PathBuf]) -> Availability {
        match secret {
            HostSecret::CaCertificates => {
                let found = self.certificates(certificates);
                let files: Vec<String> = found.files.iter().map(|file| file.display().to_string()).collect();
                let problems = found.problems.iter().map(|problem| format!(" {problem}")).collect::<String>();
                match found.blocks.len() {
                    0 => no(
                        &format!("No list of certificate authorities was found.{problems}"),
                        "Name files in `ca-certificates` of config.toml.",
                    ),
                    count => yes(format!("{count} certificates in {}.{problems}", files.join(", "))),
                }
            }
            HostSecret::SshAgent => self.ssh_agent(),
            HostSecret::SshKeys => {
                let names: Vec<String> = self.ssh_files().into_iter().map(|file| file.name).collect();
                match names.is_empty() {
                    true => no(
                        "There are no keys and no configuration in ~/.ssh.",
                        "Make a key with `ssh-keygen`.",
                    ),
                    false => yes(format!("{} files in ~/.ssh: {}.", names.len(), names.join(", "))),
                }
            }
            HostSecret::GitCredentials => match self.has_program("git") {
                true => yes("git is on this computer."),
                false => no("There is no `git` on this computer.", "Install git."),
            },
            HostSecret::Tokens => {
                let tools: Vec<&str> =
                    ["gh", "glab"].into_iter().filter(|name| self.has_program(name)).collect();
                match tools.is_empty() {
                    true => no(
                        "Neither `gh` nor `glab` is on this computer.",
                        "Set tokens by hand, e.g. `codchi secret set GH_TOKEN`.",
                    ),
                    false => yes(format!("There is {} on this computer.", tools.join(" and "))),
                }
            }
        }
    }

    fn has_program(&self, name: &str) -> bool {
        let folders =
            self.variable("PATH").unwrap_or_default().split(':').filter(|folder| !folder.is_empty());
        folders.into_iter().any(|folder| self.at(PathBuf::from(folder).join(name)).is_file())
    }
}

impl fmt::Display for HostSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HostSecret {
    type Err = UnknownHostSecret;

    fn from_str(name: &str) -> Result<Self, UnknownHostSecret> {
        Self::ALL
            .into_iter()
            .find(|secret| secret.name() == name)
            .ok_or_else(|| UnknownHostSecret(name.to_owned()))
    }
}
