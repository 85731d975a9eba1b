//! The texts the client has open, over those on the disk.

use super::edit;
use super::position::Encoding;
use crate::evaluation::Texts;
use crate::files::{Index, Trees};
use codchi_ide::{Facts, Files, Graph, Node};
use codchi_module::Document;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_lsp::lsp_types::{TextDocumentContentChangeEvent, Url};

/// A text that grows longer is let go of: it would take all memory long before anybody could use it.
const LONGEST: usize = 64 << 20;

/// From this size on, a text takes so long that only [`TURNS`] questions about such texts are worked on at once: all
/// others go on in between.
const LARGE: usize = 128 << 10;
const TURNS: usize = 2;

/// From this size on, other texts' questions do not wait until it is known what a text imports now: what it imported
/// before has to do until then.
const SLOW: usize = 512 << 10;

/// The texts the client has open, over those on the disk.
///
/// Changes are made under a lock that is held for as long as it takes to copy a text, and never across an await: they
/// take effect in the order in which their notifications came. Nothing is parsed here; that is left to the first
/// reader of a [`Snapshot`], on a thread that may block.
pub(crate) struct Workspace {
    now: Mutex<Snapshot>,
    turns: Arc<Semaphore>,
}

impl Default for Workspace {
    fn default() -> Self {
        Self { now: Mutex::default(), turns: Arc::new(Semaphore::new(TURNS)) }
    }
}

/// The files at one moment. Cheap to make and to clone.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    open: Arc<HashMap<PathBuf, Arc<OpenFile>>>,
    index: Arc<Index>,
    trees: Arc<Trees>,
    /// Made at the first question about it.
    graph: Arc<OnceLock<Arc<Graph>>>,
    /// The same while it is not known what all texts import now.
    graph_meanwhile: OnceLock<Arc<Graph>>,
    latest: Arc<Mutex<Option<Latest>>>,
}

/// The graph that was made last: most changes of a text leave it as it is, and with it all that was worked out from it.
struct Latest {
    disk: Arc<Graph>,
    open: BTreeMap<Arc<Path>, Arc<Node>>,
    graph: Arc<Graph>,
}

/// Where a text is to us: a file's path, or the URI as a relative path for a text that lies nowhere (`untitled:Untitled-1`);
/// `None` for a file of another computer.
pub(crate) fn path(uri: &Url) -> Option<PathBuf> {
    if uri.scheme() == "file" { uri.to_file_path().ok() } else { Some(PathBuf::from(uri.as_str())) }
}

/// A text that the client has open.
pub(crate) struct OpenFile {
    /// As the client spells it.
    pub(crate) uri: Url,
    /// The client's count of its changes.
    pub(crate) version: i32,
    text: Arc<str>,
    /// The last text before that was parsed, until this one is.
    before: Mutex<Option<Arc<Document>>>,
    document: OnceLock<Arc<Document>>,
    node: OnceLock<Arc<Node>>,
    /// What it imported when that was known last.
    node_before: Option<Arc<Node>>,
}

impl OpenFile {
    fn new(uri: Url, version: i32, text: impl Into<Arc<str>>, before: Option<&Self>) -> Arc<Self> {
        let node_before =
            before.and_then(|before| before.node.get().or(before.node_before.as_ref()).cloned());
        let before = Mutex::new(before.and_then(Self::latest));
        let (document, node) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { uri, version, text: text.into(), before, document, node, node_before })
    }

    /// The parsed text; takes its time at the first call.
    pub(crate) fn document(&self) -> &Arc<Document> {
        self.document.get_or_init(|| {
            let text = self.text.clone();
            Arc::new(match self.before().take() {
                Some(before) => before.edited(text),
                None => Document::new(text),
            })
        })
    }

    /// What a changed text may be parsed with.
    fn latest(&self) -> Option<Arc<Document>> {
        self.document.get().cloned().or_else(|| self.before().clone())
    }

    fn before(&self) -> MutexGuard<'_, Option<Arc<Document>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_large(&self) -> bool {
        self.text.len() > LARGE
    }

    /// Whether what it imports is known, or soon will be.
    fn is_settled(&self) -> bool {
        self.text.len() <= SLOW || self.document.get().is_some()
    }

    /// What it imports.
    fn node(&self, path: &Path) -> &Arc<Node> {
        self.node.get_or_init(|| Arc::new(Node::of(path, self.document().facts())))
    }
}

