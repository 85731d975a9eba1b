//! What already is on this computer and may be handed into a machine. The names are those of `codchi.hostSecrets` in
//! `nix/modules`, as a person writes them on a command line.

use std::fmt;
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
