//! LXD and Incus, over their REST API on a unix socket.
//!
//! Both speak the same API; what differs is the socket's place and the names of a few headers. One file per resource
//! extends [`transport::Transport`] with that resource's requests, and [`Lxd`] makes the [`Driver`] of them: it checks
//! the mark, puts steps together and cleans up after a step that failed. Nothing here knows of nix.

mod addresses;
mod archive;
mod copies;
mod events;
mod exec;
mod files;
mod find;
mod images;
mod instances;
mod lenient;
mod mark;
mod old_images;
mod operations;
mod reply;
mod server;
mod skeleton;
mod temporary;
mod transport;
mod volumes;

use crate::outlive::outlive;
use crate::types::{
    DriverKind, Event, Exec, FileKind, FileSpec, GivenAddress, Image, Instance, InstanceName, InstanceSpec,
    Process, ServerInfo, Volume,
};
use crate::{Driver, DriverError};
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use instances::{Change, Description};
use reply::ApiError;
use std::path::Path;
use std::time::Duration;
use temporary::Temporary;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use transport::Transport;

/// Where an instance's init is.
const INIT: &str = "/sbin/init";
/// When an init that has not gone down is asked once more. A signal that arrives before an init is ready for it is lost,
/// which happens some milliseconds after a start.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How often a deletion is tried, and how long it waits in between.
const DELETE_ATTEMPTS: u32 = 20;
const DELETE_PAUSE: Duration = Duration::from_millis(50);

/// The driver for LXD and Incus. A value of this type has got an answer from its engine.
#[derive(Debug, Clone)]
pub struct Lxd {
    transport: Transport,
}

impl Lxd {
    /// Finds the engine of this host: the one of kind `choice`, or of either kind.
    ///
    /// `INCUS_SOCKET`, `INCUS_DIR`, `LXD_SOCKET` and `LXD_DIR` name a socket, and then no other is looked at. Without
    /// them the usual places are; where both engines answer, Incus is taken if it has a storage pool, else LXD.
    ///
    /// # Errors
    /// [`DriverError::NotInstalled`], [`DriverError::NoPermission`] or [`DriverError::Unreachable`].
    pub async fn connect(choice: Option<DriverKind>) -> Result<Self, DriverError> {
        find::find(choice).await
    }

    /// The engine that listens on `socket`.
    ///
    /// # Errors
    /// [`DriverError::NoPermission`] or [`DriverError::Unreachable`].
    pub async fn connect_to(socket: &Path) -> Result<Self, DriverError> {
        find::open(Transport::new(socket)).await
    }

