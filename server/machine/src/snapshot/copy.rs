//! Copying what a listing names, and hashing it on the way.

use super::listing::Kind;
use crate::files::io_error;
use crate::{CancellationToken, MachineError, access, links};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A hash of names, kinds, executable bits and bytes.
#[derive(PartialEq)]
pub(super) struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Copies `entries` from `source` into the empty folder `target`.
pub(super) fn copy(
    source: &Path,
    entries: &BTreeMap<PathBuf, Kind>,
    target: &Path,
    cancel: &CancellationToken,
) -> Result<Digest, MachineError> {
    let mut hash = Sha256::new();
    access::set(target, 0o755).map_err(|e| io_error("Writing", target, e))?;
    for (path, kind) in entries {
        if cancel.is_cancelled() {
            return Err(MachineError::Cancelled);
        }
        let (from, to) = (source.join(path), target.join(path));
        let reading = |e| io_error("Reading", &from, e);
        let writing = |e| io_error("Writing", &to, e);
        begin(&mut hash, path, *kind);
        match kind {
            Kind::Folder => std::fs::create_dir(&to).map_err(writing)?,
            Kind::Link => {
                let link = std::fs::read_link(&from).map_err(reading)?;
                part(&mut hash, link.as_os_str().as_encoded_bytes());
                links::make(&link, &to).map_err(writing)?;
            }
            Kind::File { executable } => {
                let mut file = File::open(&from).map_err(reading)?;
                let mut copy = File::create_new(&to).map_err(writing)?;
                let contents = hash_file(&mut file, &mut |bytes| copy.write_all(bytes)).map_err(reading)?;
                part(&mut hash, &contents);
                // Nix takes the time of the youngest file for that of the whole.
                if let Ok(modified) = file.metadata().and_then(|m| m.modified()) {
                    copy.set_modified(modified).map_err(writing)?;
                }
                access::set(&to, if *executable { 0o755 } else { 0o644 }).map_err(writing)?;
            }
        }
    }
    Ok(Digest(hash.finalize().into()))
}

/// The digest of a folder as it is; `None` where there is none, or where it is not a copy.
pub(super) fn digest(folder: &Path) -> Option<Digest> {
    let mut entries = BTreeMap::new();
    collect(folder, Path::new(""), &mut entries).ok()?;
    let mut hash = Sha256::new();
    for (path, kind) in &entries {
        begin(&mut hash, path, *kind);
        let path = folder.join(path);
        match kind {
            Kind::Folder => {}
            Kind::Link => part(&mut hash, std::fs::read_link(path).ok()?.as_os_str().as_encoded_bytes()),
            Kind::File { .. } => {
                let contents = hash_file(&mut File::open(path).ok()?, &mut |_| Ok(())).ok()?;
                part(&mut hash, &contents);
            }
        }
    }
    Some(Digest(hash.finalize().into()))
}

fn collect(folder: &Path, below: &Path, entries: &mut BTreeMap<PathBuf, Kind>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = Kind::of(&entry.metadata()?).ok_or(io::ErrorKind::Unsupported)?;
        entries.insert(path.clone(), kind);
        if kind == Kind::Folder {
            collect(folder, &path, entries)?;
        }
    }
    Ok(())
}

fn begin(hash: &mut Sha256, path: &Path, kind: Kind) {
    part(hash, path.as_os_str().as_encoded_bytes());
    hash.update(match kind {
        Kind::Folder => b"d",
        Kind::Link => b"l",
        Kind::File { executable: false } => b"f",
        Kind::File { executable: true } => b"x",
    });
}

/// With its length, so that no two sequences of parts look the same.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(bytes);
}

/// Reads to the end; each piece goes to `sink` too.
fn hash_file(file: &mut File, sink: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => {
                hash.update(&buffer[..count]);
                sink(&buffer[..count])?;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
