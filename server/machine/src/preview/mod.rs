//! What a rebuild would change, told before it happens.
//!
//! The comparisons ([`packages`], [`units`]) know no machine and serve the list of generations too;
//! [`of_rebuild`] finds out what they compare. Invariant: what is not known is absent, not guessed.

mod markdown;
mod of_rebuild;
pub(crate) mod packages;
mod units;

pub use packages::{PackageChange, PackageChanges};
pub use units::UnitChanges;

use crate::{InputChange, MachineName, Manifest};
use codchi_nix::Planned;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a rebuild would change: the JSON of `codchi rebuild --dry-run --json`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The machine.
    pub name: MachineName,
    /// Its current generation; 0 where it was never built.
    pub generation: u32,
    /// The system that it would become.
    pub toplevel: PathBuf,
    /// Whether that is the system that it has.
    pub same: bool,
    /// The derivations that would be built; empty where the new system is there.
    pub builds: Vec<PathBuf>,
    /// The paths of the store that would be fetched.
    pub fetches: Vec<PathBuf>,
    /// How much would be fetched, in Nix's words.
    pub fetch_size: Option<String>,
    /// What the machine is made of and would be in another revision.
    pub inputs: Vec<InputChange>,
    /// The packages that change; `None` where the new system is not built, as only a built one can be compared.
    pub packages: Option<PackageChanges>,
    /// What happens to units; `None` where the new system is not built.
    pub units: Option<UnitChanges>,
    /// Secrets that its modules ask for newly, and those that they no longer ask for.
    pub secrets: Difference,
    /// The same of capabilities.
    pub capabilities: Difference,
    /// Why some of it takes effect only after the machine was stopped and started; empty where all does at once.
    pub restart: Vec<String>,
}

/// Names that appear and vanish.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Difference {
    /// Those that appear.
    pub added: Vec<String>,
    /// Those that vanish.
    pub removed: Vec<String>,
}

impl Difference {
    fn between(before: &BTreeSet<&str>, after: &BTreeSet<&str>) -> Self {
        let only = |a: &BTreeSet<&str>, b: &BTreeSet<&str>| a.difference(b).map(|n| (*n).into()).collect();
        Self { added: only(after, before), removed: only(before, after) }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// The secrets that two manifests ask for, compared.
fn secrets(before: &Manifest, after: &Manifest) -> Difference {
    fn names(manifest: &Manifest) -> BTreeSet<&str> {
        manifest.secrets.keys().map(String::as_str).collect()
    }
    Difference::between(&names(before), &names(after))
}

/// The capabilities, required or not, that two manifests ask for, compared.
fn capabilities(before: &Manifest, after: &Manifest) -> Difference {
    fn names(manifest: &Manifest) -> BTreeSet<&str> {
        let all = manifest.required_capabilities.iter().chain(&manifest.optional_capabilities);
        all.map(String::as_str).collect()
    }
    Difference::between(&names(before), &names(after))
}

fn planned(preview: &mut Preview, planned: Planned) {
    preview.builds = planned.builds;
    preview.fetches = planned.fetches;
    preview.fetch_size = planned.size;
}
