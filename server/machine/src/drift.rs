//! What differs between a machine and what it would be if it was made now.

use crate::capabilities::{self, Given};
use crate::state::Generation;
use crate::vault::Opened;
use crate::{MachineName, Manifest, ModuleSource, Operation, Permissions, SourceKind};
use codchi_driver::{Instance, RunState};
use codchi_host::{Capability, Host, HostSecret};
use codchi_module::{normalise, relative_paths};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A difference between a machine and what it would be if it was made now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Which.
    pub kind: DriftKind,
    /// What differs and what to do about it, as a sentence or two.
    pub message: String,
    /// The operation that mends it, where there is one.
    pub cure: Option<Operation>,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// The files around a module are others than those that the machine was built of.
    ModuleChanged,
    /// The computer offers a required capability no longer.
    CapabilityLost,
    /// The computer now offers a capability that the machine runs without and asks for, or the person has denied it one that it
    /// runs with.
    CapabilitiesChanged,
    /// The vault has other values than those that the machine runs with.
    SecretsChanged,
    /// Files of this computer are others than those that the machine was given.
    HostChanged,
    /// Somebody has changed of the instance what codchi has set.
    InstanceChanged,
}

/// No more files of a module are looked at, and no larger ones.
const MOST: usize = 2_000;
const LARGEST: u64 = 4 << 20;

/// What differs of a machine of these modules that runs `generation`. Blocking: reads the files of local modules.
pub(crate) fn of<'m>(
    name: &MachineName,
    modules: impl Iterator<Item = &'m ModuleSource>,
    generation: &Generation,
    host: &Host,
) -> Vec<Drift> {
    let mut found = Vec::new();
    // One that is gone is told by whoever builds it.
    for (module, now) in digests(modules) {
        if generation.local_modules.get(&module).is_some_and(|built| *built != now) {
            found.push(Drift {
                kind: DriftKind::ModuleChanged,
                message: format!(
                    "The module {module} has changed since generation {}. `codchi rebuild {name}` takes that in.",
                    generation.number
                ),
                cure: Some(Operation::Rebuild),
            });
        }
    }
    for required in &generation.manifest.required_capabilities {
        let answer = required.parse::<Capability>().ok().map(|capability| host.probe(capability));
        if let Some(answer) = answer.filter(|answer| !answer.available) {
            let remedy = answer.remedy.map(|remedy| format!(" {remedy}")).unwrap_or_default();
            found.push(Drift {
                kind: DriftKind::CapabilityLost,
                message: format!(
                    "Its modules need `{required}`, which this computer offers no longer: {}.{remedy}",
                    answer.probed.trim_end_matches('.')
                ),
                cure: None,
            });
        }
    }
    found
}

/// The secrets that the vault has otherwise than a machine was `delivered` since it was started, each with how.
pub(crate) fn stale_secrets(
    name: &MachineName,
    generation: &Generation,
    delivered: &BTreeMap<String, String>,
    vault: &Opened,
) -> BTreeMap<String, &'static str> {
    let secrets = || generation.manifest.secrets.keys();
    let now = vault.digests(name, secrets());
    let change = |secret: &String| match (delivered.get(secret), now.get(secret)) {
        (None, Some(_)) => Some((secret.clone(), "added")),
        (Some(_), None) => Some((secret.clone(), "removed")),
        (Some(before), Some(now)) if before != now => Some((secret.clone(), "changed")),
        _ => None,
    };
    secrets().filter_map(change).collect()
}

/// What is to be done about [`stale_secrets`].
pub(crate) fn of_secrets(name: &MachineName, stale: &BTreeMap<String, &str>) -> Option<Drift> {
    let changes: Vec<String> = stale.iter().map(|(secret, how)| format!("{secret} ({how})")).collect();
    (!changes.is_empty()).then(|| Drift {
        kind: DriftKind::SecretsChanged,
        message: format!(
            "The vault has other secrets than those it runs with: {}. `codchi start {name}` delivers them.",
            changes.join(", ")
        ),
        cure: Some(Operation::Start),
    })
}

