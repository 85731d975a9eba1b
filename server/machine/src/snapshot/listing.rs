//! Which files of a folder belong to a snapshot.

use crate::files::io_error;
use crate::{CancellationToken, MachineError, access};
use ignore::{DirEntry, WalkBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};

/// The most that a module's folder may hold, in bytes and in files.
pub(super) const MAX_BYTES: u64 = 64 << 20;
pub(super) const MAX_ENTRIES: usize = 50_000;
/// Where counting for the message about too much ends.
const MAX_COUNTED: usize = 4 * MAX_ENTRIES;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File { executable: bool },
    Link,
}

impl Kind {
    /// `None` for what Nix cannot read.
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        let kind: FileType = metadata.file_type();
        if kind.is_dir() {
            Some(Self::Folder)
        } else if kind.is_symlink() {
            Some(Self::Link)
        } else {
            // On Windows no file says that it can be run; git keeps that for itself there.
            let executable = !cfg!(windows) && access::is_executable(metadata);
            kind.is_file().then_some(Self::File { executable })
        }
    }
}

/// Entries by their path below the folder; a folder comes before what is in it. Folders without files are left out.
pub(super) fn list(
    source: &Path,
    cancel: &CancellationToken,
) -> Result<BTreeMap<PathBuf, Kind>, MachineError> {
    let mut entries = BTreeMap::new();
    let mut size = Size::default();
    for entry in walk(source) {
        if cancel.is_cancelled() {
            return Err(MachineError::Cancelled);
        }
        let entry = entry.map_err(|error| walk_error(source, error))?;
        let Ok(path) = entry.path().strip_prefix(source) else { continue };
        if path.as_os_str().is_empty() {
            continue;
        }
        let metadata = entry.metadata().map_err(|error| walk_error(entry.path(), error))?;
        if let Some(kind) = Kind::of(&metadata) {
            size.add(path, if kind == Kind::Folder { 0 } else { metadata.len() });
            if size.entries > MAX_COUNTED {
                break;
            }
            if !size.is_too_much() {
                entries.insert(path.to_owned(), kind);
            }
        }
    }
    if size.is_too_much() {
        return Err(size.error(source));
    }
    add_module_files(source, &mut entries)?;
    drop_empty_folders(&mut entries);
    Ok(entries)
}

/// Fails where entries of `source` are more than a module's folder may hold.
pub(super) fn check_size(source: &Path, entries: &BTreeMap<PathBuf, Kind>) -> Result<(), MachineError> {
    let mut size = Size::default();
    for (path, kind) in entries {
        let metadata = source.join(path).symlink_metadata();
        let is_folder = *kind == Kind::Folder;
        size.add(path, metadata.map_or(0, |metadata| if is_folder { 0 } else { metadata.len() }));
    }
    if size.is_too_much() { Err(size.error(source)) } else { Ok(()) }
}

fn walk(source: &Path) -> ignore::Walk {
    // The caller takes a repository at its root, so rules further up (of a home folder that keeps its dot files in git,
    // say) are never about this folder. Without a repository, `.gitignore` files count all the same.
    let mut builder = WalkBuilder::new(source);
    builder.hidden(false).ignore(false).follow_links(false).parents(false);
    builder.require_git(source.join(".git").exists());
    builder.filter_entry(|entry| !is_left_out(entry));
    builder.build()
}

fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    if entry.depth() == 0 {
        return false;
    }
    if name == ".git" || name == ".direnv" {
        return true;
    }
    let name = name.to_string_lossy();
    (name == "result" || name.starts_with("result-"))
        && entry.path_is_symlink()
        && std::fs::read_link(entry.path()).is_ok_and(|target| target.starts_with("/nix/store"))
}

/// Personal modules are often kept from git by an ignore rule; without them there would be nothing to build.
pub(super) fn add_module_files(
    source: &Path,
    entries: &mut BTreeMap<PathBuf, Kind>,
) -> Result<(), MachineError> {
    let failed = |e| io_error("Reading", source, e);
    for entry in std::fs::read_dir(source).map_err(failed)? {
        let path = PathBuf::from(entry.map_err(failed)?.file_name());
        if path.extension().is_some_and(|e| e == "nix") || path == Path::new("flake.lock") {
            let metadata = source.join(&path).symlink_metadata().map_err(failed)?;
            if let Some(kind) = Kind::of(&metadata).filter(|kind| *kind != Kind::Folder) {
                entries.insert(path, kind);
            }
        }
    }
    Ok(())
}

/// As git, which knows files only.
fn drop_empty_folders(entries: &mut BTreeMap<PathBuf, Kind>) {
    let files = entries.iter().filter(|(_, kind)| **kind != Kind::Folder);
    let used: BTreeSet<PathBuf> =
        files.flat_map(|(path, _)| path.ancestors().skip(1)).map(Path::to_owned).collect();
    entries.retain(|path, kind| *kind != Kind::Folder || used.contains(path));
}

/// How much there is.
#[derive(Default)]
struct Size {
    entries: usize,
    bytes: u64,
    /// By what is directly in the folder.
    parts: BTreeMap<PathBuf, (u64, usize)>,
}

impl Size {
    fn add(&mut self, path: &Path, bytes: u64) {
        self.entries += 1;
        self.bytes += bytes;
        let part = path.components().next().map(|part| PathBuf::from(part.as_os_str())).unwrap_or_default();
        let part = self.parts.entry(part).or_default();
        *part = (part.0 + bytes, part.1 + 1);
    }

    fn is_too_much(&self) -> bool {
        self.bytes > MAX_BYTES || self.entries > MAX_ENTRIES
    }

    fn error(self, source: &Path) -> MachineError {
        let mut parts: Vec<_> = self.parts.into_iter().collect();
        parts.sort_by_key(|(_, (bytes, entries))| std::cmp::Reverse((*bytes, *entries)));
        let largest = parts.iter().take(3).map(|(path, (bytes, entries))| {
            let files =
                if *entries == 1 { String::new() } else { format!(" in {entries} files and folders") };
            format!("{} ({} MiB{files})", path.display(), bytes >> 20)
        });
        MachineError::User {
            message: format!(
                "The module's folder {} is too large to copy: it may hold {} MiB and {MAX_ENTRIES} files that git does \
                 not ignore. Its largest parts are {}",
                source.display(),
                MAX_BYTES >> 20,
                largest.collect::<Vec<_>>().join(", ")
            ),
            hint: Some(
                "Name what is not needed to build the machine in .gitignore, or move the module into a folder of its own."
                    .into(),
            ),
        }
    }
}

fn walk_error(path: &Path, error: ignore::Error) -> MachineError {
    let text = error.to_string();
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(text));
    io_error("Reading", path, source)
}
