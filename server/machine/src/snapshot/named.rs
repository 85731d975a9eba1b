//! What belongs to a snapshot of a folder that holds everything of a person's: only what its Nix files name.

use super::listing::{self, Kind};
use crate::{CancellationToken, MachineError};
use codchi_module::{normalise, relative_paths};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The Nix files directly in `source`, all that these and others so found name by a relative path within it, and what links
/// among that lead to. A folder that is named is taken with all in it; `source` itself never is.
///
/// # Errors
/// As [`listing::list`].
pub(super) fn list(
    source: &Path,
    cancel: &CancellationToken,
) -> Result<BTreeMap<PathBuf, Kind>, MachineError> {
    let mut named = Named { source, entries: BTreeMap::new(), open: Vec::new() };
    let mut own = BTreeMap::new();
    listing::add_module_files(source, &mut own)?;
    for path in own.keys() {
        named.take(&source.join(path), cancel)?;
    }
    let mut read = BTreeSet::new();
    while let Some(file) = named.open.pop() {
        if !read.insert(file.clone()) {
            continue;
        }
        // What cannot be read, or is no text, names nothing; the copy of it tells why.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let folder = file.parent().unwrap_or(source);
        for path in relative_paths(&text) {
            named.take(&normalise(&folder.join(path)), cancel)?;
        }
    }
    listing::check_size(source, &named.entries)?;
    Ok(named.entries)
}

struct Named<'a> {
    source: &'a Path,
    entries: BTreeMap<PathBuf, Kind>,
    /// Nix files that may name others.
    open: Vec<PathBuf>,
}

impl Named<'_> {
    /// Takes what is at `path`, where that is within the folder.
    fn take(&mut self, path: &Path, cancel: &CancellationToken) -> Result<(), MachineError> {
        let Ok(below) = path.strip_prefix(self.source) else { return Ok(()) };
        let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
        let Some(kind) = Kind::of(&metadata).filter(|_| !below.as_os_str().is_empty()) else { return Ok(()) };
        if self.entries.insert(below.to_owned(), kind).is_some() {
            return Ok(());
        }
        let folders = below.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        self.entries.extend(folders.map(|folder| (folder.to_owned(), Kind::Folder)));
        match kind {
            Kind::Link => {
                let target = std::fs::read_link(path).unwrap_or_default();
                self.take(&normalise(&path.parent().unwrap_or(self.source).join(target)), cancel)
            }
            Kind::Folder => {
                for found in listing::list(path, cancel)?.into_keys() {
                    self.take(&path.join(found), cancel)?;
                }
                Ok(())
            }
            Kind::File { .. } => {
                if path.extension().is_some_and(|extension| extension == "nix") {
                    self.open.push(path.to_owned());
                }
                Ok(())
            }
        }
    }
}
