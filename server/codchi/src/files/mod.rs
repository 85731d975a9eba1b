//! Nix files on the disk: which there are, what they say, and the trees of those that were looked at last.

mod index;
mod mentions;
mod trees;

pub(crate) use index::{Index, Wanted};
pub(crate) use mentions::{Scan, roots};
pub(crate) use trees::Trees;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Larger files are not read.
const LARGEST: u64 = codchi_module::LARGEST as u64;

/// By what a file is known to be the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// When its name, its place or its contents changed, and which file it is: a program that restores the time of
    /// change does not deceive us.
    changed: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// Of the file at `path`; `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            changed: changed(&metadata),
            inode: inode(&metadata),
        })
    }
}

/// When something of a file changed.
#[cfg(unix)]
fn changed(metadata: &std::fs::Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ctime(), metadata.ctime_nsec())
}

/// Which file it is.
#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// When it was made, which says that there is another one of its name.
#[cfg(not(unix))]
fn changed(metadata: &std::fs::Metadata) -> (i64, i64) {
    let made = metadata.created().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    made.map_or((0, 0), |time| (time.as_secs().cast_signed(), time.subsec_nanos().into()))
}

/// Not known without opening it.
#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

/// Reads a text; says why it is none. No more than the limit is read, whatever happens to the file meanwhile, and nothing
/// is waited for: what gives its data when it likes is no file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.read(true).open(path);
    let file = file.map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    read_from(file)
}

/// The same of what is open already.
pub(crate) fn read_from(input: impl std::io::Read) -> Result<String, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB, which no module is", LARGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// The files and folders below some folders.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Nix files, sorted.
    pub(crate) files: Vec<PathBuf>,
    /// The folders that were looked at.
    pub(crate) folders: Vec<PathBuf>,
    /// What could not be looked at, and why.
    pub(crate) errors: Vec<(PathBuf, String)>,
}

/// The Nix files below `folders`, without those that git ignores; at most `limit`. Links are not followed, so there are no
/// loops.
pub(crate) fn list(folders: &[PathBuf], limit: usize) -> Listing {
    let mut listing = Listing::default();
    let Some((first, rest)) = folders.split_first() else { return listing };
    let mut walk = ignore::WalkBuilder::new(first);
    for folder in rest {
        walk.add(folder);
    }
    // In the same order each time, so that it is always the same ones that are too many.
    for entry in walk.require_git(false).sort_by_file_name(Ord::cmp).build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                listing.errors.push(named(&error));
                continue;
            }
        };
        let Some(kind) = entry.file_type() else { continue };
        let is_nix = entry.path().extension().is_some_and(|extension| extension == "nix");
        if kind.is_dir() {
            listing.folders.push(entry.into_path());
        } else if kind.is_file() && is_nix {
            listing.files.push(entry.into_path());
            if listing.files.len() > limit {
                let why =
                    format!("there are more than {limit} Nix files, and the rest of them is not looked at");
                listing.errors.push((first.clone(), why));
                listing.files.truncate(limit);
                break;
            }
        }
    }
    listing.files.sort();
    listing.files.dedup();
    listing
}

/// The path that an error is about, and why.
fn named(error: &ignore::Error) -> (PathBuf, String) {
    match error {
        ignore::Error::WithPath { path, err } => {
            let why = err.io_error().map_or_else(|| err.to_string(), ToString::to_string);
            (path.clone(), why)
        }
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => named(err),
        other => (PathBuf::new(), other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_folders_and_other_files_are_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in
            [("a.nix", ""), ("sub/b.nix", ""), ("out/c.nix", ""), ("d.txt", ""), (".gitignore", "out")]
        {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let found = list(&[folder.path().to_owned()], 100);
        assert_eq!(found.files, [folder.path().join("a.nix"), folder.path().join("sub/b.nix")]);
        assert_eq!(found.folders, [folder.path().to_owned(), folder.path().join("sub")]);
    }

    #[test]
    fn that_there_are_more_files_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(folder.path().join(name).with_extension("nix"), "").unwrap();
        }
        let found = list(&[folder.path().to_owned()], 2);
        assert_eq!(found.files, ["a.nix", "b.nix"].map(|name| folder.path().join(name)));
        assert_eq!(found.errors.len(), 1);
        assert!(found.errors[0].1.contains("more than 2 Nix files"), "{:?}", found.errors);
        assert!(list(&[folder.path().to_owned()], 3).errors.is_empty());
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nix");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(read(&path).unwrap_err(), "it is no file");
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err(), "it is no file");
        assert_eq!(read(folder.path()).unwrap_err(), "it is no file");
    }

    #[test]
    fn links_in_a_circle_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(at("b.nix"), at("a.nix")).unwrap();
        std::os::unix::fs::symlink(at("a.nix"), at("b.nix")).unwrap();
        std::os::unix::fs::symlink(folder.path(), at("here")).unwrap();
        assert!(list(&[folder.path().to_owned()], 100).files.is_empty());
        assert!(read(&at("a.nix")).is_err() && Stamp::of(&at("a.nix")).is_none());
    }
}
