//! The parsed texts of the files that were looked at last.

use super::{LARGEST, Stamp, read};
use codchi_module::Document;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many trees are remembered, and how much text they may have together; a tree takes some ten times its text.
const REMEMBERED: usize = 32;
const TEXT: usize = 1 << 20;

/// Remembers the documents of files as long as they stay the same. A look at a file costs one `stat`, so it is right
/// without any watching.
#[derive(Default)]
pub(crate) struct Trees {
    /// The one that was used last at the end.
    documents: Mutex<Vec<(PathBuf, Stamp, Arc<Document>)>>,
}

impl Trees {
    /// The document at `path`; `None` where it is no readable text file of a sensible size.
    pub(crate) fn document(&self, path: &Path) -> Option<Arc<Document>> {
        let stamp = Stamp::of(path).filter(|stamp| stamp.length <= LARGEST)?;
        if let Some(document) = self.remembered(path, stamp) {
            return Some(document);
        }
        // Read and parsed without the lock: two readers at once may do it twice, which is only work.
        let document = Arc::new(Document::new(read(path).ok()?));
        self.remember(path, stamp, &document);
        Some(document)
    }

    fn remembered(&self, path: &Path, stamp: Stamp) -> Option<Arc<Document>> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let index = documents.iter().position(|(known, of, _)| known == path && *of == stamp)?;
        let found = documents.remove(index);
        let document = found.2.clone();
        documents.push(found);
        Some(document)
    }

    fn remember(&self, path: &Path, stamp: Stamp, document: &Arc<Document>) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.retain(|(known, ..)| known != path);
        documents.push((path.to_owned(), stamp, document.clone()));
        let mut text = 0;
        let fits = documents.iter().rev().take(REMEMBERED).take_while(|(_, _, document)| {
            text += document.text().len();
            text <= TEXT
        });
        let fits: HashSet<PathBuf> = fits.map(|(path, ..)| path.clone()).collect();
        documents.retain(|(path, ..)| fits.contains(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_parsed_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nix");
        let files = Trees::default();
        assert!(files.document(&path).is_none(), "there is no file yet");

        std::fs::write(&path, "{ }").unwrap();
        let first = files.document(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &files.document(&path).unwrap()));

        std::fs::write(&path, "{ a = 1; }").unwrap();
        assert_eq!(files.document(&path).unwrap().text(), "{ a = 1; }");
    }

    #[test]
    fn no_more_than_a_number_of_trees_and_an_amount_of_text_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let files = Trees::default();
        let look = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            files.document(&path).unwrap();
        };
        for n in 0..REMEMBERED + 10 {
            look(&format!("{n}.nix"), "1");
        }
        assert_eq!(files.documents.lock().unwrap().len(), REMEMBERED);
        look("large.nix", &format!("\"{}\"", "a".repeat(TEXT - 3)));
        assert_eq!(files.documents.lock().unwrap().len(), 2);
        look("larger.nix", &format!("\"{}\"", "a".repeat(2 * TEXT)));
        assert_eq!(files.documents.lock().unwrap().len(), 0);
    }
}
