//! One text as a file of a project, and the world around it.

use codchi_ide::{
    Analysis, Availability, Document, Edit, Files, Graph, Machine, MachineModule, MachineState, TextRange,
    TextSize, World,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// More is not looked at: what happens in a large text happens in a small one.
const LONGEST: usize = 4096;

/// A text as a file.
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) document: Arc<Document>,
    graph: OnceLock<Graph>,
}

impl Text {
    /// Bytes that are no UTF-8 stand for a character that nobody expects.
    pub(crate) fn of(data: &[u8]) -> String {
        String::from_utf8_lossy(data.get(..LONGEST).unwrap_or(data)).into_owned()
    }

    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self {
            path: Path::new("/project").join(name),
            document: Arc::new(Document::new(text)),
            graph: OnceLock::new(),
        }
    }

    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Analysis<'_>) -> T) -> T {
        question(&Analysis::new(self, &world()))
    }

    /// Checks that a range is a part of the text.
    pub(crate) fn assert_inside(&self, range: TextRange) {
        let text = self.document.text();
        assert!(
            text.get(std::ops::Range::<usize>::from(range)).is_some(),
            "{range:?} is no part of {text:?}"
        );
    }

    /// The text after edits that do not overlap.
    pub(crate) fn edited(&self, edits: &[Edit]) -> String {
        let mut sorted: Vec<&Edit> = edits.iter().collect();
        sorted.sort_by_key(|edit| (edit.range.start(), edit.range.end()));
        let overlaps = sorted.windows(2).any(|pair| pair[0].range.end() > pair[1].range.start());
        assert!(!overlaps, "edits overlap: {edits:?} of {:?}", self.document.text());
        let mut text = self.document.text().to_owned();
        for edit in sorted.into_iter().rev() {
            self.assert_inside(edit.range);
            text.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
        }
        text
    }

    /// Some offsets on character boundaries, from the first to the last.
    pub(crate) fn offsets(&self, count: usize) -> impl Iterator<Item = TextSize> {
        let text = self.document.text();
        let offsets = (0..=count).map(move |n| text.floor_char_boundary(text.len() * n / count));
        offsets.filter_map(|offset| TextSize::try_from(offset).ok())
    }
}

impl Files for Text {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        (path == self.path).then(|| self.document.clone())
    }

    fn exists(&self, path: &Path) -> bool {
        self.path.starts_with(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.path.starts_with(path) && path != self.path
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| Graph::of(self))
    }
}

/// A host that has something and lacks something, and a machine of the project.
fn world() -> World {
    let capability = |available| Availability {
        available,
        probed: "Looked".into(),
        remedy: Some("Do".into()),
        ..Availability::default()
    };
    World {
        capabilities: Some([("gpu".into(), capability(true)), ("audio".into(), capability(false))].into()),
        secrets: Some(["TOKEN".to_owned()].into()),
        machines: vec![Machine {
            name: "m".into(),
            state: MachineState::Running,
            modules: vec![MachineModule { path: "/project".into(), output: None }],
            secrets: ["TOKEN".to_owned(), "KEY".to_owned()].into(),
            generation: 1,
            drift: Vec::new(),
        }],
        ..World::default()
    }
}
