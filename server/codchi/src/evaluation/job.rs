//! One module as it is to be evaluated: its texts as they are in the editor, and where Nix finds them.

use super::mirror::Mirror;
use crate::{files, pins};
use codchi_ide::{Evaluable, Files, ModuleKey};
use codchi_nix::{InspectedModule, Reads};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So much text of a module is held and compared; what is beyond is read by Nix alone.
const LARGEST: usize = 16 << 20;

/// Files of which some may be open in an editor.
pub(crate) trait Texts: Files {
    /// The text in the editor; `None` for a file that is not open.
    fn open_text(&self, path: &Path) -> Option<Arc<str>>;
}

/// One module as it is to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    key: ModuleKey,
    root: PathBuf,
    /// Of the module's files, as they are in the editor.
    texts: BTreeMap<PathBuf, Arc<str>>,
    /// The files whose text is not the one on the disk.
    unsaved: BTreeSet<PathBuf>,
    /// What the lock of its flake says: which nixpkgs and inputs it has.
    lock: Option<String>,
    reads: Reads,
}

impl Job {
    /// Reads the module's files. Blocking.
    pub(crate) fn new(evaluable: Evaluable, files: &dyn Texts) -> Self {
        let Evaluable { key, root, files: of } = evaluable;
        let (mut texts, mut unsaved, mut reads) = (BTreeMap::new(), BTreeSet::new(), Reads::default());
        let mut room = LARGEST;
        for path in of.iter().filter(|path| path.is_absolute()) {
            if let Some(facts) = files.facts(path) {
                reads.packages.extend(facts.packages.iter().map(|package| package.path.clone()));
                reads.config.extend(facts.config_reads.iter().cloned());
                reads.inputs.extend(facts.input_reads.iter().cloned());
                reads.options |= facts.reads_options;
            }
            let on_disk = files::read(path).ok();
            let text = match files.open_text(path) {
                Some(open) => {
                    // Editors keep a byte order mark to themselves.
                    let on_disk = on_disk.as_deref().map(|text| text.trim_start_matches('\u{feff}'));
                    if on_disk != Some(open.trim_start_matches('\u{feff}')) {
                        unsaved.insert(path.to_path_buf());
                    }
                    open
                }
                None => match on_disk {
                    Some(text) => text.into(),
                    None => continue,
                },
            };
            let Some(rest) = room.checked_sub(text.len()) else { break };
            room = rest;
            texts.insert(path.to_path_buf(), text);
        }
        let lock = pins::lock_of(&key.0).and_then(|lock| files::read(&lock).ok());
        Self { key, root, texts, unsaved, lock, reads }
    }

    /// A module of one text.
    #[cfg(test)]
    pub(crate) fn of_text(path: &Path, text: &str) -> Self {
        Self {
            key: (path.into(), None),
            root: path.into(),
            texts: [(path.into(), text.into())].into(),
            unsaved: BTreeSet::new(),
            lock: None,
            reads: Reads::default(),
        }
    }

    /// The module.
    pub(crate) fn key(&self) -> &ModuleKey {
        &self.key
    }

    /// Two jobs with the same hash say the same to Nix, as far as we know the files that it reads.
    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.key, &self.root, &self.texts, &self.lock).hash(&mut hasher);
        hasher.finish()
    }

    /// Makes a place where Nix finds these texts. Blocking.
    pub(super) fn place(&self) -> Place {
        let mut place = Place { job: self.clone(), mirror: None };
        if self.unsaved.is_empty() {
            return place;
        }
        match Mirror::new(&self.texts) {
            Ok(mirror) => place.mirror = Some(mirror),
            Err(why) => {
                let named = self.key.0.display();
                tracing::info!("{named} is evaluated as it is on the disk, without what is not saved: {why}");
                for path in &self.unsaved {
                    match files::read(path) {
                        Ok(text) => drop(place.job.texts.insert(path.clone(), text.into())),
                        Err(_) => drop(place.job.texts.remove(path)),
                    }
                }
            }
        }
        place
    }
}

/// Where Nix finds a module's files; gone with this.
pub(super) struct Place {
    job: Job,
    mirror: Option<Mirror>,
}

impl Place {
    /// What Nix is to evaluate.
    pub(super) fn module(&self) -> InspectedModule {
        let Job { key: (path, output), root, .. } = &self.job;
        if root.file_name().is_some_and(|name| name == "flake.nix") {
            let folder = if root.parent() == Some(path) { path } else { root.parent().unwrap_or(path) };
            InspectedModule::Output { folder: self.inside(folder), output: output.clone() }
        } else {
            InspectedModule::File(self.inside(root))
        }
    }

    /// What its files read of their arguments.
    pub(super) fn reads(&self) -> &Reads {
        &self.job.reads
    }

