//! `generations.json`: a machine's built systems.

use super::MachineFolder;
#[cfg(unix)]
use crate::files::io_error;
use crate::files::remove_file;
#[cfg(unix)]
use crate::links;
use crate::{Input, MachineError, Manifest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A machine's built systems, and which of them it runs. This file, not the profile's link, says what is current: Nix
/// moves the link as soon as it has built, the machine gets there later or never.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Generations {
    current: u32,
    generations: Vec<Generation>,
}

/// One built system.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Generation {
    /// Its number, which is that of its profile link.
    pub(crate) number: u32,
    /// The system in the Nix store.
    pub(crate) toplevel: PathBuf,
    /// The user's id in this system.
    pub(crate) uid: u32,
    /// The user's group in this system.
    pub(crate) gid: u32,
    /// When it became current first, in seconds since 1970.
    pub(crate) created: u64,
    /// What its modules ask of the host.
    pub(crate) manifest: Manifest,
    /// Its local modules, each with the digest of the files that it was made of; none where nobody wrote that down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) local_modules: BTreeMap<String, String>,
    /// What it was built of; empty for one that an earlier codchi built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) made_of: Vec<Input>,
}

impl Generation {
    /// A file of the built system, e.g. `init`.
    pub(crate) fn path(&self, relative: &str) -> String {
        codchi_nix::inside(&self.toplevel.join(relative)).display().to_string()
    }
}

impl Generations {
    /// The one that the machine runs; `None` before the first.
    pub(crate) fn current(&self) -> Option<&Generation> {
        self.generations.iter().find(|g| g.number == self.current)
    }

    /// The one with a number.
    pub(crate) fn numbered(&self, number: u32) -> Option<&Generation> {
        self.generations.iter().find(|g| g.number == number)
    }

    /// The newest one that is older than the current.
    pub(crate) fn previous(&self) -> Option<&Generation> {
        self.generations.iter().rev().find(|g| g.number < self.current)
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> &[Generation] {
        &self.generations
    }

    /// Forgets those that `goes` names; never the current one.
    pub(crate) fn forget(&mut self, goes: impl Fn(&Generation) -> bool) {
        let current = self.current;
        self.generations.retain(|generation| generation.number == current || !goes(generation));
    }

    /// Adds `generation`, or replaces the one with its number, and makes it current.
    pub(crate) fn activate(&mut self, generation: Generation) {
        self.current = generation.number;
        self.generations.retain(|g| g.number != generation.number);
        self.generations.push(generation);
        self.generations.sort_by_key(|g| g.number);
    }
}

impl MachineFolder {
    /// Reads `generations.json`; empty where there is none.
    ///
    /// # Errors
    /// [`MachineError::Io`]; [`MachineError::Damaged`].
    pub(crate) fn generations(&self) -> Result<Generations, MachineError> {
        Ok(self.read_json("generations.json")?.unwrap_or_default())
    }

    /// Writes `generations.json`.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn write_generations(&self, generations: &Generations) -> Result<(), MachineError> {
        self.write_json("generations.json", generations)
    }

    /// The link that keeps a generation from being collected.
    pub(crate) fn generation_link(&self, number: u32) -> PathBuf {
        self.profile().with_file_name(format!("system-{number}-link"))
    }

    /// The number of the profile's newest build; 0 where there is none.
    #[cfg(unix)]
    pub(crate) fn profile_number(&self) -> u32 {
        std::fs::read_link(self.profile()).ok().and_then(|link| link_number(&link)).unwrap_or(0)
    }

    /// The number of the profile's newest build; 0 where there is none. Windows cannot read the profile's link, which Nix has made
    /// in a distribution (`links.rs`); but each build that makes something else has the highest number, and Nix takes the highest
    /// one again for what it has made already.
    #[cfg(not(unix))]
    pub(crate) fn profile_number(&self) -> u32 {
        let entries = std::fs::read_dir(self.root().join("profile")).into_iter().flatten().flatten();
        entries.filter_map(|entry| link_number(&entry.path())).max().unwrap_or(0)
    }

    /// Makes the profile that of the build `number`.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    #[cfg(unix)]
    pub(crate) fn point_profile(&self, number: u32) -> Result<(), MachineError> {
        if self.profile_number() == number {
            return Ok(());
        }
        let profile = self.profile();
        let fresh = profile.with_file_name(".new-system");
        remove_file(&fresh)?;
        links::make(Path::new(&format!("system-{number}-link")), &fresh)
            .and_then(|()| std::fs::rename(&fresh, &profile))
            .map_err(|e| io_error("Writing", &profile, e))
    }

    /// Nothing: on Windows the links' names alone count, and each of them keeps its build from being collected.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "it is as it is on Unix")]
    pub(crate) fn point_profile(&self, _number: u32) -> Result<(), MachineError> {
        Ok(())
    }

    /// Points the profile back at `current` (nowhere for `None`) and removes the links of builds that never became
    /// current.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn reset_profile(&self, current: Option<u32>) -> Result<(), MachineError> {
        match current {
            Some(number) => self.point_profile(number)?,
            None => remove_file(&self.profile())?,
        }
        let folder = self.root().join("profile");
        let known: Vec<u32> = self.generations()?.generations.iter().map(|g| g.number).collect();
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if link_number(&path).is_some_and(|number| !known.contains(&number)) {
                remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// `system-12-link` -> 12.
fn link_number(link: &Path) -> Option<u32> {
    link.file_name()?.to_str()?.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MachineName;
    use std::os::unix::fs::symlink;

    fn generation(number: u32) -> Generation {
        Generation {
            number,
            toplevel: format!("/nix/store/{number}").into(),
            uid: 1000,
            gid: 1000,
            ..Generation::default()
        }
    }

    #[test]
    fn resetting_the_profile_forgets_builds_that_never_became_current() {
        let data = tempfile::tempdir().unwrap();
        let name: MachineName = "a".parse().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &name);
        let links = folder.root().join("profile");
        std::fs::create_dir_all(&links).unwrap();
        for number in [1, 2, 3] {
            symlink("/nowhere", links.join(format!("system-{number}-link"))).unwrap();
        }
        symlink("system-3-link", folder.profile()).unwrap();
        let mut generations = Generations::default();
        generations.activate(generation(1));
        generations.activate(generation(2));
        folder.write_generations(&generations).unwrap();

        assert_eq!(folder.profile_number(), 3);
        folder.reset_profile(Some(2)).unwrap();
        assert_eq!(folder.profile_number(), 2);
        let mut left: Vec<_> = std::fs::read_dir(&links)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["system", "system-1-link", "system-2-link"]);
        assert_eq!(folder.generations().unwrap().current(), Some(&generation(2)));
    }

    #[test]
    fn generations_of_an_earlier_codchi_are_read() {
        let mut generations = Generations::default();
        generations.activate(generation(1));
        let text = serde_json::to_string(&generations).unwrap();
        assert!(!text.contains("madeOf"), "{text}");
        assert_eq!(serde_json::from_str::<Generations>(&text).unwrap(), generations);
    }

    #[test]
    fn activating_an_earlier_generation_keeps_the_later_one() {
        let mut generations = Generations::default();
        generations.activate(generation(1));
        generations.activate(generation(2));
        generations.activate(generation(1));
        assert_eq!(generations.current().unwrap().number, 1);
        assert_eq!(generations.generations.len(), 2);
    }
}
