//! Host secrets: what already is on this computer, and is handed into a machine where it asks and the person agrees.

mod git;
mod given;
mod tokens;

pub(crate) use given::{Given, gather};

use crate::bridge::{Place, SERVED};
use crate::instance::Parts;
use crate::vault::Opened;
use crate::{MachineError, MachineName, Manifest, Permissions};
use codchi_driver::{Device, DriverKind, InstanceSpec};
use codchi_host::{Availability, Capability, Host, HostSecret};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
        HostSecret::SshAgent => of.ssh_agent || names_agent(manifest),
        HostSecret::SshKeys => of.ssh_keys,
        HostSecret::GitCredentials => of.git_credentials,
        HostSecret::Tokens => of.tokens,
    }
}

fn names_agent(manifest: &Manifest) -> bool {
    let asked = manifest.required_capabilities.iter().chain(&manifest.optional_capabilities);
    asked.into_iter().any(|name| name == Capability::SshAgent.name())
}

/// Where a machine of a driver finds what it asks for at each use. Where the engine passes a socket in, it is in `/dev`, which that has
/// mounted before the machine's first process, while a `/run` that this mounts itself would hide what was there before. On WSL `/dev` is one
/// file system for all distributions; there it is in `/var`, which is the machine's own, and where nothing is mounted while it boots either.
pub(crate) fn listens_at(driver: DriverKind, secret: HostSecret) -> &'static str {
    match (driver.passes_sockets(), secret == HostSecret::SshAgent) {
        (true, true) => "/dev/codchi-agent",
        (true, false) => "/dev/codchi-git",
        (false, true) => "/var/codchi-agent",
        (false, false) => "/var/codchi-git",
    }
}

/// Adds to `spec` what host secrets become in an instance: the sockets of the [bridge](crate::bridge), where the engine passes sockets in.
///
/// # Errors
/// Where no socket can be where it has to be.
pub(crate) fn hand_in(spec: &mut InstanceSpec, parts: &Parts<'_>) -> Result<(), MachineError> {
    if !parts.server.kind.passes_sockets() {
        return Ok(());
    }
    for secret in SERVED.into_iter().filter(|secret| parts.permissions.host_secret(*secret) == Some(true)) {
        let socket = Place::of(parts.paths).socket(parts.definition, secret)?;
        let keys = [
            ("type", "proxy".into()),
            ("bind", "instance".into()),
            ("connect", format!("unix:{}", socket.display())),
            ("listen", format!("unix:{}", listens_at(parts.server.kind, secret))),
            ("uid", parts.generation.uid.to_string()),
            ("gid", parts.generation.gid.to_string()),
            ("mode", "0600".into()),
        ];
        let keys = keys.into_iter().map(|(key, value)| (key.into(), value)).collect();
        spec.devices.insert(secret.name().into(), Device::Raw(keys));
    }
    Ok(())
}

/// What there is of host secrets on this computer now: looked at once for all machines.
pub(crate) struct Found {
    probed: BTreeMap<HostSecret, Availability>,
    /// See [`digests`].
    pub(crate) digests: BTreeMap<HostSecret, String>,
}

impl Found {
    /// Reads files and starts no process. `certificates` are the person's own files of certificates.
    pub(crate) fn look(host: &Host, certificates: &[PathBuf]) -> Self {
        let probed = HostSecret::ALL.map(|secret| (secret, host.probe_secret(secret, certificates)));
        Self { probed: probed.into(), digests: digests(host, certificates) }
    }

    /// The host secrets that `manifest` asks for or the person has answered about.
    pub(crate) fn status(
        &self,
        machine: &MachineName,
        manifest: &Manifest,
        permissions: &Permissions,
        vault: Option<&Opened>,
    ) -> Vec<HostSecretStatus> {
        let status = |name| {
            let set = match (name, vault) {
                (HostSecret::Tokens, Some(vault)) => tokens::set(machine, vault),
                _ => Vec::new(),
            };
            let probed = self.probed.get(&name);
            let mut message = probed.map(|probed| probed.probed.clone()).unwrap_or_default();
            if !set.is_empty() {
                message = format!("Set in the vault: {}. {message}", set.join(", "));
            }
            HostSecretStatus {
                name,
                asked: is_asked(manifest, name),
                allowed: permissions.host_secret(name),
                available: !set.is_empty() || probed.is_some_and(|probed| probed.available),
                message,
            }
        };
        let all = HostSecret::ALL.into_iter().map(status);
        all.filter(|secret| secret.asked || secret.allowed.is_some()).collect()
    }
}

/// What tells the files of this computer that are delivered from others, by what they are delivered as.
fn digests(host: &Host, certificates: &[PathBuf]) -> BTreeMap<HostSecret, String> {
    let mut certificate = Sha256::new();
    certificate.update(host.certificates(certificates).pem());
    let mut ssh = Sha256::new();
    for file in host.ssh_files() {
        ssh.update(Sha256::digest(file.name.as_bytes()));
        ssh.update(Sha256::digest(&file.contents));
    }
    [(HostSecret::CaCertificates, certificate), (HostSecret::SshKeys, ssh)]
        .map(|(secret, digest)| (secret, hex::encode(digest.finalize())))
        .into()
}
