//! A copy of a module's files with other texts in some of them, for Nix to read.
//!
//! `/home/a/p/codchi.nix` is at `MIRROR/home/a/p/codchi.nix`. The module's Nix files are copies; all else that is in a
//! folder on the way to one of them is a link to the real thing, so that whatever is imported or read by a relative path
//! is there. All of the module's files have to be copies, not only the changed ones: Nix goes on from where a link leads.

use codchi_machine::{Guard, Leftover};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// So many files, folders and links a mirror may have; making them takes some 5 µs each.
const MOST: usize = 20_000;

/// What the folders of mirrors are called.
const PREFIX: &str = "codchi-mirror-";

/// A folder that nobody holds, and that is older than this, is of a process that was killed.
const ABANDONED: Duration = Duration::from_secs(60);

/// A copy of a module's files; gone with this.
pub(super) struct Mirror {
    folder: TempDir,
    /// Locked, so that others see that it is in use.
    _held: File,
    /// Without links, as Nix may call it so.
    root: PathBuf,
}

impl Mirror {
    /// Makes one of these texts, by absolute path.
    ///
    /// # Errors
    /// Why it cannot be made, as a clause.
    pub(super) fn new(texts: &BTreeMap<PathBuf, Arc<str>>) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("a copy of it cannot be made ({error})");
        let all = std::env::temp_dir();
        remove_abandoned(&all, ABANDONED);
        // Nobody else may read it.
        let private = Permissions::from_mode(0o700);
        let folder =
            tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&all).map_err(failed)?;
        let held = File::open(folder.path()).map_err(failed)?;
        held.lock_shared().map_err(failed)?;
        let root = folder.path().canonicalize().map_err(failed)?;
        let mirror = Self { folder, _held: held, root };
        let folders: BTreeSet<&Path> = texts.keys().flat_map(|path| path.ancestors().skip(1)).collect();
        let mut room = MOST;
        // Sorted: each folder comes after the one that it is in.
        for folder in &folders {
            mirror.fill(folder, &folders, texts, &mut room)?;
        }
        for (path, text) in texts {
            std::fs::write(mirror.inside(path), text.as_bytes()).map_err(failed)?;
        }
        Ok(mirror)
    }

    /// Makes a folder and links to what is in the real one.
    fn fill(
        &self,
        folder: &Path,
        folders: &BTreeSet<&Path>,
        texts: &BTreeMap<PathBuf, Arc<str>>,
        room: &mut usize,
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("a copy of it cannot be made ({error})");
        let copy = self.inside(folder);
        if copy != self.root {
            std::fs::create_dir(&copy).map_err(failed)?;
        }
        // One that cannot be listed, or is not on the disk, has only what is put into it.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            *room = room
                .checked_sub(1)
                .ok_or_else(|| format!("the folders on the way to it have more than {MOST} entries"))?;
            let real = folder.join(entry.file_name());
            let is_copied = folders.contains(real.as_path()) || texts.contains_key(&real);
            // The mirror itself may be among them.
            if !is_copied && !self.folder.path().starts_with(&real) {
                std::os::unix::fs::symlink(&real, copy.join(entry.file_name())).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Where an absolute path is in the mirror.
    pub(super) fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The real path of one in the mirror; `None` for others.
    pub(super) fn outside(&self, path: &Path) -> Option<PathBuf> {
        Some(Path::new("/").join(path.strip_prefix(&self.root).ok()?))
    }

    /// A text with the real paths in it.
    pub(super) fn outside_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match std::str::from_utf8(self.root.as_os_str().as_bytes()) {
            Ok(root) if text.contains(root) => {
                text.replace(&format!("{root}/"), "/").replace(root, "/").into()
            }
            _ => text.into(),
        }
    }
}

/// Mirrors of processes that were killed. Blocking.
pub(super) fn leftovers() -> Vec<Leftover> {
    let left = |(path, _): (PathBuf, File)| {
        Leftover::new(path.clone(), "a copy of unsaved files for an evaluation", Guard::Lock(path))
    };
    abandoned(&std::env::temp_dir(), ABANDONED).map(left).collect()
}

/// Removes mirrors of processes that were killed: they hold what a person has not saved.
fn remove_abandoned(all: &Path, age: Duration) {
    for (mirror, _held) in abandoned(all, age) {
        if let Err(error) = std::fs::remove_dir_all(&mirror) {
            tracing::debug!("{} cannot be removed: {error}", mirror.display());
        }
    }
}

