//! Watches the folders that hold the machines' state, the locks and the vault.

use codchi_machine::Paths;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
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
}
