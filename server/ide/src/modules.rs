//! Which files are modules, what they import, and which machines are made of them.

use crate::{Document, Facts, Files, Machine, MachineModule, World};
use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// How many of the workspace's files are read for a question that goes backwards, which is asked on every keystroke.
const NEAREST: usize = 128;

/// What is at the end of a path in an `imports` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// This file.
    File(PathBuf),
    /// Nothing; this was looked for.
    Missing(PathBuf),
    /// A folder without a `default.nix`.
    FolderWithoutDefault(PathBuf),
    /// Something that is found only by evaluation: `<nixpkgs/…>`, `~/…`.
    Unknown,
}

/// A module that a machine can be made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

impl<'a> Modules<'a> {
    pub(crate) fn new(files: &'a dyn Files) -> Self {
        Self { files }
    }

    /// The document at a path.
    pub(crate) fn document(self, path: &Path) -> Option<Arc<Document>> {
        self.files.document(path)
    }

    /// What `written` means in the file at `from`.
    pub(crate) fn resolve(self, from: &Path, written: &str) -> Resolved {
        let Some(folder) = from.parent() else { return Resolved::Unknown };
        if written.starts_with(['~', '<']) {
            return Resolved::Unknown;
        }
        let path = normalise(&folder.join(written));
        if !self.files.exists(&path) {
            return Resolved::Missing(path);
        }
        if !self.files.is_folder(&path) {
            return Resolved::File(path);
        }
        let default = path.join("default.nix");
        if self.files.exists(&default) {
            Resolved::File(default)
        } else {
            Resolved::FolderWithoutDefault(path)
        }
    }

    /// Whether the file is a codchi module: it sets codchi's options, is called `codchi.nix`, or is imported by such a
    /// module or given by a flake as one.
    pub(crate) fn is_codchi(self, path: &Path) -> bool {
        self.is_root(path)
            || self.around(path).iter().any(|file| self.is_root(file) && self.reachable(file).contains(path))
    }

    /// The files that are looked at for what leads to `path`: the modules of the folders it is in, and the workspace's
    /// files, the nearest first.
    fn around(self, path: &Path) -> BTreeSet<PathBuf> {
        let mut files = self.files.nix_files();
        if files.len() > NEAREST {
            let shared =
                |file: &PathBuf| file.components().zip(path.components()).take_while(|(a, b)| a == b).count();
            files.sort_by_cached_key(|file| std::cmp::Reverse(shared(file)));
            files.truncate(NEAREST);
        }
        files.extend(path.ancestors().skip(1).filter_map(|folder| self.root_file(folder)));
        files.into_iter().collect()
    }

    fn is_root(self, path: &Path) -> bool {
        self.files.document(path).is_some_and(|document| {
            let facts = document.facts();
            let is_named_so =
                || facts.may_be_module && path.file_name().is_some_and(|name| name == "codchi.nix");
            !facts.options.is_empty() || !facts.flake_modules.is_empty() || is_named_so()
        })
    }

    /// The file and all that it imports, directly or not; a flake imports its module outputs.
    pub(crate) fn reachable(self, path: &Path) -> BTreeSet<PathBuf> {
        self.reachable_from(vec![path.to_owned()])
    }

