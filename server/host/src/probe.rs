//! One probe per capability.

use crate::Capability;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
        Self { root: "/".into(), environment: std::env::vars().collect() }
    }

    /// Probes one capability.
    #[must_use]
    pub fn probe(&self, capability: Capability) -> Availability {
        let _ = capability;
        unimplemented!()
    }

    /// Probes all.
    #[must_use]
    pub fn probe_all(&self) -> BTreeMap<Capability, Availability> {
        Capability::ALL.into_iter().map(|c| (c, self.probe(c))).collect()
    }
}
