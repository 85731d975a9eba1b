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
        let mut changed = open.iter().filter(|(path, node)| !disk.says(path, node)).peekable();
        let graph = match changed.peek() {
            None => disk.clone(),
            Some(_) => Arc::new(disk.with(changed.map(|(path, node)| (path.clone(), node.clone())))),
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tower_lsp::lsp_types::{Position, Range};

    const TYPED: [&str; 12] = [
        "codchi.secrets.A = { };",
        "\n",
        "\r\n",
        "ü",
        "𝄞",
        "{",
        "}",
        "\"",
        "",
        "imports = [ ./b.nix ];",
        ";",
        "''",
    ];

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
    fn the_graph_stays_the_same_until_a_text_imports_something_else() {
        let workspace = Workspace::default();
        let path = PathBuf::from("/w/a.nix");
        let type_text = |text: &str| {
            workspace.open(path.clone(), "file:///w/a.nix".parse().unwrap(), 1, text.to_owned());
            let snapshot = workspace.snapshot();
            snapshot.graph();
            snapshot.graph.get().unwrap().clone()
        };
        let first = type_text("{ imports = [ ./b.nix ]; }");
        assert!(Arc::ptr_eq(&first, &type_text("{ imports = [ ./b.nix ]; a = 1; }")));
        assert!(!Arc::ptr_eq(&first, &type_text("{ imports = [ ./c.nix ]; a = 1; }")));
    }

    #[test]
    fn nobody_waits_until_it_is_known_what_a_large_text_imports() {
        let workspace = Workspace::default();
        let path = PathBuf::from("/w/large.nix");
        let is_imported =
            |snapshot: &Snapshot| snapshot.graph().upwards(Path::new("/w/b.nix")).contains(path.as_path());
        let large = format!("{{ imports = [ ./b.nix ]; }} # {}", " ".repeat(SLOW));
        workspace.open(path.clone(), "file:///w/large.nix".parse().unwrap(), 1, large);
        let snapshot = workspace.snapshot();
        assert!(!is_imported(&snapshot) && snapshot.open_file(&path).unwrap().document.get().is_none());
        snapshot.document(&path).unwrap();
        assert!(is_imported(&workspace.snapshot()), "it is known by now");
        // Known from before, and then from now.
        let start = Some(Range::new(Position::new(0, 2), Position::new(0, 2)));
        let change = |text: &str| {
            vec![TextDocumentContentChangeEvent { range: start, range_length: None, text: text.into() }]
        };
        assert!(workspace.change(&path, 2, change("a = 1; "), Encoding::Utf16));
        assert!(workspace.change(&path, 3, change("}"), Encoding::Utf16));
        let snapshot = workspace.snapshot();
        assert!(is_imported(&snapshot) && snapshot.open_file(&path).unwrap().document.get().is_none());
        snapshot.document(&path).unwrap();
        assert!(!is_imported(&workspace.snapshot()));
    }

    #[test]
    fn a_text_that_lies_nowhere_is_no_file() {
        let path = path(&"untitled:Untitled-1".parse().unwrap()).unwrap();
        assert!(!path.is_absolute());
        let snapshot = Workspace::default().snapshot();
        assert!(!snapshot.exists(Path::new("Cargo.toml")) && !snapshot.is_folder(Path::new("src")));
        assert!(
            snapshot.document(Path::new("src/main.rs")).is_none(),
            "no file of the current folder is meant"
        );
    }

    #[test]
    fn a_text_that_grows_without_end_is_let_go_of() {
        let workspace = Workspace::default();
        let path = PathBuf::from("/w/a.nix");
        workspace.open(path.clone(), "file:///w/a.nix".parse().unwrap(), 1, "1".into());
        let whole = |text| TextDocumentContentChangeEvent { range: None, range_length: None, text };
        assert!(workspace.change(&path, 2, vec![whole(" ".repeat(LONGEST))], Encoding::Utf16));
        assert!(!workspace.change(&path, 3, vec![whole(" ".repeat(LONGEST + 1))], Encoding::Utf16));
        assert!(workspace.snapshot().open_file(&path).is_none());
    }

    #[tokio::test]
    async fn questions_about_large_texts_take_turns_and_others_do_not_wait() {
        let workspace = Workspace::default();
        let open = |path: &str, text: String| {
            workspace.open(path.into(), format!("file://{path}").parse().unwrap(), 1, text);
        };
        open("/large.nix", " ".repeat(LARGE + 1));
        open("/small.nix", " ".repeat(LARGE));
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            turns.push(workspace.turn(Path::new("/large.nix")).await);
        }
        let next = tokio::time::timeout(
            std::time::Duration::from_millis(20),
            workspace.turn(Path::new("/large.nix")),
        );
        assert!(next.await.is_err());
        assert!(workspace.turn(Path::new("/small.nix")).await.is_none());
        turns.pop();
        assert!(workspace.turn(Path::new("/large.nix")).await.is_some());
    }

    #[test]
    fn changing_a_text_that_is_not_open_does_nothing() {
        let workspace = Workspace::default();
        assert!(!workspace.change(Path::new("/w/a.nix"), 1, Vec::new(), Encoding::Utf16));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        /// In an editor a text is what was typed; at the next start it is what is opened.
        #[test]
        fn a_typed_text_says_what_it_says_when_it_is_opened(
            edits in proptest::collection::vec((0..4_u32, 0..30_u32, 0..30_u32, prop::sample::select(TYPED.to_vec())), 1..12),
        ) {
            for encoding in Encoding::ALL {
                let workspace = Workspace::default();
                let path = PathBuf::from("/w/codchi.nix");
                let uri: Url = "file:///w/codchi.nix".parse().unwrap();
                workspace.open(path.clone(), uri.clone(), 0, "{\n  codchi.gpu.enable = true;\r\n  # 𝄞\n}\n".into());
                for (version, (line, from, to, text)) in (1..).zip(&edits) {
                    let range = Some(Range::new(Position::new(*line, *from), Position::new(*line, *to)));
                    let change = TextDocumentContentChangeEvent { range, range_length: None, text: (*text).into() };
                    prop_assert!(workspace.change(&path, version, vec![change], encoding));
                    // Looked at in between, as an editor does.
                    let _ = workspace.snapshot().facts(&path);
                }
                let typed = workspace.snapshot().document(&path).unwrap();
                workspace.close(&path);
                workspace.open(path.clone(), uri, 0, typed.text().to_owned());
                let opened = workspace.snapshot().document(&path).unwrap();
                prop_assert_eq!(typed.facts(), opened.facts());
                prop_assert_eq!(typed.outline(), opened.outline());
                prop_assert_eq!(typed.syntax_errors(), opened.syntax_errors());
            }
        }
    }
}
