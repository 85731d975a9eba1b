//! One probe per capability. A probe looks at what an engine would hand into a machine, so it asks whether that is
//! there, not whether this process may open it; only where the machine's user needs the rights of the host's, as for
//! KVM, those are looked at too.

use crate::Capability;
use rustix::fs::{Access, access};
use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Whether the host offers a capability, and how that was found out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// Whether it does.
    pub available: bool,
    /// What was looked at, as a sentence: ``/dev/dri/renderD128 exists`` or ``No render node in /dev/dri``.
    pub probed: String,
    /// What to do where it does not, as a sentence.
    pub remedy: Option<String>,
}

/// Where to look: the real host, or a folder and an environment that stand for one.
#[derive(Debug, Clone)]
pub struct Host {
    /// The root of the file system.
    pub root: PathBuf,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
}

impl Host {
    /// This computer, with this process's environment.
    #[must_use]
    pub fn this() -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        // A variable that is no text is none that a probe reads.
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self { root: "/".into(), environment: environment.collect() }
    }

    /// Probes one capability.
    #[must_use]
    pub fn probe(&self, capability: Capability) -> Availability {
        match capability {
            Capability::Gpu => self.gpu(),
            Capability::Cuda => self.cuda(),
            Capability::Audio => self.audio(),
            Capability::Display => self.display(),
            Capability::Usb => self.usb(),
            Capability::SshAgent => self.ssh_agent(),
            Capability::Kvm => self.kvm(),
            Capability::Nesting => self.nesting(),
            Capability::Fuse => self.module_device("/dev/fuse", "fuse"),
            Capability::Tun => self.module_device("/dev/net/tun", "tun"),
        }
    }

    /// Probes all.
    #[must_use]
    pub fn probe_all(&self) -> BTreeMap<Capability, Availability> {
        Capability::ALL.into_iter().map(|c| (c, self.probe(c))).collect()
    }

    fn gpu(&self) -> Availability {
        match self.names("/dev/dri").into_iter().find(|name| name.starts_with("renderD")) {
            Some(node) => yes(format!("/dev/dri/{node} exists.")),
            None => no(
                "There is no render node in /dev/dri.",
                "Install the driver of this computer's graphics card; a virtual machine needs one with 3D \
                 acceleration.",
            ),
        }
    }

    fn cuda(&self) -> Availability {
        const DEVICE: &str = "/dev/nvidiactl";
        const DRIVER: &str = "/proc/driver/nvidia/version";
        const REMEDY: &str = "Install NVIDIA's driver and its container toolkit, then restart; `nvidia-smi` must \
                              list the card.";
        if !self.at(DRIVER).exists() {
            no("The NVIDIA driver is not loaded: there is no /proc/driver/nvidia/version.", REMEDY)
        } else if !self.at(DEVICE).exists() {
            no("The NVIDIA driver is loaded, but there is no /dev/nvidiactl.", REMEDY)
        } else {
            yes("The NVIDIA driver is loaded, and /dev/nvidiactl exists.")
        }
    }

    fn audio(&self) -> Availability {
        const REMEDY: &str = "Log in to a desktop, or start PipeWire or PulseAudio for your user.";
        let Some(runtime) = self.variable("XDG_RUNTIME_DIR") else {
            return no("There is no sound server: XDG_RUNTIME_DIR is not set.", REMEDY);
        };
        let sockets = ["pipewire-0", "pulse/native"].map(|name| Path::new(runtime).join(name));
        match sockets.iter().find(|path| self.is_socket(path)) {
            Some(path) => yes(format!("{} is a sound server's socket.", path.display())),
            None => no(&format!("There is no socket of PipeWire or PulseAudio in {runtime}."), REMEDY),
        }
    }

    fn display(&self) -> Availability {
        const REMEDY: &str = "Run codchi from a session on this computer's desktop.";
        let wayland = self.variable("WAYLAND_DISPLAY");
        if let Some(path) = wayland.and_then(|name| {
            // An absolute name replaces the folder.
            let folder = self.variable("XDG_RUNTIME_DIR").unwrap_or_default();
            Some(Path::new(folder).join(name)).filter(|path| path.is_absolute() && self.is_socket(path))
        }) {
            return yes(format!("{} is a Wayland display.", path.display()));
        }
        let x11 = self.variable("DISPLAY");
        let local = x11.and_then(local_x11);
        if let Some(path) = local.as_ref().filter(|path| self.is_socket(path)) {
            return yes(format!("{} is an X11 display.", path.display()));
        }
        match (wayland, x11, local) {
            (None, None, _) => no("Neither WAYLAND_DISPLAY nor DISPLAY is set.", REMEDY),
            (_, Some(display), None) => no(
                &format!("The display {display} is on another computer, or reached over a network."),
                REMEDY,
            ),
            (wayland, x11, _) => {
                let names: Vec<_> = [wayland, x11].into_iter().flatten().collect();
                no(&format!("Nothing answers as display {}.", names.join(" or ")), REMEDY)
            }
        }
    }

    fn usb(&self) -> Availability {
        const BUSES: &str = "/dev/bus/usb";
        let devices: usize =
            self.names(BUSES).iter().map(|bus| self.names(&format!("{BUSES}/{bus}")).len()).sum();
        match devices {
            0 => no(
                "There are no USB devices in /dev/bus/usb.",
                "Plug one in; a virtual machine needs USB devices passed to it.",
            ),
            1 => yes("There is a USB device in /dev/bus/usb."),
            count => yes(format!("There are {count} USB devices in /dev/bus/usb.")),
        }
    }

    fn ssh_agent(&self) -> Availability {
        const REMEDY: &str = "Start one (`eval $(ssh-agent)`, then `ssh-add`) before the editor or shell that runs \
                              codchi.";
        match self.variable("SSH_AUTH_SOCK") {
            None => no("There is no SSH agent: SSH_AUTH_SOCK is not set.", REMEDY),
            Some(path) if self.is_socket(Path::new(path)) => yes(format!("{path} is an SSH agent's socket.")),
            Some(path) => no(&format!("SSH_AUTH_SOCK is {path}, which is no socket."), REMEDY),
        }
    }

    fn kvm(&self) -> Availability {
        let device = self.at("/dev/kvm");
        if !device.exists() {
            return no(
                "There is no /dev/kvm.",
                "Turn on virtualisation (VT-x or AMD-V) in the firmware, and load the module with `sudo modprobe kvm`; \
                 a virtual machine needs nested virtualisation.",
            );
        }
        match access(device, Access::READ_OK | Access::WRITE_OK) {
            Ok(()) => yes("/dev/kvm can be read and written."),
            Err(_) => no(
                "/dev/kvm exists, but this user may not read and write it.",
                "Run `sudo usermod --append --groups kvm $USER`, then log out and in again.",
            ),
        }
    }

    fn nesting(&self) -> Availability {
        const MOST: &str = "/proc/sys/user/max_user_namespaces";
        const UNPRIVILEGED: &str = "/proc/sys/kernel/unprivileged_userns_clone";
        match self.number(MOST) {
            None => no(
                "This kernel has no user namespaces: there is no /proc/sys/user/max_user_namespaces.",
                "Use a kernel with CONFIG_USER_NS.",
            ),
            Some(0) => no(
                "User namespaces are turned off: /proc/sys/user/max_user_namespaces is 0.",
                "Run `sudo sysctl user.max_user_namespaces=15000`.",
            ),
            // Only some distributions have this switch.
            Some(_) if self.number(UNPRIVILEGED) == Some(0) => no(
                "User namespaces are turned off for all but root: /proc/sys/kernel/unprivileged_userns_clone is 0.",
                "Run `sudo sysctl kernel.unprivileged_userns_clone=1`.",
            ),
            Some(most) => yes(format!("The kernel allows {most} user namespaces.")),
        }
    }

    /// A device that a kernel module makes.
    fn module_device(&self, path: &str, module: &str) -> Availability {
        if self.at(path).exists() {
            yes(format!("{path} exists."))
        } else {
            no(
                &format!("There is no {path}."),
                &format!("Load the kernel module with `sudo modprobe {module}`."),
            )
        }
    }

    /// An absolute path of the host, as seen from here.
    fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A variable that is set to something.
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names in a folder, sorted; none where it cannot be read.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn is_socket(&self, path: &Path) -> bool {
        self.at(path).metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    fn number(&self, path: &str) -> Option<u64> {
        std::fs::read_to_string(self.at(path)).ok()?.trim().parse().ok()
    }
}

/// The socket of `:1`, `:1.0` or `unix:1`; `None` for one that is not local.
fn local_x11(display: &str) -> Option<PathBuf> {
    let (host, number) = display.rsplit_once(':')?;
    let number = number.split('.').next().filter(|number| !number.is_empty())?;
    let is_local = (host.is_empty() || host == "unix") && number.bytes().all(|byte| byte.is_ascii_digit());
    is_local.then(|| format!("/tmp/.X11-unix/X{number}").into())
}

fn yes(probed: impl Into<String>) -> Availability {
    Availability { available: true, probed: probed.into(), remedy: None }
}

fn no(probed: &str, remedy: &str) -> Availability {
    Availability { available: false, probed: probed.into(), remedy: Some(remedy.into()) }
}

#[cfg(test)]
mod tests;
