//! Test fixtures: files in the text of a test.
//!
//! `//- /path` begins a file; without one the text is `/project/codchi.nix`. `$0` is the cursor.

mod table;

pub(crate) use table::Table;

use crate::{
    Analysis, Catalogue, Command, Diagnostic, Document, Edit, Evaluated, EvaluatedManifest, EvaluationError,
    FileChange, Files, Graph, Symbol, TextRange, TextSize, World,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const CURSOR: &str = "$0";

/// Files, a world and a cursor.
pub(crate) struct Fixture {
    files: MemoryFiles,
    pub(crate) world: World,
    /// The file with the cursor, else the first.
    pub(crate) path: PathBuf,
    /// Where the cursor is; 0 where there is none.
    pub(crate) offset: TextSize,
}

/// Files in memory.
pub(crate) struct MemoryFiles(BTreeMap<PathBuf, Arc<Document>>, OnceLock<Graph>);

impl Files for MemoryFiles {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        self.0.get(path).cloned()
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path))
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.exists(path) && !self.0.contains_key(path)
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.0.keys().filter(|path| path.extension().is_some_and(|e| e == "nix")).cloned().collect()
    }

    fn graph(&self) -> &Graph {
        self.1.get_or_init(|| Graph::of(self))
    }
}

impl Fixture {
    pub(crate) fn new(text: &str) -> Self {
        let mut sources: Vec<(PathBuf, String)> = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("//- ") {
                Some(path) => sources.push((PathBuf::from(path.trim()), String::new())),
                None if sources.is_empty() => sources.push(("/project/codchi.nix".into(), line.to_owned())),
                None => sources.last_mut().expect("a file").1.push_str(line),
            }
        }
        let mut path = sources.first().expect("a file").0.clone();
        let mut offset = TextSize::default();
        let mut files = BTreeMap::new();
        for (file, mut text) in sources {
            if let Some(cursor) = text.find(CURSOR) {
                text.replace_range(cursor..cursor + CURSOR.len(), "");
                path = file.clone();
                offset = TextSize::try_from(cursor).expect("a small file");
            }
            files.insert(file, Arc::new(Document::new(text)));
        }
        Self { files: MemoryFiles(files, OnceLock::new()), world: World::default(), path, offset }
    }

    /// The text as `/project/codchi.nix`, whatever is in it, beside the files that it may import.
    pub(crate) fn of_text(text: &str) -> Self {
        let path = PathBuf::from("/project/codchi.nix");
        let hardware = (PathBuf::from("/project/hardware.nix"), Arc::new(Document::new("{ }")));
        let files = [(path.clone(), Arc::new(Document::new(text))), hardware].into();
        Self {
            files: MemoryFiles(files, OnceLock::new()),
            world: World::default(),
            path,
            offset: TextSize::default(),
        }
    }

    pub(crate) fn with(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// The module at `/project`, evaluated as it is.
    pub(crate) fn evaluated(
        mut self,
        manifest: Option<EvaluatedManifest>,
        errors: Vec<EvaluationError>,
    ) -> Self {
        let texts = self.files.0.iter().map(|(path, document)| (path.clone(), document.text().into()));
        let evaluated = Evaluated { texts: texts.collect(), manifest, errors };
        self.world.evaluations.insert((PathBuf::from("/project"), None), Arc::new(evaluated));
        self
    }

    /// The file at the cursor with one part of it replaced.
    pub(crate) fn typed(mut self, from: &str, to: &str) -> Self {
        let text = self.text(&self.path);
        assert_eq!(text.matches(from).count(), 1, "it is once in the text");
        let document = Document::new(text.replacen(from, to, 1));
        self.files = MemoryFiles(self.files.0, OnceLock::new());
        self.files.0.insert(self.path.clone(), Arc::new(document));
        self
    }

    pub(crate) fn analysis(&self) -> Analysis<'_> {
        Analysis::new(&self.files, &self.world)
    }

    pub(crate) fn files(&self) -> &dyn Files {
        &self.files
    }

    pub(crate) fn text(&self, path: &Path) -> &str {
        self.files.0[path].text()
    }

    /// All files, sorted.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.nix_files()
    }

    /// The catalogue of a file.
    pub(crate) fn catalogue(&self, path: &Path) -> Option<&dyn Catalogue> {
        crate::catalogue::catalogue(&self.files, &self.world, path)
    }

    /// All diagnostics of all files, one a line.
    pub(crate) fn diagnostics(&self) -> String {
        let mut lines = String::new();
        for path in self.files.nix_files() {
            for diagnostic in self.analysis().diagnostics(&path) {
                lines.push_str(&self.render(&path, &diagnostic));
            }
        }
        lines
    }

    /// What can be typed at the cursor, one a line: the label, and the new text with what is to be filled in.
    pub(crate) fn completions(&self) -> String {
        let found = self.analysis().completions(&self.path, self.offset);
        let rest = if found.is_incomplete { "…\n" } else { "" };
        let items: String = found
            .items
            .iter()
            .map(|item| {
                assert!(item.edit.range.contains_inclusive(self.offset), "the range holds the cursor");
                let mut text = item.edit.new_text.clone();
                for stop in item.stops.iter().rev() {
                    text.insert(usize::from(stop.end()), '›');
                    text.insert(usize::from(stop.start()), '‹');
                }
                let replaced = &self.text(&self.path)[item.edit.range];
                let replaced = if replaced.is_empty() { String::new() } else { format!("{replaced} -> ") };
                let label = &item.label;
                if *label == text {
                    format!("{replaced}{label}\n")
                } else {
                    format!("{replaced}{label}: {text}\n")
                }
            })
            .collect();
        format!("{items}{rest}")
    }

    /// The hover at the cursor, after what it is over.
    pub(crate) fn hover(&self) -> String {
        match self.analysis().hover(&self.path, self.offset) {
            Some(hover) => format!("over {}\n\n{}\n", &self.text(&self.path)[hover.range], hover.markdown),
            None => String::new(),
        }
    }

    /// The targets of what is at the cursor, one a line: what it is, the file and what is there.
    pub(crate) fn definition(&self) -> String {
        let targets = self.analysis().definition(&self.path, self.offset);
        targets
            .iter()
            .map(|target| {
                let origin = &self.text(&self.path)[target.origin];
                let there = &self.text(&target.path)[target.range];
                format!("{origin} -> {} {there:?}\n", target.path.display())
            })
            .collect()
    }

    /// The places of what is at the cursor, one a line: the file, `=` where it is defined, and the line with the place marked.
    pub(crate) fn references(&self) -> String {
        let references = self.analysis().references(&self.path, self.offset);
        references
            .iter()
            .map(|reference| {
                let text = self.text(&reference.path);
                let start = usize::from(reference.range.start());
                let before = text[..start].chars().rev().take(12).collect::<Vec<_>>();
                let before: String = before.into_iter().rev().collect();
                let mark = if reference.is_definition { "=" } else { " " };
                format!("{} {mark} …{before}‹{}›\n", reference.path.display(), &text[reference.range])
            })
            .collect()
    }

    /// The texts after a rename at the cursor, or why there is none.
    pub(crate) fn rename(&self, new_name: &str) -> String {
        match self.analysis().rename(&self.path, self.offset, new_name) {
            Err(why) => format!("refused: {why}\n"),
            Ok(edits) => edits
                .iter()
                .map(|(path, edits)| {
                    let mut text = self.text(path).to_owned();
                    for edit in edits.iter().rev() {
                        text.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
                    }
                    format!("{text}\n")
                })
                .collect(),
        }
    }

    /// The actions at the cursor: their titles and what they run, and for each that changes this text the new text.
    pub(crate) fn actions(&self) -> String {
        let actions = self.analysis().actions(&self.path, TextRange::empty(self.offset));
        actions
            .iter()
            .map(|action| {
                let preferred = if action.preferred { "* " } else { "  " };
                if !action.elsewhere.is_empty() {
                    return format!("{preferred}{}\n", action.title);
                }
                match (&action.command, action.edits.as_slice()) {
                    (Command::None, edits) => {
                        format!("{preferred}{}\n{}\n", action.title, self.edited(edits))
                    }
                    (command, []) => format!("{preferred}{}\n  {command:?}\n", action.title),
                    (command, edits) => panic!("{command:?} and {edits:?}"),
                }
            })
            .collect()
    }

    /// The texts of all files that the action at the cursor whose title has `part` changes.
    pub(crate) fn refactoring(&self, part: &str) -> String {
        let actions = self.analysis().actions(&self.path, TextRange::empty(self.offset));
        let Some(action) = actions.iter().find(|action| action.title.contains(part)) else {
            return String::new();
        };
        let mut changed = format!("{}\n", action.title);
        if !action.edits.is_empty() {
            changed.push_str(&self.edited(&action.edits));
        }
        for change in &action.elsewhere {
            match change {
                FileChange::Create { path, text } => {
                    changed.push_str(&format!("+ {}\n{text}", path.display()))
                }
                FileChange::Edit { path, edits } => {
                    let mut text = self.text(path).to_owned();
                    for edit in edits.iter().rev() {
                        text.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
                    }
                    changed.push_str(&format!("* {}\n{text}", path.display()));
                }
            }
        }
        changed.push('\n');
        changed
    }

    fn edited(&self, edits: &[Edit]) -> String {
        let mut text = self.text(&self.path).to_owned();
        for edit in edits.iter().rev() {
            text.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
        }
        text
    }

    /// All lenses of all files, one a line: over what, the title, and what it runs.
    pub(crate) fn lenses(&self) -> String {
        let mut lines = String::new();
        for path in self.files.nix_files() {
            for lens in self.analysis().lenses(&path) {
                let over = &self.text(&path)[lens.range];
                lines.push_str(&format!("{} {over}: {} = {:?}\n", path.display(), lens.title, lens.command));
            }
        }
        lines
    }

    /// The outline, indented.
    pub(crate) fn symbols(&self) -> String {
        fn render(symbols: &[Symbol], depth: usize, lines: &mut String) {
            for symbol in symbols {
                assert!(symbol.range.contains_range(symbol.name_range));
                lines.push_str(&format!("{}{} ({:?})\n", "  ".repeat(depth), symbol.name, symbol.kind));
                render(&symbol.children, depth + 1, lines);
            }
        }
        let mut lines = String::new();
        render(&self.analysis().symbols(&self.path), 0, &mut lines);
        lines
    }

    fn render(&self, path: &Path, diagnostic: &Diagnostic) -> String {
        let file = if self.files.0.len() > 1 { format!("{} ", path.display()) } else { String::new() };
        let place = &self.text(path)[diagnostic.range];
        let code = serde_json::to_value(diagnostic.code).expect("a code");
        let severity = serde_json::to_value(diagnostic.severity).expect("a severity");
        format!(
            "{file}{severity} {code} at `{place}`: {}\n",
            diagnostic.message,
            severity = severity.as_str().expect("a name"),
            code = code.as_str().expect("a name"),
        )
    }
}
