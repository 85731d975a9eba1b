//! `gpu` and `cuda`.

use super::distribution::{Family, Packages};
use super::{Availability, Host, Probe};

const PCI: &str = "/sys/bus/pci/devices";
const NVIDIA: &str = "0x10de";
const NVIDIA_VERSION: &str = "/proc/driver/nvidia/version";

const NVIDIA_DRIVER: Packages = Packages {
    what: "NVIDIA's driver",
    debian: "apt install nvidia-driver",
    ubuntu: "ubuntu-drivers install",
    fedora: "dnf install akmod-nvidia",
    arch: "pacman -S nvidia",
    nixos: "services.xserver.videoDrivers = [ \"nvidia\" ];",
};
const FIRMWARE: Packages = Packages {
    what: "the firmware of this computer's graphics card",
    debian: "apt install firmware-linux",
    ubuntu: "apt install linux-firmware",
    fedora: "dnf install linux-firmware",
    arch: "pacman -S linux-firmware",
    nixos: "hardware.enableRedistributableFirmware = true;",
};
const CONTAINER_TOOLKIT: Packages = Packages {
    // Its packages for these come from NVIDIA's own repository.
    what: "NVIDIA's container toolkit",
    debian: "apt install nvidia-container-toolkit",
    ubuntu: "apt install nvidia-container-toolkit",
    fedora: "dnf install nvidia-container-toolkit",
    arch: "pacman -S nvidia-container-toolkit",
    nixos: "hardware.nvidia-container-toolkit.enable = true;",
};

/// A graphics card on the PCI bus.
struct Card {
    /// Its place, e.g. `0000:01:00.0`.
    place: String,
    /// The vendor's id, e.g. `0x10de`.
    vendor: String,
    /// The kernel driver that it is bound to.
    driver: Option<String>,
}

impl Host {
    /// The graphics cards: PCI devices of class 0x03.
    fn cards(&self) -> Vec<Card> {
        let of = |place: &String| {
            let read = |name: &str| self.text(format!("{PCI}/{place}/{name}"));
            read("class").filter(|class| class.starts_with("0x03"))?;
            Some(Card {
                place: place.clone(),
                vendor: read("vendor").unwrap_or_default(),
                driver: self.link_name(format!("{PCI}/{place}/driver")),
            })
        };
        self.names(PCI).iter().filter_map(of).collect()
    }

    /// A driver with its version, where it tells one.
    fn driver(&self, name: &str) -> String {
        match self.text(format!("/sys/module/{name}/version")) {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        }
    }

    /// The version of NVIDIA's driver: the first word of its line that looks like one.
    fn nvidia_version(&self) -> Option<String> {
        let text = self.text(NVIDIA_VERSION)?;
        let is_version =
            |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
        Some(text.split_whitespace().find(is_version).unwrap_or("of an unknown version").to_owned())
    }
}

impl Card {
    fn told(&self, host: &Host) -> String {
        let vendor = match self.vendor.as_str() {
            NVIDIA => "NVIDIA",
            "0x1002" => "AMD",
            "0x8086" => "Intel",
            "0x1af4" => "virtio",
            other => other,
        };
        match &self.driver {
            Some(driver) => format!("{vendor} card {} with driver {}", self.place, host.driver(driver)),
            None => format!("{vendor} card {} without a driver", self.place),
        }
    }
}

impl Probe<'_> {
    /// A graphics card whose render node programs can draw and compute with.
    pub(super) fn gpu(mut self) -> Availability {
        let cards = self.host.cards();
        for card in &cards {
            self.saw(card.told(self.host));
        }
        let names = self.host.names("/dev/dri");
        let nodes: Vec<_> = names.iter().filter(|name| name.starts_with("renderD")).collect();
        for node in &nodes {
            self.evidence.extend(self.host.node(format!("/dev/dri/{node}")));
        }
        if let Some(node) = nodes.first() {
            return self.yes(format!("/dev/dri/{node} exists."));
        }
        let remedy = match cards.iter().find(|card| card.driver.is_none()).or(cards.first()) {
            None => "This computer has no graphics card on its PCI bus; a virtual machine needs one with 3D acceleration \
                     (virtio-gpu with virgl)."
                .into(),
            Some(card) if card.vendor == NVIDIA => self.host.install(NVIDIA_DRIVER),
            Some(_) => self.host.install(FIRMWARE),
        };
        self.no("There is no render node in /dev/dri.", remedy)
    }

    /// An NVIDIA card, its driver, and what engines hand its libraries in with.
    pub(super) fn cuda(mut self) -> Availability {
        for card in self.host.cards().iter().filter(|card| card.vendor == NVIDIA) {
            self.saw(card.told(self.host));
        }
        let Some(version) = self.host.nvidia_version() else {
            let remedy = format!(
                "{} Then restart the computer; `nvidia-smi` must list the card.",
                self.host.install(NVIDIA_DRIVER)
            );
            return self
                .no("The NVIDIA driver is not loaded: there is no /proc/driver/nvidia/version.", remedy);
        };
        self.saw(format!("NVIDIA driver {version}"));
        for device in ["/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm"] {
            match self.host.node(device) {
                Some(node) => self.saw(node),
                None => {
                    return self.no(
                        format!("The NVIDIA driver is loaded, but there is no {device}."),
                        "Run `sudo nvidia-modprobe -u -c=0`, which makes the devices; `nvidia-smi` must list the card.",
                    );
                }
            }
        }
        if self.host.family() == Family::NixOs {
            // Where NixOS has the program, only its engine knows.
            return self.yes(format!("NVIDIA driver {version} and its devices are there."));
        }
        let places = [
            "/usr/bin/nvidia-container-cli",
            "/usr/local/bin/nvidia-container-cli",
            // The engine's snap brings its own.
            "/snap/lxd/current/bin/nvidia-container-cli",
        ];
        match places.into_iter().find(|place| self.host.has(place)) {
            Some(program) => {
                self.saw(program);
                self.yes(format!("NVIDIA driver {version}, its devices and {program} are there."))
            }
            None => {
                let remedy = self.host.install(CONTAINER_TOOLKIT);
                self.no(
                    "The NVIDIA driver is loaded, but there is no nvidia-container-cli, with which engines hand it in.",
                    remedy,
                )
            }
        }
    }
}
