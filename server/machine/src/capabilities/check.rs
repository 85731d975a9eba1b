//! Whether capabilities work in a machine: what `codchi-capabilities` there is asked (nix/README.md) and what it says.

use super::devices::sockets;
use super::{Given, used};
use crate::host_secrets::listens_at;
use crate::{MachineName, Manifest, Permissions};
use codchi_driver::DriverKind;
use codchi_host::{Capability, Host, HostSecret};

/// The arguments of `codchi-capabilities`: the name of each capability that the machine gets, or `NAME:SOCKET` for each of its
/// sockets in there.
pub(crate) fn arguments(
    driver: DriverKind,
    manifest: &Manifest,
    permissions: &Permissions,
    host: &Host,
) -> Vec<String> {
    let mut all = Vec::new();
    for capability in used(manifest, permissions, host) {
        match capability {
            Capability::Audio | Capability::Display => {
                all.extend(sockets(capability, host).iter().map(|(.., path)| format!("{capability}:{path}")));
            }
            Capability::SshAgent => {
                all.push(format!("{capability}:{}", listens_at(driver, HostSecret::SshAgent)))
            }
            other => all.push(other.to_string()),
        }
    }
    all
}

/// What its output says: a line for each argument that it was given, with what does not work after a space. What it does not speak
/// of, as one of an earlier codchi may not know it, is given and nothing more is known: it counts as working.
pub(crate) fn found(arguments: &[String], output: &str) -> Given {
    let mut given = Given::new();
    for argument in arguments {
        let Ok(capability) = argument.split(':').next().unwrap_or_default().parse() else { continue };
        let line = output.lines().find_map(|line| line.strip_prefix(argument.as_str())?.strip_prefix(' '));
        let failed: &mut Option<String> = given.entry(capability).or_default();
        // The first thing that fails is what is told.
        if failed.is_none() {
            *failed = line.map(|what| what.trim().to_owned()).filter(|what| !what.is_empty());
        }
    }
    given
}

/// That a capability does not work, as a sentence.
pub(crate) fn failure(capability: Capability, what: &str) -> String {
    format!("`{capability}` was handed in, but does not work in the machine: {}.", what.trim_end_matches('.'))
}

/// What to do about that, as sentences.
pub(crate) fn remedy(name: &MachineName, capability: Capability) -> String {
    let again = format!("Then try `codchi start {name}`.");
    let restart = format!("Restart the machine with `codchi stop {name}` and `codchi start {name}`.");
    match capability {
        Capability::Gpu | Capability::Kvm | Capability::Fuse | Capability::Tun | Capability::Usb => {
            format!("{restart} If that does not help, see `codchi doctor {name}`.")
        }
        Capability::Cuda => format!("`nvidia-smi` on the host must list the card. {restart}"),
        Capability::Audio => format!(
            "Start the sound server again (`systemctl --user restart pipewire pipewire-pulse`). {again}"
        ),
        Capability::Display => format!("Run codchi from a session on this computer's desktop. {again}"),
        Capability::SshAgent => format!("Start an agent (`eval $(ssh-agent)`, then `ssh-add`). {again}"),
        Capability::Nesting => restart,
    }
}
