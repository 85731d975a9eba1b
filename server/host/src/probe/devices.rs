//! `usb`, `kvm`, `fuse` and `tun`: device nodes.

use super::distribution::{Family, configuration};
use super::{Availability, Probe};
use rustix::fs::{Access, access};

impl Probe<'_> {
    /// USB devices. The buses' own hubs are some, so a computer with a USB port has at least one.
    pub(super) fn usb(mut self) -> Availability {
        const BUSES: &str = "/dev/bus/usb";
        const KNOWN: &str = "/sys/bus/usb/devices";
        let devices: usize =
            self.host.names(BUSES).iter().map(|bus| self.host.names(format!("{BUSES}/{bus}")).len()).sum();
        for device in self.host.names(KNOWN) {
            let read = |name: &str| self.host.text(format!("{KNOWN}/{device}/{name}"));
            if let (Some(vendor), Some(id)) = (read("idVendor"), read("idProduct")) {
                let product = read("product").unwrap_or_else(|| "a device without a name".into());
                self.saw(format!("{product} ({vendor}:{id})"));
            }
        }
        match devices {
            0 => self.no(
                "There are no USB devices in /dev/bus/usb.",
                "Plug one in; a virtual machine needs USB devices passed to it.",
            ),
            1 => self.yes("There is a USB device in /dev/bus/usb."),
            count => self.yes(format!("There are {count} USB devices in /dev/bus/usb.")),
        }
    }

    /// Hardware virtualisation.
    pub(super) fn kvm(mut self) -> Availability {
        let cpu = self.host.text("/proc/cpuinfo").unwrap_or_default();
        let flags = cpu.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let virtualises = flags.split_whitespace().find_map(|flag| match flag {
            "vmx" => Some(("VT-x", "kvm_intel")),
            "svm" => Some(("AMD-V", "kvm_amd")),
            _ => None,
        });
        if let Some((name, _)) = virtualises {
            self.saw(format!("the processor has {name}"));
        }
        for module in ["kvm_intel", "kvm_amd"] {
            if self.host.has(format!("/sys/module/{module}")) {
                self.saw(format!("kernel module {module}"));
            }
        }
        let Some(node) = self.host.node("/dev/kvm") else {
            let load = self.host.load(virtualises.map_or("kvm", |(_, module)| module));
            let firmware = "Turn on virtualisation (VT-x or AMD-V) in the firmware";
            let remedy = match virtualises {
                Some(_) => format!("{load} If that fails: {firmware}, which may have it off."),
                None => format!("{firmware}; a virtual machine needs nested virtualisation. {load}"),
            };
            return self.no("There is no /dev/kvm.", remedy);
        };
        self.saw(node);
        match access(self.host.at("/dev/kvm"), Access::READ_OK | Access::WRITE_OK) {
            Ok(()) => self.yes("/dev/kvm can be read and written."),
            Err(_) => {
                let remedy = match self.host.family() {
                    Family::NixOs => configuration("users.users.YOU.extraGroups = [ \"kvm\" ];"),
                    _ => "Run `sudo usermod --append --groups kvm $USER`, then log out and in again.".into(),
                };
                self.no("/dev/kvm exists, but this user may not read and write it.", remedy)
            }
        }
    }

    /// A device that a kernel module makes.
    pub(super) fn module_device(mut self, path: &str, module: &str) -> Availability {
        match self.host.node(path) {
            Some(node) => {
                self.saw(node);
                self.yes(format!("{path} exists."))
            }
            None => {
                let remedy = self.host.load(module);
                self.no(format!("There is no {path}."), remedy)
            }
        }
    }
}
