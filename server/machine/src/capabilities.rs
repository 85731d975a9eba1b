//! Capabilities: which of them a machine gets, and what they become in its instance.

use crate::{Manifest, Permissions};
use codchi_driver::{Device, InstanceSpec};
use codchi_host::{Capability, Host};
use std::collections::BTreeMap;

/// A capability that a machine's modules ask for, or that the person has denied it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityStatus {
    /// Which one.
    pub name: Capability,
    /// Whether the modules cannot do without.
    pub required: bool,
    /// Whether the person lets the machine have it.
    pub allowed: bool,
    /// Whether this computer offers it.
    pub available: bool,
    /// What was looked at, or what is wrong, as a sentence.
    pub message: String,
    /// Whether it works in the machine, as of its last start; `None` where that was not looked at.
    pub works: Option<bool>,
}

/// The capabilities that a machine gets: required ones, and optional ones that the host has; none that is denied.
pub(crate) fn used(manifest: &Manifest, permissions: &Permissions, host: &Host) -> Vec<Capability> {
    let required = manifest.required_capabilities.iter().filter_map(|name| name.parse().ok());
    let optional = manifest
        .optional_capabilities
        .iter()
        .filter_map(|name| name.parse::<Capability>().ok())
        .filter(|capability| host.probe(*capability).available);
    let mut all: Vec<Capability> =
        required.chain(optional).filter(|capability| permissions.capability(*capability)).collect();
    all.sort();
    all.dedup();
    all
}

/// Adds to `spec` what `capability` becomes in an instance. That of the SSH agent is a host secret's.
pub(crate) fn hand_in(spec: &mut InstanceSpec, capability: Capability, _host: &Host) {
    let mut device = |name: &str, keys: &[(&str, String)]| {
        let keys: BTreeMap<String, String> = keys.iter().map(|(k, v)| ((*k).into(), v.clone())).collect();
        spec.devices.insert(name.into(), Device::Raw(keys));
    };
    let node = |path: &str| {
        [
            ("type", "unix-char".into()),
            ("source", path.to_owned()),
            ("path", path.into()),
            ("mode", "0666".into()),
        ]
    };
    match capability {
        Capability::Gpu => device("gpu", &[("type", "gpu".into()), ("mode", "0666".into())]),
        Capability::Kvm => device("kvm", &node("/dev/kvm")),
        Capability::Fuse => device("fuse", &node("/dev/fuse")),
        Capability::Tun => device("tun", &node("/dev/net/tun")),
        Capability::Nesting => {
            spec.config.insert("security.nesting".into(), "true".into());
        }
        Capability::SshAgent
        // Not wired up: see `is_supported`.
        | Capability::Cuda | Capability::Audio | Capability::Display | Capability::Usb => {}
    }
}

/// Whether a machine of this version can be given `capability`, whatever the host has.
pub(crate) fn is_supported(capability: Capability) -> bool {
    !matches!(capability, Capability::Cuda | Capability::Audio | Capability::Display | Capability::Usb)
}

/// What of the capabilities that `manifest` asks for a machine gets, and what not and why.
pub(crate) fn status(manifest: &Manifest, permissions: &Permissions, host: &Host) -> Vec<CapabilityStatus> {
    let asked =
        |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect::<Vec<Capability>>();
    let required = asked(&manifest.required_capabilities);
    let mut all = [required.clone(), asked(&manifest.optional_capabilities)].concat();
    all.extend(permissions.capabilities.keys());
    all.sort();
    all.dedup();
    let status = |name: Capability| {
        let found = host.probe(name);
        CapabilityStatus {
            name,
            required: required.contains(&name),
            allowed: permissions.capability(name),
            available: found.available,
            message: found.probed,
            works: None,
        }
    };
    all.into_iter().map(status).collect()
}