impl Workspace {
    /// The files as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// Waits until a question about the text at `path` may be worked on; hold what it gives until that is done. A question
    /// that is cancelled meanwhile costs nothing.
    pub(crate) async fn turn(&self, path: &Path) -> Option<OwnedSemaphorePermit> {
        let is_large = self.lock().open_file(path).is_some_and(|file| file.is_large());
        // It is never closed.
        if is_large { self.turns.clone().acquire_owned().await.ok() } else { None }
    }

    /// The client has opened a text.
    pub(crate) fn open(&self, path: PathBuf, uri: Url, version: i32, text: String) {
        self.lock().open_mut().insert(path, OpenFile::new(uri, version, text, None));
    }

    /// The client has changed a text; `false` where it is not open (any more).
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
        if text.len() > LONGEST {
            tracing::warn!("{} has grown too large; changes of it are not followed any more", path.display());
            now.open_mut().remove(path);
            return false;
        }
        let file = OpenFile::new(file.uri.clone(), version, text, Some(&file));
        now.open_mut().insert(path.to_owned(), file);
        true
    }

    /// The client has closed a text.
    pub(crate) fn close(&self, path: &Path) {
        self.lock().open_mut().remove(path);
    }

    /// The files on the disk were looked at.
    pub(crate) fn set_index(&self, index: Arc<Index>) {
        let mut now = self.lock();
        now.index = index;
        now.graph = Arc::default();
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
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

    /// What is known of the files on the disk.
    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    fn open_mut(&mut self) -> &mut HashMap<PathBuf, Arc<OpenFile>> {
        self.graph = Arc::default();
        Arc::make_mut(&mut self.open)
    }

    /// The graph on the disk with what the open texts import; the latest one where that is the same.
    fn make_graph(&self) -> Arc<Graph> {
        let nodes = self.open.iter().filter_map(|(path, file)| {
            let node = if file.is_settled() { Some(file.node(path)) } else { file.node_before.as_ref() };
            Some((path.as_path().into(), node?.clone()))
        });
        let open: BTreeMap<Arc<Path>, Arc<Node>> = nodes.collect();
        let disk = self.index.graph();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = &*latest
            && Arc::ptr_eq(&latest.disk, disk)
            && latest.open == open
        {
            return latest.graph.clone();
        }
        // The latest one remembers more, where the texts lead where they led then.
        let base = match &*latest {
            Some(latest)
                if Arc::ptr_eq(&latest.disk, disk)
                    && latest.open.keys().eq(open.keys())
                    && open.iter().all(|(path, node)| latest.graph.leads(path, node)) =>
            {
                &latest.graph
            }
            _ => disk,
        };
        let mut changed = open.iter().filter(|(path, node)| !base.says(path, node)).peekable();
        let graph = match changed.peek() {
            None => base.clone(),
            Some(_) => Arc::new(base.with(changed.map(|(path, node)| (path.clone(), node.clone())))),
        };
        *latest = Some(Latest { disk: disk.clone(), open, graph: graph.clone() });
        graph
    }
}

impl Files for Snapshot {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        match self.open.get(path) {
            Some(file) => Some(file.document().clone()),
            None => self.trees.document(path).filter(|_| path.is_absolute()),
        }
    }

    fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        match self.open.get(path) {
            Some(file) => Some(file.document().shared_facts()),
            None if self.index.contains(path) => self.index.facts(path),
            None => self.document(path).map(|document| document.shared_facts()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.open.contains_key(path) || (path.is_absolute() && path.exists())
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_absolute() && path.is_dir()
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.index.listed().to_vec()
    }

    fn graph(&self) -> &Graph {
        match self.graph.get() {
            Some(graph) => graph,
            None if self.open.values().all(|file| file.is_settled()) => {
                self.graph.get_or_init(|| self.make_graph())
            }
            None => self.graph_meanwhile.get_or_init(|| self.make_graph()),
        }
    }
}

impl Texts for Snapshot {
    fn open_text(&self, path: &Path) -> Option<Arc<str>> {
        self.open.get(path).map(|file| file.text.clone())
    }
}

#[cfg(test)]
mod tests;
