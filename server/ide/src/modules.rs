//! Which files are modules, what they import, and which machines are made of them.

use crate::graph::{FileSet, Node, Question, target};
use crate::{Document, Facts, Files, Machine, MachineModule, World};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that a folder's module may be in; the first one that is there counts.
pub(crate) const ROOTS: [&str; 3] = ["flake.nix", "codchi.nix", "default.nix"];

/// What is at the end of a path in an `imports` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// This file.
    File(PathBuf),
    /// Nothing; this was looked for.
    Missing(PathBuf),
    /// A folder without a `default.nix`.
    FolderWithoutDefault(PathBuf),
    /// Something that is found only by evaluation: `<nixpkgs/…>`, `~/…`; anything in a text that lies nowhere.
    Unknown,
}

/// A module that a machine can be made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Source {
    /// Its folder or file.
    pub(crate) path: PathBuf,
    /// The flake's output; `None` for the default one, or where there is no flake.
    pub(crate) output: Option<String>,
}

/// The modules of the workspace.
#[derive(Clone, Copy)]
pub(crate) struct Modules<'a> {
    files: &'a dyn Files,
}

/// The files that a module begins with.
#[derive(Default)]
struct Entries {
    /// With all that they import.
    open: Vec<Arc<Path>>,
    /// By itself.
    root: Option<Arc<Path>>,
}

impl<'a> Modules<'a> {
    pub(crate) fn new(files: &'a dyn Files) -> Self {
        Self { files }
    }

