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

/// So many files that a module's files name are looked at.
const MOST_BESIDE: usize = 1_000;

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
    /// Of other files that these name by a path, and so on: Nix may read them, but they need not be of the module.
    beside: BTreeMap<PathBuf, Arc<str>>,
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
        let mut reads = Reads::default();
        let mut reader = Reader { files, unsaved: BTreeSet::new(), room: LARGEST };
        let mut texts = BTreeMap::new();
        for path in of.iter().filter(|path| path.is_absolute()) {
            if let Some(facts) = files.facts(path) {
                reads.packages.extend(facts.packages.iter().map(|package| package.path.clone()));
                reads.config.extend(facts.config_reads.iter().cloned());
                reads.inputs.extend(facts.input_reads.iter().cloned());
                reads.options |= facts.reads_options;
            }
            if let Some(text) = reader.read(path) {
                texts.insert(path.to_path_buf(), text);
            }
        }
        let beside = reader.beside(&texts);
        let lock = pins::lock_of(&key.0).and_then(|lock| files::read(&lock).ok());
        Self { key, root, texts, beside, unsaved: reader.unsaved, lock, reads }
    }

    /// A module of one text.
    #[cfg(test)]
    pub(crate) fn of_text(path: &Path, text: &str) -> Self {
        Self {
            key: (path.into(), None),
            root: path.into(),
            texts: [(path.into(), text.into())].into(),
            beside: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            lock: None,
            reads: Reads::default(),
        }
    }

    /// The module.
    pub(crate) fn key(&self) -> &ModuleKey {
        &self.key
    }

    /// Whether Nix may read a file, as far as the texts say.
    pub(crate) fn may_read(&self, path: &Path) -> bool {
        self.texts.contains_key(path) || self.beside.contains_key(path)
    }

    /// Two jobs with the same hash say the same to Nix, as far as we know the files that it reads.
    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.key, &self.root, &self.texts, &self.beside, &self.lock).hash(&mut hasher);
        hasher.finish()
    }

    /// Makes a place where Nix finds these texts. Blocking.
    pub(super) fn place(&self) -> Place {
        let mut place = Place { job: self.clone(), mirror: None };
        if self.unsaved.is_empty() {
            return place;
        }
        let all = self.texts.iter().chain(&self.beside).map(|(path, text)| (path.clone(), text.clone()));
        match Mirror::new(&all.collect()) {
            Ok(mirror) => place.mirror = Some(mirror),
            Err(why) => {
                let named = self.key.0.display();
                tracing::info!("{named} is evaluated as it is on the disk, without what is not saved: {why}");
                for path in &self.unsaved {
                    let Job { texts, beside, .. } = &mut place.job;
                    let texts = if texts.contains_key(path) { texts } else { beside };
                    match files::read(path) {
                        Ok(text) => drop(texts.insert(path.clone(), text.into())),
                        Err(_) => drop(texts.remove(path)),
                    }
                }
            }
        }
        place
    }
}

