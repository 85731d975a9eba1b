//! The mark on an instance of ours: the configuration key [`MARK_KEY`], and in its value what else we have set, so that a
//! later change can take back exactly that and leave alone what the user or the engine has set.

use crate::types::{Device, InstanceName, InstanceSpec};
use crate::{LABEL_PREFIX, MARK_KEY};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The engine's form of an instance's configuration.
pub(super) type Config = BTreeMap<String, String>;
/// The engine's form of an instance's devices.
pub(super) type Devices = BTreeMap<String, BTreeMap<String, String>>;

/// What we have set. The value of the mark, as JSON.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    config: BTreeSet<String>,
    devices: BTreeSet<String>,
    /// Digests of what each was set to, by the name that [`changed`] gives it; none where an earlier version has set it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, String>,
}

/// Whether a configuration is that of an instance of ours.
pub(super) fn is_ours(config: &Config) -> bool {
    config.contains_key(MARK_KEY)
}

/// The labels in a configuration.
pub(super) fn labels(config: &Config) -> BTreeMap<String, String> {
    config
        .iter()
        .filter(|(key, _)| key.starts_with(LABEL_PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What we have set and others have changed or removed since: `raw.idmap`, `device project`. Sorted.
pub(super) fn changed(config: &Config, devices: &Devices) -> Vec<String> {
    let mark = read(config);
    let now = values(&mark, config, devices);
    let changed = mark.values.into_iter().filter(|(name, set)| now.get(name) != Some(set));
    changed.map(|(name, _)| name).collect()
}

/// Makes `config` and `devices` say what `spec` says, with the mark. What an earlier call has set and `spec` no longer
/// has goes; keys of others stay.
pub(super) fn apply(spec: &InstanceSpec, config: &mut Config, devices: &mut Devices) {
    let old = read(config);
    config.retain(|key, _| !key.starts_with(LABEL_PREFIX) && !old.config.contains(key));
    devices.retain(|name, _| !old.devices.contains(name));

    config.extend(spec.labels.clone());
    config.extend(spec.config.clone());
    devices.extend(spec.devices.iter().map(|(name, device)| (name.clone(), keys(device))));

    let mut mark = Mark {
        config: spec.config.keys().cloned().collect(),
        devices: spec.devices.keys().cloned().collect(),
        values: BTreeMap::new(),
    };
    mark.values = values(&mark, config, devices);
    // Sets and maps of texts always have a JSON form; without one the mark would still be a mark.
    config.insert(MARK_KEY.into(), serde_json::to_string(&mark).unwrap_or_default());
}

/// Makes `config` and `devices` say what `spec` says, with the mark, and nothing else of what people can set.
pub(super) fn replace(spec: &InstanceSpec, config: &mut Config, devices: &mut Devices) {
    config.retain(|key, _| is_engines(key));
    devices.retain(|_, device| is_root(device));
    apply(spec, config, devices);
}

/// Adds what is needed to `config` and `devices` of a copy so that it has nothing of the original's `from_config` and
/// `from_devices`, which the engine would take over: an empty text for each key, and a device that is none.
pub(super) fn hide(from_config: &Config, from_devices: &Devices, config: &mut Config, devices: &mut Devices) {
    for key in from_config.keys().filter(|key| !is_engines(key)) {
        config.entry(key.clone()).or_default();
    }
    for (name, _) in from_devices.iter().filter(|(_, device)| !is_root(device)) {
        devices.entry(name.clone()).or_insert_with(|| BTreeMap::from([("type".into(), "none".into())]));
    }
}

/// Whether the engine itself keeps this key: what it remembers of an instance, and of the image that it began with.
fn is_engines(key: &str) -> bool {
    key.starts_with("volatile.") || key.starts_with("image.")
}

/// Whether a device says where the root file system is, which cannot be changed by leaving it out.
fn is_root(device: &BTreeMap<String, String>) -> bool {
    let is = |key: &str, value: &str| device.get(key).is_some_and(|it| it == value);
    is("type", "disk") && is("path", "/")
}

/// The mark in a configuration. One that we cannot read is from a version that wrote another one, or edited by hand: then
/// nothing is known to be ours.
fn read(config: &Config) -> Mark {
    config.get(MARK_KEY).and_then(|mark| serde_json::from_str(mark).ok()).unwrap_or_default()
}

/// Digests of what there is of that which `mark` names: a configuration may be long, and is a mark's value itself.
fn values(mark: &Mark, config: &Config, devices: &Devices) -> BTreeMap<String, String> {
    let config = mark.config.iter().filter_map(|key| Some((key.clone(), digest(config.get(key)?))));
    let devices =
        mark.devices.iter().filter_map(|name| Some((format!("device {name}"), digest(devices.get(name)?))));
    config.chain(devices).collect()
}

/// Enough of a digest to tell one value from another.
fn digest(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    hex::encode(&Sha256::digest(text)[..8])
}

/// A device in the engine's words.
fn keys(device: &Device) -> BTreeMap<String, String> {
    let (source, path, read_only, shift) = match device {
        Device::Raw(keys) => return keys.clone(),
        Device::Volume { pool, name, path, read_only } => return volume(pool, name, path, *read_only),
        Device::Disk { source, path, read_only, shift } => (source, path, read_only, shift),
    };
    let mut keys = BTreeMap::from([
        ("type".into(), "disk".into()),
        ("source".into(), source.to_string_lossy().into_owned()),
        ("path".into(), path.clone()),
    ]);
    for (key, set) in [("readonly", read_only), ("shift", shift)] {
        if *set {
            keys.insert(key.into(), "true".into());
        }
    }
    keys
}

fn volume(pool: &str, name: &InstanceName, path: &str, read_only: bool) -> BTreeMap<String, String> {
    let keys = [("type", "disk"), ("pool", pool), ("source", name.as_str()), ("path", path)];
    let read_only = read_only.then_some(("readonly", "true"));
    keys.into_iter().chain(read_only).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn spec(labels: &[(&str, &str)], config: &[(&str, &str)], devices: &[&str]) -> InstanceSpec {
        let disk = |name: &str| Device::Disk {
            source: PathBuf::from("/srv").join(name),
            path: format!("/mnt/{name}"),
            read_only: true,
            shift: false,
        };
        InstanceSpec {
            labels: map(labels),
            config: map(config),
            devices: devices.iter().map(|name| ((*name).to_owned(), disk(name))).collect(),
            init: "/nix/init".into(),
            user: None,
        }
    }

    #[test]
    fn what_the_new_specification_lacks_goes_and_what_others_set_stays() {
        let mut config = map(&[("volatile.uuid", "1"), ("limits.cpu", "2")]);
        let mut devices = Devices::from([("usb".into(), map(&[("type", "usb")]))]);
        apply(
            &spec(
                &[("user.codchi.machine", "x"), ("user.codchi.old", "y")],
                &[("security.nesting", "true")],
                &["a", "b"],
            ),
            &mut config,
            &mut devices,
        );
        assert!(is_ours(&config));
        assert_eq!(devices.keys().collect::<Vec<_>>(), ["a", "b", "usb"]);

        apply(
            &spec(&[("user.codchi.machine", "x")], &[("raw.idmap", "both 1 1")], &["b", "c"]),
            &mut config,
            &mut devices,
        );
        assert_eq!(labels(&config), map(&[("user.codchi.machine", "x")]));
        let others: Vec<&str> =
            config.keys().map(String::as_str).filter(|key| !key.starts_with(MARK_KEY)).collect();
        assert_eq!(others, ["limits.cpu", "raw.idmap", "volatile.uuid"]);
        assert_eq!(devices.keys().collect::<Vec<_>>(), ["b", "c", "usb"]);
    }

    #[test]
    fn a_copy_has_nothing_of_the_original_but_what_is_the_engines() {
        let from = spec(&[("user.codchi.machine", "x")], &[("raw.idmap", "both 1 1")], &["a", "b"]);
        let mut from_config = map(&[("volatile.uuid", "1"), ("image.os", "codchi"), ("limits.cpu", "2")]);
        let root = map(&[("type", "disk"), ("path", "/"), ("pool", "fast")]);
        let mut from_devices = Devices::from([("root".into(), root.clone())]);
        apply(&from, &mut from_config, &mut from_devices);

        let to = spec(&[("user.codchi.machine", "y")], &[], &["b"]);
        let (mut config, mut devices) = (Config::new(), Devices::new());
        apply(&to, &mut config, &mut devices);
        let asked_for = config.clone();
        hide(&from_config, &from_devices, &mut config, &mut devices);
        assert_eq!((&*config["raw.idmap"], &*config["limits.cpu"]), ("", ""));
        assert_eq!(config[MARK_KEY], asked_for[MARK_KEY]);
        assert_eq!(devices["a"], map(&[("type", "none")]));
        assert_eq!(devices["b"]["source"], "/srv/b");
        assert!(!devices.contains_key("root") && !config.contains_key("volatile.uuid"));

        // What the engine makes of it.
        let mut merged = from_config;
        merged.extend(config);
        devices.insert("root".into(), root);
        replace(&to, &mut merged, &mut devices);
        assert_eq!(devices.keys().collect::<Vec<_>>(), ["b", "root"]);
        merged.retain(|key, _| !asked_for.contains_key(key));
        assert_eq!(merged, map(&[("image.os", "codchi"), ("volatile.uuid", "1")]));
    }

    #[test]
    fn applying_the_same_twice_changes_nothing() {
        let (mut config, mut devices) = (Config::new(), Devices::new());
        let spec = spec(&[("user.codchi.machine", "x")], &[("security.nesting", "true")], &["a"]);
        apply(&spec, &mut config, &mut devices);
        let before = (config.clone(), devices.clone());
        apply(&spec, &mut config, &mut devices);
        assert_eq!((config, devices), before);
    }

    #[test]
    fn what_others_change_of_ours_is_told_and_what_they_add_is_not() {
        let (mut config, mut devices) = (Config::new(), Devices::new());
        let spec = spec(&[], &[("security.nesting", "true"), ("raw.idmap", "both 1 1")], &["a", "b"]);
        apply(&spec, &mut config, &mut devices);
        config.insert("limits.cpu".into(), "2".into());
        devices.insert("usb".into(), map(&[("type", "usb")]));
        assert_eq!(changed(&config, &devices), [""; 0]);
        config.insert("raw.idmap".into(), "both 2 2".into());
        config.remove("security.nesting");
        devices.remove("a");
        devices.get_mut("b").unwrap().insert("readonly".into(), "false".into());
        assert_eq!(changed(&config, &devices), ["device a", "device b", "raw.idmap", "security.nesting"]);
        apply(&spec, &mut config, &mut devices);
        assert_eq!(changed(&config, &devices), [""; 0]);
    }

    #[test]
    fn the_mark_of_an_earlier_version_says_nothing_of_values() {
        let mark = r#"{"config":["raw.idmap"],"devices":["a"]}"#;
        let mut config = map(&[("user.codchi", mark), ("raw.idmap", "x")]);
        let mut devices = Devices::new();
        assert_eq!(changed(&config, &devices), [""; 0]);
        apply(&spec(&[], &[], &[]), &mut config, &mut devices);
        assert!(!config.contains_key("raw.idmap"), "it is still ours");
    }

    #[test]
    fn a_disk_says_only_what_is_set() {
        let disk = Device::Disk { source: "/a".into(), path: "/b".into(), read_only: false, shift: true };
        assert_eq!(
            keys(&disk),
            map(&[("type", "disk"), ("source", "/a"), ("path", "/b"), ("shift", "true")])
        );
    }
}
