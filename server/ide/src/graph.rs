//! Who imports whom.
//!
//! A node holds what a file's text says, not what is on the disk: an edge leads to a path as it is written, so that it stays
//! right when files come and go. What is worked out from the edges is remembered for as long as none of them changes.

use crate::modules::Source;
use crate::{Facts, Files};
use codchi_module::{SecretSpelling, normalise};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// So many answers are remembered; each may hold all files.
const REMEMBERED: usize = 128;

/// Files, sorted by path.
pub type FileSet = Arc<BTreeSet<Arc<Path>>>;

/// What one file imports, and whether a module begins with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    leads: Leads,
    /// The secrets that it declares and does not say to be required: another file's declaration of them is no more certain.
    optional: Vec<(String, SecretSpelling)>,
    /// Whether it disables modules.
    disables: bool,
    /// Whether it declares options of codchi's, or may: a part of it is not visible or half-typed.
    may_declare: bool,
}

/// Where a file leads, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leads {
    /// The paths that are imported or given as flake outputs, in order of the text, without `.` and `..`: of files, or of
    /// folders with a `default.nix`.
    targets: Vec<Arc<Path>>,
    /// The names of a flake's module outputs, and where those lead that are in files of their own.
    outputs: Vec<(String, Option<Arc<Path>>)>,
    /// Whether it is a codchi module by itself: it sets codchi's options, is called `codchi.nix` or is a flake with modules.
    is_root: bool,
    /// Whether it is meant for code machines, rather than for any NixOS.
    is_for_machines: bool,
    /// Whether it may import more than is visible.
    imports_more: bool,
    /// Whether something that it imports is found only by an evaluation.
    leads_nowhere: bool,
}

impl Node {
    /// What the facts say of the file at `path`.
    #[must_use]
    pub fn of(path: &Path, facts: &Facts) -> Self {
        let imports = facts.imports.iter().map(|import| &import.path);
        let files = facts.flake_modules.iter().filter_map(|module| module.file.as_ref());
        let leads_nowhere = imports.clone().chain(files).any(|written| target(path, written).is_none());
        let outputs = facts.flake_modules.iter().map(|module| {
            let file = module.file.as_ref().and_then(|written| target(path, written));
            (module.name.clone(), file)
        });
        let outputs: Vec<_> = outputs.collect();
        let is_named_so = || facts.may_be_module && path.file_name().is_some_and(|name| name == "codchi.nix");
        let imports = imports.filter_map(|written| target(path, written));
        let is_codchi = !facts.options.is_empty() || is_named_so();
        let optional = facts.secrets.iter().filter(|secret| secret.required != Some(true));
        let leads = Leads {
            targets: imports.chain(outputs.iter().filter_map(|(_, file)| file.clone())).collect(),
            outputs,
            is_root: is_codchi || !facts.flake_modules.is_empty(),
            imports_more: facts.may_declare_more,
            leads_nowhere,
            is_for_machines: is_codchi || facts.flake_modules.iter().any(|it| it.kind == "codchiModules"),
        };
        let optional = optional.map(|secret| (secret.name.clone(), secret.spelling)).collect();
        let may_declare = facts.may_declare_more || !facts.declared.is_empty() || facts.has_syntax_errors;
        Self { leads, optional, disables: !facts.disabled.is_empty(), may_declare }
    }

    /// The paths that it leads to, of files or of folders with a `default.nix`.
    #[must_use]
    pub fn targets(&self) -> &[Arc<Path>] {
        &self.leads.targets
    }

    pub(crate) fn outputs(&self) -> &[(String, Option<Arc<Path>>)] {
        &self.leads.outputs
    }

    pub(crate) fn leads_nowhere(&self) -> bool {
        self.leads.leads_nowhere
    }

    pub(crate) fn may_declare(&self) -> bool {
        self.may_declare
    }

    pub(crate) fn is_root(&self) -> bool {
        self.leads.is_root
    }

    pub(crate) fn is_for_machines(&self) -> bool {
        self.leads.is_for_machines
    }
}

/// The path that `written` means in the file at `from`; `None` where only an evaluation finds it, or where the file is
/// nowhere.
pub(crate) fn target(from: &Path, written: &str) -> Option<Arc<Path>> {
    let folder = from.parent().filter(|_| from.is_absolute())?;
    (!written.starts_with(['~', '<'])).then(|| normalise(&folder.join(written)).into())
}

