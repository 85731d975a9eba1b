//! The files that are checked, and those around them.

use crate::evaluation::Texts;
use crate::files::{Index, Trees, Wanted};
use codchi_ide::{Facts, Files, Graph, Node, World};
use codchi_module::Document;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that are checked, and those around them.
pub(super) struct Disk {
    trees: Trees,
    index: Index,
    /// A text that stands for a file.
    stdin: Option<(PathBuf, Arc<Document>)>,
    graph: Arc<Graph>,
    checked: Vec<PathBuf>,
}

impl Disk {
    /// Reads the files, what leads to them, and what is made of the same machines.
    pub(super) fn new(
        mut files: Vec<PathBuf>,
        stdin: Option<(PathBuf, Arc<Document>)>,
        world: &World,
    ) -> Self {
        if let Some((path, _)) = &stdin {
            files.retain(|file| file != path);
            files.push(path.clone());
        }
        let machines = world.machines.iter().flat_map(|machine| &machine.modules);
        let modules = files.iter().filter(|path| path.is_absolute()).cloned();
        let modules = modules.chain(machines.map(|module| module.path.clone())).collect();
        let index = Index::load(&Wanted { folders: Vec::new(), modules }, &Index::default());
        let graph = match &stdin {
            Some((path, document)) => {
                let node = Arc::new(Node::of(path, document.facts()));
                Arc::new(index.graph().with([(path.as_path().into(), node)]))
            }
            None => index.graph().clone(),
        };
        files.sort();
        Self { trees: Trees::default(), index, stdin, graph, checked: files }
    }

    /// The files that are checked, in order.
    pub(super) fn checked(&self) -> &[PathBuf] {
        &self.checked
    }

    /// The same, with this document at `path`.
    pub(super) fn holding<'a>(&'a self, path: &'a Path, document: Arc<Document>) -> Held<'a> {
        Held { disk: self, path, document }
    }

    fn standing_for(&self, path: &Path) -> Option<&Arc<Document>> {
        self.stdin.as_ref().filter(|(of, _)| of == path).map(|(_, document)| document)
    }
}

impl Files for Disk {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        match self.standing_for(path) {
            Some(document) => Some(document.clone()),
            None => self.trees.document(path).filter(|_| path.is_absolute()),
        }
    }

    fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        match self.standing_for(path) {
            Some(document) => Some(document.shared_facts()),
            None if self.index.contains(path) => self.index.facts(path),
            None => self.document(path).map(|document| document.shared_facts()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.standing_for(path).is_some() || (path.is_absolute() && path.exists())
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_absolute() && path.is_dir()
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.checked.clone()
    }

    fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl Texts for Disk {
    fn open_text(&self, path: &Path) -> Option<Arc<str>> {
        self.standing_for(path).map(|document| document.text().into())
    }
}

/// The files around one whose text stays what it was, whatever becomes of it on disk.
pub(super) struct Held<'a> {
    disk: &'a Disk,
    path: &'a Path,
    document: Arc<Document>,
}

impl Files for Held<'_> {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        if path == self.path { Some(self.document.clone()) } else { self.disk.document(path) }
    }

    fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        if path == self.path { Some(self.document.shared_facts()) } else { self.disk.facts(path) }
    }

    fn exists(&self, path: &Path) -> bool {
        path == self.path || self.disk.exists(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.disk.is_folder(path)
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.disk.nix_files()
    }

    fn graph(&self) -> &Graph {
        self.disk.graph()
    }
}
