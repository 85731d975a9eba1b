//! A table of options on the disk: the names in memory, the documentation read when it is asked for.
//!
//! `MAGIC, records (JSON), index, trailer`. The trailer says where the index is and has the hash of all before it, so that
//! a file that is cut off or damaged is known as such. Written by [`Builder`](super::build::Builder).

use codchi_ide::{CatalogueEntry, CatalogueOption, Place};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

/// Begins a table; another one with another format.
pub(super) const MAGIC: &[u8] = b"codchi options 1\n";

/// Position and length of the index, and the hash.
pub(super) const TRAILER: usize = 8 + 8 + 32;

/// How a free name is called.
pub(super) const FREE: &str = "<name>";

/// A table of options.
#[derive(Debug)]
pub(super) struct Table {
    file: File,
    /// The folder that places are written relative to.
    root: PathBuf,
    /// The names of all nodes, each once.
    names: Box<str>,
    /// The types of all options, each once.
    kinds: Box<[Box<str>]>,
    /// The root first; the children of a node beside each other, sorted by name.
    nodes: Box<[Node]>,
}

/// A name in the tree of options.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Node {
    /// Where its name is in `names`.
    pub(super) name: u32,
    pub(super) name_length: u32,
    /// Its children.
    pub(super) first_child: u32,
    pub(super) children: u32,
    /// Where its record is; none where the length is 0.
    pub(super) record: u32,
    pub(super) record_length: u32,
    /// Its type in `kinds`, plus one.
    pub(super) kind: u32,
}

/// An option's documentation as it is written down. Files below the nixpkgs are relative to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) path: Vec<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<String>,
    pub(super) declared: Vec<(PathBuf, u32, u32)>,
    pub(super) read_only: bool,
}

impl Table {
    /// Opens a table whose places are below `root`. Reads all of it once.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is none; [`io::ErrorKind::InvalidData`] where it is damaged.
    pub(super) fn open(path: &Path, root: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (index, trailer) = checked(&mut file)?;
        let mut bytes = vec![0; usize::try_from(trailer - index).map_err(|_| damaged())?];
        read_exact_at(&file, &mut bytes, index)?;
        let mut input = Input(&bytes);
        let kinds = (0..input.number()?).map(|_| input.text().map(Box::from)).collect::<io::Result<_>>()?;
        let names = input.text()?.into();
        let nodes = (0..input.number()?).map(|_| input.node()).collect::<io::Result<_>>()?;
        Ok(Self { file, root: root.to_owned(), names, kinds, nodes })
    }

    /// What is directly below a path, sorted by name.
    pub(super) fn children(&self, path: &[String]) -> Vec<CatalogueEntry> {
        let Some(node) = self.find(self.nodes.first(), path, &|node| node.children > 0) else {
            return Vec::new();
        };
        let entry = |child: &Node| CatalogueEntry {
            name: self.name(child).to_owned(),
            kind: self.kind(child).map(str::to_owned),
            has_children: child.children > 0,
        };
        self.children_of(node).iter().map(entry).collect()
    }

