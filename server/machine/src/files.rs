//! Writing files so that a reader, or the next run after a crash, sees either the old or the new one.

use crate::{MachineError, access};
use std::io::Write as _;
use std::path::Path;

/// Replaces `path` by `contents` with permission bits `mode`: a temporary file beside it, synced, then renamed over
/// it. The folder must exist.
///
/// # Errors
/// [`MachineError::Io`]; then `path` is as before.
pub(crate) fn write_atomic(path: &Path, contents: &[u8], mode: u32) -> Result<(), MachineError> {
    replace(path, contents, mode).map_err(|source| io_error("Writing", path, source))
}

/// As [`write_atomic`], for callers with errors of their own.
pub(crate) fn replace(path: &Path, contents: &[u8], mode: u32) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(contents)?;
    access::set_open(file.as_file(), mode)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The rename itself is durable only once the folder is.
    access::sync_names(folder)
}

/// Makes the name that `path` has got in its folder durable.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn sync_folder(path: &Path) -> Result<(), MachineError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    access::sync_names(folder).map_err(|source| io_error("Writing", folder, source))
}

/// Reads a file; `None` where there is none.
///
/// # Errors
/// [`MachineError::Io`] where it is there but cannot be read.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, MachineError> {
    match std::fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error("Reading", path, e)),
    }
}

/// Makes a folder and its parents.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn make_folder(path: &Path) -> Result<(), MachineError> {
    std::fs::create_dir_all(path).map_err(|e| io_error("Making the folder", path, e))
}

/// Removes a file; one that does not exist is not an error.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn remove_file(path: &Path) -> Result<(), MachineError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("Removing", path, e)),
        _ => Ok(()),
    }
}

/// Removes a folder and all in it; one that does not exist is not an error.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn remove_folder(path: &Path) -> Result<(), MachineError> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("Removing", path, e)),
        _ => Ok(()),
    }
}

/// Whether an error says that there is no room left on the disk.
pub(crate) fn is_full(error: &MachineError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, MachineError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
}

/// A [`MachineError::Damaged`] about `path`, at a byte of its text where that is known.
pub(crate) fn damaged(path: &Path, text: &[u8], offset: Option<usize>, message: &str) -> MachineError {
    let place = |offset: usize| {
        let before = String::from_utf8_lossy(&text[..offset.min(text.len())]).into_owned();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    };
    let message = message.trim_end().to_owned();
    damaged_at(path, offset.map(place), message)
}

/// The same at a line and column.
pub(crate) fn damaged_at(path: &Path, place: Option<(usize, usize)>, message: String) -> MachineError {
    let path = path.display().to_string();
    let at = place.map_or_else(|| path.clone(), |(line, column)| format!("{path}:{line}:{column}"));
    MachineError::Damaged { path, at, message }
}

/// An [`MachineError::Io`] about `path`.
pub(crate) fn io_error(action: &'static str, path: &Path, source: std::io::Error) -> MachineError {
    MachineError::Io { action, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_write_replaces_the_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o640).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_says_which_file() {
        let error = write_atomic(Path::new("/nonexistent/a"), b"", 0o600).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/a"), "{error}");
    }
}
