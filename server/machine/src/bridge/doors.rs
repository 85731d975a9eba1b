//! Where machines ask: a *door* for each machine and each thing that it may ask for. Where the engine passes sockets of this computer in, a door is
//! such a socket; elsewhere it is a socket in the machine, which the driver listens at while the machine runs.

use super::serve::Shared;
use super::{Place, SERVED, agent, credentials};
use crate::files::io_error;
use crate::host_secrets::listens_at;
use crate::instance::{self, instance_name};
use crate::state::{Lock, MachineFolder, machine_names};
use crate::{MachineError, MachineName};
use codchi_driver::{DriverError, InstanceName, ListenAt};
use codchi_host::HostSecret;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// How long nobody is let in where there is too little of something, such as open files.
#[cfg(unix)]
const RETRY: Duration = Duration::from_millis(300);
/// How long a door may take to open before who waits for it goes on without.
const OPENING: Duration = Duration::from_secs(8);

/// A program of a machine that asks for something.
pub(super) trait Asker: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Asker for T {}

/// Which door: the machine's [`Definition::id`](crate::state::Definition::id), which stays when it is renamed, and what is asked for there.
pub(super) type Key = (String, HostSecret);

/// A door that may be open.
pub(super) struct Door {
    pub(super) key: Key,
    pub(super) machine: MachineName,
    at: At,
}

enum At {
    /// A socket of this computer, which the engine passes in.
    Here(PathBuf),
    /// A socket in the machine.
    Inside(InstanceName, ListenAt),
}

impl Door {
    /// Of each machine that may ask, and no other.
    pub(super) fn all(shared: &Shared) -> Vec<Self> {
        let paths = shared.machines.paths();
        let names = machine_names(paths).unwrap_or_default();
        // What cannot be read now is permitted nothing.
        let of = |name: MachineName| Self::of(shared, &name).unwrap_or_default();
        names.into_iter().flat_map(of).collect()
    }

    fn of(shared: &Shared, name: &MachineName) -> Result<Vec<Self>, MachineError> {
        let paths = shared.machines.paths();
        let folder = MachineFolder::new(paths, name);
        let Some(definition) = folder.definition()? else { return Ok(Vec::new()) };
        let permissions = folder.permissions()?;
        let may = SERVED.into_iter().filter(|it| permissions.host_secret(*it) == Some(true));
        let mut doors = Vec::new();
        for secret in may {
            let at = if definition.driver.passes_sockets() {
                At::Here(Place::of(paths).socket(&definition, secret)?)
            } else {
                let user = instance::user(&definition)?;
                let path = listens_at(definition.driver, secret).to_owned();
                At::Inside(instance_name(name)?, ListenAt { path, uid: user.uid, gid: user.gid, mode: 0o600 })
            };
            doors.push(Self { key: (definition.id.clone(), secret), machine: name.clone(), at });
        }
        Ok(doors)
    }

    /// Whether the machine is about to be something else, such as stopped: whoever does that greets when it is to be served again.
    fn is_busy(&self, shared: &Shared) -> bool {
        matches!(self.at, At::Inside(..)) && Lock::is_held(shared.machines.paths(), &self.machine)
    }

    /// Opens it unless its machine is busy with something that `greeted` is not about.
    pub(super) fn open(self, shared: &Arc<Shared>, greeted: Option<&MachineName>) -> Option<Open> {
        if greeted != Some(&self.machine) && self.is_busy(shared) {
            return None;
        }
        let (opened, open) = watch::channel(false);
        let Self { key, machine, at } = self;
        let (task, path) = match at {
            At::Here(path) => match here(&path) {
                Ok(askers) => {
                    opened.send_replace(true);
                    (tokio::spawn(answer(shared.clone(), askers, key)), Some(path))
                }
                Err(error) => {
                    tracing::warn!("`{machine}` cannot be served: {error}");
                    return None;
                }
            },
            At::Inside(instance, at) => {
                (tokio::spawn(inside(shared.clone(), machine, instance, at, key, opened)), None)
            }
        };
        Some(Open { path, open, task: AbortOnDropHandle::new(task) })
    }
}

/// A door that is open, or about to be, until this is dropped; then a socket of this computer is gone.
pub(super) struct Open {
    path: Option<PathBuf>,
    /// Whether somebody answers.
    open: watch::Receiver<bool>,
    task: AbortOnDropHandle<()>,
}

impl Open {
    /// Whether nobody answers there any more, as where the machine has stopped.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Done when somebody answers there, or it turns out that nobody can.
    pub(super) fn ready(&self) -> impl Future<Output = ()> + use<> {
        let mut open = self.open.clone();
        async move {
            // An end of the task is one, too.
            let _ = tokio::time::timeout(OPENING, open.wait_for(|open| *open)).await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Listens on a socket of this computer.
///
/// # Errors
/// [`MachineError::Io`].
#[cfg(unix)]
pub(super) fn bind(path: &Path) -> Result<tokio::net::UnixListener, MachineError> {
    // One whose process was killed is still there.
    let _ = std::fs::remove_file(path);
    tokio::net::UnixListener::bind(path).map_err(|e| io_error("Listening on", path, e))
}

/// Who connects to a socket of this computer.
#[cfg(unix)]
fn here(path: &Path) -> Result<BoxStream<'static, Box<dyn Asker>>, MachineError> {
    let listener = bind(path)?;
    let next = async |listener: tokio::net::UnixListener| {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((Box::new(stream) as Box<dyn Asker>, listener)),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    };
    Ok(futures_util::stream::unfold(listener, next).boxed())
}

/// Nobody: no engine of Windows passes sockets in.
#[cfg(not(unix))]
fn here(path: &Path) -> Result<BoxStream<'static, Box<dyn Asker>>, MachineError> {
    let none = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(io_error("Listening on", path, none))
}

/// Answers at a socket in a machine, until that stops.
async fn inside(
    shared: Arc<Shared>,
    machine: MachineName,
    instance: InstanceName,
    at: ListenAt,
    key: Key,
    opened: watch::Sender<bool>,
) {
    let askers = match shared.machines.driver().listen(&instance, &at).await {
        Ok(Some(askers)) => askers,
        // It is looked again when something happens to it.
        Ok(None) | Err(DriverError::NotRunning { .. } | DriverError::NotFound { .. }) => return,
        Err(error) => return tracing::warn!("`{machine}` cannot be served: {error}"),
    };
    tracing::debug!("`{machine}` is answered at {}", at.path);
    opened.send_replace(true);
    answer(shared, askers.map(|asker| Box::new(asker) as Box<dyn Asker>).boxed(), key).await;
}

/// Answers who comes to a door.
async fn answer(shared: Arc<Shared>, mut askers: BoxStream<'static, Box<dyn Asker>>, key: Key) {
    while let Some(asker) = askers.next().await {
        tokio::spawn(one(shared.clone(), asker, key.clone()));
    }
}

async fn one(shared: Arc<Shared>, asker: Box<dyn Asker>, key: Key) {
    let Some(machine) = shared.asking(&key) else { return };
    let may = || shared.asking(&key).is_some();
    if key.1 == HostSecret::GitCredentials {
        return credentials::answer(asker, machine, may).await;
    }
    match agent::pass(asker, shared.told().as_deref(), may).await {
        Ok(()) => tracing::debug!("`{machine}` has used the SSH agent"),
        Err(error) => tracing::info!("`{machine}` asked for the SSH agent: {error}"),
    }
}
