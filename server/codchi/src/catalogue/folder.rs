//! The folder that catalogues are kept in: one folder per nixpkgs and per set of own modules, one lock for all.
//!
//! `catalogues/FORMAT/KEY/{options, packages-HASH, used, failed}`. Files are written beside and renamed, so that a reader
//! sees all of one or none.

use codchi_machine::{CancellationToken, Guard, Leftover};
use codchi_nix::SURVEY_EXPRESSION;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// Changes whenever what is in the files changes.
const FORMAT: &str = "1";

/// So many folders are kept: those of the nixpkgs of some projects, and of some states of their own modules.
const KEPT: usize = 24;

/// What another version of codchi left is removed when nobody has used it for so long.
const OTHERS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What failed is not tried again before, in whatever process.
const FAILED: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that was not put in its place within this time is of a process that was killed: it takes longer than any answer.
const UNFINISHED: Duration = Duration::from_secs(60 * 60);

/// What such files begin with.
const NEW: &str = ".new-";

/// How often a lock that another process holds is tried.
const RETRY: Duration = Duration::from_millis(200);

/// The folder that catalogues are kept in.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    all: PathBuf,
}

/// What is kept for one key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    folder: PathBuf,
}

/// Held while something is worked out; the operating system lets go of it however the process ends.
pub(super) struct Lock {
    _file: File,
}

/// A key: it stands for all that goes into what is kept under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Key {
    /// Of these parts, and of how it is worked out.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in [FORMAT.as_bytes(), SURVEY_EXPRESSION.as_bytes()].into_iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hex::encode(&hash.finalize()[..16]))
    }

    /// As text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Folder {
    /// Below the user's cache folder.
    pub(super) fn new(cache: &Path) -> Self {
        Self { all: cache.join("catalogues") }
    }

    fn current(&self) -> PathBuf {
        self.all.join(FORMAT)
    }

    /// What is kept for a key, whether there is something or not.
    pub(super) fn entry(&self, key: &Key) -> Entry {
        Entry { folder: self.current().join(key.as_str()) }
    }

    /// Waits until nobody else works out something, in whatever process.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] where it is cancelled.
    pub(super) async fn lock(&self, cancel: &CancellationToken) -> io::Result<Lock> {
        fs::create_dir_all(self.current())?;
        // Never removed: a lock on a removed file locks nothing.
        let path = self.current().join("lock");
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = cancel.cancelled() => return Err(io::ErrorKind::Interrupted.into()),
            }
        }
    }

    /// What nobody has used for long, and what killed processes have left.
    pub(super) fn unused(&self) -> Vec<Leftover> {
        let is_unused = |used: Option<SystemTime>| age(used).is_some_and(|age| age > OTHERS);
        let held = |folder: &Path| Guard::Lock(folder.join("lock"));
        let mut found = Vec::new();
        for folder in folders(&self.current()) {
            if is_unused(modified(&folder.join("used")).or_else(|| modified(&folder))) {
                let what = "the options of a nixpkgs that nothing has used for a month";
                found.push(Leftover::new(folder, what, held(&self.current())));
            } else {
                let files = unfinished(&folder);
                let left = |file| Leftover::new(file, "an interrupted write", held(&self.current()));
                found.extend(files.map(left));
            }
        }
        let others = folders(&self.all).filter(|folder| !folder.ends_with(FORMAT));
        for folder in others.filter(|folder| is_unused(modified(&folder.join("lock")))) {
            let what = "the options of nixpkgs of another version of codchi";
            found.push(Leftover::new(folder.clone(), what, held(&folder)));
        }
        found
    }

    /// Removes what was not used for longest. What another process reads at this moment stays readable to it.
    pub(super) fn tidy(&self) {
        let mut kept: Vec<(SystemTime, PathBuf)> = folders(&self.current())
            .map(|folder| (modified(&folder.join("used")).unwrap_or(SystemTime::UNIX_EPOCH), folder))
            .collect();
        kept.sort();
        let surplus = kept.len().saturating_sub(KEPT);
        let old: Vec<PathBuf> = kept.drain(..surplus).map(|(_, folder)| folder).collect();
        let others = folders(&self.all).filter(|folder| {
            let used = modified(&folder.join("lock"));
            !folder.ends_with(FORMAT)
                && used.and_then(|used| used.elapsed().ok()).is_none_or(|age| age > OTHERS)
        });
        for folder in old.into_iter().chain(others) {
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::debug!("{} cannot be removed: {error}", folder.display());
            }
        }
        for (_, folder) in kept {
            remove_unfinished(&folder);
        }
    }
}

impl Entry {
    /// The table of options.
    pub(super) fn options(&self) -> PathBuf {
        self.folder.join("options")
    }

    /// The names below a path of packages.
    pub(super) fn packages(&self, path: &[String]) -> PathBuf {
        let key = Key::of(path.iter().map(String::as_bytes));
        self.folder.join(format!("packages-{}", key.as_str()))
    }

    /// Notes that it is in use, so that it stays.
    pub(super) fn touch(&self) {
        let touched = fs::write(self.folder.join("used"), "");
        if let Err(error) = touched {
            tracing::debug!("{} cannot be marked as used: {error}", self.folder.display());
        }
    }

    /// A file that becomes one of this entry's with [`keep`](Self::keep).
    pub(super) fn new_file(&self) -> io::Result<NamedTempFile> {
        fs::create_dir_all(&self.folder)?;
        tempfile::Builder::new().prefix(NEW).tempfile_in(&self.folder)
    }

    /// Puts a file in its place.
    pub(super) fn keep(&self, file: NamedTempFile, path: &Path) -> io::Result<()> {
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        if path == self.options() {
            let _ = fs::remove_file(self.folder.join("failed"));
        }
        self.touch();
        Ok(())
    }

    /// Notes that this cannot be worked out, and why.
    pub(super) fn set_failed(&self, why: &str) {
        let written =
            fs::create_dir_all(&self.folder).and_then(|()| fs::write(self.folder.join("failed"), why));
        if let Err(error) = written {
            tracing::debug!("{} cannot be written to: {error}", self.folder.display());
        }
        self.touch();
    }

    /// Why this could not be worked out lately.
    pub(super) fn failed(&self) -> Option<String> {
        let file = self.folder.join("failed");
        let age = modified(&file)?.elapsed().ok()?;
        if age > FAILED { None } else { fs::read_to_string(file).ok() }
    }
}

/// What killed processes have left in the folder of an entry.
fn unfinished(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let is_unfinished = |file: &PathBuf| {
        let is_new =
            file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NEW));
        is_new && age(modified(file)).is_some_and(|age| age > UNFINISHED)
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_unfinished)
}

fn remove_unfinished(folder: &Path) {
    for file in unfinished(folder) {
        if let Err(error) = fs::remove_file(&file) {
            tracing::debug!("{} cannot be removed: {error}", file.display());
        }
    }
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

fn age(time: Option<SystemTime>) -> Option<Duration> {
    time?.elapsed().ok()
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}
