//! The probes where machines are distributions of WSL 2. What WSL offers is in every distribution alike, so little is looked at here; the machine
//! itself tries what it was given.
//!
//! Sources: <https://learn.microsoft.com/windows/wsl/tutorials/gui-apps>, <https://learn.microsoft.com/windows/wsl/connect-usb>,
//! <https://learn.microsoft.com/windows/ai/directml/gpu-cuda-in-wsl>, <https://learn.microsoft.com/windows/wsl/wsl-config>.

use super::{Availability, Host, Probe};
use crate::Capability;
use std::path::PathBuf;

/// Where a distribution has the libraries of Windows' graphics drivers.
const LIBRARIES: &str = "/usr/lib/wsl/lib";

impl Host {
    /// A library that a graphics driver of Windows gives to all distributions, seen from Windows or from one of them.
    fn wsl_library(&self, name: &str) -> Option<PathBuf> {
        let folder = if cfg!(windows) {
            PathBuf::from(self.variable("SYSTEMROOT")?).join("System32").join("lxss").join("lib")
        } else {
            LIBRARIES.into()
        };
        Some(folder.join(name)).filter(|path| self.has(path))
    }

    /// Where a program of Windows is, by `$PATH`, which in a distribution may have Windows' folders, too.
    fn program_of_windows(&self, name: &str) -> Option<PathBuf> {
        let suffix = if cfg!(windows) { "" } else { ".exe" };
        self.program(&format!("{name}{suffix}"))
    }
}

impl Probe<'_> {
    /// What WSL offers to each distribution.
    pub(super) fn on_wsl(mut self, capability: Capability) -> Availability {
        match capability {
            Capability::Gpu => {
                if let Some(library) = self.host.wsl_library("libdxcore.so") {
                    self.saw(library.display().to_string());
                }
                self.yes("WSL passes the graphics cards of Windows on (/dev/dxg).")
            }
            Capability::Cuda => match self.host.wsl_library("libcuda.so.1") {
                Some(library) => self.yes(format!("NVIDIA's driver has {} for WSL.", library.display())),
                None => self.no(
                    format!(
                        "NVIDIA's driver for Windows has no CUDA for WSL here: there is no libcuda.so.1 in {}.",
                        if cfg!(windows) { "System32\\lxss\\lib" } else { LIBRARIES }
                    ),
                    "Install NVIDIA's current driver for Windows, if there is an NVIDIA card; nothing is to be installed in WSL.",
                ),
            },
            Capability::Audio => self.yes("WSL plays and records the sound of distributions (WSLg)."),
            Capability::Display => self.yes("WSL shows the windows of distributions on the desktop (WSLg)."),
            Capability::Usb => match self.host.program_of_windows("usbipd") {
                Some(program) => {
                    self.saw(program.display().to_string());
                    self.yes("usbipd attaches USB devices to WSL: `usbipd attach --wsl`.")
                }
                None => self.no(
                    "There is no usbipd.exe on PATH, which hands USB devices to WSL.",
                    "Install it with `winget install usbipd`, then attach a device with `usbipd attach --wsl`.",
                ),
            },
            Capability::SshAgent => self.ssh_agent(),
            // Whether there is one depends on the processor, on Windows' version and on WSL's configuration.
            Capability::Kvm => self.no(
                "Whether distributions have /dev/kvm cannot be seen from Windows, so it does not count as there.",
                "On Windows 11, WSL has nested virtualisation unless `nestedVirtualization` is off in .wslconfig. Move `kvm` \
                 to `codchi.optionalCapabilities` if the project works without.",
            ),
            Capability::Nesting => self.yes("Distributions of WSL can run containers."),
            Capability::Fuse => self.yes("The kernel of WSL has /dev/fuse."),
            Capability::Tun => self.yes("The kernel of WSL has /dev/net/tun."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_wsl_offers_is_there_and_what_it_needs_of_windows_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("tools");
        let environment = [("PATH", "/tools"), ("SYSTEMROOT", "/Windows")];
        let at = |path: &str| {
            if cfg!(windows) { root.path().join(&path[1..]).display().to_string() } else { path.into() }
        };
        let environment = environment.map(|(name, path)| (name.to_owned(), at(path))).into();
        let host = Host { root: root.path().into(), environment, wsl: true };
        let there = |all: [Capability; 2]| all.map(|capability| host.probe(capability).available);
        assert_eq!(there([Capability::Gpu, Capability::Tun]), [true, true]);
        assert_eq!(there([Capability::Kvm, Capability::SshAgent]), [false, false]);
        assert_eq!(there([Capability::Usb, Capability::Cuda]), [false, false]);
        for libraries in ["Windows/System32/lxss/lib", &LIBRARIES[1..]] {
            let libraries = root.path().join(libraries);
            fs::create_dir_all(&libraries).unwrap();
            fs::write(libraries.join("libcuda.so.1"), "").unwrap();
        }
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("usbipd.exe"), "").unwrap();
        assert_eq!(there([Capability::Usb, Capability::Cuda]), [true, true]);
        for capability in Capability::ALL {
            let found = host.probe(capability);
            assert!(found.probed.ends_with('.') && found.available == found.remedy.is_none(), "{found:?}");
        }
        assert!(host.sound().pulse.is_none() && host.pulse_cookie().is_none(), "codchi hands in none");
    }
}
