//! Which family of Linux distributions the host is of, and how something is installed there.

use super::Host;

/// A family of distributions with one package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Debian and what is made of it, but for Ubuntu.
    Debian,
    /// Ubuntu and what is made of it.
    Ubuntu,
    /// Fedora, Red Hat and what is made of them.
    Fedora,
    /// Arch Linux and what is made of it.
    Arch,
    /// NixOS.
    NixOs,
    /// Any other, or not known.
    Other,
}

/// How to get something: the command that installs it, run by root, and what NixOS is told instead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packages {
    /// What it is, for families that are not known: `the NVIDIA driver`.
    pub(super) what: &'static str,
    pub(super) debian: &'static str,
    pub(super) ubuntu: &'static str,
    pub(super) fedora: &'static str,
    pub(super) arch: &'static str,
    /// A line of `configuration.nix`.
    pub(super) nixos: &'static str,
}

impl Host {
    /// The family, by `/etc/os-release`.
    pub(super) fn family(&self) -> Family {
        let text = self.text("/etc/os-release").or_else(|| self.text("/usr/lib/os-release"));
        let text = text.unwrap_or_default();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_lowercase()
        };
        let ids = format!("{} {}", value("ID"), value("ID_LIKE"));
        let family = ids.split_whitespace().find_map(|id| match id {
            "debian" => Some(Family::Debian),
            "ubuntu" => Some(Family::Ubuntu),
            "fedora" | "rhel" | "centos" => Some(Family::Fedora),
            "arch" => Some(Family::Arch),
            "nixos" => Some(Family::NixOs),
            _ => None,
        });
        family.unwrap_or(Family::Other)
    }

    /// How to install something here, as a sentence.
    pub(super) fn install(&self, packages: Packages) -> String {
        let command = match self.family() {
            Family::Debian => packages.debian,
            Family::Ubuntu => packages.ubuntu,
            Family::Fedora => packages.fedora,
            Family::Arch => packages.arch,
            Family::NixOs => return configuration(packages.nixos),
            Family::Other => return format!("Install {}.", packages.what),
        };
        format!("Install {}: `sudo {command}`.", packages.what)
    }

    /// How to load a kernel module, now and at each start, as a sentence.
    pub(super) fn load(&self, module: &str) -> String {
        match self.family() {
            Family::NixOs => configuration(&format!("boot.kernelModules = [ \"{module}\" ];")),
            _ => format!(
                "Load the kernel module with `sudo modprobe {module}`, and at each start with \
                 `echo {module} | sudo tee /etc/modules-load.d/{module}.conf`."
            ),
        }
    }

    /// How to set a kernel parameter, now and at each start, as a sentence.
    pub(super) fn sysctl(&self, name: &str, value: u64) -> String {
        match self.family() {
            Family::NixOs => configuration(&format!("boot.kernel.sysctl.\"{name}\" = {value};")),
            _ => format!(
                "Run `sudo sysctl {name}={value}`, and for each start \
                 `echo {name}={value} | sudo tee /etc/sysctl.d/60-codchi.conf`."
            ),
        }
    }
}

/// What a line of NixOS's configuration does about it, as a sentence.
pub(super) fn configuration(line: &str) -> String {
    format!("Add `{line}` to /etc/nixos/configuration.nix, then run `sudo nixos-rebuild switch`.")
}
