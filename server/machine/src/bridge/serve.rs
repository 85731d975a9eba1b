//! The bridge's life: which machines it serves, and when it ends.

use super::{GREETING, Place, SERVED, agent, credentials};
use crate::files::io_error;
use crate::state::{Lock, MachineFolder, machine_names};
use crate::{MachineError, MachineName, Machines};
use codchi_driver::RunState;
use codchi_host::HostSecret;
use futures_util::StreamExt as _;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How often it is looked whether a machine is left that needs it, where the engine tells nothing.
const LOOK: Duration = Duration::from_secs(60);
/// So long changes are gathered before the next look, and so long a bridge that is not needed waits for who is about to need it.
const GATHER: Duration = Duration::from_millis(300);
/// How long a new one waits for the end of an old one.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long who greets may take to say what they have to say.
const PATIENCE_WITH_GUESTS: Duration = Duration::from_secs(2);

/// A socket of a machine, served until it is dropped; then its file is gone.
struct Served {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What the tasks of a bridge share.
struct Shared {
    machines: Machines,
    /// Where the agent was when a process told last.
    agent: Mutex<Option<PathBuf>>,
    /// By socket.
    served: Mutex<BTreeMap<PathBuf, Served>>,
    /// Something may have changed.
    look: Notify,
}

impl Machines {
    /// Answers the machines of this data folder until none that may ask runs any more, or `ended` is done. At once where another
    /// process does already.
    ///
    /// # Errors
    /// Where the sockets cannot be made.
    pub async fn serve_bridge(&self, ended: impl Future<Output = ()>) -> Result<(), MachineError> {
        let place = Place::of(self.paths());
        place.make()?;
        let Some(_lock) = locked(&place.lock()).await? else { return Ok(()) };
        let control = listen(&place.control())?;
        let shared = Arc::new(Shared {
            machines: self.clone(),
            agent: Mutex::default(),
            served: Mutex::default(),
            look: Notify::new(),
        });
        shared.renew();
        tracing::info!("the bridge answers machines");
        let greeted = tokio::spawn(greeted(shared.clone(), control));
        let heard = tokio::spawn(heard(shared.clone()));
        tokio::select! {
            () = needed(&shared) => {}
            () = ended => {}
        }
        // Whoever greets from now on starts another one, which waits for the lock.
        let _ = std::fs::remove_file(place.control());
        greeted.abort();
        heard.abort();
        shared.served().clear();
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

/// A new socket in the place of what a bridge has left that was killed.
fn listen(path: &Path) -> Result<UnixListener, MachineError> {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).map_err(|e| io_error("Listening on", path, e))
}

/// Waits until no machine needs the bridge.
async fn needed(shared: &Arc<Shared>) {
    let mut unneeded = false;
    loop {
        let wait = if unneeded { GATHER } else { LOOK };
        let _ = tokio::time::timeout(wait, shared.look.notified()).await;
        tokio::time::sleep(GATHER).await;
        shared.renew();
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

/// Hears from processes of codchi where their agent is, and answers once every machine is served.
async fn greeted(shared: Arc<Shared>, control: UnixListener) {
    loop {
        let Ok((stream, _)) = control.accept().await else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut line = String::new();
            let mut read = BufReader::new(read);
            let heard = tokio::time::timeout(PATIENCE_WITH_GUESTS, read.read_line(&mut line));
            if !matches!(heard.await, Ok(Ok(_))) {
                return;
            }
            if let Some(agent) = Some(line.trim()).filter(|path| !path.is_empty()) {
                *shared.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent.into());
            }
            shared.renew();
            let _ = write.write_all(GREETING.as_bytes()).await;
        });
    }
}

impl Shared {
    fn served(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Served>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machines with what each may ask for.
    fn permitted(&self) -> Vec<(MachineName, HostSecret, PathBuf)> {
        let place = Place::of(self.machines.paths());
        let names = machine_names(self.machines.paths()).unwrap_or_default();
        let sockets = names.into_iter().flat_map(|name| {
            let folder = MachineFolder::new(self.machines.paths(), &name);
            let known = folder.definition().ok().flatten().zip(folder.permissions().ok());
            let of = known.into_iter().flat_map(|(definition, permissions)| {
                let may = SERVED.into_iter().filter(|it| permissions.host_secret(*it) == Some(true));
                let sockets: Vec<(HostSecret, PathBuf)> =
                    may.filter_map(|it| Some((it, place.socket(&definition, it).ok()?))).collect();
                sockets
            });
            of.map(|(secret, path)| (name.clone(), secret, path)).collect::<Vec<_>>()
        });
        sockets.collect()
    }

    /// Serves each machine that may ask, and no other.
    fn renew(self: &Arc<Self>) {
        let permitted = self.permitted();
        let mut served = self.served();
        served.retain(|path, _| permitted.iter().any(|(_, _, permitted)| permitted == path));
        for (name, secret, path) in permitted {
            // A machine that got another name is another one by its task.
            if served.get(&path).is_some_and(|one| !one.task.is_finished()) {
                continue;
            }
            match listen(&path) {
                Ok(listener) => {
                    let task = tokio::spawn(serve(self.clone(), listener, path.clone(), secret));
                    served.insert(path.clone(), Served { path, task });
                }
                Err(error) => tracing::warn!("`{name}` cannot be served: {error}"),
            }
        }
    }

    /// The machine that asks at `path`, where it may ask for `secret`.
    fn asking(&self, path: &Path, secret: HostSecret) -> Option<MachineName> {
        let permitted = self.permitted().into_iter();
        permitted.filter(|(_, of, at)| *of == secret && at == path).map(|(name, _, _)| name).next()
    }

    /// Whether a machine that may ask runs, or is about to. An engine that cannot be asked says nothing.
    async fn is_needed(&self) -> bool {
        let permitted = self.permitted();
        if permitted.is_empty() {
            return false;
        }
        let Ok(instances) = self.machines.driver().instances().await else { return true };
        permitted.iter().any(|(name, _, _)| {
            let alias = name.host_alias();
            let mut running = instances.iter().filter(|instance| instance.state != RunState::Stopped);
            running.any(|instance| instance.name.as_str() == alias)
                || Lock::is_held(self.machines.paths(), name)
        })
    }
}

/// Answers at one socket.
async fn serve(shared: Arc<Shared>, listener: UnixListener, path: PathBuf, secret: HostSecret) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // As where there are too many open files.
            tokio::time::sleep(GATHER).await;
            continue;
        };
        tokio::spawn(connection(shared.clone(), stream, path.clone(), secret));
    }
}

async fn connection(shared: Arc<Shared>, stream: UnixStream, path: PathBuf, secret: HostSecret) {
    let Some(machine) = shared.asking(&path, secret) else { return };
    let may = || shared.asking(&path, secret).is_some();
    if secret == HostSecret::GitCredentials {
        return credentials::answer(stream, machine, may).await;
    }
    let told = shared.agent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match agent::pass(stream, told.as_deref(), may).await {
        Ok(()) => tracing::debug!("`{machine}` has used the SSH agent"),
        Err(error) => tracing::info!("`{machine}` asked for the SSH agent: {error}"),
    }
}