    /// The documentation of the option at a path.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn option(&self, path: &[String]) -> io::Result<Option<CatalogueOption>> {
        let Some(node) = self.find(self.nodes.first(), path, &|node| node.record_length > 0) else {
            return Ok(None);
        };
        let mut bytes = vec![0; node.record_length as usize];
        read_exact_at(&self.file, &mut bytes, node.record.into())?;
        let record: Record = serde_json::from_slice(&bytes)?;
        let place = |(file, line, column)| Place { path: self.root.join::<PathBuf>(file), line, column };
        Ok(Some(CatalogueOption {
            path: record.path,
            kind: record.kind,
            description: record.description,
            default: record.default,
            example: record.example,
            declarations: record.declared.into_iter().map(place).collect(),
            read_only: record.read_only,
        }))
    }

    /// Whether there are no options.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.first().is_none_or(|root| root.children == 0)
    }

    /// How many bytes of memory it takes, roughly.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let kinds: usize = self.kinds.iter().map(|kind| kind.len() + size_of::<Box<str>>()).sum();
        self.names.len() + kinds + self.nodes.len() * size_of::<Node>()
    }

    /// The first node at a path that is wanted: one of its name before a free one, at each step.
    fn find<'a>(
        &'a self,
        from: Option<&'a Node>,
        path: &[String],
        wanted: &dyn Fn(&Node) -> bool,
    ) -> Option<&'a Node> {
        let from = from?;
        let Some((name, rest)) = path.split_first() else { return wanted(from).then_some(from) };
        let named = self.child(from, name);
        let free = if name == FREE { None } else { self.child(from, FREE) };
        [named, free].into_iter().find_map(|child| self.find(Some(child?), rest, wanted))
    }

    fn child(&self, node: &Node, name: &str) -> Option<&Node> {
        let children = self.children_of(node);
        let at = children.binary_search_by(|child| self.name(child).cmp(name)).ok()?;
        children.get(at)
    }

    fn children_of(&self, node: &Node) -> &[Node] {
        let from = node.first_child as usize;
        self.nodes.get(from..from.saturating_add(node.children as usize)).unwrap_or_default()
    }

    fn name(&self, node: &Node) -> &str {
        let from = node.name as usize;
        self.names.get(from..from.saturating_add(node.name_length as usize)).unwrap_or_default()
    }

    fn kind(&self, node: &Node) -> Option<&str> {
        self.kinds.get((node.kind as usize).checked_sub(1)?).map(|kind| &**kind)
    }
}

/// Fills `bytes` with what is in `file` from `offset` on. Where the file is read next is not known then.
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let (mut rest, mut offset) = (bytes, offset);
        while !rest.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(file, rest, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest = &mut rest[read..];
            offset += read as u64;
        }
        Ok(())
    }
}

/// Where index and trailer of a table begin, once its hash was found to be right.
fn checked(file: &mut File) -> io::Result<(u64, u64)> {
    let length = file.metadata()?.len();
    let trailer_at = length.checked_sub(TRAILER as u64).ok_or_else(damaged)?;
    let mut trailer = [0; TRAILER];
    read_exact_at(file, &mut trailer, trailer_at)?;
    let mut numbers = Input(&trailer);
    let (index, index_length) = (numbers.long()?, numbers.long()?);
    if index < MAGIC.len() as u64 || index.checked_add(index_length) != Some(trailer_at) {
        return Err(damaged());
    }
    let mut hash = Sha256::new();
    file.rewind()?;
    let mut rest = file.take(trailer_at);
    let mut buffer = vec![0; 64 << 10];
    let mut is_first = true;
    loop {
        let count = rest.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        if std::mem::take(&mut is_first) && !buffer.starts_with(MAGIC) {
            return Err(damaged());
        }
        hash.update(buffer.get(..count).unwrap_or_default());
    }
    hash.update(trailer.get(..16).unwrap_or_default());
    if hash.finalize().as_slice() != numbers.0 {
        return Err(damaged());
    }
    Ok((index, trailer_at))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the table of options is damaged")
}

/// Numbers and texts of an index, one after the other.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.bytes(4)?.try_into().map_err(|_| damaged())?))
    }

    fn long(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.bytes(8)?.try_into().map_err(|_| damaged())?))
    }

    fn text(&mut self) -> io::Result<&'a str> {
        let length = self.number()?;
        std::str::from_utf8(self.bytes(length as usize)?).map_err(|_| damaged())
    }

    fn node(&mut self) -> io::Result<Node> {
        Ok(Node {
            name: self.number()?,
            name_length: self.number()?,
            first_child: self.number()?,
            children: self.number()?,
            record: self.number()?,
            record_length: self.number()?,
            kind: self.number()?,
        })
    }
}
