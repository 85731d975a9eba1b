//! Host secrets: what already is on this computer, and is handed into a machine where it asks and the person agrees.

use crate::instance::Parts;
use crate::{MachineError, Manifest, Permissions};
use codchi_driver::{Device, InstanceSpec};
use codchi_host::{Capability, HostSecret};

/// Where the host's SSH agent is in a machine.
pub(crate) const AGENT_SOCKET: &str = "/run/ssh-agent.sock";

/// A host secret that a machine's modules ask for, or that the person has given or denied it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostSecretStatus {
    /// Which one.
    pub name: HostSecret,
    /// Whether the modules ask for it.
    pub asked: bool,
    /// Whether the person lets the machine have it; `None` where they were not asked yet.
    pub allowed: Option<bool>,
    /// Whether there is such a thing on this computer.
    pub available: bool,
    /// What is there, or why there is nothing, as a sentence; no value.
    pub message: String,
}

/// Whether the modules ask for a host secret.
pub(crate) fn is_asked(manifest: &Manifest, secret: HostSecret) -> bool {
    let of = manifest.host_secrets;
    match secret {
        HostSecret::CaCertificates => of.ca_certificates,
        // Under its name as a capability, too.
        HostSecret::SshAgent => of.ssh_agent || has_agent(manifest),
        HostSecret::SshKeys => of.ssh_keys,
        HostSecret::GitCredentials => of.git_credentials,
        HostSecret::Tokens => of.tokens,
    }
}

/// Whether the modules ask for the host's SSH agent.
pub(crate) fn has_agent(manifest: &Manifest) -> bool {
    let asked = manifest.required_capabilities.iter().chain(&manifest.optional_capabilities);
    manifest.host_secrets.ssh_agent || asked.into_iter().any(|name| name == Capability::SshAgent.name())
}

/// Adds to `spec` what host secrets become in an instance.
///
/// # Errors
/// Any.
pub(crate) fn hand_in(spec: &mut InstanceSpec, parts: &Parts<'_>) -> Result<(), MachineError> {
    let socket = parts.host.environment.get("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
    if let Some(socket) = socket.filter(|_| has_agent(&parts.generation.manifest)) {
        let keys = [
            ("type", "proxy".into()),
            ("bind", "instance".into()),
            ("connect", format!("unix:{socket}")),
            ("listen", format!("unix:{AGENT_SOCKET}")),
            ("uid", parts.generation.uid.to_string()),
            ("gid", parts.generation.gid.to_string()),
            ("mode", "0600".into()),
        ];
        let keys = keys.into_iter().map(|(key, value)| (key.into(), value)).collect();
        spec.devices.insert("ssh-agent".into(), Device::Raw(keys));
    }
    Ok(())
}

/// The host secrets that `manifest` asks for or the person has answered about.
pub(crate) fn status(manifest: &Manifest, permissions: &Permissions) -> Vec<HostSecretStatus> {
    let status = |name| HostSecretStatus {
        name,
        asked: is_asked(manifest, name),
        allowed: permissions.host_secret(name),
        available: true,
        message: String::new(),
    };
    let all = HostSecret::ALL.into_iter().map(status);
    all.filter(|secret| secret.asked || secret.allowed.is_some()).collect()
}
