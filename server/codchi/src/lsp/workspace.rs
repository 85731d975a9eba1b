//! The texts the client has open, over those on the disk.

use super::edit;
use super::position::Encoding;
use crate::files::DiskFiles;
use codchi_ide::Files;
use codchi_module::Document;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tower_lsp::lsp_types::{TextDocumentContentChangeEvent, Url};

/// The texts the client has open, over those on the disk.
///
/// Changes are made under a lock that is held for as long as it takes to copy a text, and never across an await: they
/// take effect in the order in which their notifications came. Nothing is parsed here; that is left to the first
/// reader of a [`Snapshot`], on a thread that may block.
#[derive(Default)]
pub(crate) struct Workspace {
    now: Mutex<Snapshot>,
}

/// The files at one moment. Cheap to make and to clone.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    open: Arc<HashMap<PathBuf, Arc<OpenFile>>>,
    disk: Arc<DiskFiles>,
    nix_files: Arc<Vec<PathBuf>>,
}

/// A text that the client has open.
pub(crate) struct OpenFile {
    /// As the client spells it.
    pub(crate) uri: Url,
    /// The client's count of its changes.
    pub(crate) version: i32,
    text: Arc<str>,
    document: OnceLock<Arc<Document>>,
}

impl OpenFile {
    fn new(uri: Url, version: i32, text: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self { uri, version, text: text.into(), document: OnceLock::new() })
    }

    /// The parsed text; takes its time at the first call.
    pub(crate) fn document(&self) -> &Arc<Document> {
        self.document.get_or_init(|| Arc::new(Document::new(self.text.clone())))
    }
}

impl Workspace {
    /// The files as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// The client has opened a text.
    pub(crate) fn open(&self, path: PathBuf, uri: Url, version: i32, text: String) {
        Arc::make_mut(&mut self.lock().open).insert(path, OpenFile::new(uri, version, text));
    }

    /// The client has changed a text; `false` where it never opened it.
    pub(crate) fn change(
        &self,
        path: &Path,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
    ) -> bool {
        let mut now = self.lock();
        let Some(file) = now.open.get(path).cloned() else { return false };
        let text = edit::apply(&file.text, changes, encoding);
        let file = OpenFile::new(file.uri.clone(), version, text);
        Arc::make_mut(&mut now.open).insert(path.to_owned(), file);
        true
    }

    /// The client has closed a text.
    pub(crate) fn close(&self, path: &Path) {
        Arc::make_mut(&mut self.lock().open).remove(path);
    }

    /// The Nix files of the workspace's folders were listed.
    pub(crate) fn set_nix_files(&self, files: Vec<PathBuf>) {
        self.lock().nix_files = Arc::new(files);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// The open text at `path`.
    pub(crate) fn open_file(&self, path: &Path) -> Option<&Arc<OpenFile>> {
        self.open.get(path)
    }

    /// Where texts are open.
    pub(crate) fn open_paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.open.keys()
    }
}

impl Files for Snapshot {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        match self.open.get(path) {
            Some(file) => Some(file.document().clone()),
            None => self.disk.document(path),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.open.contains_key(path) || path.exists()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.nix_files.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_does_not_see_later_changes() {
        let workspace = Workspace::default();
        let path = PathBuf::from("/w/a.nix");
        let uri: Url = "file:///w/a.nix".parse().unwrap();
        workspace.open(path.clone(), uri, 1, "1".into());
        let before = workspace.snapshot();
        let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: "2".into() };
        assert!(workspace.change(&path, 2, vec![whole], Encoding::Utf16));

        assert_eq!(before.document(&path).unwrap().text(), "1");
        let after = workspace.snapshot();
        assert_eq!(after.document(&path).unwrap().text(), "2");
        assert_eq!(after.open_file(&path).unwrap().version, 2);

        workspace.close(&path);
        assert!(workspace.snapshot().document(&path).is_none(), "there is none on the disk");
    }

    #[test]
    fn changing_a_text_that_is_not_open_does_nothing() {
        let workspace = Workspace::default();
        assert!(!workspace.change(Path::new("/w/a.nix"), 1, Vec::new(), Encoding::Utf16));
    }
}
