//! Capabilities: which of them a machine gets, what they become in its instance (`devices.rs`), what its sessions are told of them
//! (`session.rs`), and whether they work in it (`check.rs`).

mod check;
mod devices;
mod session;

pub(crate) use check::{arguments, failure, found, remedy};
pub(crate) use devices::hand_in;
pub(crate) use session::extra;

use crate::{MachineError, MachineName, Manifest, Permissions};
use codchi_host::{Availability, Capability, Host};
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
    /// What to do where it is not allowed, not available or does not work, as sentences.
    pub remedy: Option<String>,
    /// Whether it works in the machine, as of its last start; `None` where that was not looked at.
    pub works: Option<bool>,
}

/// What was handed into a running machine: each capability with what does not work of it there, `None` where it works.
pub(crate) type Given = BTreeMap<Capability, Option<String>>;

/// Why a machine does without a capability that its modules require.
pub(crate) enum Lack {
    /// The person has denied it.
    Denied,
    /// This computer does not offer it.
    Missing(Availability),
}

/// The capabilities that `names` name; unknown ones are of a newer codchi, and told by whoever evaluates them.
fn known(names: &[String]) -> impl Iterator<Item = Capability> {
    names.iter().filter_map(|name| name.parse().ok())
}

/// The capabilities that the modules ask for, sorted.
pub(crate) fn asked(manifest: &Manifest) -> Vec<Capability> {
    let mut all: Vec<_> =
        known(&manifest.required_capabilities).chain(known(&manifest.optional_capabilities)).collect();
    all.sort();
    all.dedup();
    all
}

/// The capabilities that a machine gets: those that are asked for, allowed, and there. One that is required is no exception: it
/// was refused when the machine was made, and a machine whose dock is unplugged should start.
pub(crate) fn used(manifest: &Manifest, permissions: &Permissions, host: &Host) -> Vec<Capability> {
    let mut all = asked(manifest);
    all.retain(|capability| permissions.capability(*capability) && host.probe(*capability).available);
    all
}

/// The required capabilities that a machine would be without, and why. That the person has not answered yet whether it may have
/// the SSH agent is no lack: they are asked.
pub(crate) fn lacking(
    manifest: &Manifest,
    permissions: &Permissions,
    host: &Host,
) -> Vec<(Capability, Lack)> {
    let lack = |capability: Capability| {
        if permissions.denies(capability) {
            return Some((capability, Lack::Denied));
        }
        let found = host.probe(capability);
        (!found.available).then_some((capability, Lack::Missing(found)))
    };
    known(&manifest.required_capabilities).filter_map(lack).collect()
}

/// The refusal to make or start machine `name` without what it requires.
pub(crate) fn refusal(name: &MachineName, lacking: Vec<(Capability, Lack)>) -> MachineError {
    let (mut denied, mut missing, mut remedies) = (Vec::new(), Vec::new(), Vec::new());
    for (capability, lack) in lacking {
        match lack {
            Lack::Denied => {
                denied.push(format!("`{capability}`"));
                remedies.push(allow(name, capability));
            }
            Lack::Missing(found) => {
                missing.push(format!("`{capability}` ({})", found.probed.trim_end_matches('.')));
                remedies.extend(found.remedy);
            }
        }
    }
    let denied = (!denied.is_empty())
        .then(|| format!("The modules need what you have denied to `{name}`: {}", denied.join(", ")));
    let missing = (!missing.is_empty())
        .then(|| format!("The modules need what this computer does not offer: {}", missing.join(", ")));
    remedies.push("Or move it to `codchi.optionalCapabilities` if the project works without.".into());
    MachineError::User {
        message: [denied, missing].into_iter().flatten().collect::<Vec<_>>().join(". "),
        hint: Some(remedies.join(" ")),
    }
}

/// How the person changes their mind, as a sentence.
fn allow(name: &MachineName, capability: Capability) -> String {
    format!("Allow it with `codchi allow {name} {capability}`.")
}

/// What of the capabilities that `manifest` asks for machine `name` gets, and what not and why. `given` is what was handed into
/// the start of it that runs.
pub(crate) fn status(
    name: &MachineName,
    manifest: &Manifest,
    permissions: &Permissions,
    host: &Host,
    given: Option<&Given>,
) -> Vec<CapabilityStatus> {
    let required: Vec<_> = known(&manifest.required_capabilities).collect();
    let mut all = asked(manifest);
    all.extend(permissions.capabilities.keys());
    all.sort();
    all.dedup();
    let status = |capability: Capability| {
        let found = host.probe(capability);
        let allowed = permissions.capability(capability);
        let failed = given.and_then(|given| given.get(&capability)).filter(|_| allowed && found.available);
        let (message, cure) = match failed {
            _ if permissions.denies(capability) => {
                ("You have denied it to this machine.".into(), Some(allow(name, capability)))
            }
            Some(Some(what)) => (failure(capability, what), Some(remedy(name, capability))),
            _ => (found.probed, found.remedy),
        };
        CapabilityStatus {
            name: capability,
            required: required.contains(&capability),
            allowed,
            available: found.available,
            message,
            remedy: cure,
            works: failed.map(Option::is_none),
        }
    };
    all.into_iter().map(status).collect()
}

#[cfg(test)]
mod tests;