    /// The texts that Nix reads.
    pub(super) fn texts(&self) -> &BTreeMap<PathBuf, Arc<str>> {
        &self.job.texts
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.mirror.as_ref().map_or_else(|| path.to_owned(), |mirror| mirror.inside(path))
    }

    /// The real path of one that Nix names.
    pub(super) fn real(&self, path: PathBuf) -> PathBuf {
        match &self.mirror {
            Some(mirror) => mirror.outside(&path).unwrap_or(path),
            None => path,
        }
    }

    /// A text of Nix with the real paths in it.
    pub(super) fn real_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.mirror {
            Some(mirror) => mirror.outside_text(text),
            None => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_ide::{Document, Graph};
    use codchi_nix::Position;

    struct Open(BTreeMap<PathBuf, Arc<str>>, Graph);

    impl Files for Open {
        fn document(&self, path: &Path) -> Option<Arc<Document>> {
            let text = self.0.get(path).cloned().or_else(|| files::read(path).ok().map(Into::into));
            text.map(|text| Arc::new(Document::new(text)))
        }
        fn exists(&self, path: &Path) -> bool {
            self.0.contains_key(path) || path.exists()
        }
        fn is_folder(&self, path: &Path) -> bool {
            path.is_dir()
        }
        fn nix_files(&self) -> Vec<PathBuf> {
            Vec::new()
        }
        fn graph(&self) -> &Graph {
            &self.1
        }
    }

    impl Texts for Open {
        fn open_text(&self, path: &Path) -> Option<Arc<str>> {
            self.0.get(path).cloned()
        }
    }

    fn job(root: &Path, others: &[&Path], open: &[(&Path, &str)]) -> Job {
        let open = open.iter().map(|(path, text)| (path.to_path_buf(), Arc::from(*text))).collect();
        let files = others.iter().chain([&root]).map(|path| Arc::from(*path)).collect();
        let key = (root.parent().unwrap().to_owned(), None);
        Job::new(Evaluable { key, root: root.into(), files: Arc::new(files) }, &Open(open, Graph::default()))
    }

    #[test]
    fn what_is_on_the_disk_is_evaluated_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codchi.nix");
        std::fs::write(&file, "\u{feff}{ pkgs, config, ... }: { a = pkgs.hello; b = config.x.y; }").unwrap();
        let open = "{ pkgs, config, ... }: { a = pkgs.hello; b = config.x.y; }";
        let job = job(&file, &[], &[(&file, open)]);
        let place = job.place();
        assert_eq!(place.module(), InspectedModule::File(file.clone()));
        assert_eq!(place.texts()[&file].as_ref(), open);
        assert_eq!(place.reads().packages, [vec!["hello".to_owned()]].into());
        assert_eq!(place.reads().config, [vec!["x".to_owned(), "y".to_owned()]].into());
    }

    #[test]
    fn what_is_not_saved_is_evaluated_elsewhere_and_told_about_the_real_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("flake.nix"), "{ }").unwrap();
        std::fs::write(at("a.nix"), "old").unwrap();
        let job = job(&at("flake.nix"), &[&at("a.nix")], &[(&at("a.nix"), "new"), (&at("flake.nix"), "{ }")]);
        let place = job.place();
        let InspectedModule::Output { folder: mirrored, output: None } = place.module() else {
            panic!("it is a flake's output")
        };
        assert_ne!(mirrored, folder.path());
        assert_eq!(std::fs::read_to_string(mirrored.join("a.nix")).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(at("a.nix")).unwrap(), "old");
        let position = Position { file: mirrored.join("a.nix"), line: 1, column: 1 };
        assert_eq!(place.real(position.file), at("a.nix"));
        let text = format!("in '{}/a.nix' and /nix/store/x", mirrored.display());
        assert_eq!(place.real_text(&text), format!("in '{}' and /nix/store/x", at("a.nix").display()));
        drop(place);
        assert!(!mirrored.exists(), "nothing of it is left");
    }

    #[test]
    fn jobs_that_say_the_same_have_the_same_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codchi.nix");
        std::fs::write(&file, "1").unwrap();
        let saved = job(&file, &[], &[]).hash();
        assert_eq!(saved, job(&file, &[], &[(&file, "1")]).hash(), "opening it changes nothing");
        let changed = job(&file, &[], &[(&file, "2")]).hash();
        assert_ne!(saved, changed);
        std::fs::write(&file, "2").unwrap();
        assert_eq!(changed, job(&file, &[], &[(&file, "2")]).hash(), "nor does saving what was evaluated");
        std::fs::write(folder.path().join("flake.nix"), "{ }").unwrap();
        assert_eq!(changed, job(&file, &[], &[]).hash(), "there is nothing locked");
        std::fs::write(folder.path().join("flake.lock"), "{ }").unwrap();
        assert_ne!(changed, job(&file, &[], &[]).hash(), "it may have another nixpkgs and other inputs");
    }
}
