//! What the Nix files of a workspace say, and those that they lead to, without their trees.

use super::{LARGEST, Stamp, list, read};
use codchi_ide::{Facts, Graph, Node};
use codchi_module::Document;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many of the workspace's files are known: more is a package collection, not a project.
const FILES: usize = 10_000;

/// So much text is read in all; what it says takes about as much memory.
const TEXT: u64 = 64 << 20;

/// The files that a folder's module may be in.
const ROOTS: [&str; 3] = ["flake.nix", "codchi.nix", "default.nix"];

/// What an index is to hold, with what it leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// All Nix files below these folders, but those that git ignores.
    pub(crate) folders: Vec<PathBuf>,
    /// These files, or the root modules of these folders.
    pub(crate) modules: BTreeSet<PathBuf>,
}

/// What files say, at one moment. Immutable: a change makes a new one, which shares what stayed the same.
#[derive(Default)]
pub(crate) struct Index {
    entries: HashMap<Arc<Path>, Arc<Entry>>,
    listed: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    errors: Vec<(PathBuf, String)>,
    graph: Arc<Graph>,
}

struct Entry {
    stamp: Stamp,
    /// `None` where it is no text of a sensible size.
    says: Option<(Arc<Facts>, Arc<Node>)>,
}

impl Index {
    /// Reads what is wanted, on all processors; what did not change since `before` is taken from there.
    pub(crate) fn load(wanted: &Wanted, before: &Self) -> Self {
        let listing = list(&wanted.folders, FILES);
        let mut open: BTreeSet<Arc<Path>> =
            listing.files.iter().chain(&wanted.modules).map(|path| path.as_path().into()).collect();
        open.extend(wanted.modules.iter().filter_map(|folder| root_file(folder)));
        open.extend(roots_above(wanted));
        let (mut entries, mut seen, mut text) = (HashMap::new(), HashSet::new(), 0);
        while !open.is_empty() {
            seen.extend(open.iter().cloned());
            let stamped: Vec<_> =
                open.into_par_iter().filter_map(|path| Some((Stamp::of(&path)?, path))).collect();
            // In the order of their paths, so that it is always the same ones that are too much.
            let mut readable = Vec::new();
            for (stamp, path) in stamped {
                let fits =
                    stamp.length <= LARGEST && text + stamp.length <= TEXT && entries.len() < 2 * FILES;
                text += if fits { stamp.length } else { 0 };
                readable.push((stamp, path, fits));
            }
            let read: Vec<_> = readable
                .into_par_iter()
                .map(|(stamp, path, fits)| {
                    let known = before.entries.get(&path).filter(|entry| entry.stamp == stamp);
                    let entry = match known {
                        Some(entry) => entry.clone(),
                        None => Arc::new(Entry { stamp, says: fits.then(|| says(&path)).flatten() }),
                    };
                    (path, entry)
                })
                .collect();
            let targets =
                read.iter().filter_map(|(_, entry)| entry.says.as_ref()).flat_map(|(_, node)| node.targets());
            open = targets
                .flat_map(|target| [target.clone(), target.join("default.nix").into()])
                .filter(|path| !seen.contains(path))
                .collect();
            entries.extend(read);
        }
        let graph = if is_same(&entries, &before.entries) {
            before.graph.clone()
        } else {
            let nodes = entries.iter().filter_map(|(path, entry)| {
                let (_, node) = entry.says.as_ref()?;
                Some((path.clone(), node.clone()))
            });
            Arc::new(Graph::default().with(nodes))
        };
        Self { entries, listed: listing.files, folders: listing.folders, errors: listing.errors, graph }
    }

    /// What a file says.
    pub(crate) fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        let (facts, _) = self.entries.get(path)?.says.as_ref()?;
        Some(facts.clone())
    }

    /// Whether a file is known, be it readable or not.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.entries.contains_key(path)
    }

    /// The Nix files of the folders.
    pub(crate) fn listed(&self) -> &[PathBuf] {
        &self.listed
    }

    /// What of the folders could not be looked at, and why.
    pub(crate) fn errors(&self) -> &[(PathBuf, String)] {
        &self.errors
    }

    /// Who imports whom.
    pub(crate) fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The folders in which a change matters: those that were listed, and those of all files that are known or looked for.
    pub(crate) fn watched(&self) -> BTreeSet<&Path> {
        let known = self.entries.keys().filter_map(|path| path.parent());
        let said = self.entries.values().filter_map(|entry| entry.says.as_ref());
        let targets = said.flat_map(|(_, node)| node.targets()).filter_map(|target| target.parent());
        self.folders.iter().map(PathBuf::as_path).chain(known).chain(targets).collect()
    }
}