/// What differs between the capabilities that a machine may have now and those that were `given` to it when it was started. One that
/// is gone is no difference, as a start could not bring it back.
pub(crate) fn of_capabilities(
    name: &MachineName,
    manifest: &Manifest,
    permissions: &Permissions,
    host: &Host,
    given: &Given,
) -> Option<Drift> {
    let available = |capability: &Capability| {
        capabilities::asked(manifest).contains(capability)
            && permissions.capability(*capability)
            && host.probe(*capability).available
    };
    let changes: Vec<String> = Capability::ALL
        .into_iter()
        .filter_map(|capability| match given.contains_key(&capability) {
            true => permissions.denies(capability).then(|| format!("`{capability}` is denied now")),
            false => available(&capability).then(|| format!("`{capability}` is available now")),
        })
        .collect();
    (!changes.is_empty()).then(|| Drift {
        kind: DriftKind::CapabilitiesChanged,
        message: format!(
            "It was started with other capabilities: {}. `codchi start {name}` makes up for that.",
            changes.join(", ")
        ),
        cure: Some(Operation::Start),
    })
}

/// What differs between the files of this computer and what was `delivered` of them to a machine since it was started.
pub(crate) fn of_host(
    name: &MachineName,
    delivered: &BTreeMap<HostSecret, String>,
    now: &BTreeMap<HostSecret, String>,
) -> Option<Drift> {
    let changed = delivered.iter().filter(|(secret, digest)| now.get(*secret) != Some(*digest));
    let changed: Vec<&str> = changed.map(|(secret, _)| secret.name()).collect();
    (!changed.is_empty()).then(|| Drift {
        kind: DriftKind::HostChanged,
        message: format!(
            "This computer has others than those it was given: {}. `codchi start {name}` delivers them.",
            changed.join(", ")
        ),
        cure: Some(Operation::Start),
    })
}

/// What somebody has changed of a machine's instance. A start makes a stopped one what it is to be, a rebuild any.
pub(crate) fn of_instance(name: &MachineName, instance: &Instance) -> Option<Drift> {
    let cure = if instance.state == RunState::Stopped { Operation::Start } else { Operation::Rebuild };
    (!instance.changed.is_empty()).then(|| Drift {
        kind: DriftKind::InstanceChanged,
        message: format!(
            "Its instance was changed with the engine's own tools: {}. `codchi {cure} {name}` puts that back.",
            instance.changed.join(", ")
        ),
        cure: Some(cure),
    })
}

/// The digests of the files of those modules that are local.
pub(crate) fn digests<'m>(modules: impl Iterator<Item = &'m ModuleSource>) -> BTreeMap<String, String> {
    modules.filter_map(|module| Some((module.to_string(), digest(module)?))).collect()
}

/// The digest of the files that a module is made of, as far as its text names them: those where it begins, and all that Nix
/// files among them name by a relative path. What else is beside them is the project's. `None` where there are none, or too
/// many.
fn digest(module: &ModuleSource) -> Option<String> {
    let beginnings = match &module.kind {
        SourceKind::Git(_) => return None,
        SourceKind::File(file) => vec![file.clone()],
        SourceKind::Folder(folder) => {
            ["flake.nix", "flake.lock", "codchi.nix", "default.nix"].map(|name| folder.join(name)).into()
        }
    };
    let (mut open, mut files) = (beginnings, BTreeMap::new());
    while let Some(path) = open.pop() {
        if files.contains_key(&path) {
            continue;
        }
        if path.is_dir() {
            // As `import` does; other folders stand for what they are made of, which may be everything.
            open.push(path.join("default.nix"));
            continue;
        }
        let Some(contents) = contents(&path) else { continue };
        if path.extension().is_some_and(|extension| extension == "nix")
            && let (Ok(text), Some(folder)) = (std::str::from_utf8(&contents), path.parent())
        {
            open.extend(relative_paths(text).into_iter().map(|written| normalise(&folder.join(written))));
        }
        files.insert(path, Sha256::digest(&contents));
        if files.len() > MOST {
            return None;
        }
    }
    if files.is_empty() {
        return None;
    }
    let mut all = Sha256::new();
    for (path, digest) in files {
        all.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
        all.update(digest);
    }
    Some(hex::encode(all.finalize()))
}

