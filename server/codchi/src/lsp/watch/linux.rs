//! Watching on Linux: inotify.

use super::{FOLDERS, is_about_modules};
use codchi_machine::Paths;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::net::unix::pipe::Receiver;

/// State is written by renaming, so a change is a name that comes or goes; that logs grow is no change.
const NAMES: WatchFlags =
    WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVED_FROM).union(WatchFlags::MOVED_TO);

/// Locks are taken by writing into them and let go by closing them.
const LOCKS: WatchFlags = NAMES.union(WatchFlags::MODIFY).union(WatchFlags::CLOSE_WRITE);

/// Watches the folders that hold the machines' state, the locks and the vault.
pub(crate) struct Watch {
    /// Not a pipe, but waited for and read like one.
    events: Receiver,
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        let events: OwnedFd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { events: Receiver::from_owned_fd_unchecked(events)? })
    }

    /// Watches what there is by now; what is watched already stays so.
    pub(crate) fn add(&self, paths: &Paths) {
        // A parent is watched for the day its child is made.
        if let Some(parent) = paths.data.parent() {
            self.add_folder(parent, WatchFlags::CREATE);
        }
        self.add_folder(&paths.data, NAMES);
        self.add_folder(&paths.data.join("locks"), LOCKS);
        let machines = paths.data.join("machines");
        self.add_folder(&machines, NAMES);
        for machine in std::fs::read_dir(&machines).into_iter().flatten().flatten() {
            self.add_folder(&machine.path(), NAMES);
        }
    }

    fn add_folder(&self, folder: &Path, what: WatchFlags) {
        match inotify::add_watch(&self.events, folder, what | WatchFlags::ONLYDIR) {
            Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => tracing::warn!("{} cannot be watched: {error}", folder.display()),
        }
    }

    /// Waits for a change.
    pub(crate) async fn changed(&self) {
        let mut events = [0; 4096];
        loop {
            if self.events.readable().await.is_err() {
                return std::future::pending().await;
            }
            match self.events.try_read(&mut events) {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!("changes by other programs are no longer seen: {error}");
                    return std::future::pending().await;
                }
            }
        }
    }
}

/// Watches folders for Nix files that come, go or change, and for folders that do.
pub(crate) struct FolderWatch {
    /// Not a pipe, but waited for and read like one.
    events: Receiver,
    /// Whether all other files matter as well.
    all: bool,
    watched: Mutex<BTreeSet<PathBuf>>,
}

impl FolderWatch {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        let events: OwnedFd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { events: Receiver::from_owned_fd_unchecked(events)?, all: false, watched: Mutex::default() })
    }

    /// The same, for files of any kind.
    pub(crate) fn of_all_files() -> io::Result<Self> {
        Ok(Self { all: true, ..Self::new()? })
    }

    /// Whether all these folders are watched.
    pub(crate) fn covers(&self, folders: &BTreeSet<&Path>) -> bool {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        folders.iter().all(|folder| watched.contains(*folder))
    }

    /// Watches these folders, and no longer counts those that are not among them; says whether one is new.
    pub(crate) fn add(&self, folders: BTreeSet<&Path>) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|folder| folders.contains(folder.as_path()) && folder.is_dir());
        let before = watched.len();
        let what = NAMES.union(WatchFlags::CLOSE_WRITE).union(WatchFlags::ONLYDIR);
        for folder in folders {
            if watched.len() >= FOLDERS {
                if before < FOLDERS {
                    tracing::warn!("only {FOLDERS} folders are watched for changes by other programs");
                }
                break;
            }
            // A folder of a name that is known may be another one by now; the same one is watched once.
            match inotify::add_watch(&self.events, folder, what) {
                Ok(_) => {
                    watched.insert(folder.to_owned());
                }
                Err(rustix::io::Errno::NOSPC) => {
                    if watched.len() > before || before == 0 {
                        tracing::warn!("the host lets us watch {} folders and no more", watched.len());
                    }
                    break;
                }
                // Not there, no folder, or not ours to read.
                Err(_) => {}
            }
        }
        watched.len() > before
    }

    /// Waits for a change that matters.
    pub(crate) async fn changed(&self) {
        loop {
            if self.events.readable().await.is_err() {
                return std::future::pending().await;
            }
            match self.take() {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!("changes by other programs are no longer seen: {error}");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Takes what there is; says whether anything of it matters.
    fn take(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut any = false;
        let end = self.events.try_io(|| {
            let mut reader = inotify::Reader::new(&self.events, &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) => any |= self.all || matters(&event),
                    Err(error) => return Err::<(), _>(io::Error::from(error)),
                }
            }
        });
        match end {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(any),
        }
    }
}

/// Whether an event is about a folder or about modules, or says that events were lost.
fn matters(event: &inotify::Event<'_>) -> bool {
    let name = event.file_name().map(|name| name.to_bytes()).unwrap_or_default();
    event.events().intersects(ReadFlags::ISDIR.union(ReadFlags::QUEUE_OVERFLOW)) || is_about_modules(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    async fn changes(watch: &Watch) -> bool {
        tokio::time::timeout(Duration::from_millis(200), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn changes_of_state_are_seen_and_growing_logs_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let paths = Paths {
            data: at("codchi"),
            config: at("config"),
            state: at("state"),
            cache: at("cache"),
            home: at("home"),
        };
        let watch = Watch::new().unwrap();
        watch.add(&paths);
        fs::create_dir_all(at("codchi/machines/a")).unwrap();
        assert!(changes(&watch).await, "the data folder is made");

        watch.add(&paths);
        while changes(&watch).await {}
        fs::write(at("codchi/machines/a/new"), "").unwrap();
        assert!(changes(&watch).await, "a file is made");
        while changes(&watch).await {}
        fs::write(at("codchi/machines/a/new"), "a line").unwrap();
        assert!(!changes(&watch).await, "a file grows");
        fs::rename(at("codchi/machines/a/new"), at("codchi/machines/a/machine.toml")).unwrap();
        assert!(changes(&watch).await, "a file is replaced");
    }
    async fn matters(watch: &FolderWatch) -> bool {
        tokio::time::timeout(Duration::from_millis(200), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn nix_files_and_folders_matter_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let watch = FolderWatch::new().unwrap();
        assert!(watch.add([folder.path()].into()));
        assert!(!watch.add([folder.path()].into()), "it is watched already");

        fs::write(at("a.txt"), "").unwrap();
        assert!(!matters(&watch).await, "some other file");
        fs::write(at("a.nix"), "1").unwrap();
        assert!(matters(&watch).await, "a Nix file is written");
        fs::write(at("flake.lock"), "1").unwrap();
        assert!(matters(&watch).await, "a lock is written");
        fs::rename(at("a.nix"), at("a.txt")).unwrap();
        assert!(matters(&watch).await, "it is renamed");
        fs::create_dir(at("sub")).unwrap();
        assert!(matters(&watch).await, "a folder is made");
        assert!(watch.add([folder.path(), &at("sub")].into()));
        fs::write(at("sub/b.nix"), "1").unwrap();
        assert!(matters(&watch).await, "a file in it is written");
        fs::remove_dir_all(at("sub")).unwrap();
        assert!(matters(&watch).await, "the folder is removed");
    }

    #[tokio::test]
    async fn all_files_matter_to_who_asks_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let watch = FolderWatch::of_all_files().unwrap();
        assert!(!watch.covers(&[folder.path()].into()));
        watch.add([folder.path()].into());
        assert!(watch.covers(&[folder.path()].into()));
        fs::write(folder.path().join("a.py"), "").unwrap();
        assert!(matters(&watch).await);
    }
}
