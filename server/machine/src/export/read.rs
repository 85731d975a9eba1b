//! Reading an export.

use super::{DEFINITION, END, HEADER, Header, LOCK, MODULES, ROOT, SECRETS, VERSION};
use crate::files::{io_error, make_folder, remove_folder};
use crate::state::Definition;
use crate::{MachineError, MachineName, Secret, SourceKind, passphrase};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};
use zeroize::Zeroizing;

/// The most bytes that a part takes which is read into memory.
const LARGEST: u64 = 64 << 20;

/// An export file that was read to its end and found whole.
#[derive(Debug)]
pub(crate) struct Export {
    path: PathBuf,
    header: Header,
    definition: Definition,
    /// The text of its `flake.lock`.
    pub(crate) lock: Option<String>,
    secrets: Option<Vec<u8>>,
    root: Root,
}

/// Where the root file system is in the file, and how large it is when it is unpacked; in bytes.
#[derive(Debug, Clone, Copy)]
struct Root {
    begin: u64,
    length: u64,
    size: u64,
}

impl Export {
    /// Reads the file at `path` to its end, and changes nothing. Blocking.
    ///
    /// # Errors
    /// [`MachineError::User`] where it is no export, not whole, or of a newer codchi; [`MachineError::Io`].
    pub(crate) fn open(path: &Path) -> Result<Self, MachineError> {
        let file = File::open(path).map_err(|e| io_error("Reading", path, e))?;
        let mut parts = Parts::default();
        match parts.read(file) {
            Ok(()) => {}
            Err(_) if !parts.began => return Err(no_export(path)),
            Err(error) => return Err(not_whole(path, &error.to_string())),
        }
        let header = parts.small.remove(HEADER).ok_or_else(|| no_export(path))?;
        let header = read_header(path, &header)?;
        let lacks = |what| not_whole(path, &format!("it has no {what}"));
        let definition = parts.small.remove(DEFINITION).ok_or_else(|| lacks(DEFINITION))?;
        if !parts.small.contains_key(END) {
            return Err(not_whole(path, "its end is missing"));
        }
        let root = parts.root.ok_or_else(|| lacks(ROOT))?;
        Ok(Self {
            definition: Definition::parse(&definition, &path.join(DEFINITION))?,
            lock: parts.small.remove(LOCK).and_then(|lock| String::from_utf8(lock).ok()),
            secrets: parts.small.remove(SECRETS),
            path: path.to_owned(),
            header,
            root,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The machine's name; `None` where it is none here.
    pub(crate) fn name(&self) -> Option<MachineName> {
        self.header.name.parse().ok()
    }

    /// When it was written, in seconds since 1970.
    pub(crate) fn created(&self) -> u64 {
        self.header.created
    }

    /// Where the machine's project was.
    pub(crate) fn project(&self) -> Option<&Path> {
        self.definition.project.as_deref()
    }

    /// Whether there are secrets in it.
    pub(crate) fn has_secrets(&self) -> bool {
        self.secrets.is_some()
    }

    /// How large the root file system is when it is unpacked, in bytes.
    pub(crate) fn root_size(&self) -> u64 {
        self.root.size
    }

    /// What the machine is made of, as a machine of its own on this computer: with this id and project, and modules where
    /// they are here. What was in the project is looked for in the project; what is not here is what the file holds of it,
    /// in the folder `imported`. Gives the modules that this is so with, too.
    pub(crate) fn definition(
        &self,
        id: String,
        project: Option<PathBuf>,
        imported: &Path,
    ) -> (Definition, Vec<String>) {
        let mut definition = Definition { id, project, ..self.definition.clone() };
        let mut from_file = Vec::new();
        for module in &mut definition.modules {
            let (SourceKind::Folder(path) | SourceKind::File(path)) = &mut module.source.kind else {
                continue;
            };
            let in_project =
                self.definition.project.as_ref().and_then(|project| path.strip_prefix(project).ok());
            if let (Some(relative), Some(project)) = (in_project, &definition.project) {
                let moved =
                    if relative.as_os_str().is_empty() { project.clone() } else { project.join(relative) };
                if moved.exists() {
                    *path = moved;
                    continue;
                }
            }
            let of_file = self.header.modules.iter().find(|local| local.input == module.input);
            if let (false, Some(local)) = (path.exists(), of_file) {
                let relative = path.strip_prefix(&local.root).unwrap_or(Path::new(""));
                let copy = imported.join(MODULES).join(&module.input);
                *path = if relative.as_os_str().is_empty() { copy } else { copy.join(relative) };
                from_file.push(module.input.clone());
            }
        }
        (definition, from_file)
    }

    /// Lays the modules that the file holds below `to`, which is made anew. Blocking.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn unpack_modules(&self, to: &Path) -> Result<(), MachineError> {
        let failed = |e| io_error("Unpacking", &self.path, e);
        remove_folder(to)?;
        if self.header.modules.is_empty() {
            return Ok(());
        }
        make_folder(to)?;
        let mut archive = Archive::new(File::open(&self.path).map_err(failed)?);
        for entry in archive.entries_with_seek().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            if entry.path().map_err(failed)?.starts_with(MODULES) {
                // Nothing gets out of the folder, by dots or through links: that is what this call is for.
                entry.unpack_in(to).map_err(failed)?;
            }
        }
        for module in &self.header.modules {
            // Marks how far the copy reaches, as the repository did where it came from: its modules may import all of it.
            make_folder(&to.join(MODULES).join(&module.input).join(".git"))?;
        }
        Ok(())
    }

    /// The secrets in it.
    ///
    /// # Errors
    /// [`MachineError::User`] where the passphrase is not the one.
    pub(crate) fn decrypted(&self, passphrase: &Secret) -> Result<BTreeMap<String, Secret>, MachineError> {
        let Some(encrypted) = &self.secrets else { return Ok(BTreeMap::new()) };
        let failed = |e| io_error("Reading", &self.path, e);
        let plain = passphrase::decrypt(encrypted, passphrase).map_err(|_| MachineError::User {
            message: format!("The passphrase does not open the secrets in {}", self.path.display()),
            hint: Some("Try again, or import without secrets and set them anew.".into()),
        })?;
        // The words of these errors could quote a value.
        let damaged = || failed(io::Error::new(io::ErrorKind::InvalidData, "its secrets are damaged"));
        let values: BTreeMap<String, Zeroizing<String>> =
            serde_json::from_slice(&plain).map_err(|_| damaged())?;
        let decode = |value: &str| BASE64.decode(value).ok().and_then(Secret::new);
        values.into_iter().map(|(name, value)| Ok((name, decode(&value).ok_or_else(damaged)?))).collect()
    }
}

/// Writes the root file system of `export` to `to`, unpacked. Blocking.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn read_root(export: &Export, to: &mut impl Write) -> Result<(), MachineError> {
    let copied = File::open(&export.path).and_then(|mut file| {
        file.seek(SeekFrom::Start(export.root.begin))?;
        io::copy(&mut zstd::Decoder::new(file.take(export.root.length))?, to)
    });
    copied.map(drop).map_err(|e| io_error("Reading", &export.path, e))
}

