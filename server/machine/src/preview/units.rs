//! The units of two systems, compared: what a switch stops, starts and restarts, as far as the unit files say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a switch does to units.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitChanges {
    /// Those that the later system does not have.
    pub stop: Vec<String>,
    /// New ones that something wants.
    pub start: Vec<String>,
    /// Those that changed.
    pub restart: Vec<String>,
    /// Those that changed and are only reloaded.
    pub reload: Vec<String>,
    /// Those that changed and ask to be left alone: they are the new ones after the machine's next start.
    pub keep: Vec<String>,
    /// Whether the running machine itself said so; otherwise it is what the unit files say.
    pub said_by_machine: bool,
}

/// The units of a system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Units {
    /// Their texts, with what is added to them.
    texts: BTreeMap<String, String>,
    /// Those that a target or another unit wants.
    wanted: BTreeSet<String>,
}

/// No unit's file is larger.
const LARGEST: u64 = 1024 * 1024;

/// What can be restarted at all; targets and slices only group others.
const KINDS: [&str; 6] = [".service", ".socket", ".timer", ".path", ".mount", ".automount"];

impl Units {
    /// Reads the units of the system at `toplevel`; `None` where they are not there.
    pub(crate) fn read(toplevel: &Path) -> Option<Self> {
        let mut units = Self::default();
        for entry in fs::read_dir(toplevel.join("etc/systemd/system")).ok()?.filter_map(Result::ok) {
            let (path, Ok(name)) = (entry.path(), entry.file_name().into_string()) else { continue };
            match name.rsplit_once('.') {
                Some((_, "wants" | "requires" | "upholds")) => units.wanted.extend(names(&path)),
                Some((unit, "d")) => {
                    for file in names(&path) {
                        let text = text(&path.join(file));
                        units.texts.entry(unit.into()).or_default().push_str(&text);
                    }
                }
                _ => units.texts.entry(name).or_default().insert_str(0, &text(&path)),
            }
        }
        Some(units)
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// A unit's text; empty for one that is masked.
fn text(path: &Path) -> String {
    let small = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
    if small { fs::read_to_string(path).unwrap_or_default() } else { String::new() }
}

/// Compares the units of two systems. Of those that are not `active` in the running machine nothing is stopped or restarted;
/// where that is not known, all are taken for active.
pub(crate) fn compare(before: &Units, after: &Units, active: Option<&BTreeSet<String>>) -> UnitChanges {
    let mut changes = UnitChanges::default();
    let is_one = |name: &str| KINDS.iter().any(|kind| name.ends_with(kind)) && !name.contains("@.");
    let runs = |name: &str| active.is_none_or(|active| active.contains(name));
    for (name, was) in before.texts.iter().filter(|(name, _)| is_one(name)) {
        if !runs(name) {
            continue;
        }
        let list = match after.texts.get(name) {
            Some(is) if is == was => continue,
            None => &mut changes.stop,
            Some(is) if is.is_empty() => &mut changes.stop,
            Some(is) if says(is, "X-ReloadIfChanged") => &mut changes.reload,
            Some(is) if keeps(is) => &mut changes.keep,
            Some(_) => &mut changes.restart,
        };
        list.push(name.clone());
    }
    for name in after.texts.keys().filter(|name| is_one(name)) {
        let is_new = before.texts.get(name).is_none_or(|text| text.is_empty());
        if is_new && after.wanted.contains(name) && !after.texts[name].is_empty() {
            changes.start.push(name.clone());
        }
    }
    changes
}

/// Reads what `switch-to-configuration dry-activate` says; `None` where nothing of it is understood.
pub(crate) fn said(text: &str) -> Option<UnitChanges> {
    let mut changes = UnitChanges { said_by_machine: true, ..UnitChanges::default() };
    let mut understood = false;
    for line in text.lines() {
        let Some(said) = line.trim().strip_prefix("would ") else { continue };
        understood = true;
        let Some((what, units)) = said.split_once(": ") else { continue };
        let list = match what {
            "stop the following units" => &mut changes.stop,
            "start the following units" => &mut changes.start,
            "restart the following units" => &mut changes.restart,
            "reload the following units" => &mut changes.reload,
            "NOT restart the following changed units" | "NOT stop the following changed units" => {
                &mut changes.keep
            }
            _ => continue,
        };
        list.extend(units.split(", ").map(|unit| unit.trim().to_owned()));
    }
    // Most services are stopped before the files change and started after that.
    let (restart, stop) =
        std::mem::take(&mut changes.stop).into_iter().partition(|u| changes.start.contains(u));
    let restart: Vec<String> = restart;
    changes.start.retain(|unit| !restart.contains(unit));
    changes.stop = stop;
    changes.restart.extend(restart);
    changes.restart.sort();
    understood.then_some(changes)
}

/// Whether a changed unit asks not to be restarted.
fn keeps(text: &str) -> bool {
    let denies = |line: &str| {
        line.split_once('=').is_some_and(|(key, value)| {
            key.trim() == "X-RestartIfChanged" && matches!(value.trim(), "false" | "no" | "0")
        })
    };
    text.lines().any(denies) || says(text, "RefuseManualStop")
}

fn says(text: &str, key: &str) -> bool {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .any(|(name, value)| name.trim() == key && matches!(value.trim(), "true" | "yes" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FILE: TEXT` per line, below `etc/systemd/system`.
    fn system(files: &str) -> Units {
        let folder = tempfile::tempdir().unwrap();
        let units = folder.path().join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        for (file, text) in files.lines().filter_map(|line| line.trim().split_once(": ")) {
            let path = units.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Units::read(folder.path()).unwrap()
    }

    #[test]
    fn a_switch_stops_starts_restarts_reloads_and_keeps() {
        let before = system(
            "gone.service: a
             same.service: a
             changed.service: a
             added-to.service.d/overrides.conf: a
             kept.service: a
             reloaded.service: a
             x.target: a",
        );
        let after = system(
            "same.service: a
             changed.service: b
             added-to.service.d/overrides.conf: b
             kept.service: X-RestartIfChanged=false
             reloaded.service: X-ReloadIfChanged=true
             new.service: a
             multi-user.target.wants/new.service: a
             not-wanted.service: a
             template@.service: a
             x.target: b",
        );
        let names = |names: &[&str]| names.iter().map(|n| format!("{n}.service")).collect::<Vec<_>>();
        assert_eq!(
            compare(&before, &after, None),
            UnitChanges {
                stop: names(&["gone"]),
                start: names(&["new"]),
                restart: names(&["added-to", "changed"]),
                reload: names(&["reloaded"]),
                keep: names(&["kept"]),
                said_by_machine: false,
            }
        );
        let active = BTreeSet::from(["changed.service".to_owned()]);
        let changes = compare(&before, &after, Some(&active));
        assert_eq!((changes.stop, changes.restart), (vec![], names(&["changed"])));
    }

    #[test]
    fn what_a_machine_says_is_read_and_a_stop_with_a_start_is_a_restart() {
        let text = "would stop the following units: a.service, gone.service\nwould NOT restart the following changed units: \
                    kept.service\nwould activate the configuration...\nwould reload the following units: r.service\nwould \
                    restart the following units: z.service\nwould start the following units: a.service, new.service";
        let names = |names: &[&str]| names.iter().map(|n| format!("{n}.service")).collect::<Vec<_>>();
        assert_eq!(
            said(text),
            Some(UnitChanges {
                stop: names(&["gone"]),
                start: names(&["new"]),
                restart: names(&["a", "z"]),
                reload: names(&["r"]),
                keep: names(&["kept"]),
                said_by_machine: true,
            })
        );
        assert_eq!(
            said("would activate the configuration..."),
            Some(UnitChanges { said_by_machine: true, ..UnitChanges::default() })
        );
        assert_eq!(said("error: no"), None);
    }

    #[test]
    fn a_system_without_units_is_not_compared() {
        assert_eq!(Units::read(Path::new("/nowhere")), None);
    }
}
