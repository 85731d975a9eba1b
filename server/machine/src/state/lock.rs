//! The lock that keeps two operations from one machine, between processes and within one.

use crate::files::{io_error, make_folder};
use crate::{CancellationToken, MachineError, MachineName, Operation, Paths};
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Held while an operation works on a machine; the operating system lets go of it however the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Who looks whether a machine is busy holds its lock for a moment; so long an operation tries again.
const PATIENCE: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(10);

impl Lock {
    /// Takes the lock of `name`, saying for what.
    ///
    /// # Errors
    /// [`MachineError::Busy`] where another operation holds it; [`MachineError::Io`].
    pub(crate) async fn take(
        paths: &Paths,
        name: &MachineName,
        operation: Operation,
    ) -> Result<Self, MachineError> {
        let path = lock_path(paths, name);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let failed = |e| io_error("Locking", &path, e);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let begun = tokio::time::Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(RETRY).await
                }
                Err(TryLockError::WouldBlock) => {
                    let (operation, pid) = holder(&mut file);
                    return Err(MachineError::Busy { name: name.to_string(), operation, pid });
                }
                Err(TryLockError::Error(e)) => return Err(failed(e)),
            }
        }
        let text = format!("{operation} {}\n", std::process::id());
        // Only told to who comes next, and no reason to fail where a disk is full.
        let written = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
        if let Err(error) = written.and_then(|_| file.write_all(text.as_bytes())) {
            tracing::debug!("who holds the lock of {name} is not written down: {error}");
        }
        Ok(Self { _file: file })
    }

    /// The machines whose lock somebody holds now, also those that are only about to be.
    pub(crate) fn held(paths: &Paths) -> Vec<MachineName> {
        let entries = std::fs::read_dir(paths.data.join("locks")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        names.filter(|name| Self::is_held(paths, name)).collect()
    }

    /// Whether somebody holds the lock of `name` now.
    pub(crate) fn is_held(paths: &Paths, name: &MachineName) -> bool {
        let Ok(file) = File::open(lock_path(paths, name)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

/// A lock on something that is not a machine, waited for in turn.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits until nobody else holds the lock at `path`, and takes it.
    ///
    /// # Errors
    /// [`MachineError::Cancelled`]; [`MachineError::Io`].
    pub(crate) async fn wait(path: &Path, cancel: &CancellationToken) -> Result<Self, MachineError> {
        loop {
            match Self::try_take(path)? {
                Some(lock) => return Ok(lock),
                None if cancel.is_cancelled() => return Err(MachineError::Cancelled),
                None => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Takes the lock at `path`; `None` where somebody else holds it.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>, MachineError> {
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let failed = |e| io_error("Locking", path, e);
        let file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

/// Never removed: a lock on a removed file locks nothing.
fn lock_path(paths: &Paths, name: &MachineName) -> PathBuf {
    paths.data.join("locks").join(name.as_str())
}

/// Who holds a lock, as far as it has written it down yet.
fn holder(file: &mut File) -> (String, u32) {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    let parts = read.ok().and_then(|_| text.trim().split_once(' '));
    match parts {
        Some((operation, pid)) => (operation.into(), pid.parse().unwrap_or(0)),
        None => ("an operation".into(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_operation_is_told_who_is_at_work() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        let name: MachineName = "a".parse().unwrap();
        assert!(!Lock::is_held(&paths, &name));
        let lock = Lock::take(&paths, &name, Operation::Create).await.unwrap();
        assert!(Lock::is_held(&paths, &name));
        let error = Lock::take(&paths, &name, Operation::Delete).await.unwrap_err();
        let MachineError::Busy { operation, pid, .. } = error else { panic!("{error}") };
        assert_eq!((operation.as_str(), pid), ("create", std::process::id()));
        drop(lock);
        // A program that another test starts at this moment holds a copy of the lock until it runs.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while Lock::is_held(&paths, &name) {
            assert!(std::time::Instant::now() < end, "the lock is still held");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Lock::take(&paths, &name, Operation::Delete).await.unwrap();
    }
}