/// What is in the file.
#[derive(Default)]
struct Parts {
    /// Whether it begins as an export does.
    began: bool,
    small: BTreeMap<String, Vec<u8>>,
    root: Option<Root>,
}

impl Parts {
    fn read(&mut self, file: File) -> io::Result<()> {
        let mut archive = Archive::new(file);
        for entry in archive.entries_with_seek()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            if !self.began && name != HEADER {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.began = true;
            if entry.header().entry_type() != EntryType::Regular {
                continue;
            }
            let length = entry.size();
            if name == ROOT {
                let begin = entry.raw_file_position();
                // Its checksums are at its end, and so is how large it is.
                let size = io::copy(&mut zstd::Decoder::new(&mut entry)?, &mut io::sink())?;
                self.root = Some(Root { begin, length, size });
            } else if !name.starts_with(MODULES) {
                let mut bytes = Vec::new();
                if length > LARGEST || entry.read_to_end(&mut bytes)? as u64 != length {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} is not whole")));
                }
                self.small.insert(name, bytes);
            }
        }
        Ok(())
    }
}

/// The version is read before all else.
fn read_header(path: &Path, bytes: &[u8]) -> Result<Header, MachineError> {
    let version = serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|header| header.get("version")?.as_u64())
        .ok_or_else(|| no_export(path))?;
    if version > u64::from(VERSION) {
        return Err(MachineError::User {
            message: format!("{} was written by a newer codchi (format {version})", path.display()),
            hint: Some("Update codchi.".into()),
        });
    }
    serde_json::from_slice(bytes).map_err(|e| not_whole(path, &format!("{HEADER}: {e}")))
}

fn no_export(path: &Path) -> MachineError {
    MachineError::User {
        message: format!("{} is no exported code machine", path.display()),
        hint: Some("`codchi export NAME FILE` writes one.".into()),
    }
}

fn not_whole(path: &Path, reason: &str) -> MachineError {
    MachineError::User {
        message: format!("{} is damaged or not whole: {reason}", path.display()),
        hint: Some("Copy the file again from where it was made, or export the machine again.".into()),
    }
}
