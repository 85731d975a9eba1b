//! Nix files on the disk, parsed once as long as they stay the same.

use codchi_module::Document;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Larger files are not read: no module is, and their trees would take hundreds of MB.
const LARGEST: u64 = 4 << 20;

/// How many files are remembered; a tree takes some ten times its text.
const REMEMBERED: usize = 256;

/// Remembers the documents of files as long as their size and time of change stay the same. A look at a file costs
/// one `stat`, so it is right without any watching.
#[derive(Default)]
pub(crate) struct DiskFiles {
    documents: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    entries: HashMap<PathBuf, Entry>,
    clock: u64,
}

struct Entry {
    stamp: (u64, Option<SystemTime>),
    used: u64,
    document: Arc<Document>,
}

impl DiskFiles {
    /// The document at `path`; `None` where it is no readable text file of a sensible size.
    pub(crate) fn document(&self, path: &Path) -> Option<Arc<Document>> {
        let metadata = std::fs::metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return None;
        }
        let stamp = (metadata.len(), metadata.modified().ok());
        if let Some(document) = self.remembered(path, stamp) {
            return Some(document);
        }
        // Read and parsed without the lock: two readers at once may do it twice, which is only work.
        let document = Arc::new(Document::new(std::fs::read_to_string(path).ok()?));
        self.remember(path, stamp, &document);
        Some(document)
    }

    fn remembered(&self, path: &Path, stamp: (u64, Option<SystemTime>)) -> Option<Arc<Document>> {
        let mut remembered = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.clock += 1;
        let now = remembered.clock;
        let entry = remembered.entries.get_mut(path).filter(|entry| entry.stamp == stamp)?;
        entry.used = now;
        Some(entry.document.clone())
    }

    fn remember(&self, path: &Path, stamp: (u64, Option<SystemTime>), document: &Arc<Document>) {
        let mut remembered = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = &mut *remembered;
        if remembered.entries.len() >= REMEMBERED {
            let oldest = remembered.entries.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
                remembered.entries.remove(&oldest);
            }
        }
        let entry = Entry { stamp, used: remembered.clock, document: document.clone() };
        remembered.entries.insert(path.to_owned(), entry);
    }
}

/// The Nix files below `folders`, without those that git ignores; at most `limit`.
pub(crate) fn nix_files(folders: &[PathBuf], limit: usize) -> Vec<PathBuf> {
    let Some((first, rest)) = folders.split_first() else { return Vec::new() };
    let mut walk = ignore::WalkBuilder::new(first);
    for folder in rest {
        walk.add(folder);
    }
    let mut files: Vec<_> = walk
        .require_git(false)
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(ignore::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "nix"))
        .take(limit)
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_parsed_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nix");
        let files = DiskFiles::default();
        assert!(files.document(&path).is_none(), "there is no file yet");

        std::fs::write(&path, "{ }").unwrap();
        let first = files.document(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &files.document(&path).unwrap()));

        std::fs::write(&path, "{ a = 1; }").unwrap();
        assert_eq!(files.document(&path).unwrap().text(), "{ a = 1; }");
    }

    #[test]
    fn no_more_than_a_number_of_files_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let files = DiskFiles::default();
        for n in 0..REMEMBERED + 10 {
            let path = folder.path().join(format!("{n}.nix"));
            std::fs::write(&path, "1").unwrap();
            files.document(&path).unwrap();
        }
        assert_eq!(files.documents.lock().unwrap().entries.len(), REMEMBERED);
    }

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
        let found = nix_files(&[folder.path().to_owned()], 100);
        assert_eq!(found, [folder.path().join("a.nix"), folder.path().join("sub/b.nix")]);
    }
}