/// Mirrors that nobody holds, each with the lock that keeps it so.
fn abandoned(all: &Path, age: Duration) -> impl Iterator<Item = (PathBuf, File)> + use<> {
    let mirrors = std::fs::read_dir(all).into_iter().flatten().flatten().filter(move |entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX))
            && entry.metadata().is_ok_and(|metadata| {
                let made = metadata.modified().ok().and_then(|time| time.elapsed().ok());
                let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
                metadata.is_dir() && is_ours && made.is_some_and(|made| made >= age)
            })
    });
    mirrors.filter_map(|mirror| {
        let held = File::open(mirror.path()).ok()?;
        held.try_lock().ok()?;
        Some((mirror.path(), held))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mirror(texts: &[(&Path, &str)]) -> Mirror {
        Mirror::new(&texts.iter().map(|(path, text)| (path.to_path_buf(), Arc::from(*text))).collect())
            .unwrap()
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn what_a_module_reads_beside_its_files_is_there_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let module = "my pröject/sub \"${x}\"/codchi.nix";
        write(&at(module), "old");
        write(&at("my pröject/data.json"), "{}");
        write(&at("my pröject/scripts/run"), "run");
        write(&at("outside"), "o");
        let new = at("my pröject/new/only in the editor.nix");
        let mirror = mirror(&[(&at(module), "new"), (&new, "created")]);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let inside = mirror.inside(&at(module));
        assert_eq!(read(&inside), "new");
        assert_eq!(read(&mirror.inside(&new)), "created");
        let folder = inside.parent().unwrap();
        assert_eq!(read(&folder.join("../data.json")), "{}");
        assert_eq!(read(&folder.join("../scripts/run")), "run");
        assert_eq!(read(&folder.join("../../outside")), "o");
        assert_eq!(mirror.outside(&inside), Some(at(module)));
        assert_eq!(mirror.outside(&at(module)), None);
        let mode = mirror.root.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else can read what is not saved");
        assert_eq!(read(&at(module)), "old", "the real file is as before");
    }

    #[test]
    fn links_in_a_circle_are_no_trouble_and_links_to_folders_hold_copies() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("real/a.nix"), "old");
        write(&at("real/b"), "b");
        symlink(folder.path(), at("here")).unwrap();
        symlink(at("y"), at("x")).unwrap();
        symlink(at("x"), at("y")).unwrap();
        symlink(at("real"), at("link")).unwrap();
        let mirror = mirror(&[(&at("link/a.nix"), "new")]);
        assert_eq!(std::fs::read_to_string(mirror.inside(&at("link/a.nix"))).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(mirror.inside(&at("link/b"))).unwrap(), "b");
        assert_eq!(std::fs::read_to_string(mirror.inside(&at("real/a.nix"))).unwrap(), "old");
        assert!(mirror.inside(&at("x")).symlink_metadata().is_ok());
    }

    #[test]
    fn a_folder_with_too_much_in_it_is_not_mirrored() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..=MOST {
            std::fs::File::create(folder.path().join(n.to_string())).unwrap();
        }
        let texts = BTreeMap::from([(folder.path().join("a.nix"), Arc::from("x"))]);
        assert!(Mirror::new(&texts).err().unwrap().contains("20000 entries"));
    }

    #[test]
    fn what_a_killed_process_has_left_is_removed_without_what_its_links_lead_to() {
        let (all, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(&project.path().join("a.nix"), "real");
        let make = |name: &str| {
            let folder = all.path().join(name);
            write(&folder.join("home/codchi.nix"), "not saved");
            symlink(project.path(), folder.join("home/p")).unwrap();
            folder
        };
        let [left, used, other] = ["codchi-mirror-1", "codchi-mirror-2", "other"].map(make);
        let held = File::open(&used).unwrap();
        held.lock_shared().unwrap();
        remove_abandoned(all.path(), ABANDONED);
        assert!(left.exists(), "it is being made");
        remove_abandoned(all.path(), Duration::ZERO);
        assert!(!left.exists() && used.exists() && other.exists());
        assert!(project.path().join("a.nix").exists());
        drop(held);
        remove_abandoned(all.path(), Duration::ZERO);
        assert!(!used.exists());

        let file = project.path().join("a.nix");
        let mirror = mirror(&[(&file, "new")]);
        remove_abandoned(&std::env::temp_dir(), ABANDONED);
        assert!(mirror.inside(&file).exists());
    }

    #[test]
    fn texts_name_the_real_paths() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.nix");
        let mirror = mirror(&[(&file, "x")]);
        let text = format!("at {}:1:2 and {}", mirror.inside(&file).display(), mirror.root.display());
        assert_eq!(mirror.outside_text(&text), format!("at {}:1:2 and /", file.display()));
        assert!(matches!(mirror.outside_text("nothing"), Cow::Borrowed("nothing")));
    }
}
