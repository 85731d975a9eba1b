//! Where the names of secrets are written in the files of some folders, of whatever language.
//!
//! Nobody is told that a secret is unused unless everything was looked at: whatever is left out, or may use a secret without
//! its name, makes that nothing is known.

use super::{LARGEST, Stamp};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use codchi_ide::{Machine, Mentions, World, spellings};
use ignore::DirEntry;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many files are looked through.
const FILES: usize = 20_000;

/// So many folders: more could not be watched.
const FOLDERS: usize = 4096;

/// So many bytes in all.
const BYTES: u64 = 128 << 20;

/// So many names are looked for.
const NAMES: usize = 500;

/// By so much of its beginning a file is known to be no text.
const HEAD: u64 = 8 << 10;

/// Folders of which nothing is source.
const APART: [&str; 4] = [".git", ".hg", ".jj", ".direnv"];

/// Files whose text is prose or of Nix: where there are no others, the programs are elsewhere.
const NO_PROGRAMS: [&str; 5] = ["nix", "lock", "md", "txt", "license"];

/// The prefix of all secrets' variables. Where no name follows it, all of them may be read.
const PREFIX: &str = "codchi_";

/// What reads all secrets besides: an option with the prefix of variables, and the folder that they are in.
const ALL: [&str; 3] = ["\"codchi\"", "'codchi'", "/run/codchi"];

/// What a Nix file says that brings other programs.
const CLONE: &str = "clone";

/// What a look found. The next one takes from it what did not change.
#[derive(Default)]
pub(crate) struct Scan {
    names: BTreeSet<String>,
    files: HashMap<PathBuf, (Stamp, Arc<Found>)>,
    folders: BTreeSet<PathBuf>,
    mentions: Option<Arc<Mentions>>,
}

/// What is in a file.
#[derive(Default)]
struct Found {
    /// The places of names among those that are looked for.
    names: BTreeSet<usize>,
    /// Whether it may use others.
    hides_some: bool,
}

/// The folders to look through for the modules of these folders and files: their projects, and those of the machines that are
/// made of them. None is in another. There are none where a machine's other modules are not on this computer, as these may use
/// secrets as well.
pub(crate) fn roots(paths: &[PathBuf], world: &World) -> Vec<PathBuf> {
    let mut roots: BTreeSet<PathBuf> = paths.iter().map(|path| project(path)).collect();
    let is_of = |machine: &&Machine| {
        machine.modules.iter().any(|module| roots.iter().any(|root| module.path.starts_with(root)))
    };
    let machines: Vec<&Machine> = world.machines.iter().filter(is_of).collect();
    if machines.iter().any(|machine| world.remote.contains(&machine.name)) {
        return Vec::new();
    }
    let machines = machines.into_iter();
    let projects: Vec<PathBuf> =
        machines.filter_map(|machine| world.projects.get(&machine.name)).map(|path| project(path)).collect();
    roots.extend(projects);
    // A folder comes before what is in it.
    let mut outer: Vec<PathBuf> = Vec::new();
    for root in roots {
        if !outer.iter().any(|outer| root.starts_with(outer)) {
            outer.push(root);
        }
    }
    outer
}

/// The project that a folder or file is of: its git repository, else the nearest flake, else the folder.
fn project(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let above = |name: &str| folder.ancestors().find(|above| above.join(name).exists());
    above(".git").or_else(|| above("flake.nix")).unwrap_or(folder).to_owned()
}

impl Scan {
    /// Looks for the names in all files of these folders but those that git ignores.
    pub(crate) fn of(roots: &[PathBuf], names: BTreeSet<String>, before: &Self) -> Self {
        let walked = walk(roots).filter(|_| !names.is_empty() && names.len() <= NAMES);
        let Some(Walked { files, folders }) = walked else { return Self { names, ..Self::default() } };
        let Some(words) = Words::new(&names) else { return Self { names, ..Self::default() } };
        let known = (before.names == names).then_some(&before.files);
        let found: Option<HashMap<_, _>> = files
            .into_par_iter()
            .map(|path| {
                let stamp = Stamp::of(&path)?;
                let same = known.and_then(|known| known.get(&path)).filter(|(of, _)| *of == stamp);
                let found = match same {
                    Some((_, found)) => found.clone(),
                    None => Arc::new(words.find(&path)?),
                };
                Some((path, (stamp, found)))
            })
            .collect();
        let Some(files) = found else { return Self { names, folders, ..Self::default() } };
        let mentions = mentions(roots, &names, &files).map(Arc::new);
        Self { names, files, folders, mentions }
    }

    /// Where the names are; `None` where that does not tell whether the secrets are used.
    pub(crate) fn mentions(&self) -> Option<&Arc<Mentions>> {
        self.mentions.as_ref()
    }

    /// The folders in which a change matters.
    pub(crate) fn folders(&self) -> BTreeSet<&Path> {
        self.folders.iter().map(PathBuf::as_path).collect()
    }
}

