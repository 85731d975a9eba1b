//! The names of packages of a nixpkgs: from memory, else from the disk; what is on neither is asked for and known later.

use super::folder::Entry;
use codchi_nix::PackageNames;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

/// So many sets are looked into: a person who types a path names each of its beginnings.
const MOST_SETS: usize = 256;

/// Nobody nests sets of packages deeper.
const DEEPEST: usize = 4;

/// The names of packages of a nixpkgs.
#[derive(Debug)]
pub(super) struct Packages {
    entry: Entry,
    known: Mutex<HashMap<Vec<String>, Names>>,
}

/// What is known of a path.
#[derive(Debug, Clone)]
enum Names {
    /// Not yet known, but asked for.
    Asked,
    /// The names, one a line; none for what is no set.
    These(Box<str>),
}

/// A file of names.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: Vec<String>,
    names: Vec<String>,
}

/// The answer to a question.
pub(super) enum Answer {
    /// These.
    Known(Vec<String>),
    /// Nobody knows, and somebody has to ask Nix.
    Ask,
    /// Nobody knows, and nobody has to do anything about it.
    Unknown,
}

impl Packages {
    /// Knows what is on the disk.
    pub(super) fn new(entry: Entry) -> Self {
        Self { entry, known: Mutex::default() }
    }

    /// The names below a path.
    pub(super) fn below(&self, path: &[String]) -> Answer {
        // `lib` is no set of packages.
        if path.len() > DEEPEST || path.first().is_some_and(|first| first == "lib") {
            return Answer::Unknown;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = known.get(path) {
            return match names {
                Names::Asked => Answer::Unknown,
                Names::These(names) => Answer::Known(names.lines().map(str::to_owned).collect()),
            };
        }
        if known.len() >= MOST_SETS {
            return Answer::Unknown;
        }
        let (names, answer) = match self.read(path) {
            Some(names) => (Names::These(names.join("\n").into()), Answer::Known(names)),
            None => (Names::Asked, Answer::Ask),
        };
        known.insert(path.to_vec(), names);
        answer
    }

    /// Nix has answered. At the top of something without packages there are no names, which is no answer.
    pub(super) fn set(&self, answer: PackageNames) {
        let PackageNames { path, names } = answer;
        let names = names.unwrap_or_default();
        if path.is_empty() && names.is_empty() {
            return;
        }
        let kept = Kept { path, names };
        if let Err(error) = self.write(&kept) {
            tracing::debug!("names of packages cannot be kept: {error}");
        }
        let names = Names::These(kept.names.join("\n").into());
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(kept.path, names);
    }

    /// A damaged file, or one of another path with the same hash, is none.
    fn read(&self, path: &[String]) -> Option<Vec<String>> {
        let text = std::fs::read(self.entry.packages(path)).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        (kept.path == path).then_some(kept.names)
    }

    fn write(&self, kept: &Kept) -> io::Result<()> {
        let mut file = self.entry.new_file()?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        self.entry.keep(file, &self.entry.packages(&kept.path))
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder::{Folder, Key};
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn names(packages: &Packages, at: &str) -> Option<Vec<String>> {
        match packages.below(&path(at)) {
            Answer::Known(names) => Some(names),
            Answer::Ask | Answer::Unknown => None,
        }
    }

    #[test]
    fn what_is_not_known_is_asked_once_and_then_known_to_the_next_process_as_well() {
        let cache = tempfile::tempdir().unwrap();
        let entry = Folder::new(cache.path()).entry(&Key::of([]));
        let packages = Packages::new(entry.clone());
        assert!(matches!(packages.below(&path("python3Packages")), Answer::Ask));
        assert!(matches!(packages.below(&path("python3Packages")), Answer::Unknown), "it was asked already");
        packages
            .set(PackageNames { path: path("python3Packages"), names: Some(vec!["a".into(), "b".into()]) });
        assert_eq!(names(&packages, "python3Packages").unwrap(), ["a", "b"]);
        let next = Packages::new(entry.clone());
        assert_eq!(names(&next, "python3Packages").unwrap(), ["a", "b"]);

        std::fs::write(entry.packages(&path("python3Packages")), "{\"path\":[\"python3P").unwrap();
        let damaged = Packages::new(entry);
        assert!(matches!(damaged.below(&path("python3Packages")), Answer::Ask));
    }

    #[test]
    fn what_is_no_set_has_no_names_and_lib_and_endless_paths_are_not_asked_for() {
        let cache = tempfile::tempdir().unwrap();
        let packages = Packages::new(Folder::new(cache.path()).entry(&Key::of([])));
        packages.set(PackageNames { path: path("hello"), names: None });
        assert_eq!(names(&packages, "hello").unwrap(), [""; 0]);
        packages.set(PackageNames { path: path(""), names: Some(Vec::new()) });
        assert_eq!(names(&packages, ""), None, "nixpkgs.lib has no packages, which is no answer");
        assert!(matches!(packages.below(&path("lib.types")), Answer::Unknown));
        assert!(matches!(packages.below(&path("a.b.c.d.e")), Answer::Unknown));
        for n in 0..2 * MOST_SETS {
            packages.below(&path(&format!("set{n}")));
        }
        assert!(matches!(packages.below(&path("more")), Answer::Unknown));
    }
}
