//! Writes a [`Table`](super::table::Table): record by record, then the index of them all.

use super::table::{FREE, MAGIC, Node, Record};
use codchi_nix::{Declared, SurveyedOption};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Far more than any nixpkgs has.
const MOST_OPTIONS: usize = 200_000;

/// Deeper options are nothing that a person would write.
const DEEPEST: usize = 32;

/// Longer types are cut: an enumeration of a thousand values helps nobody.
const LONGEST_TYPE: usize = 4096;

/// So many declarations of an option are kept.
const MOST_PLACES: usize = 8;

/// Writes a table into a file.
pub(super) struct Builder<W: Write> {
    output: Hashed<BufWriter<W>>,
    root: PathBuf,
    tree: Branch,
    kinds: HashMap<String, u32>,
    count: usize,
}

/// A name in the tree, while it grows.
#[derive(Default)]
struct Branch {
    children: BTreeMap<Box<str>, Branch>,
    record: (u32, u32),
    kind: u32,
}

impl<W: Write> Builder<W> {
    /// Begins a table into an empty file. Places below `root` are written relative to it.
    pub(super) fn new(file: W, root: &Path) -> io::Result<Self> {
        let mut output = Hashed { inner: BufWriter::new(file), hash: Sha256::new(), length: 0 };
        output.write_all(MAGIC)?;
        Ok(Self { output, root: root.to_owned(), tree: Branch::default(), kinds: HashMap::new(), count: 0 })
    }

    /// Adds an option; what nobody can set (below functions, without end) is passed over.
    pub(super) fn add(&mut self, option: SurveyedOption) -> io::Result<()> {
        let path: Vec<String> = option.path.into_iter().map(name).collect();
        let is_odd = |name: &String| name.is_empty() || (name.starts_with('<') && name != FREE);
        if path.is_empty() || path.len() > DEEPEST || path.iter().any(is_odd) {
            return Ok(());
        }
        self.count += 1;
        if self.count > MOST_OPTIONS {
            return Err(io::Error::other(format!("there are more than {MOST_OPTIONS} options")));
        }
        let kind = shortened(option.kind);
        let declared = option.declared.into_iter().take(MOST_PLACES).map(|declared| match declared {
            Declared::At(file, line, column) => (self.relative(file), line, column),
            Declared::In((file,)) => (self.relative(file), 1, 1),
        });
        let record = Record {
            declared: declared.collect(),
            kind,
            description: option.description,
            default: option.default,
            example: option.example,
            read_only: option.read_only,
            path,
        };
        let bytes = serde_json::to_vec(&record)?;
        let place = (self.output.position()?, number(bytes.len())?);
        self.output.write_all(&bytes)?;
        let next = number(self.kinds.len() + 1)?;
        let kind = *self.kinds.entry(record.kind).or_insert(next);
        let mut branch = &mut self.tree;
        for name in record.path {
            branch = branch.children.entry(name.into()).or_default();
        }
        // The first of two wins: the other is an option in a free form beside it.
        if branch.record.1 == 0 {
            (branch.record, branch.kind) = (place, kind);
        }
        Ok(())
    }

    /// Writes the index and gives the file.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let index = self.output.length;
        let mut kinds: Vec<(u32, String)> = self.kinds.into_iter().map(|(kind, at)| (at, kind)).collect();
        kinds.sort();
        self.output.number(kinds.len())?;
        for (_, kind) in &kinds {
            self.output.text(kind)?;
        }
        let (names, nodes) = flat(&self.tree)?;
        self.output.text(&names)?;
        self.output.number(nodes.len())?;
        for node in nodes {
            let Node { name, name_length, first_child, children, record, record_length, kind } = node;
            for number in [name, name_length, first_child, children, record, record_length, kind] {
                self.output.write_all(&number.to_le_bytes())?;
            }
        }
        let length = self.output.length - index;
        self.output.write_all(&index.to_le_bytes())?;
        self.output.write_all(&length.to_le_bytes())?;
        let Hashed { mut inner, hash, .. } = self.output;
        inner.write_all(&hash.finalize())?;
        inner.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn relative(&self, file: PathBuf) -> PathBuf {
        match file.strip_prefix(&self.root) {
            Ok(below) => below.to_owned(),
            Err(_) => file,
        }
    }
}

/// The tree level by level, and all of its names.
fn flat(tree: &Branch) -> io::Result<(String, Vec<Node>)> {
    let mut names = String::new();
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut nodes = vec![Node::default()];
    let mut open = VecDeque::from([(0, tree)]);
    while let Some((at, branch)) = open.pop_front() {
        let first_child = number(nodes.len())?;
        for (name, child) in &branch.children {
            let place = match known.get(&**name) {
                Some(place) => *place,
                None => {
                    let place = number(names.len())?;
                    names.push_str(name);
                    known.insert(name, place);
                    place
                }
            };
            open.push_back((nodes.len(), child));
            nodes.push(Node {
                name: place,
                name_length: number(name.len())?,
                record: child.record.0,
                record_length: child.record.1,
                kind: child.kind,
                ..Node::default()
            });
        }
        let children = number(branch.children.len())?;
        if let Some(node) = nodes.get_mut(at) {
            (node.first_child, node.children) = (first_child, children);
        }
    }
    Ok((names, nodes))
}

/// A name of a path; nixpkgs calls free ones by what they are (`<interface>`).
fn name(name: String) -> String {
    let is_free = name.starts_with('<') && name.ends_with('>') && name != "<function body>";
    if is_free { FREE.to_owned() } else { name }
}

fn shortened(mut kind: String) -> String {
    if kind.len() > LONGEST_TYPE {
        kind.truncate(kind.floor_char_boundary(LONGEST_TYPE));
        kind.push('…');
    }
    kind
}

fn number(number: usize) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| io::Error::other("the options do not fit into a table"))
}

/// Hashes and counts what is written.
struct Hashed<W: Write> {
    inner: W,
    hash: Sha256,
    length: u64,
}

impl<W: Write> Hashed<W> {
    fn position(&self) -> io::Result<u32> {
        u32::try_from(self.length).map_err(|_| io::Error::other("the options do not fit into a table"))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn number(&mut self, value: usize) -> io::Result<()> {
        self.write_all(&number(value)?.to_le_bytes())
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.number(text.len())?;
        self.write_all(text.as_bytes())
    }
}
