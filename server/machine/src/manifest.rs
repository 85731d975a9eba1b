//! What the modules of a machine ask of the host, as evaluated: the JSON that `nix/lib.nix` gives as `manifest`.

use std::collections::BTreeMap;

/// What the modules of a machine ask of the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// User secrets by name.
    pub secrets: BTreeMap<String, SecretSpec>,
    /// Names of capabilities that must be there.
    pub required_capabilities: Vec<String>,
    /// Names of capabilities to use where they are there.
    pub optional_capabilities: Vec<String>,
    /// Host secrets that are asked for.
    pub host_secrets: HostSecrets,
    /// Run once, as the user, after creation; empty for none.
    pub init_script: String,
    /// Options that are set but deprecated, as sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A declared user secret.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretSpec {
    /// What it is, for the person who is asked; what each module says, where several declare it.
    pub description: String,
    /// The modules that declare it, as a person writes them; none where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_by: Vec<String>,
    /// Whether the machine is refused without it.
    pub required: bool,
    /// Whether it becomes `$CODCHI_NAME`.
    pub env: bool,
    /// Whether it becomes a file.
    pub file: bool,
    /// A regular expression (POSIX extended, as `builtins.match`) that the whole value must match.
    pub pattern: Option<String>,
    /// Whether the value may have several lines.
    pub multiline: bool,
    /// systemd services that use it; they get it as an environment variable where it becomes one.
    pub units: Vec<String>,
    /// The file's owner in the machine.
    pub owner: String,
    /// The file's permissions, octal, e.g. `0400`.
    pub mode: String,
}

/// Which host secrets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own in nix/modules")]
pub struct HostSecrets {
    /// The host's CA certificates.
    pub ca_certificates: bool,
    /// The host's SSH agent.
    pub ssh_agent: bool,
    /// The host's SSH keys.
    pub ssh_keys: bool,
    /// The host's git credentials.
    pub git_credentials: bool,
    /// Tokens of the host's tools.
    pub tokens: bool,
}