/// Reads and parses a file.
fn says(path: &Path) -> Option<(Arc<Facts>, Arc<Node>)> {
    let facts = Document::new(read(path).ok()?).shared_facts();
    let node = Arc::new(Node::of(path, &facts));
    Some((facts, node))
}

fn is_same(a: &HashMap<Arc<Path>, Arc<Entry>>, b: &HashMap<Arc<Path>, Arc<Entry>>) -> bool {
    a.len() == b.len()
        && a.iter().all(|(path, entry)| b.get(path).is_some_and(|other| Arc::ptr_eq(entry, other)))
}

fn root_file(folder: &Path) -> Option<Arc<Path>> {
    ROOTS.iter().map(|name| folder.join(name)).find(|file| file.is_file()).map(Into::into)
}

/// The root modules of all folders above, which may lead to what is below.
fn roots_above(wanted: &Wanted) -> BTreeSet<Arc<Path>> {
    let below = wanted.folders.iter().chain(&wanted.modules);
    let folders: BTreeSet<&Path> = below.flat_map(|path| path.ancestors().skip(1)).collect();
    folders.into_iter().filter_map(root_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn wanted(folder: &Path) -> Wanted {
        Wanted { folders: vec![folder.to_owned()], modules: BTreeSet::new() }
    }

    #[test]
    fn what_the_files_lead_to_is_known_too_also_outside_and_ignored() {
        let folder = folder(&[
            ("ws/a.nix", "{ imports = [ ../b.nix ./out/c.nix ./d ]; }"),
            ("ws/.gitignore", "out"),
            ("ws/out/c.nix", "{ imports = [ ../a.nix ]; }"),
            ("b.nix", "{ }"),
            ("ws/d/default.nix", "{ }"),
        ]);
        let index = Index::load(&wanted(&folder.path().join("ws")), &Index::default());
        for path in ["ws/a.nix", "b.nix", "ws/out/c.nix", "ws/d/default.nix"] {
            assert!(index.facts(&folder.path().join(path)).is_some(), "{path}");
        }
        assert_eq!(index.listed().len(), 2, "only those of the folder");
    }

    #[test]
    fn a_flake_above_an_opened_file_is_known() {
        let folder = folder(&[
            ("flake.nix", "{ outputs = _: { nixosModules.default = ./sub/a.nix; }; }"),
            ("sub/a.nix", "{ }"),
        ]);
        let modules = [folder.path().join("sub/a.nix")].into();
        let index = Index::load(&Wanted { folders: Vec::new(), modules }, &Index::default());
        assert!(index.facts(&folder.path().join("flake.nix")).is_some());
    }

    #[test]
    fn only_what_changed_is_read_again() {
        let folder = folder(&[("a.nix", "{ }"), ("b.nix", "{ }")]);
        let (a, b) = (folder.path().join("a.nix"), folder.path().join("b.nix"));
        let before = Index::load(&wanted(folder.path()), &Index::default());
        std::fs::write(&b, "{ codchi.gpu.enable = true; }").unwrap();
        let after = Index::load(&wanted(folder.path()), &before);
        assert!(Arc::ptr_eq(&before.facts(&a).unwrap(), &after.facts(&a).unwrap()));
        assert_eq!((before.facts(&b).unwrap().options.len(), after.facts(&b).unwrap().options.len()), (0, 1));
        let same = Index::load(&wanted(folder.path()), &after);
        assert!(Arc::ptr_eq(after.graph(), same.graph()), "the graph and all that was worked out from it");
        std::fs::remove_file(&b).unwrap();
        assert!(!Index::load(&wanted(folder.path()), &same).contains(&b));
    }

    #[test]
    fn what_is_no_text_is_known_and_says_nothing() {
        let folder = folder(&[("a.nix", "{ imports = [ ./binary.nix ./huge.nix ]; }")]);
        std::fs::write(folder.path().join("binary.nix"), [0xff, 0, 0xfe]).unwrap();
        std::fs::write(folder.path().join("huge.nix"), vec![b' '; 10 << 20]).unwrap();
        let index = Index::load(&wanted(folder.path()), &Index::default());
        for path in ["binary.nix", "huge.nix"] {
            let path = folder.path().join(path);
            assert!(index.contains(&path) && index.facts(&path).is_none());
        }
    }
}
