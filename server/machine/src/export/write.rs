//! Writing an export.

use super::{DEFINITION, END, HEADER, Header, LOCK, LocalModule, MODULES, ROOT, SECRETS, VERSION};
use crate::files::io_error;
use crate::run::Run;
use crate::state::{now, snapshot_root};
use crate::{MachineError, Secret, access, passphrase};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header as Entry};
use zeroize::Zeroizing;

/// How hard zstd tries: its own default.
const LEVEL: i32 = 3;

/// Where a machine is exported to.
pub(crate) struct Target {
    /// The file.
    pub(crate) file: PathBuf,
    /// What its secrets are encrypted to; without one they stay here.
    pub(crate) passphrase: Option<Secret>,
}

/// What is written beside the root file system.
pub(crate) struct Contents {
    header: Header,
    definition: Vec<u8>,
    lock: Option<String>,
    /// The folders of the modules in the header.
    copies: Vec<PathBuf>,
    secrets: BTreeMap<String, Secret>,
}

impl Contents {
    /// Of the machine of `run`, with `secrets` if there are any to write.
    ///
    /// # Errors
    /// [`MachineError::Io`] where its files cannot be read.
    pub(crate) fn of(run: &Run<'_>, secrets: Option<BTreeMap<String, Secret>>) -> Result<Self, MachineError> {
        let folder = &run.folder;
        let path = folder.root().join(DEFINITION);
        let home = &run.machines.paths().home;
        let (mut modules, mut copies) = (Vec::new(), Vec::new());
        for module in &run.definition.modules {
            let copy = folder.modules().join(&module.input);
            if let Some(root) = snapshot_root(&module.source, home).filter(|_| copy.is_dir()) {
                modules.push(LocalModule { input: module.input.clone(), root });
                copies.push(copy);
            }
        }
        Ok(Self {
            header: Header {
                version: VERSION,
                codchi: env!("CARGO_PKG_VERSION").into(),
                name: run.name.to_string(),
                created: now(),
                modules,
            },
            definition: std::fs::read(&path).map_err(|e| io_error("Reading", &path, e))?,
            lock: folder.flake_lock()?,
            copies,
            secrets: secrets.unwrap_or_default(),
        })
    }

    #[cfg(test)]
    pub(super) fn for_test(
        header: Header,
        definition: &str,
        copies: Vec<PathBuf>,
        secrets: BTreeMap<String, Secret>,
    ) -> Self {
        Self { header, definition: definition.into(), lock: Some("{}".into()), copies, secrets }
    }
}

/// Writes `contents` and the root file system that `root` gives to `path`. Blocking.
///
/// # Errors
/// [`MachineError::Io`] naming the file.
pub(crate) fn write(
    path: &Path,
    contents: &Contents,
    passphrase: Option<Secret>,
    root: impl Read,
) -> Result<(), MachineError> {
    let encrypted = passphrase.map(|passphrase| encrypted(&contents.secrets, &passphrase)).transpose();
    let failed = |e| io_error("Writing", path, e);
    written(path, contents, encrypted.map_err(failed)?, root).map_err(failed)
}

fn written(path: &Path, contents: &Contents, secrets: Option<Vec<u8>>, root: impl Read) -> io::Result<()> {
    // A machine's files are its person's alone.
    let mut options = File::options();
    options.create(true).truncate(true).read(true).write(true);
    let file = access::with_mode(&mut options, 0o600).open(path)?;
    let mut archive = Builder::new(file);
    archive.follow_symlinks(false);
    append(&mut archive, HEADER, &serde_json::to_vec_pretty(&contents.header)?)?;
    append(&mut archive, DEFINITION, &contents.definition)?;
    if let Some(lock) = &contents.lock {
        append(&mut archive, LOCK, lock.as_bytes())?;
    }
    for (module, copy) in contents.header.modules.iter().zip(&contents.copies) {
        archive.append_dir_all(Path::new(MODULES).join(&module.input), copy)?;
    }
    if let Some(secrets) = secrets {
        append(&mut archive, SECRETS, &secrets)?;
    }
    append_root(&mut archive, root)?;
    append(&mut archive, END, &[])?;
    archive.into_inner()?.sync_all()
}

fn append(archive: &mut Builder<File>, name: &str, bytes: &[u8]) -> io::Result<()> {
    archive.append_data(&mut entry(bytes.len() as u64), name, bytes)
}

fn entry(size: u64) -> Entry {
    let mut entry = Entry::new_gnu();
    entry.set_entry_type(EntryType::Regular);
    entry.set_size(size);
    entry.set_mode(0o600);
    entry.set_mtime(now());
    entry
}

/// How large it is, is known at its end: then its entry is written over the one that kept the place.
fn append_root(archive: &mut Builder<File>, mut root: impl Read) -> io::Result<()> {
    let file = archive.get_mut();
    let begin = file.stream_position()?;
    let mut entry = entry(0);
    entry.set_path(ROOT)?;
    file.write_all(entry.as_bytes())?;
    let mut compressed = zstd::Encoder::new(&mut *file, LEVEL)?;
    compressed.include_checksum(true)?;
    io::copy(&mut root, &mut compressed)?;
    compressed.finish()?;
    let end = file.stream_position()?;
    let size = end - begin - entry.as_bytes().len() as u64;
    let block = entry.as_bytes().len() as u64;
    file.write_all(&vec![0; usize::try_from(size.next_multiple_of(block) - size).unwrap_or_default()])?;
    let next = file.stream_position()?;
    entry.set_size(size);
    entry.set_cksum();
    file.seek(SeekFrom::Start(begin))?;
    file.write_all(entry.as_bytes())?;
    file.seek(SeekFrom::Start(next)).map(drop)
}

/// Names and values, encrypted to a passphrase.
fn encrypted(secrets: &BTreeMap<String, Secret>, passphrase: &Secret) -> io::Result<Vec<u8>> {
    let values: BTreeMap<&String, Zeroizing<String>> =
        secrets.iter().map(|(name, value)| (name, Zeroizing::new(BASE64.encode(value.expose())))).collect();
    let size: usize = values.iter().map(|(name, value)| 6 * name.len() + value.len() + 8).sum();
    // Enough room from the start: a buffer that grows leaves copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(size + 8));
    serde_json::to_writer(&mut *plain, &values)?;
    passphrase::encrypt(&plain, passphrase)
}