/// Reads texts as they are in the editor, as much as there is room for.
struct Reader<'a> {
    files: &'a dyn Texts,
    /// The files whose text is not the one on the disk.
    unsaved: BTreeSet<PathBuf>,
    room: usize,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path) -> Option<Arc<str>> {
        let on_disk = files::read(path).ok();
        let (text, is_unsaved) = match self.files.open_text(path) {
            Some(open) => {
                // Editors keep a byte order mark to themselves.
                let on_disk = on_disk.as_deref().map(|text| text.trim_start_matches('\u{feff}'));
                let is_unsaved = on_disk != Some(open.trim_start_matches('\u{feff}'));
                (open, is_unsaved)
            }
            None => (on_disk?.into(), false),
        };
        let Some(room) = self.room.checked_sub(text.len()) else {
            self.room = 0;
            return None;
        };
        self.room = room;
        if is_unsaved {
            self.unsaved.insert(path.to_owned());
        }
        Some(text)
    }

    /// The Nix files that texts name by a path, and that those name in turn; all that is on the way to one is there, since Nix
    /// goes on from the real place of a file that is none of a mirror's copies.
    fn beside(&mut self, texts: &BTreeMap<PathBuf, Arc<str>>) -> BTreeMap<PathBuf, Arc<str>> {
        let mut beside: BTreeMap<PathBuf, Arc<str>> = BTreeMap::new();
        let mut open: Vec<(PathBuf, Arc<str>)> =
            texts.iter().map(|(path, text)| (path.clone(), text.clone())).collect();
        while let Some((from, text)) = open.pop() {
            let Some(folder) = from.parent() else { continue };
            // A flake's other modules are not read for this one.
            let facts = texts.get(&from).and_then(|_| self.files.facts(&from));
            let outputs: BTreeSet<&str> = facts
                .iter()
                .flat_map(|facts| &facts.flake_modules)
                .filter_map(|it| it.file.as_deref())
                .collect();
            for written in codchi_module::relative_paths(&text).difference(&outputs) {
                let path = codchi_module::normalise(&folder.join(written));
                let path = if path.is_dir() { path.join("default.nix") } else { path };
                let is_new = !texts.contains_key(&path) && !beside.contains_key(&path);
                if !is_new || path.extension().is_none_or(|it| it != "nix") || path.starts_with("/nix/store")
                {
                    continue;
                }
                if beside.len() >= MOST_BESIDE {
                    return beside;
                }
                if let Some(text) = self.read(&path) {
                    open.push((path.clone(), text.clone()));
                    beside.insert(path, text);
                }
            }
        }
        beside
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

    /// The texts of the module that Nix reads.
    pub(super) fn texts(&self) -> &BTreeMap<PathBuf, Arc<str>> {
        &self.job.texts
    }

    /// The text that Nix reads in a file, by its real path. Blocking.
    pub(super) fn read(&self, path: &Path) -> Option<Arc<str>> {
        let known = self.job.texts.get(path).or_else(|| self.job.beside.get(path));
        known.cloned().or_else(|| files::read(path).ok().map(Arc::from))
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
    #[test]
    fn what_a_module_reads_however_it_does_is_evaluated_as_it_is_in_the_editor() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), text).unwrap();
        };
        write("codchi.nix", "let x = import ./lib; in { a = x; b = ./data.json; }");
        write("lib/default.nix", "import ./deep.nix { again = ../codchi.nix; }");
        write("lib/deep.nix", "old");
        write("lib/other.nix", "old");
        write("data.json", "{ }");
        let saved = job(&at("codchi.nix"), &[], &[]);
        assert_eq!(saved.place().module(), InspectedModule::File(at("codchi.nix")));
        let (deep, other) = (at("lib/deep.nix"), at("lib/other.nix"));
        let job = job(&at("codchi.nix"), &[], &[(&deep, "new"), (&other, "new")]);
        assert_ne!(saved.hash(), job.hash());
        assert!(job.may_read(&deep) && !job.may_read(&other));
        let place = job.place();
        let InspectedModule::File(root) = place.module() else { panic!("it is a file") };
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let lib = root.parent().unwrap().join("lib");
        assert_eq!(read(lib.join("deep.nix")), "new");
        // Nix goes on from the real place of what it imports.
        assert!(
            !lib.join("default.nix").is_symlink(),
            "else what it names would be read beside the real one"
        );
        assert_eq!(read(root.parent().unwrap().join("data.json")), "{ }");
        assert_eq!(place.read(&deep).as_deref(), Some("new"));
        assert!(!place.texts().contains_key(&deep), "it is none of the module's files");
    }

    #[test]
    fn a_flakes_other_modules_are_not_read_for_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let flake = "{ outputs = _: let x = import ./x.nix; in { codchiModules.a = ./a.nix; codchiModules.b = ./b.nix; }; }";
        std::fs::write(at("flake.nix"), flake).unwrap();
        for name in ["a.nix", "b.nix", "x.nix"] {
            std::fs::write(at(name), "{ }").unwrap();
        }
        let job = job(&at("flake.nix"), &[&at("a.nix")], &[]);
        assert!(job.may_read(&at("a.nix")) && job.may_read(&at("x.nix")) && !job.may_read(&at("b.nix")));
    }
}
