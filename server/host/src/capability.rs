//! The capabilities a module may ask for. Their names are those of `codchi.requiredCapabilities` in `nix/modules`.

use std::fmt;
use std::str::FromStr;

/// Something that the host must offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// A graphics card with a render node.
    Gpu,
    /// An NVIDIA card with its driver.
    Cuda,
    /// A PipeWire or PulseAudio socket.
    Audio,
    /// A Wayland or X11 display.
    Display,
    /// USB devices.
    Usb,
    /// A running SSH agent.
    SshAgent,
    /// Hardware virtualisation.
    Kvm,
    /// Containers inside the machine.
    Nesting,
    /// File systems in user space.
    Fuse,
    /// Virtual network interfaces.
    Tun,
}

/// A name is not a capability's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a capability")]
pub struct UnknownCapability(pub String);

impl Capability {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Gpu,
        Self::Cuda,
        Self::Audio,
        Self::Display,
        Self::Usb,
        Self::SshAgent,
        Self::Kvm,
        Self::Nesting,
        Self::Fuse,
        Self::Tun,
    ];

    /// The name that modules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cuda => "cuda",
            Self::Audio => "audio",
            Self::Display => "display",
            Self::Usb => "usb",
            Self::SshAgent => "ssh-agent",
            Self::Kvm => "kvm",
            Self::Nesting => "nesting",
            Self::Fuse => "fuse",
            Self::Tun => "tun",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Self, UnknownCapability> {
        Self::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| UnknownCapability(name.to_owned()))
    }
}