fn mentions(
    roots: &[PathBuf],
    names: &BTreeSet<String>,
    files: &HashMap<PathBuf, (Stamp, Arc<Found>)>,
) -> Option<Mentions> {
    let bytes: u64 = files.values().map(|(stamp, _)| stamp.length.min(LARGEST)).sum();
    let hides_some = files.values().any(|(_, found)| found.hides_some);
    if bytes > BYTES || hides_some || !files.keys().any(|path| is_program(roots, path)) {
        return None;
    }
    let mut mentions = Mentions { folders: roots.to_vec(), names: BTreeMap::new() };
    for (at, name) in names.iter().enumerate() {
        let holding = files.iter().filter(|(_, (_, found))| found.names.contains(&at));
        mentions.names.insert(name.clone(), holding.map(|(path, _)| path.clone()).collect());
    }
    Some(mentions)
}

/// Whether a file may be of a program, rather than of the module or of the repository.
fn is_program(roots: &[PathBuf], path: &Path) -> bool {
    let below = roots
        .iter()
        .filter_map(|root| path.strip_prefix(root).ok())
        .min_by_key(|path| path.as_os_str().len());
    let is_hidden = below.unwrap_or(path).iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    !is_hidden && extension.is_some_and(|extension| !NO_PROGRAMS.contains(&extension.as_str()))
}

struct Walked {
    files: Vec<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

/// The files to look through; `None` where there are too many, or not all can be looked at.
fn walk(roots: &[PathBuf]) -> Option<Walked> {
    let (first, rest) = roots.split_first()?;
    let mut walk = ignore::WalkBuilder::new(first);
    for root in rest {
        walk.add(root);
    }
    let is_apart = |entry: &DirEntry| entry.file_name().to_str().is_some_and(|name| APART.contains(&name));
    walk.hidden(false).require_git(false).filter_entry(move |entry| !is_apart(entry));
    let canonical: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for entry in walk.build() {
        let entry = entry.ok()?;
        let Some(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            folders.insert(entry.into_path());
        } else if kind.is_file() {
            files.insert(entry.into_path());
        } else if kind.is_symlink() && leads_out(entry.path(), &canonical) {
            return None;
        }
        if files.len() > FILES || folders.len() > FOLDERS {
            return None;
        }
    }
    // Variables are passed on in files that are nobody else's.
    for folder in &folders {
        for entry in std::fs::read_dir(folder).ok()? {
            let entry = entry.ok()?;
            let is_env = entry.file_name().as_encoded_bytes().starts_with(b".env");
            if is_env && entry.file_type().ok()?.is_file() {
                files.insert(entry.path());
            }
        }
    }
    Some(Walked { files: files.into_iter().collect(), folders })
}

/// Whether a link leads to files that are not looked through; what was built is no source.
fn leads_out(link: &Path, roots: &[PathBuf]) -> bool {
    link.canonicalize().is_ok_and(|target| {
        !target.starts_with("/nix/store") && !roots.iter().any(|root| target.starts_with(root))
    })
}

/// What is looked for.
struct Words {
    automaton: AhoCorasick,
    /// What each pattern stands for.
    meanings: Vec<Meaning>,
}

#[derive(Clone, Copy, PartialEq)]
enum Meaning {
    Name(usize),
    Prefix,
    All,
    Clone,
}

impl Words {
    fn new(names: &BTreeSet<String>) -> Option<Self> {
        let mut patterns: Vec<(String, Meaning)> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            patterns.extend(spellings(name).into_iter().map(|spelling| (spelling, Meaning::Name(at))));
        }
        patterns.push((PREFIX.to_owned(), Meaning::Prefix));
        patterns.push((CLONE.to_owned(), Meaning::Clone));
        patterns.extend(ALL.into_iter().map(|all| (all.to_owned(), Meaning::All)));
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(patterns.iter().map(|(pattern, _)| pattern))
            .ok()?;
        Some(Self { automaton, meanings: patterns.into_iter().map(|(_, meaning)| meaning).collect() })
    }

    /// What is in a file; nothing where it is no text. `None` where it cannot be read or is too large.
    fn find(&self, path: &Path) -> Option<Found> {
        let mut file = std::fs::File::open(path).ok()?;
        let mut bytes = Vec::new();
        (&mut file).take(HEAD).read_to_end(&mut bytes).ok()?;
        // Text of two bytes a letter has zeros, too.
        let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        if is_wide {
            return Some(Found { hides_some: true, ..Found::default() });
        }
        if bytes.contains(&0) {
            return Some(Found::default());
        }
        file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > LARGEST {
            return None;
        }
        let is_nix = path.extension().is_some_and(|extension| extension == "nix");
        Some(self.look(&bytes, is_nix))
    }

    fn look(&self, bytes: &[u8], is_nix: bool) -> Found {
        let mut found = Found::default();
        for place in self.automaton.find_overlapping_iter(bytes) {
            match self.meanings.get(place.pattern().as_usize()) {
                Some(Meaning::Name(at)) => {
                    found.names.insert(*at);
                }
                Some(Meaning::Prefix) => {
                    let next = bytes.get(place.end());
                    found.hides_some |= !next.is_some_and(u8::is_ascii_alphanumeric);
                }
                Some(Meaning::All) => found.hides_some |= !is_nix || bytes.get(place.start()) == Some(&b'/'),
                Some(Meaning::Clone) => found.hides_some |= is_nix,
                None => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
