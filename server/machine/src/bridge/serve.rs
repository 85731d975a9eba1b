//! The bridge's life: which machines it serves, and when it ends.

use super::control::Control;
use super::doors::{Door, Key, Open};
use super::{GREETING, Place};
use crate::files::io_error;
use crate::state::Lock;
use crate::{MachineError, MachineName, Machines};
use codchi_driver::RunState;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::Notify;

/// How often it is looked whether a machine is left that needs it, where the engine tells nothing.
const LOOK: Duration = Duration::from_secs(60);
/// So long changes are gathered before the next look, and so long a bridge that is not needed waits for who is about to need it.
const GATHER: Duration = Duration::from_millis(300);
/// How long a new one waits for the end of an old one.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long who greets may take to say what they have to say, and to take the answer.
const PATIENCE_WITH_GUESTS: Duration = Duration::from_secs(2);

/// What the tasks of a bridge share.
pub(super) struct Shared {
    pub(super) machines: Machines,
    /// Where the agent was when a process told last.
    agent: Mutex<Option<PathBuf>>,
    open: Mutex<BTreeMap<Key, Open>>,
    /// Something may have changed.
    look: Notify,
}

impl Machines {
    /// Answers the machines of this data folder until none that may ask runs any more, or `ended` is done. At once where another
    /// process does already.
    ///
    /// # Errors
    /// Where nobody can reach it.
    pub async fn serve_bridge(&self, ended: impl Future<Output = ()>) -> Result<(), MachineError> {
        let place = Place::of(self.paths());
        place.make()?;
        let Some(_lock) = locked(&place.lock()).await? else { return Ok(()) };
        let control = Control::at(&place)?;
        let shared = Arc::new(Shared {
            machines: self.clone(),
            agent: Mutex::default(),
            open: Mutex::default(),
            look: Notify::new(),
        });
        shared.renew(None);
        tracing::info!("the bridge answers machines");
        let heard = tokio::spawn(heard(shared.clone()));
        tokio::select! {
            () = needed(&shared) => {}
            () = ended => {}
            // Whoever greets from its end on starts another one, which waits for the lock.
            () = greeted(shared.clone(), control) => {}
        }
        heard.abort();
        shared.open().clear();
        tracing::info!("the bridge ends: no machine needs it");
        Ok(())
    }
}

/// The lock of the only bridge; `None` where another one holds it and goes on to.
async fn locked(path: &Path) -> Result<Option<File>, MachineError> {
    let failed = |e| io_error("Locking", path, e);
    let file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
    let begun = tokio::time::Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => return Ok(None),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(super::RETRY).await,
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
    }
}

/// Waits until no machine needs the bridge.
async fn needed(shared: &Arc<Shared>) {
    let mut unneeded = false;
    loop {
        let wait = if unneeded { GATHER } else { LOOK };
        let _ = tokio::time::timeout(wait, shared.look.notified()).await;
        tokio::time::sleep(GATHER).await;
        shared.renew(None);
        let was_unneeded = unneeded;
        unneeded = !shared.is_needed().await;
        if unneeded && was_unneeded {
            return;
        }
    }
}

/// Passes on that instances have changed.
async fn heard(shared: Arc<Shared>) {
    loop {
        if let Ok(mut events) = shared.machines.driver().events().await {
            while let Some(Ok(_)) = events.next().await {
                shared.look.notify_one();
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Hears from processes of codchi where their agent is and which machine they are about, and answers once every machine is served. Never
/// ends.
async fn greeted(shared: Arc<Shared>, mut control: Control) {
    loop {
        match control.accept().await {
            Ok(guest) => drop(tokio::spawn(talk(shared.clone(), guest))),
            // As where there are too many open files.
            Err(_) => tokio::time::sleep(GATHER).await,
        }
    }
}

async fn talk(shared: Arc<Shared>, guest: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let mut guest = BufReader::new(guest);
    let mut said = async || {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE_WITH_GUESTS, guest.read_line(&mut line)).await;
        matches!(read, Ok(Ok(_))).then(|| line.trim().to_owned())
    };
    let Some(agent) = said().await else { return };
    // One of an earlier codchi says no more.
    let machine = said().await.and_then(|name| name.parse().ok());
    if !agent.is_empty() {
        *shared.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent.into());
    }
    join_all(shared.renew(machine.as_ref())).await;
    let _ = guest.write_all(GREETING.as_bytes()).await;
    // A pipe of Windows that is closed takes along what was not read.
    let _ = tokio::time::timeout(PATIENCE_WITH_GUESTS, guest.read(&mut [0])).await;
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the agent was when a process told last.
    pub(super) fn told(&self) -> Option<PathBuf> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a door for each machine that may ask, and closes all others. `greeted` is the machine that a process is about to use; gives what to
    /// wait for until its doors are open.
    fn renew(self: &Arc<Self>, greeted: Option<&MachineName>) -> Vec<impl Future<Output = ()> + use<>> {
        let doors = Door::all(self);
        let mut open = self.open();
        open.retain(|key, _| doors.iter().any(|door| door.key == *key));
        let mut awaited = Vec::new();
        for door in doors {
            let (key, is_awaited) = (door.key.clone(), greeted.is_none_or(|name| *name == door.machine));
            if open.get(&key).is_none_or(Open::is_over) {
                // The old one first, which takes its socket away.
                open.remove(&key);
                if let Some(opened) = door.open(self, greeted) {
                    open.insert(key.clone(), opened);
                }
            }
            awaited.extend(open.get(&key).filter(|_| is_awaited).map(Open::ready));
        }
        awaited
    }

    /// The machine that asks at a door, where it may ask.
    pub(super) fn asking(&self, key: &Key) -> Option<MachineName> {
        Door::all(self).into_iter().find(|door| door.key == *key).map(|door| door.machine)
    }

    /// Whether a machine that may ask runs, or is about to. An engine that cannot be asked says nothing.
    async fn is_needed(&self) -> bool {
        let doors = Door::all(self);
        if doors.is_empty() {
            return false;
        }
        let Ok(instances) = self.machines.driver().instances().await else { return true };
        doors.iter().any(|Door { machine, .. }| {
            let alias = machine.host_alias();
            let mut running = instances.iter().filter(|instance| instance.state != RunState::Stopped);
            running.any(|instance| instance.name.as_str() == alias)
                || Lock::is_held(self.machines.paths(), machine)
        })
    }
}
