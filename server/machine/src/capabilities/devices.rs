//! What capabilities become in an instance: devices and configuration of LXD and Incus, whose words are the same.
//!
//! A device node has no udev in the machine to give it an owner, so everybody there may use it. `/dev/fuse` and `/dev/net/tun` are in
//! every instance anyway, as the engines see no harm in them: not to hand them in takes nothing away. A socket is handed in by a
//! *proxy*: the engine listens in the machine and connects to the host's socket anew for each client, so that a sound server that
//! was restarted is found again. It passes on file descriptors, too, which PipeWire and Wayland need; but one may arrive with bytes
//! that were sent before it, which PulseAudio's protocol does not bear: its shared memory is off in machines.
//!
//! The proxies' sockets are in `/dev`: it is there before the machine's init runs and stays as it is, while `/run` and `/tmp` are
//! made anew by systemd, over whatever the engine has put there.

use super::used;
use crate::instance::Parts;
use codchi_driver::{Device, InstanceSpec};
use codchi_host::{Capability, Host};
use std::path::{Path, PathBuf};

/// PulseAudio's socket in a machine.
pub(super) const PULSE: &str = "/dev/codchi-pulse";
/// That of PipeWire.
pub(super) const PIPEWIRE: &str = "/dev/codchi-pipewire";
/// That of the Wayland compositor.
pub(super) const WAYLAND: &str = "/dev/codchi-wayland";
/// That of the X server; `codchi-receive` makes it the machine's display 0.
pub(super) const X11: &str = "/dev/codchi-x11";

/// The sockets that a capability becomes: a device's name, the host's socket, and the one in the machine.
pub(super) fn sockets(capability: Capability, host: &Host) -> Vec<(&'static str, PathBuf, &'static str)> {
    let (first, second) = match capability {
        Capability::Audio => {
            let sound = host.sound();
            (
                sound.pulse.map(|socket| ("pulse", socket, PULSE)),
                sound.pipewire.map(|socket| ("pipewire", socket, PIPEWIRE)),
            )
        }
        Capability::Display => {
            let display = host.display();
            (
                display.wayland.map(|socket| ("wayland", socket, WAYLAND)),
                display.x11.map(|x11| ("x11", x11.socket, X11)),
            )
        }
        _ => (None, None),
    };
    first.into_iter().chain(second).collect()
}

/// Adds to `spec` what the machine's capabilities become in an instance. That of the SSH agent is a host secret's.
pub(crate) fn hand_in(spec: &mut InstanceSpec, parts: &Parts<'_>) {
    for capability in used(&parts.generation.manifest, parts.permissions, parts.host) {
        let mut device = |name: &str, keys: &[(&str, &str)]| {
            let keys = keys.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            spec.devices.insert(name.into(), Device::Raw(keys));
        };
        let node =
            |path: &'static str| [("type", "unix-char"), ("source", path), ("path", path), ("mode", "0666")];
        match capability {
            Capability::Gpu | Capability::Cuda => {
                device("gpu", &[("type", "gpu"), ("gputype", "physical"), ("mode", "0666")]);
            }
            // All there are; the engine hands in and takes away what is plugged in and out.
            Capability::Usb => device("usb", &[("type", "usb"), ("mode", "0666")]),
            Capability::Kvm => device("kvm", &node("/dev/kvm")),
            Capability::Fuse => device("fuse", &node("/dev/fuse")),
            Capability::Tun => device("tun", &node("/dev/net/tun")),
            Capability::Audio | Capability::Display | Capability::Nesting | Capability::SshAgent => {}
        }
        let mut set = |key: &str, value: &str| spec.config.insert(key.into(), value.into());
        match capability {
            Capability::Cuda => {
                // The engine mounts the libraries of the host's driver, which must be those of its kernel module.
                set("nvidia.runtime", "true");
                set("nvidia.driver.capabilities", "all");
            }
            Capability::Nesting => {
                set("security.nesting", "true");
                // What Docker does when it unpacks layers of images.
                if parts.host.intercepts_calls() {
                    set("security.syscalls.intercept.mknod", "true");
                    set("security.syscalls.intercept.setxattr", "true");
                }
            }
            _ => {}
        }
        for (name, source, path) in sockets(capability, parts.host) {
            spec.devices
                .insert(name.into(), proxy(&source, path, (parts.generation.uid, parts.generation.gid)));
        }
    }
}

/// The host's socket `source` at `path` in the machine, for its user alone. The engine connects to it as the person who runs codchi,
/// whom sound servers and displays let in.
fn proxy(source: &Path, path: &str, (uid, gid): (u32, u32)) -> Device {
    let mut keys = vec![
        ("type", "proxy".to_owned()),
        ("bind", "instance".into()),
        ("connect", format!("unix:{}", source.display())),
        ("listen", format!("unix:{path}")),
        ("uid", uid.to_string()),
        ("gid", gid.to_string()),
        ("mode", "0600".into()),
    ];
    if let Some((uid, gid)) = person() {
        keys.push(("security.uid", uid.to_string()));
        keys.push(("security.gid", gid.to_string()));
    }
    Device::Raw(keys.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// The ids of the person who runs codchi; `None` for root, and on Windows, where no engine connects to sockets.
fn person() -> Option<(u32, u32)> {
    #[cfg(unix)]
    return {
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        (!user.is_root()).then(|| (user.as_raw(), group.as_raw()))
    };
    #[cfg(not(unix))]
    None
}
