//! Host secrets: what already is on this computer, and is handed into a machine where it asks and the person agrees.

use crate::Manifest;
use crate::instance::Parts;
use codchi_driver::{Device, InstanceSpec};
use codchi_host::Capability;

/// Where the host's SSH agent is in a machine.
pub(crate) const AGENT_SOCKET: &str = "/run/ssh-agent.sock";

/// Whether the modules ask for the host's SSH agent.
pub(crate) fn has_agent(manifest: &Manifest) -> bool {
    let asked = manifest.required_capabilities.iter().chain(&manifest.optional_capabilities);
    manifest.host_secrets.ssh_agent || asked.into_iter().any(|name| name == Capability::SshAgent.name())
}

/// Adds to `spec` what host secrets become in an instance.
pub(crate) fn hand_in(spec: &mut InstanceSpec, parts: &Parts<'_>) {
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
}
