//! The archive that `codchi-receive` unpacks below `/run/codchi`; its layout is in `nix/README.md`.
//!
//! It is made in memory, in a buffer that is wiped and never grows, so that no copy of a value stays behind.

mod escape;

use crate::secrets::{PREFIX, fits_variable};
use crate::ssh::SshKeys;
use crate::{MachineError, Manifest, Secret};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The machine's user.
const USER: &str = "codchi";
/// The most bytes of all variables together: Linux has some 2 MiB for those and the arguments of a program.
const MOST: usize = 1 << 20;
const ROOT: &str = "root";
/// A header and, for a long name, what tar needs besides.
const OVERHEAD: usize = 4 * 512;

/// What a machine gets besides its user secrets: of host secrets and capabilities.
#[derive(Default)]
pub(crate) struct Extra {
    /// Environment variables of every session of the machine's user, by their whole name.
    pub(crate) variables: BTreeMap<String, Secret>,
    /// Files below `/run/codchi`, by their path there.
    pub(crate) files: BTreeMap<String, ExtraFile>,
}

impl Extra {
    /// Adds all of another one.
    pub(crate) fn extend(&mut self, other: Self) {
        self.variables.extend(other.variables);
        self.files.extend(other.files);
    }
}

/// A file of [`Extra`].
pub(crate) struct ExtraFile {
    /// A user of the machine.
    pub(crate) owner: &'static str,
    /// Permission bits.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) contents: Zeroizing<Vec<u8>>,
}

/// What is handed in.
pub(crate) struct Archive {
    /// The tar archive.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// The variables that are not in it since no program would start with them.
    pub(crate) left_out: Vec<String>,
}

/// The archive for a machine whose modules declare `manifest`, with those `values` that are set.
///
/// # Errors
/// [`MachineError`] where a declared owner, mode or name cannot be put into an archive, or a value not into a systemd
/// service.
pub(crate) fn archive(
    manifest: &Manifest,
    values: &BTreeMap<String, Secret>,
    keys: &SshKeys,
    extra: Extra,
) -> Result<Archive, MachineError> {
    let mut entries = vec![Entry::folder("secrets", 0o755), Entry::folder("units", 0o700)];
    let mut env = Vec::new();
    let mut units: BTreeMap<&str, Unit<'_>> = BTreeMap::new();
    for (name, spec) in &manifest.secrets {
        let Some(value) = values.get(name) else { continue };
        check_name(name)?;
        if spec.env {
            env.push((format!("{PREFIX}{name}"), value));
        }
        if spec.file {
            let contents = Zeroizing::new(value.expose().to_vec());
            let mode = file_mode(name, &spec.mode)?;
            entries.push(Entry {
                path: format!("secrets/{name}"),
                owner: &spec.owner,
                mode,
                contents: Some(contents),
            });
        }
        for unit in &spec.units {
            let unit = unit_name(name, unit)?;
            let of_unit = units.entry(unit).or_default();
            let variable = format!("{PREFIX}{name}");
            if !spec.env {
                of_unit.files.push((name, value));
            } else if std::str::from_utf8(value.expose()).is_err() {
                return Err(not_for(name, unit, "is not valid UTF-8, and cannot be in a variable"));
            } else if !fits_variable(&variable, value) {
                return Err(not_for(name, unit, "is too long for a variable"));
            } else {
                of_unit.variables.push((variable, value));
            }
        }
    }
    let Extra { variables, files } = extra;
    env.extend(variables.iter().map(|(name, value)| (name.clone(), value)));
    let left_out = leave_out(&mut env);
    entries.push(Entry::file("env", USER, 0o400, escape::shell(&env)));
    for (unit, of_unit) in units {
        entries.push(Entry::file(format!("units/{unit}.env"), ROOT, 0o400, of_unit.text()));
    }
    let folders: BTreeSet<&Path> = files.keys().filter_map(|path| Path::new(path).parent()).collect();
    let folders = folders.into_iter().flat_map(Path::ancestors).filter(|folder| *folder != Path::new(""));
    let folders: BTreeSet<String> = folders.map(|folder| folder.display().to_string()).collect();
    entries.extend(folders.iter().map(|folder| Entry::folder(folder, 0o755)));
    for (path, ExtraFile { owner, mode, contents }) in files {
        entries.push(Entry::file(path, owner, mode, contents));
    }
    // sshd reads the keys that may log in as the user who does.
    entries.push(Entry::folder("ssh", 0o755));
    for (name, mode, contents) in [
        ("host_key", 0o600, keys.host_key.expose()),
        ("host_key.pub", 0o644, keys.host_key_public.as_bytes()),
        ("authorized_keys", 0o644, keys.authorized_keys.as_bytes()),
    ] {
        entries.push(Entry::file(format!("ssh/{name}"), ROOT, mode, Zeroizing::new(contents.to_vec())));
    }
    Ok(Archive { bytes: pack(&entries)?, left_out })
}