    fn reachable_from(self, mut open: Vec<PathBuf>) -> BTreeSet<PathBuf> {
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            if seen.insert(path.clone()) {
                open.extend(self.imports(&path));
            }
        }
        seen
    }

    /// Whether another file of the workspace imports the file, or is a flake that gives it as a module.
    pub(crate) fn is_imported(self, path: &Path) -> bool {
        let mut around = self.around(path).into_iter().filter(|file| file != path);
        around.any(|file| self.imports(&file).iter().any(|imported| imported == path))
    }

    fn imports(self, path: &Path) -> Vec<PathBuf> {
        let Some(document) = self.files.document(path) else { return Vec::new() };
        let facts = document.facts();
        let imports = facts.imports.iter().map(|import| &import.path);
        let outputs = facts.flake_modules.iter().filter_map(|module| module.file.as_ref());
        imports.chain(outputs).filter_map(|written| self.file(path, written)).collect()
    }

    /// The existing file that `written` means in the file at `from`.
    pub(crate) fn file(self, from: &Path, written: &str) -> Option<PathBuf> {
        match self.resolve(from, written) {
            Resolved::File(path) => Some(path),
            _ => None,
        }
    }

    /// The file that a folder's module is in.
    pub(crate) fn root_file(self, folder: &Path) -> Option<PathBuf> {
        ["flake.nix", "codchi.nix", "default.nix"]
            .iter()
            .map(|name| folder.join(name))
            .find(|file| self.files.exists(file))
    }

    /// The files of a module that a machine can be made of.
    pub(crate) fn files_of(self, path: &Path, output: Option<&str>) -> BTreeSet<PathBuf> {
        if !self.files.is_folder(path) {
            return self.reachable(path);
        }
        let Some(root) = self.root_file(path) else { return BTreeSet::new() };
        let Some(document) = self.files.document(&root) else { return BTreeSet::new() };
        let output = output.unwrap_or("default");
        let outputs = document.facts().flake_modules.iter().filter(|module| module.name == output);
        let in_files: Vec<PathBuf> =
            outputs.filter_map(|module| self.file(&root, module.file.as_ref()?)).collect();
        if in_files.is_empty() {
            // A plain module, an output that is written in place, or one that only evaluation finds.
            return self.reachable(&root);
        }
        let mut files = self.reachable_from(in_files);
        files.insert(root);
        files
    }

    /// The machines that the file's module is part of.
    pub(crate) fn machines<'w>(self, world: &'w World, path: &Path) -> Vec<&'w Machine> {
        let holds =
            |module: &MachineModule| self.files_of(&module.path, module.output.as_deref()).contains(path);
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
        let holds =
            |file: &PathBuf| file != path && self.is_root(file) && self.reachable(file).contains(path);
        let holders: Vec<PathBuf> = self.around(path).into_iter().filter(holds).collect();
        let is_imported = |file: &PathBuf| {
            holders.iter().any(|other| other != file && self.reachable(other).contains(file))
        };
        let mut sources: Vec<Source> = holders
            .iter()
            .filter(|file| !is_imported(file))
            .flat_map(|file| self.outputs(file))
            .filter(|source| self.files_of(&source.path, source.output.as_deref()).contains(path))
            .collect();
        if sources.is_empty() {
            sources.push(self.source(path));
        }
        sources
    }

    /// The files that are evaluated together with this one: those of the sources that it is a part of.
    pub(crate) fn related(self, path: &Path) -> BTreeSet<PathBuf> {
        let mut files = self.reachable(path);
        for source in self.sources(path) {
            files.extend(self.files_of(&source.path, source.output.as_deref()));
        }
        files
    }

    /// All files of the workspace that may be evaluated together with this one: the file, what imports it, also by
    /// other files, the other modules of its machines, and what all of these import.
    pub(crate) fn evaluated_with(self, world: &World, path: &Path) -> BTreeSet<PathBuf> {
        let mut importers: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
        for file in self.reachable_from(self.around(path).into_iter().collect()) {
            for imported in self.imports(&file) {
                importers.entry(imported).or_default().push(file.clone());
            }
        }
        let mut upwards = BTreeSet::new();
        let mut open = vec![path.to_owned()];
        while let Some(file) = open.pop() {
            if upwards.insert(file.clone()) {
                open.extend(importers.get(&file).into_iter().flatten().cloned());
            }
        }
        let mut files = self.reachable_from(upwards.into_iter().collect());
        for module in self.machines(world, path).iter().flat_map(|machine| &machine.modules) {
            files.extend(self.files_of(&module.path, module.output.as_deref()));
        }
        files
    }

    /// Whether the file imports something that is not there or cannot be found without evaluation.
    pub(crate) fn imports_unknown(self, path: &Path, facts: &Facts) -> bool {
        let is_unknown = |written: &String| {
            self.file(path, written).is_none_or(|file| self.files.document(&file).is_none())
        };
        let outputs = facts.flake_modules.iter().filter_map(|module| module.file.as_ref());
        facts.imports.iter().map(|import| &import.path).chain(outputs).any(is_unknown)
    }

    /// The documents of the [related](Self::related) files.
    pub(crate) fn related_documents(self, path: &Path) -> Vec<Arc<Document>> {
        self.related(path).iter().filter_map(|file| self.files.document(file)).collect()
    }

    /// The sources that the file itself offers: a flake's module outputs, or the plain module.
    pub(crate) fn outputs(self, path: &Path) -> Vec<Source> {
        let plain = self.source(path);
        let Some(document) = self.files.document(path) else { return Vec::new() };
        let names: BTreeSet<&String> =
            document.facts().flake_modules.iter().map(|module| &module.name).collect();
        if names.is_empty() {
            return vec![plain];
        }
        let output = |name: &String| (name != "default").then(|| name.clone());
        names.into_iter().map(|name| Source { path: plain.path.clone(), output: output(name) }).collect()
    }
}

/// The path without `.` and `..`, by its text alone.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