    /// The instance, if there is one; an error where it is not ours.
    async fn look(&self, name: &InstanceName, action: &str) -> Result<Option<Found>, DriverError> {
        match self.transport.describe(name).await {
            Ok(description) => {
                let (running, stopped) = (description.is_running(), description.is_stopped());
                let frozen = description.is_frozen();
                let instance = Description::ours(description);
                let instance = instance.ok_or_else(|| DriverError::NameTaken { name: name.to_string() })?;
                Ok(Some(Found { instance, running, stopped, frozen }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.explain(action, name)),
        }
    }

    /// The instance, which must be there and ours.
    async fn require(&self, name: &InstanceName, action: &str) -> Result<Found, DriverError> {
        self.look(name, action).await?.ok_or_else(|| DriverError::NotFound { name: name.to_string() })
    }

    async fn create_whole(self, name: InstanceName, spec: InstanceSpec) -> Result<Temporary, DriverError> {
        let image = self
            .transport
            .ensure_skeleton()
            .await
            .map_err(|error| error.while_doing("importing the image of an empty root file system"))?;
        self.create_from(&image, &name, &spec, "creating").await
    }

    /// A stopped instance with the root file system of the image `image`, whose init is that of `spec`. Leaves nothing
    /// behind where it fails.
    async fn create_from(
        &self,
        image: &str,
        name: &InstanceName,
        spec: &InstanceSpec,
        action: &str,
    ) -> Result<Temporary, DriverError> {
        if let Err(error) = self.transport.create_instance(name, image, spec).await {
            if error.is_conflict() {
                return Err(DriverError::NameTaken { name: name.to_string() });
            }
            // An engine that was never set up refuses in words that do not say so.
            self.server().await?;
            return Err(error.explain(action, name));
        }
        let made = Temporary::instance(&self.transport, name);
        if let Err(error) = self.link_init(name, spec).await {
            made.remove().await;
            return Err(error.explain(action, name));
        }
        Ok(made)
    }

    async fn link_init(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), ApiError> {
        let kind = FileKind::Symlink(spec.init.clone());
        self.transport.put(name, &FileSpec { path: INIT.into(), uid: 0, gid: 0, mode: 0o777, kind }).await
    }
}

/// An instance of ours as it was found.
struct Found {
    instance: Instance,
    running: bool,
    stopped: bool,
    frozen: bool,
}

#[async_trait]
impl Driver for Lxd {
    fn kind(&self) -> DriverKind {
        self.transport.kind
    }

    async fn server(&self) -> Result<ServerInfo, DriverError> {
        self.transport.usable().await.map_err(|error| error.while_doing("asking the engine who it is"))
    }

    async fn instances(&self) -> Result<Vec<Instance>, DriverError> {
        self.transport.our_instances().await.map_err(|error| error.while_doing("listing the instances"))
    }

    async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, DriverError> {
        Ok(self.look(name, "asking for").await?.map(|found| found.instance))
    }

    async fn create(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        let whole = self.clone().create_whole(name.clone(), spec.clone());
        outlive("creating", name, whole).await.map(Temporary::keep)
    }

    async fn reconfigure(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        const ACTION: &str = "changing";
        self.require(name, ACTION).await?;
        let change = |config: &mut _, devices: &mut _| mark::apply(spec, config, devices);
        self.transport.change_instance(name, change).await.map_err(|error| error.explain(ACTION, name))?;
        self.link_init(name, spec).await.map_err(|error| error.explain(ACTION, name))
    }

    async fn start(&self, name: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "starting";
        let found = self.require(name, ACTION).await?;
        if found.running {
            return Ok(());
        }
        let change = if found.frozen { Change::Unfreeze } else { Change::Start };
        let Err(error) = self.transport.change_state(name, change).await else { return Ok(()) };
        // Somebody else may have started it meanwhile.
        match self.require(name, ACTION).await {
            Ok(found) if found.running => Ok(()),
            _ => Err(error.explain(ACTION, name)),
        }
    }

    async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<(), DriverError> {
        const ACTION: &str = "stopping";
        let again = grace.saturating_sub(ASK_AGAIN);
        let mut changes = vec![Change::Kill];
        // What is frozen cannot shut down.
        if !self.require(name, ACTION).await?.frozen {
            changes.extend(
                [again, grace.min(ASK_AGAIN)]
                    .into_iter()
                    .filter(|limit| !limit.is_zero())
                    .map(Change::ShutDown),
            );
        }
        loop {
            if self.require(name, ACTION).await?.stopped {
                return Ok(());
            }
            let Some(change) = changes.pop() else {
                let message = "it still runs after it was killed".into();
                return Err(DriverError::Engine { action: format!("{ACTION} instance {name}"), message });
            };
            match self.transport.change_state(name, change).await {
                Ok(()) => return Ok(()),
                Err(error) if changes.is_empty() => {
                    return match self.require(name, ACTION).await {
                        Ok(found) if found.stopped => Ok(()),
                        _ => Err(error.explain(ACTION, name)),
                    };
                }
                Err(ApiError::Refused { message, .. }) => {
                    tracing::debug!(%name, message, "does not stop yet")
                }
                Err(error) => return Err(error.explain(ACTION, name)),
            }
        }
    }

    async fn delete(&self, name: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "deleting";
        let mut attempts = DELETE_ATTEMPTS;
        loop {
            let Some(found) = self.look(name, ACTION).await? else { return Ok(()) };
            if !found.stopped {
                match self.stop(name, Duration::ZERO).await {
                    Err(DriverError::NotFound { .. }) => return Ok(()),
                    result => result?,
                }
            }
            attempts -= 1;
            match self.transport.delete_instance(name).await {
                Err(error) if error.is_not_found() => return Ok(()),
                // Just after a start the engine may still say that it is stopped, and may lose a stop.
                Err(ApiError::Refused { message, .. }) if attempts > 0 => {
                    tracing::debug!(%name, message, "cannot be deleted yet");
                    tokio::time::sleep(DELETE_PAUSE).await;
                }
                result => return result.map_err(|error| error.explain(ACTION, name)),
            }
        }
    }

    async fn rename(&self, name: &InstanceName, to: &InstanceName) -> Result<(), DriverError> {
        self.rename_whole(name, to).await
    }

    async fn copy(
        &self,
        from: &InstanceName,
        to: &InstanceName,
        spec: &InstanceSpec,
    ) -> Result<(), DriverError> {
        let whole = self.clone().copy_whole(from.clone(), to.clone(), spec.clone());
        outlive("copying", from, whole).await.map(Temporary::keep)
    }

    async fn export(
        &self,
        name: &InstanceName,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError> {
        self.export_whole(name, archive).await
    }

    async fn import(
        &self,
        name: &InstanceName,
        spec: &InstanceSpec,
        archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
    ) -> Result<(), DriverError> {
        let cancel = CancellationToken::new();
        let _dropped = cancel.clone().drop_guard();
        let whole = self.clone().import_whole(name.clone(), spec.clone(), archive, size, cancel);
        outlive("importing", name, whole).await.map(Temporary::keep)
    }

    async fn sweep(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.sweep_whole(name).await
    }

    async fn unused_images(&self) -> Result<Vec<Image>, DriverError> {
        self.transport.old_skeletons().await.map_err(|error| error.while_doing("listing the images"))
    }

    async fn delete_image(&self, image: &Image) -> Result<(), DriverError> {
        if !self.unused_images().await?.contains(image) {
            return Ok(());
        }
        match self.transport.delete_image(&image.fingerprint).await {
            Err(error) if !error.is_not_found() => Err(error.while_doing("deleting an image")),
            _ => Ok(()),
        }
    }

    async fn put_file(&self, name: &InstanceName, file: &FileSpec) -> Result<(), DriverError> {
        let action = format!("writing {} to", file.path);
        self.require(name, &action).await?;
        self.transport.put(name, file).await.map_err(|error| error.explain(&action, name))
    }

    async fn exec(&self, name: &InstanceName, exec: &Exec) -> Result<Process, DriverError> {
        const ACTION: &str = "running a command in";
        self.require(name, ACTION).await?;
        self.transport.execute(name, exec).await.map_err(|error| error.explain(ACTION, name))
    }

    async fn volume(&self, name: &InstanceName) -> Result<Option<Volume>, DriverError> {
        let volume = self.transport.find_volume(name).await;
        volume.map_err(|error| error.while_doing(&format!("looking for the volume {name}")))
    }

    async fn create_volume(&self, name: &InstanceName) -> Result<Volume, DriverError> {
        let volume = self.transport.make_volume(name).await;
        volume.map_err(|error| error.while_doing(&format!("creating the volume {name}")))
    }

    async fn delete_volume(&self, name: &InstanceName) -> Result<(), DriverError> {
        let Some(volume) = self.volume(name).await? else { return Ok(()) };
        let removed = self.transport.remove_volume(&volume, name).await;
        removed.map_err(|error| error.while_doing(&format!("deleting the volume {name}")))
    }

    async fn given_address(&self, name: &InstanceName) -> Result<Option<GivenAddress>, DriverError> {
        let address = self.transport.address_for(name).await;
        address.map_err(|error| error.while_doing(&format!("looking for an address for {name}")))
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, DriverError>>, DriverError> {
        const ACTION: &str = "listening to the engine's events";
        let events = self.transport.subscribe().await.map_err(|error| error.while_doing(ACTION))?;
        Ok(events.map(|event| event.map_err(|error| error.while_doing(ACTION))).boxed())
    }
}