/// The files of a workspace, those that they lead to, and the edges between them.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: HashMap<Arc<Path>, Arc<Node>>,
    /// The files whose text leads to a path.
    importers: Arc<HashMap<Arc<Path>, BTreeSet<Arc<Path>>>>,
    /// Shared by graphs with the same edges.
    remembered: Arc<Mutex<HashMap<Question, FileSet>>>,
    said: OnceLock<Said>,
}

/// What files say about others.
#[derive(Debug, Default)]
struct Said {
    /// Which declare a secret and do not say it to be required.
    optional: HashMap<(String, SecretSpelling), Vec<Arc<Path>>>,
    /// Which disable modules.
    disabling: Vec<Arc<Path>>,
}

/// What can be asked about a graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The file and what leads to it.
    Upwards(Arc<Path>),
    /// The file and what it leads to.
    Reachable(Arc<Path>),
    /// The file and what is evaluated together with it.
    Related(Arc<Path>),
    /// The file and what may be evaluated together with it.
    Around(Arc<Path>),
    /// The file and what may be evaluated together with it, as machines are made of these.
    EvaluatedWith(Arc<Path>, Vec<Source>),
    /// The files of a module.
    FilesOf(Source),
}

impl Graph {
    /// The graph of all Nix files of a workspace and of what they lead to.
    #[must_use]
    pub fn of(files: &dyn Files) -> Self {
        let mut graph = Self::default();
        let mut open: Vec<Arc<Path>> = files.nix_files().into_iter().map(Arc::from).collect();
        let mut seen: HashSet<Arc<Path>> = HashSet::new();
        while let Some(path) = open.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let Some(facts) = files.facts(&path) else { continue };
            let node = Arc::new(Node::of(&path, &facts));
            for target in &node.leads.targets {
                open.extend([target.clone(), target.join("default.nix").into()]);
            }
            graph.insert(path, node);
        }
        graph
    }

    /// Adds files, or replaces what is known of them.
    #[must_use]
    pub fn with(&self, nodes: impl IntoIterator<Item = (Arc<Path>, Arc<Node>)>) -> Self {
        let mut graph = Self {
            nodes: self.nodes.clone(),
            importers: self.importers.clone(),
            remembered: self.remembered.clone(),
            said: OnceLock::new(),
        };
        graph.extend(nodes);
        graph
    }

    /// Whether this is what is known of a file.
    #[must_use]
    pub fn says(&self, path: &Path, node: &Node) -> bool {
        self.nodes.get(path).is_some_and(|known| **known == *node)
    }

    /// Whether what is known of a file leads to the same files as this, and is as much of a module.
    #[must_use]
    pub fn leads(&self, path: &Path, node: &Node) -> bool {
        self.nodes.get(path).is_some_and(|known| known.leads == node.leads)
    }

    fn insert(&mut self, path: Arc<Path>, node: Arc<Node>) {
        let all = Arc::make_mut(&mut self.importers);
        if let Some(before) = self.nodes.get(&path) {
            for target in &before.leads.targets {
                if let Some(importers) = all.get_mut(target) {
                    importers.remove(&path);
                }
            }
        }
        for target in &node.leads.targets {
            all.entry(target.clone()).or_default().insert(path.clone());
        }
        self.nodes.insert(path, node);
    }

    fn said(&self) -> &Said {
        self.said.get_or_init(|| {
            let mut said = Said::default();
            for (path, node) in &self.nodes {
                for secret in &node.optional {
                    said.optional.entry(secret.clone()).or_default().push(path.clone());
                }
                if node.disables {
                    said.disabling.push(path.clone());
                }
            }
            said
        })
    }

    /// The files that declare a secret and do not say it to be required.
    pub(crate) fn optional(&self, name: &str, spelling: SecretSpelling) -> &[Arc<Path>] {
        self.said().optional.get(&(name.to_owned(), spelling)).map_or(&[], Vec::as_slice)
    }

    /// The files that disable modules.
    pub(crate) fn disabling(&self) -> &[Arc<Path>] {
        &self.said().disabling
    }

    /// Whether there is a file in one of the folders above a path that may import what is not visible.
    pub(crate) fn imports_more_above(&self, path: &Path) -> bool {
        let imports = |(file, node): (&Arc<Path>, &Arc<Node>)| {
            node.leads.imports_more
                && **file != *path
                && file.parent().is_some_and(|folder| path.starts_with(folder))
        };
        self.nodes.iter().any(imports)
    }

    pub(crate) fn node(&self, path: &Path) -> Option<&Arc<Node>> {
        self.nodes.get(path)
    }

    /// The file at a path that another leads to: the path itself, or the `default.nix` of the folder.
    pub(crate) fn file_at(&self, target: &Path) -> Option<Arc<Path>> {
        let known = |path: &Path| self.nodes.get_key_value(path).map(|(path, _)| path.clone());
        known(target).or_else(|| known(&target.join("default.nix")))
    }

    /// The files that lead to this one.
    pub(crate) fn importers<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Arc<Path>> {
        let folder = path.parent().filter(|_| path.file_name().is_some_and(|name| name == "default.nix"));
        [Some(path), folder].into_iter().flatten().filter_map(|path| self.importers.get(path)).flatten()
    }

    /// The answer to a question, worked out at the first time.
    pub(crate) fn answer(&self, question: Question, work_out: impl FnOnce() -> FileSet) -> FileSet {
        let known = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known().get(&question) {
            return answer.clone();
        }
        // Without the lock: one answer may need another.
        let answer = work_out();
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(question, answer.clone());
        answer
    }

    /// The file and all that lead to it, directly or not.
    #[must_use]
    pub fn upwards(&self, path: &Path) -> FileSet {
        let path: Arc<Path> = path.into();
        self.answer(Question::Upwards(path.clone()), || {
            let mut seen = BTreeSet::new();
            let mut open = vec![path];
            while let Some(path) = open.pop() {
                if seen.insert(path.clone()) {
                    open.extend(self.importers(&path).cloned());
                }
            }
            Arc::new(seen)
        })
    }
}