    /// The files that they are in.
    pub(crate) fn files(self) -> &'a dyn Files {
        self.files
    }

    /// What the file at a path says.
    pub(crate) fn facts(self, path: &Path) -> Option<Arc<Facts>> {
        self.files.facts(path)
    }

    /// The text of the file at a path; it may have to be read and parsed anew.
    pub(crate) fn document(self, path: &Path) -> Option<Arc<Document>> {
        self.files.document(path)
    }

    /// The Nix files of the workspace.
    pub(crate) fn nix_files(self) -> Vec<PathBuf> {
        self.files.nix_files()
    }

    /// What `written` means in the file at `from`.
    pub(crate) fn resolve(self, from: &Path, written: &str) -> Resolved {
        let Some(path) = target(from, written) else { return Resolved::Unknown };
        if let Some(file) = self.files.graph().file_at(&path) {
            return Resolved::File(file.to_path_buf());
        }
        if !self.files.exists(&path) {
            return Resolved::Missing(path.to_path_buf());
        }
        if !self.files.is_folder(&path) {
            return Resolved::File(path.to_path_buf());
        }
        let default = path.join("default.nix");
        if self.files.exists(&default) {
            Resolved::File(default)
        } else {
            Resolved::FolderWithoutDefault(path.to_path_buf())
        }
    }

    /// Whether a file can be made at a path: what there is of the way to it are folders, and not of the store.
    pub(crate) fn has_room(self, path: &Path) -> bool {
        let above = path.ancestors().skip(1).find(|above| self.files.exists(above));
        !self.files.exists(path)
            && !path.starts_with("/nix/store")
            && above.is_some_and(|above| self.files.is_folder(above))
    }

    /// Whether the file is a codchi module: it sets codchi's options, is called `codchi.nix`, or is imported by such a
    /// module or given by a flake as one.
    pub(crate) fn is_codchi(self, path: &Path) -> bool {
        self.is_root(path) || self.files.graph().upwards(path).iter().any(|file| self.is_root(file))
    }

    /// Whether the file may be part of a module that is not known to be made of it: nothing imports it by its path, and
    /// something above may import all that is in a folder.
    pub(crate) fn may_be_part_of_more(self, path: &Path) -> bool {
        let is_root = path.file_name().is_some_and(|name| ROOTS.iter().take(2).any(|root| name == *root));
        !is_root && !self.is_imported(path) && self.files.graph().imports_more_above(path)
    }

    /// Whether the file is part of what a code machine is made of, or is meant to be: a flake's `nixosModules` may as well be
    /// for servers, where what does nothing in a code machine does something.
    pub(crate) fn is_for_machines(self, world: &World, path: &Path) -> bool {
        let is_meant = |file: &Arc<Path>| self.node(file).is_some_and(|node| node.is_for_machines());
        self.is_codchi(path)
            && (self.evaluated_with(world, path).iter().any(is_meant)
                || !self.machines(world, path).is_empty())
    }

    fn is_root(self, path: &Path) -> bool {
        self.node(path).is_some_and(|node| node.is_root())
    }

    fn node(self, path: &Path) -> Option<Arc<Node>> {
        match self.files.graph().node(path) {
            Some(node) => Some(node.clone()),
            None => Some(Arc::new(Node::of(path, &*self.files.facts(path)?))),
        }
    }

    /// The file and all that it imports, directly or not; a flake imports its module outputs.
    pub(crate) fn reachable(self, path: &Path) -> FileSet {
        let path: Arc<Path> = path.into();
        let graph = self.files.graph();
        if graph.node(&path).is_none() {
            return self.reachable_from(vec![path]);
        }
        graph.answer(Question::Reachable(path.clone()), || self.reachable_from(vec![path]))
    }

    fn reachable_from(self, mut open: Vec<Arc<Path>>) -> FileSet {
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            if seen.insert(path.clone()) {
                open.extend(self.imports(&path));
            }
        }
        Arc::new(seen)
    }

    /// All that these files import, together with them.
    fn reachable_from_all(self, files: &[Arc<Path>]) -> FileSet {
        match files {
            [file] => self.reachable(file),
            files => self.reachable_from(files.to_vec()),
        }
    }

    /// Whether another file of the workspace imports the file, or is a flake that gives it as a module.
    pub(crate) fn is_imported(self, path: &Path) -> bool {
        self.files.graph().importers(path).any(|file| &**file != path)
    }

    fn imports(self, path: &Path) -> Vec<Arc<Path>> {
        let Some(node) = self.node(path) else { return Vec::new() };
        node.targets().iter().filter_map(|target| self.file_at(target)).collect()
    }

    /// The file at a path that another leads to.
    fn file_at(self, target: &Arc<Path>) -> Option<Arc<Path>> {
        if let Some(file) = self.files.graph().file_at(target) {
            return Some(file);
        }
        if !self.files.is_folder(target) {
            return self.files.exists(target).then(|| target.clone());
        }
        let default = target.join("default.nix");
        self.files.exists(&default).then(|| default.into())
    }

    /// The existing file that `written` means in the file at `from`.
    pub(crate) fn file(self, from: &Path, written: &str) -> Option<PathBuf> {
        self.file_at(&target(from, written)?).map(|file| file.to_path_buf())
    }

    /// The file that a folder's module is in.
    pub(crate) fn root_file(self, folder: &Path) -> Option<PathBuf> {
        ROOTS
            .iter()
            .map(|name| folder.join(name))
            .find(|file| self.files.graph().node(file).is_some() || self.files.exists(file))
    }

    fn entries(self, path: &Path, output: Option<&str>) -> Entries {
        if !self.files.is_folder(path) {
            return Entries { open: vec![path.into()], root: None };
        }
        let Some(root) = self.root_file(path) else { return Entries::default() };
        let Some(node) = self.node(&root) else { return Entries::default() };
        let output = output.unwrap_or("default");
        let outputs = node.outputs().iter().filter(|(name, _)| name == output);
        let in_files: Vec<Arc<Path>> = outputs.filter_map(|(_, file)| self.file_at(file.as_ref()?)).collect();
        if in_files.is_empty() {
            // A plain module, an output that is written in place, or one that only evaluation finds.
            return Entries { open: vec![root.into()], root: None };
        }
        Entries { open: in_files, root: Some(root.into()) }
    }

    /// The files of a module that a machine can be made of.
    pub(crate) fn files_of(self, path: &Path, output: Option<&str>) -> FileSet {
        let work_out = || {
            let entries = self.entries(path, output);
            let files = self.reachable_from_all(&entries.open);
            match entries.root {
                Some(root) if !files.contains(&root) => {
                    let mut files = BTreeSet::clone(&files);
                    files.insert(root);
                    Arc::new(files)
                }
                _ => files,
            }
        };
        let source = Source { path: path.to_owned(), output: output.map(str::to_owned) };
        let graph = self.files.graph();
        let is_known =
            graph.node(path).is_some() || ROOTS.iter().any(|name| graph.node(&path.join(name)).is_some());
        if is_known { graph.answer(Question::FilesOf(source), work_out) } else { work_out() }
    }

    /// The file that a module begins with.
    pub(crate) fn first_file(self, path: &Path, output: Option<&str>) -> Option<Arc<Path>> {
        self.entries(path, output).open.into_iter().next()
    }

    /// Whether a file is one of a module's; cheaper than to gather them all.
    pub(crate) fn holds(self, path: &Path, output: Option<&str>, file: &Path) -> bool {
        let graph = self.files.graph();
        let upwards = graph.upwards(file);
        let Entries { open, root } = self.entries(path, output);
        let leads = |entry: &Arc<Path>| match graph.node(entry) {
            Some(_) => upwards.contains(entry),
            None => self.reachable(entry).contains(file),
        };
        root.is_some_and(|root| &*root == file) || open.iter().any(leads)
    }

    /// The machines that the file's module is part of.
    pub(crate) fn machines<'w>(self, world: &'w World, path: &Path) -> Vec<&'w Machine> {
        let holds = |module: &MachineModule| self.holds(&module.path, module.output.as_deref(), path);
        world.machines.iter().filter(|machine| machine.modules.iter().any(holds)).collect()
    }

    /// The machines that are made of exactly this source.
    pub(crate) fn machines_of(self, world: &'a World, source: &Source) -> Vec<&'a Machine> {
        let is_source = |module: &MachineModule| {
            let output = module.output.clone().filter(|output| output != "default");
            (self.source(&module.path).path, output) == (source.path.clone(), source.output.clone())
        };
        world.machines.iter().filter(|machine| machine.modules.iter().any(is_source)).collect()
    }

    /// The source that a folder or file is: a folder's root module is the folder.
    pub(crate) fn source(self, path: &Path) -> Source {
        let folder = path.parent().filter(|folder| self.root_file(folder).as_deref() == Some(path));
        Source { path: folder.unwrap_or(path).to_owned(), output: None }
    }

    /// The sources that the file is a part of: outputs of flakes and modules that nothing else imports. The file's
    /// own where there are none.
    pub(crate) fn sources(self, path: &Path) -> Vec<Source> {
        let graph = self.files.graph();
        let roots_above = |file: &Path| {
            let above: Vec<Arc<Path>> = graph.upwards(file).iter().cloned().collect();
            above.into_iter().filter(|above| **above != *file && self.is_root(above)).collect::<Vec<_>>()
        };
        let mut sources: Vec<Source> = roots_above(path)
            .iter()
            .filter(|holder| roots_above(holder).iter().all(|above| **above == *path))
            .flat_map(|holder| self.outputs(holder))
            .filter(|source| self.holds(&source.path, source.output.as_deref(), path))
            .collect();
        if sources.is_empty() {
            sources.push(self.source(path));
        }
        sources
    }

    /// The files that are evaluated together with this one: those of the sources that it is a part of.
    pub(crate) fn related(self, path: &Path) -> FileSet {
        let work_out = || {
            let own = self.reachable(path);
            let sources = self.sources(path);
            let of_sources =
                sources.iter().map(|source| self.files_of(&source.path, source.output.as_deref()));
            union(std::iter::once(own).chain(of_sources))
        };
        self.files.graph().answer(Question::Related(path.into()), work_out)
    }

    /// All files of the workspace that may be evaluated together with this one: the file, what imports it, also by
    /// other files, the other modules of its machines, and what all of these import.
    pub(crate) fn evaluated_with(self, world: &World, path: &Path) -> FileSet {
        let modules = self.machines(world, path).into_iter().flat_map(|machine| &machine.modules);
        let sources =
            modules.map(|module| Source { path: module.path.clone(), output: module.output.clone() });
        let graph = self.files.graph();
        let question = Question::EvaluatedWith(path.into(), sources.collect());
        graph.answer(question, || union(self.sets_with(world, path)))
    }

    /// Those of these files that are among [`Self::evaluated_with`]; cheaper than to gather them all.
    pub(crate) fn among_evaluated_with<'f>(
        self,
        world: &World,
        path: &Path,
        files: &'f [Arc<Path>],
    ) -> Vec<&'f Arc<Path>> {
        if files.is_empty() {
            return Vec::new();
        }
        let sets = self.sets_with(world, path);
        files.iter().filter(|file| sets.iter().any(|set| set.contains(*file))).collect()
    }

    fn sets_with(self, world: &World, path: &Path) -> Vec<FileSet> {
        let around = self.files.graph().answer(Question::Around(path.into()), || self.around(path));
        let machines = self.machines(world, path);
        let modules = machines.iter().flat_map(|machine| &machine.modules);
        let others = modules.map(|module| self.files_of(&module.path, module.output.as_deref()));
        std::iter::once(around).chain(others).collect()
    }

    /// All that what leads to the file imports. Most of it hangs together at its ends, whose files are remembered.
    fn around(self, path: &Path) -> FileSet {
        let graph = self.files.graph();
        let upwards = graph.upwards(path);
        let (ends, rest): (Vec<_>, Vec<_>) =
            upwards.iter().cloned().partition(|file| graph.importers(file).next().is_none());
        let from_ends = union(ends.iter().map(|end| self.reachable(end)));
        // What is only in a cycle has no end above it.
        if rest.iter().all(|file| from_ends.contains(file)) {
            return from_ends;
        }
        union([from_ends, self.reachable_from(rest)])
    }

    /// Whether the file imports something that is not there or cannot be found without evaluation.
    pub(crate) fn imports_unknown(self, path: &Path) -> bool {
        self.node(path).is_some_and(|node| {
            let is_known = |file: Arc<Path>| self.node(&file).is_some();
            node.leads_nowhere()
                || node.targets().iter().any(|target| !self.file_at(target).is_some_and(is_known))
        })
    }

    /// Whether the file declares options of codchi's, or may.
    pub(crate) fn may_declare(self, path: &Path) -> bool {
        self.node(path).is_some_and(|node| node.may_declare()) || self.imports_unknown(path)
    }

    /// What the [related](Self::related) files say.
    pub(crate) fn related_facts(self, path: &Path) -> Vec<Arc<Facts>> {
        self.related(path).iter().filter_map(|file| self.files.facts(file)).collect()
    }

    /// The sources that the file itself offers: a flake's module outputs, or the plain module.
    pub(crate) fn outputs(self, path: &Path) -> Vec<Source> {
        let plain = self.source(path);
        let Some(node) = self.node(path) else { return Vec::new() };
        let names: BTreeSet<&String> = node.outputs().iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            return vec![plain];
        }
        let output = |name: &String| (name != "default").then(|| name.clone());
        names.into_iter().map(|name| Source { path: plain.path.clone(), output: output(name) }).collect()
    }
}

/// All files of these sets; the largest one itself where it holds the others.
fn union(sets: impl IntoIterator<Item = FileSet>) -> FileSet {
    let mut sets: Vec<FileSet> = sets.into_iter().collect();
    sets.sort_by_key(|set| set.len());
    let Some(mut all) = sets.pop() else { return FileSet::default() };
    for set in sets {
        if !set.is_subset(&all) {
            Arc::make_mut(&mut all).extend(set.iter().cloned());
        }
    }
    all
}
