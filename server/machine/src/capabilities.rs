//! Capabilities: which of them a machine gets, and what they become in its instance.

use crate::Manifest;
use codchi_driver::{Device, InstanceSpec};
use codchi_host::{Capability, Host};
use std::collections::BTreeMap;

/// The capabilities that a machine gets: required ones, and optional ones that the host has.
pub(crate) fn used(manifest: &Manifest, host: &Host) -> Vec<Capability> {
    let required = manifest.required_capabilities.iter().filter_map(|name| name.parse().ok());
    let optional = manifest
        .optional_capabilities
        .iter()
        .filter_map(|name| name.parse::<Capability>().ok())
        .filter(|capability| host.probe(*capability).available);
    let mut all: Vec<Capability> = required.chain(optional).collect();
    all.sort();
    all.dedup();
    all
}

/// Adds to `spec` what `capability` becomes in an instance. That of the SSH agent is a host secret's.
pub(crate) fn hand_in(spec: &mut InstanceSpec, capability: Capability) {
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
