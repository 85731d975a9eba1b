//! One probe per capability. A probe looks at what an engine would hand into a machine, so it asks whether that is
//! there, not whether this process may open it; only where the machine's user needs the rights of the host's, as for
//! KVM, those are looked at too. Of sockets it asks whether somebody answers: one whose program has died stays in its folder.
//!
//! Where machines run in WSL, which may be asked from Windows or from one of its distributions, it is WSL that hands in or does not: those probes
//! are in `wsl.rs`. What machines ask of this computer at each use, the SSH agent and git, is where codchi runs.

#[cfg(unix)]
mod agent;
#[cfg(unix)]
mod devices;
#[cfg(unix)]
mod distribution;
#[cfg(unix)]
mod git;
#[cfg(unix)]
mod graphics;
mod host_secret;
mod look;
#[cfg(unix)]
mod nesting;
#[cfg(unix)]
mod nodes;
#[cfg(unix)]
mod screen;
mod session;
#[cfg(unix)]
mod sound;
#[cfg(any(windows, test))]
mod windows;
mod wsl;
#[cfg(unix)]
mod xauthority;

pub use session::{Display, Sound, X11};

use crate::Capability;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Whether the host offers a capability, and how that was found out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// Whether it does.
    pub available: bool,
    /// What is there, or else the first thing that is missing, as a sentence: ``/dev/dri/renderD128 exists.`` or
    /// ``There is no render node in /dev/dri.``
    pub probed: String,
    /// What was found on the way, each without a full stop: ``/dev/kvm (root:kvm, 0660)``, ``NVIDIA driver 550.54.14``.
    pub evidence: Vec<String>,
    /// What to do where it does not, as sentences.
    pub remedy: Option<String>,
}

/// Where to look: the real host, or a folder and an environment that stand for one.
#[derive(Debug, Clone)]
pub struct Host {
    /// The root of the file system; nothing on Windows, where there is one per drive.
    pub root: PathBuf,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Whether machines run in WSL, which then hands in what they have.
    pub wsl: bool,
}

impl Host {
    /// This computer, with this process's environment. On Windows machines run in WSL, elsewhere in containers of this Linux.
    #[must_use]
    pub fn this() -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        // A variable that is no text is none that a probe reads.
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        let root = if cfg!(windows) { "" } else { "/" };
        // On Windows names of variables have no case, and `Path` is as good as `PATH`.
        let name = |name: String| if cfg!(windows) { name.to_ascii_uppercase() } else { name };
        let environment = environment.map(|(key, value)| (name(key), value));
        Self { root: root.into(), environment: environment.collect(), wsl: cfg!(windows) }
    }

    /// The same computer, where machines run in WSL or not.
    #[must_use]
    pub fn with_wsl(self, wsl: bool) -> Self {
        Self { wsl, ..self }
    }

    /// Probes one capability.
    #[must_use]
    pub fn probe(&self, capability: Capability) -> Availability {
        let probe = Probe { host: self, evidence: Vec::new() };
        #[cfg(unix)]
        if !self.wsl {
            return probe.on_linux(capability);
        }
        probe.on_wsl(capability)
    }

    /// Probes all.
    #[must_use]
    pub fn probe_all(&self) -> BTreeMap<Capability, Availability> {
        Capability::ALL.into_iter().map(|c| (c, self.probe(c))).collect()
    }
}

/// A probe under way.
struct Probe<'h> {
    host: &'h Host,
    evidence: Vec<String>,
}

impl Probe<'_> {
    #[cfg(unix)]
    fn on_linux(self, capability: Capability) -> Availability {
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

    /// Something that belongs into the answer.
    fn saw(&mut self, evidence: impl Into<String>) {
        self.evidence.push(evidence.into());
    }

    /// It is there: `probed` says what.
    fn yes(self, probed: impl Into<String>) -> Availability {
        Availability { available: true, probed: probed.into(), evidence: self.evidence, remedy: None }
    }

    /// It is not there: `missing` is the first thing that is not, and `remedy` what to do about that.
    fn no(self, missing: impl Into<String>, remedy: impl Into<String>) -> Availability {
        Availability {
            available: false,
            probed: missing.into(),
            evidence: self.evidence,
            remedy: Some(remedy.into()),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
