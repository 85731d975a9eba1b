//! What two systems hold, compared: packages by name and version. Pure.

use codchi_nix::Closure;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What differs between the packages of two systems. Paths of the store whose names have no version (units, files of
/// `/etc`, scripts) are no packages here, but count in the sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageChanges {
    /// Those that only the later system has.
    pub added: Vec<PackageChange>,
    /// Those that only the earlier system has.
    pub removed: Vec<PackageChange>,
    /// Those that both have, in other versions.
    pub upgraded: Vec<PackageChange>,
    /// By how many bytes the later system is larger, where all sizes are known.
    pub size: Option<i64>,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Its versions in the earlier system.
    pub before: Vec<String>,
    /// Its versions in the later system.
    pub after: Vec<String>,
    /// By how many bytes it is larger in the later system, where all sizes are known.
    pub size: Option<i64>,
}

/// Outputs other than `out`, which Nix appends to a path's name.
const OUTPUTS: [&str; 10] = ["bin", "data", "debug", "dev", "devdoc", "doc", "info", "lib", "man", "modules"];

/// Compares what two systems hold.
pub(crate) fn compare(before: &Closure, after: &Closure) -> PackageChanges {
    let (old, new) = (packages(before), packages(after));
    let mut changes = PackageChanges { size: difference(total(before), total(after)), ..Default::default() };
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (old.get(name), new.get(name));
        let versions =
            |held: Option<&Held>| held.map(|h| h.versions.iter().cloned().collect()).unwrap_or_default();
        let size = |held: Option<&Held>| held.map_or(Some(0), |held| held.size);
        let change = PackageChange {
            name: name.clone(),
            before: versions(was),
            after: versions(is),
            size: difference(size(was), size(is)),
        };
        match (was, is) {
            (None, _) => changes.added.push(change),
            (_, None) => changes.removed.push(change),
            (Some(was), Some(is)) if was.versions != is.versions => changes.upgraded.push(change),
            _ => {}
        }
    }
    changes
}

/// What a system holds of one package.
struct Held {
    versions: BTreeSet<String>,
    size: Option<u64>,
}

fn packages(closure: &Closure) -> BTreeMap<String, Held> {
    let mut packages: BTreeMap<String, Held> = BTreeMap::new();
    for (path, size) in closure {
        let Some((name, version)) = package(path) else { continue };
        let held = packages.entry(name).or_insert_with(|| Held { versions: BTreeSet::new(), size: Some(0) });
        held.versions.insert(version);
        held.size = sum(held.size, *size);
    }
    packages
}

/// `/nix/store/HASH-curl-8.1.0-bin` -> (`curl`, `8.1.0`); `None` where the name has no version.
pub(crate) fn package(path: &Path) -> Option<(String, String)> {
    let (_, name) = path.file_name()?.to_str()?.split_once('-')?;
    // As Nix itself tells them apart: the version begins at the first hyphen before a digit.
    let at = name
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| name[at + 1..].starts_with(|next: char| next.is_ascii_digit()))?;
    let (name, version) = (&name[..at], &name[at + 1..]);
    let version = match version.rsplit_once('-') {
        Some((version, output)) if OUTPUTS.contains(&output) => version,
        _ => version,
    };
    (!name.is_empty()).then(|| (name.into(), version.into()))
}

fn total(closure: &Closure) -> Option<u64> {
    closure.values().copied().sum()
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a?.checked_add(b?)
}

fn difference(before: Option<u64>, after: Option<u64>) -> Option<i64> {
    i64::try_from(i128::from(after?) - i128::from(before?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closure(paths: &[(&str, u64)]) -> Closure {
        paths.iter().map(|(name, size)| (format!("/nix/store/hash-{name}").into(), Some(*size))).collect()
    }

    #[test]
    fn names_and_versions_are_told_apart_and_outputs_are_of_their_package() {
        let of = |name: &str| package(Path::new(&format!("/nix/store/hash-{name}")));
        let pair = |name: &str, version: &str| Some((name.into(), version.into()));
        assert_eq!(of("curl-8.1.0-bin"), pair("curl", "8.1.0"));
        assert_eq!(of("python3-3.12.1"), pair("python3", "3.12.1"));
        assert_eq!(of("glibc-2.39-52"), pair("glibc", "2.39-52"));
        assert_eq!(of("gtk+3-demo"), None);
        assert_eq!(of("unit-web.service"), None);
        assert_eq!(package(Path::new("/")), None);
    }

    #[test]
    fn packages_are_added_removed_and_upgraded_with_their_sizes() {
        let before = closure(&[("git-2.1", 10), ("git-2.1-doc", 2), ("old-1", 5), ("same-1", 7), ("etc", 1)]);
        let after = closure(&[("git-2.2", 20), ("new-1.0", 3), ("same-1", 7), ("etc", 4)]);
        let changes = compare(&before, &after);
        let says = |changes: &[PackageChange]| -> Vec<String> {
            let one =
                |c: &PackageChange| format!("{} {:?} {:?} {}", c.name, c.before, c.after, c.size.unwrap());
            changes.iter().map(one).collect()
        };
        assert_eq!(says(&changes.added), ["new [] [\"1.0\"] 3"]);
        assert_eq!(says(&changes.removed), ["old [\"1\"] [] -5"]);
        assert_eq!(says(&changes.upgraded), ["git [\"2.1\"] [\"2.2\"] 8"]);
        assert_eq!(changes.size, Some(9));
    }

    #[test]
    fn a_size_that_is_not_known_is_not_made_up() {
        let mut after = closure(&[("a-1", 3)]);
        after.insert("/nix/store/hash-b-1".into(), None);
        let changes = compare(&Closure::new(), &after);
        assert_eq!(changes.size, None);
        assert_eq!(changes.added.iter().map(|c| c.size).collect::<Vec<_>>(), [Some(3), None]);
    }
}
