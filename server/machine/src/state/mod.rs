//! A machine's state on disk: one folder per machine, everything in it written atomically.
//!
//! | entry | is |
//! | --- | --- |
//! | `machine.toml` | what the machine is made of ([`Definition`]) |
//! | `generations.json` | its built systems, and which one it runs ([`Generations`]): what is not in there does not count |
//! | `profile/system*` | Nix profile links, which keep those systems from being collected |
//! | `flake/`, `modules/INPUT/` | what the next build reads: the generated flake, copies of local modules; made anew each time |
//! | `runtime.json` | what was found out about the running instance ([`Runtime`]) |
//! | `permissions.toml` | what of the host the person lets it have ([`Permissions`]) |
//! | `journal.json` | the operation under way ([`Journal`]); there only while one is, or after one was interrupted |
//!
//! Locks and logs live outside of the folder, since both outlast it.

mod definition;
mod generations;
mod journal;
mod lock;
mod modules;
mod permissions;
mod runtime;

pub(crate) use definition::{Definition, HOME, snapshot_root};
pub(crate) use generations::{Generation, Generations};
pub(crate) use journal::Journal;
pub(crate) use lock::{FileLock, Lock};
pub(crate) use modules::{Module, NixpkgsFrom, personal_sources};
pub use permissions::Permissions;
pub(crate) use runtime::Runtime;

use crate::files::{
    damaged_at, io_error, read_optional, remove_file, remove_folder, sync_folder, write_atomic,
};
use crate::{MachineError, MachineName, Paths};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// The folder of one machine.
#[derive(Debug, Clone)]
pub(crate) struct MachineFolder {
    root: PathBuf,
}

impl MachineFolder {
    /// The folder of `name`; it need not exist.
    pub(crate) fn new(paths: &Paths, name: &MachineName) -> Self {
        Self { root: paths.machine(name) }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is anything of the machine.
    pub(crate) fn exists(&self) -> bool {
        self.root.exists()
    }

    /// The generated flake.
    pub(crate) fn flake(&self) -> PathBuf {
        self.root.join("flake")
    }

    /// The revisions of the generated flake's inputs; `None` where nothing was locked yet.
    ///
    /// # Errors
    /// [`MachineError::Io`] where they cannot be read.
    pub(crate) fn flake_lock(&self) -> Result<Option<String>, MachineError> {
        let path = self.flake().join("flake.lock");
        let text = read_optional(&path)?.map(String::from_utf8).transpose();
        text.map_err(|e| io_error("Reading", &path, std::io::Error::other(e)))
    }

    /// Writes them.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn write_flake_lock(&self, text: &str) -> Result<(), MachineError> {
        write_atomic(&self.flake().join("flake.lock"), text.as_bytes(), 0o600)
    }

    /// The copies of local modules.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("modules")
    }

    /// The Nix profile whose generations are the machine's.
    pub(crate) fn profile(&self) -> PathBuf {
        self.root.join("profile").join("system")
    }

    /// Removes the folder with all in it, so that it is there wholly or not at all even if this is interrupted.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn remove(&self) -> Result<(), MachineError> {
        // No machine's name begins with a dot; leftovers of an interrupted removal go with the next one.
        let name = self.root.file_name().unwrap_or_default().to_string_lossy();
        let trash = self.root.with_file_name(format!(".removed-{name}"));
        remove_folder(&trash)?;
        match std::fs::rename(&self.root, &trash) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error("Removing", &self.root, e)),
            Ok(()) => {}
        }
        remove_folder(&trash)
    }

    /// Moves the folder, so that it is here or there at any time; gives it as it is there.
    ///
    /// # Errors
    /// [`MachineError::Io`], also where there is one already; then it is still here.
    pub(crate) fn moved(&self, to: &Self) -> Result<Self, MachineError> {
        std::fs::rename(&self.root, &to.root).map_err(|e| io_error("Moving", &self.root, e))?;
        sync_folder(&to.root)?;
        Ok(to.clone())
    }

    fn read_json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, MachineError> {
        let path = self.root.join(file);
        let Some(contents) = read_optional(&path)? else { return Ok(None) };
        serde_json::from_slice(&contents).map(Some).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string().replace(&format!(" at line {line} column {column}"), "");
            // Where a file ends too early its end is meant, which may be before the first column.
            damaged_at(&path, (line > 0).then_some((line, column.max(1))), message)
        })
    }

    fn write_json<T: Serialize>(&self, file: &str, value: &T) -> Result<(), MachineError> {
        let path = self.root.join(file);
        let mut text = serde_json::to_vec_pretty(value).map_err(|e| io_error("Writing", &path, e.into()))?;
        text.push(b'\n');
        write_atomic(&path, &text, 0o600)
    }
}