/// What a systemd service uses.
#[derive(Default)]
struct Unit<'a> {
    variables: Vec<(String, &'a Secret)>,
    files: Vec<(&'a str, &'a Secret)>,
}

impl Unit<'_> {
    /// Its environment file. What it reads as files is in comments, so that it is restarted when that changes.
    fn text(&self) -> Zeroizing<Vec<u8>> {
        let mut text = escape::systemd(&self.variables);
        for (name, value) in &self.files {
            let digest = hex::encode(Sha256::digest(value.expose()));
            text.extend_from_slice(format!("# {name} {digest}\n").as_bytes());
        }
        text
    }
}

/// Takes out of the variables of a session those with which no program would start: each that is too long, and the longest of
/// all that are too much together. Gives their names.
fn leave_out(variables: &mut Vec<(String, &Secret)>) -> Vec<String> {
    let mut by_size: Vec<_> = variables
        .iter()
        .map(|(name, value)| (value.expose().len() + name.len(), name.clone(), *value))
        .collect();
    by_size.sort_by_key(|(size, ..)| *size);
    let mut room = MOST;
    let mut left_out = Vec::new();
    for (size, name, value) in by_size {
        match room.checked_sub(size) {
            Some(rest) if fits_variable(&name, value) => room = rest,
            _ => left_out.push(name),
        }
    }
    variables.retain(|(name, _)| !left_out.contains(name));
    left_out.sort();
    left_out
}

/// What goes into the archive.
struct Entry<'a> {
    path: String,
    owner: &'a str,
    mode: u32,
    /// `None` for a folder.
    contents: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Entry<'a> {
    fn folder(path: &str, mode: u32) -> Self {
        Self { path: path.into(), owner: ROOT, mode, contents: None }
    }

    fn file(path: impl Into<String>, owner: &'a str, mode: u32, contents: Zeroizing<Vec<u8>>) -> Self {
        Self { path: path.into(), owner, mode, contents: Some(contents) }
    }
}

fn pack(entries: &[Entry<'_>]) -> Result<Zeroizing<Vec<u8>>, MachineError> {
    let size: usize = entries.iter().map(|e| OVERHEAD + e.contents.as_ref().map_or(0, |c| c.len())).sum();
    let mut archive = Zeroizing::new(Vec::with_capacity(size + OVERHEAD));
    let mut builder = tar::Builder::new(&mut *archive);
    for entry in entries {
        append(&mut builder, entry)
            .map_err(|e| refused(format!("`{}` of {} cannot be delivered: {e}", entry.path, entry.owner)))?;
    }
    builder.finish().map_err(|e| refused(format!("The secrets cannot be packed: {e}")))?;
    drop(builder);
    Ok(archive)
}

fn append(builder: &mut tar::Builder<&mut Vec<u8>>, entry: &Entry<'_>) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    // The receiver takes the numbers where it does not know the names: then root, who may read everything anyway.
    header.set_uid(0);
    header.set_gid(0);
    header.set_username(entry.owner)?;
    header.set_groupname(entry.owner)?;
    header.set_mode(entry.mode);
    // A time of 0 makes tar warn about old files.
    header.set_mtime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    let contents: &[u8] = match &entry.contents {
        Some(contents) => contents,
        None => {
            header.set_entry_type(tar::EntryType::Directory);
            &[]
        }
    };
    header.set_size(u64::try_from(contents.len()).unwrap_or(u64::MAX));
    builder.append_data(&mut header, &entry.path, contents)
}

/// It becomes part of a shell script, a file name and a variable.
fn check_name(name: &str) -> Result<(), MachineError> {
    let good = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if good { Ok(()) } else { Err(refused(format!("`{name}` cannot be the name of a secret"))) }
}

fn file_mode(name: &str, mode: &str) -> Result<u32, MachineError> {
    u32::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| refused(format!("`{mode}` cannot be the permissions of the secret {name}'s file")))
}

fn unit_name<'u>(name: &str, unit: &'u str) -> Result<&'u str, MachineError> {
    let unit = unit.strip_suffix(".service").unwrap_or(unit);
    let good = !unit.is_empty()
        && !unit.starts_with('.')
        && unit.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.@\\".contains(c));
    if good {
        Ok(unit)
    } else {
        Err(refused(format!("`{unit}`, which gets the secret {name}, is no systemd service")))
    }
}

fn not_for(name: &str, unit: &str, why: &str) -> MachineError {
    MachineError::User {
        message: format!("The value of the secret {name} {why}, which {unit}.service gets it as"),
        hint: Some(format!(
            "Let the service read the secret's file instead (`deliver = [ \"file\" ]`), or run `codchi secret set {name}`."
        )),
    }
}

fn refused(message: String) -> MachineError {
    MachineError::User {
        message,
        hint: Some("Correct it in the module that declares it, then rebuild.".into()),
    }
}

#[cfg(test)]
mod tests;
