//! The probes of Windows, where machines are distributions of WSL 2. What WSL offers is in every distribution alike, so little is
//! looked at here; the machine itself tries what it was given.
//!
//! Sources: <https://learn.microsoft.com/windows/wsl/tutorials/gui-apps>, <https://learn.microsoft.com/windows/wsl/connect-usb>,
//! <https://learn.microsoft.com/windows/ai/directml/gpu-cuda-in-wsl>, <https://learn.microsoft.com/windows/wsl/wsl-config>.

use super::{Availability, Host, Probe};
use crate::Capability;
use std::path::PathBuf;

/// The pipe of Windows' own SSH agent.
const AGENT: &str = r"\\.\pipe\openssh-ssh-agent";

impl Host {
    /// A library that a graphics driver of Windows gives to all distributions.
    fn wsl_library(&self, name: &str) -> Option<PathBuf> {
        let windows = PathBuf::from(self.variable("SYSTEMROOT")?);
        Some(windows.join("System32").join("lxss").join("lib").join(name)).filter(|path| self.has(path))
    }
}

impl Probe<'_> {
    /// What WSL offers to each distribution.
    pub(super) fn on_windows(mut self, capability: Capability) -> Availability {
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
                    "NVIDIA's driver for Windows has no CUDA for WSL here: there is no libcuda.so.1 in System32\\lxss\\lib.",
                    "Install NVIDIA's current driver for Windows, if there is an NVIDIA card; nothing is to be installed in WSL.",
                ),
            },
            Capability::Audio => self.yes("WSL plays and records the sound of distributions (WSLg)."),
            Capability::Display => self.yes("WSL shows the windows of distributions on the desktop (WSLg)."),
            Capability::Usb => match self.host.program("usbipd") {
                Some(program) => {
                    self.saw(program.display().to_string());
                    self.yes("usbipd attaches USB devices to WSL: `usbipd attach --wsl`.")
                }
                None => self.no(
                    "There is no usbipd.exe on PATH, which hands USB devices to WSL.",
                    "Install it with `winget install usbipd`, then attach a device with `usbipd attach --wsl`.",
                ),
            },
            Capability::SshAgent => self.agent_of_windows(),
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

    /// Windows' agent, which no machine reaches yet.
    fn agent_of_windows(mut self) -> Availability {
        if self.host.has(AGENT) {
            self.saw(format!("{AGENT} is Windows' SSH agent"));
        }
        self.no(
            "Machines in WSL cannot reach the SSH agent of Windows yet.",
            "Let the machine have SSH keys instead (`ssh-keys`), or make a key in the machine with `ssh-keygen`.",
        )
    }
}

#[cfg(windows)]
mod of_host {
    use crate::{Availability, Display, Host, Sound, X11};
    use zeroize::Zeroizing;

    impl super::Probe<'_> {
        /// An SSH agent.
        pub(in crate::probe) fn ssh_agent(self) -> Availability {
            self.agent_of_windows()
        }

        /// git, which no machine can ask yet.
        pub(in crate::probe) fn git(mut self) -> Availability {
            if let Some(path) = self.host.program("git") {
                self.saw(path.display().to_string());
            }
            self.no(
                "Machines in WSL cannot ask the git of Windows for credentials yet.",
                "Log in from the machine (`gh auth login`), or let it have tokens (`tokens`) or SSH keys (`ssh-keys`).",
            )
        }
    }

    /// Nothing of a session is handed in by codchi: WSL does that.
    impl Host {
        /// No display is at a socket here.
        #[must_use]
        pub fn display(&self) -> Display {
            Display::default()
        }

        /// No X server asks for it.
        #[must_use]
        pub fn x11_authority(&self, _x11: &X11, _number: u32) -> Option<Zeroizing<Vec<u8>>> {
            None
        }

        /// No sound server is at a socket here.
        #[must_use]
        pub fn sound(&self) -> Sound {
            Sound::default()
        }

        /// No sound server asks for it.
        #[must_use]
        pub fn pulse_cookie(&self) -> Option<Zeroizing<Vec<u8>>> {
            None
        }

        /// No engine does so here.
        #[must_use]
        pub fn intercepts_calls(&self) -> bool {
            false
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
        let system = root.path().join("Windows");
        let environment = [("PATH", &folder), ("SYSTEMROOT", &system)]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()));
        let host = Host { environment: environment.into(), ..Host::this() };
        let of = |capability| Probe { host: &host, evidence: Vec::new() }.on_windows(capability);
        let there = |all: [Capability; 2]| all.map(|capability| of(capability).available);
        assert_eq!(there([Capability::Gpu, Capability::Tun]), [true, true]);
        assert_eq!(there([Capability::Kvm, Capability::SshAgent]), [false, false]);
        assert_eq!(there([Capability::Usb, Capability::Cuda]), [false, false]);
        fs::create_dir_all(system.join("System32/lxss/lib")).unwrap();
        fs::write(system.join("System32/lxss/lib/libcuda.so.1"), "").unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(format!("usbipd{}", std::env::consts::EXE_SUFFIX)), "").unwrap();
        assert_eq!(there([Capability::Usb, Capability::Cuda]), [true, true]);
        for capability in Capability::ALL {
            let found = of(capability);
            assert!(found.probed.ends_with('.') && found.available == found.remedy.is_none(), "{found:?}");
        }
    }
}