/// The names of all machines that have a folder, sorted.
///
/// # Errors
/// [`MachineError::Io`] where the folder cannot be read; none where it does not exist.
pub(crate) fn machine_names(paths: &Paths) -> Result<Vec<MachineName>, MachineError> {
    let folder = paths.data.join("machines");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error("Reading", &folder, e)),
    };
    let mut names: Vec<MachineName> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// Removes what processes have left that were killed while they wrote or removed something: of the machine `name`, whose
/// lock is held, and of machines that nobody is at work on. What cannot be removed is left to the next time.
pub(crate) fn sweep(paths: &Paths, name: &MachineName) {
    let is_left = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [".new-", ".old-"].iter().any(|prefix| name.starts_with(prefix))
    };
    let folder = MachineFolder::new(paths, name);
    // Only then: who merely enters a machine writes a file now and then, without its lock.
    let own = match folder.root.join("journal.json").exists() {
        true => vec![folder.root.clone(), folder.flake(), folder.modules(), folder.root.join("profile")],
        false => Vec::new(),
    };
    for path in own.iter().flat_map(|folder| entries(folder)).filter(|path| is_left(path)) {
        remove(&path);
    }
    for path in entries(&paths.data.join("machines")) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let of = [".removed-", ".new-"].iter().find_map(|prefix| file.strip_prefix(prefix));
        let Some(of) = of.and_then(|of| of.parse().ok()) else { continue };
        if of == *name || !Lock::is_held(paths, &of) {
            remove(&path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn remove(path: &Path) {
    let removed = if path.is_dir() && !path.is_symlink() { remove_folder(path) } else { remove_file(path) };
    if let Err(error) = removed {
        tracing::debug!("what was left of an interrupted write stays: {error}");
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_with_a_machines_name_are_machines() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        assert_eq!(machine_names(&paths).unwrap(), []);
        for folder in ["b", "a", ".removed-c", "Not A Name"] {
            std::fs::create_dir_all(paths.data.join("machines").join(folder)).unwrap();
        }
        let names: Vec<String> = machine_names(&paths).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_damaged_file_is_told_with_line_and_column() {
        let data = tempfile::tempdir().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &"a".parse().unwrap());
        std::fs::create_dir_all(folder.root()).unwrap();
        for (file, text, told) in [
            ("generations.json", "{\n  \"current\": one\n}", ":2:14: expected value"),
            ("generations.json", "{\"current\": 1,", ":1:14: EOF while parsing"),
            ("runtime.json", "{\n  \"start\": 7\n}", ":2:12: invalid type: integer `7`, expected a string"),
            ("journal.json", "", ":1:1: EOF while parsing a value"),
        ] {
            let path = folder.root().join(file);
            std::fs::write(&path, text).unwrap();
            let error = match file {
                "generations.json" => folder.generations().unwrap_err(),
                "runtime.json" => folder.runtime().unwrap_err(),
                _ => folder.journal().unwrap_err(),
            };
            let message = error.to_string();
            assert!(message.starts_with(&format!("{}{told}", path.display())), "{message}");
            assert!(!message.contains("at line"), "{message}");
            assert!(error.hint().unwrap().starts_with("Correct it"), "{error:?}");
        }
    }

    #[test]
    fn a_removed_folder_leaves_nothing_even_after_an_interrupted_removal() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        let name: MachineName = "a".parse().unwrap();
        let folder = MachineFolder::new(&paths, &name);
        std::fs::create_dir_all(paths.data.join("machines/.removed-a/flake")).unwrap();
        std::fs::create_dir_all(folder.flake()).unwrap();
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert_eq!(std::fs::read_dir(paths.data.join("machines")).unwrap().count(), 0);
    }
}