impl Extend<(Arc<Path>, Arc<Node>)> for Graph {
    fn extend<T: IntoIterator<Item = (Arc<Path>, Arc<Node>)>>(&mut self, nodes: T) {
        self.said = OnceLock::new();
        for (path, node) in nodes {
            if self.leads(&path, &node) {
                self.nodes.insert(path, node);
            } else {
                self.remembered = Arc::default();
                self.insert(path, node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn node(path: &str, text: &str) -> (Arc<Path>, Arc<Node>) {
        let path: Arc<Path> = Path::new(path).into();
        let node = Node::of(&path, Document::new(text).facts());
        (path, Arc::new(node))
    }

    fn importers(graph: &Graph, path: &str) -> Vec<String> {
        graph.importers(Path::new(path)).map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_file_and_the_folder_that_it_is_the_default_of_are_one() {
        let nodes = [
            node("/a.nix", "{ imports = [ ./sub ]; }"),
            node("/b.nix", "{ imports = [ ./x/../sub/default.nix ]; }"),
            node("/sub/default.nix", "{ }"),
        ];
        let graph = Graph::default().with(nodes);
        assert_eq!(importers(&graph, "/sub/default.nix"), ["/b.nix", "/a.nix"]);
        assert_eq!(graph.file_at(Path::new("/sub")).as_deref(), Some(Path::new("/sub/default.nix")));
    }

    #[test]
    fn a_replaced_file_leads_nowhere_it_led_before() {
        let before = Graph::default().with([node("/a.nix", "{ imports = [ ./b.nix ]; }")]);
        assert_eq!(before.upwards(Path::new("/b.nix")).len(), 2);
        let after = before.with([node("/a.nix", "{ imports = [ ./c.nix ]; }")]);
        assert_eq!(after.upwards(Path::new("/b.nix")).len(), 1);
        assert_eq!(importers(&after, "/c.nix"), ["/a.nix"]);
        assert_eq!(importers(&before, "/b.nix"), ["/a.nix"], "the graph before stays as it was");
    }

    #[test]
    fn a_cycle_is_walked_once() {
        let cycle =
            [node("/a.nix", "{ imports = [ ./b.nix ]; }"), node("/b.nix", "{ imports = [ ./a.nix ]; }")];
        assert_eq!(Graph::default().with(cycle).upwards(Path::new("/a.nix")).len(), 2);
    }

    #[test]
    fn a_text_that_lies_nowhere_leads_nowhere() {
        let (_, node) = node("untitled:Untitled-1", "{ imports = [ ./a.nix ]; codchi.gpu.enable = true; }");
        assert!(node.targets().is_empty() && node.is_root());
    }
}