fn contents(path: &Path) -> Option<Vec<u8>> {
    let metadata = std::fs::metadata(path).ok().filter(|it| it.is_file() && it.len() <= LARGEST)?;
    let mut contents = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut contents).ok()?;
    Some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_module_that_changed_is_told_until_it_is_as_it_was_and_a_capability_that_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let (module, offers) = (root.path().join("module"), root.path().join("host"));
        let write = |file: &str, text: &str| std::fs::write(module.join(file), text).unwrap();
        std::fs::create_dir_all(module.join("parts")).unwrap();
        std::fs::create_dir_all(offers.join("dev/dri")).unwrap();
        std::fs::write(offers.join("dev/dri/renderD128"), "").unwrap();
        write("codchi.nix", "{ imports = [ ./parts ]; environment.etc.motd.source = ./motd; }");
        write("parts/default.nix", "{ }");
        write("motd", "hello");
        let source = ModuleSource { kind: SourceKind::Folder(module.clone()), output: None };
        let host = Host { root: offers.clone(), environment: BTreeMap::new(), wsl: false };
        let manifest = Manifest { required_capabilities: vec!["gpu".into()], ..Manifest::default() };
        let local_modules = digests(std::iter::once(&source));
        let generation = Generation { number: 3, manifest, local_modules, ..Generation::default() };
        let kinds = || {
            let found = of(&"a".parse().unwrap(), std::iter::once(&source), &generation, &host);
            found.into_iter().map(|drift| drift.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(), []);
        // The project's own files are none of the module's.
        write("main.rs", "fn main() {}");
        assert_eq!(kinds(), []);
        for (file, before) in [("parts/default.nix", "{ }"), ("motd", "hello")] {
            write(file, "changed");
            assert_eq!(kinds(), [DriftKind::ModuleChanged], "{file}");
            write(file, before);
            assert_eq!(kinds(), [], "{file}");
        }
        std::fs::remove_file(offers.join("dev/dri/renderD128")).unwrap();
        assert_eq!(kinds(), [DriftKind::CapabilityLost]);
    }

    #[test]
    fn a_capability_that_came_or_was_denied_since_the_start_is_told() {
        let root = tempfile::tempdir().unwrap();
        let host = Host { root: root.path().into(), environment: BTreeMap::new(), wsl: false };
        let manifest = Manifest { optional_capabilities: vec!["fuse".into()], ..Manifest::default() };
        let told = |permissions: &Permissions, given: &Given| {
            let name = "a".parse().unwrap();
            of_capabilities(&name, &manifest, permissions, &host, given).map(|drift| drift.message)
        };
        let (allowed, denied) = (
            Permissions::default(),
            Permissions { capabilities: [(Capability::Fuse, false)].into(), ..Permissions::default() },
        );
        let (without, with) = (Given::new(), Given::from([(Capability::Fuse, None)]));
        assert_eq!(told(&allowed, &without), None);
        std::fs::create_dir(root.path().join("dev")).unwrap();
        std::fs::write(root.path().join("dev/fuse"), "").unwrap();
        assert!(told(&allowed, &without).unwrap().contains("`fuse` is available now. `codchi start a`"));
        assert_eq!(told(&allowed, &with), None);
        assert_eq!(told(&denied, &without), None);
        assert!(told(&denied, &with).unwrap().contains("`fuse` is denied now"));
    }
}
