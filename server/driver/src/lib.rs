//! Runs machines.
//!
//! A [`Driver`] creates, starts, stops and deletes *instances*, hands files in, runs commands inside and reports
//! what happens to them. It knows nothing about Nix, modules or secrets; what an instance is made of comes as an
//! [`InstanceSpec`].
//!
//! Invariants:
//! - A driver touches only instances and volumes that carry its mark ([`MARK_KEY`]); a foreign instance of the same name is
//!   [`DriverError::NameTaken`].
//! - No bytes that a caller passes as a command's input or a file's contents are logged or put in an error.
//! - Dropping a future or a [`Process`] stops what it was doing inside the instance.

mod error;
mod find;
#[cfg(unix)]
mod lxd;
mod outlive;
mod relocate;
mod streams;
mod types;
mod wsl;

pub use codchi_guest::FOLDERS;
pub use error::DriverError;
pub use find::connect;
#[cfg(unix)]
pub use lxd::Lxd;
pub use relocate::relocate;
pub use types::{
    Connection, Device, DriverKind, Event, EventKind, Exec, ExitStatus, FileKind, FileSpec, GivenAddress,
    Image, Instance, InstanceName, InstanceSpec, InvalidName, ListenAt, Output, Process, PtySize, Resizer,
    RunState, ServerInfo, Stdio, User, Volume,
};
pub use wsl::{Wsl, WslOptions};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The configuration key whose presence marks an instance as ours.
pub const MARK_KEY: &str = "user.codchi";

/// What the keys of labels begin with.
pub const LABEL_PREFIX: &str = "user.codchi.";

/// What runs machines: one per kind of engine on this computer.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Which kind this is.
    fn kind(&self) -> DriverKind;

    /// Asks the engine who it is. Succeeds only when the engine can be used.
    async fn server(&self) -> Result<ServerInfo, DriverError>;

    /// All instances that carry our mark, in one round trip.
    async fn instances(&self) -> Result<Vec<Instance>, DriverError>;

    /// One instance; `None` where no instance has this name. A foreign one is [`DriverError::NameTaken`].
    async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, DriverError>;

    /// Creates a stopped instance: a root file system that holds nothing but mount points and what the engine needs.
    ///
    /// Fails with [`DriverError::NameTaken`] where the name is in use. Leaves nothing behind when it fails, nor when
    /// its future is dropped (as long as the runtime lives on to clean up).
    async fn create(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError>;

    /// Makes configuration and devices of an existing instance equal to `spec`; its init counts from the next start on.
    async fn reconfigure(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError>;

    /// Starts the instance; returns once its init runs. Already running is not an error.
    async fn start(&self, name: &InstanceName) -> Result<(), DriverError>;

    /// Stops the instance: asks it to shut down, then forces it after `grace`. Already stopped is not an error.
    async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<(), DriverError>;

    /// Stops and deletes the instance with its root file system. One that does not exist is not an error.
    async fn delete(&self, name: &InstanceName) -> Result<(), DriverError>;

    /// Gives a stopped instance another name. [`DriverError::NameTaken`] where that is in use,
    /// [`DriverError::StillRunning`] where it is not stopped.
    async fn rename(&self, name: &InstanceName, to: &InstanceName) -> Result<(), DriverError>;

    /// Creates the stopped instance `to` with the root file system of `from`, running or stopped, and otherwise what
    /// `spec` says: nothing of `from`'s configuration goes along. Fails and cleans up as [`Driver::create`] does.
    async fn copy(
        &self,
        from: &InstanceName,
        to: &InstanceName,
        spec: &InstanceSpec,
    ) -> Result<(), DriverError>;

    /// Writes a stopped instance's root file system to `archive`, piece by piece, as a tar archive that every driver
    /// reads: a `metadata.yaml` with the architecture, and all else below `rootfs/`. Owners are those inside, what is
    /// mounted is not in it. Leaves nothing in the engine, also where it fails or is dropped.
    ///
    /// [`DriverError::StillRunning`] where the instance is not stopped, [`DriverError::Archive`] where `archive` takes no
    /// more.
    async fn export(
        &self,
        name: &InstanceName,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError>;

    /// Creates a stopped instance with the root file system that [`Driver::export`] wrote, of `size` bytes; `archive` is
    /// read piece by piece. Fails and cleans up as [`Driver::create`] does; [`DriverError::Archive`] where `archive`
    /// cannot be read, is none, or is not whole.
    async fn import(
        &self,
        name: &InstanceName,
        spec: &InstanceSpec,
        archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
    ) -> Result<(), DriverError>;

    /// Removes what is left in the engine of an export or import of the instance whose process was killed meanwhile. Call it
    /// only while nobody exports or imports that instance.
    async fn sweep(&self, name: &InstanceName) -> Result<(), DriverError>;

    /// Images that some version of this crate has made and this one creates no instance from.
    async fn unused_images(&self) -> Result<Vec<Image>, DriverError>;

    /// Deletes one of [`Driver::unused_images`]; one that is no longer among them stays as it is.
    async fn delete_image(&self, image: &Image) -> Result<(), DriverError>;

    /// Puts a file, folder or symbolic link into the instance's root file system, running or stopped. Parents must
    /// exist. A file or link that is there is replaced, with its owner and mode; a folder that is there is kept as it
    /// is.
    async fn put_file(&self, name: &InstanceName, file: &FileSpec) -> Result<(), DriverError>;

    /// Starts a command in a running instance.
    async fn exec(&self, name: &InstanceName, exec: &Exec) -> Result<Process, DriverError>;

    /// Listens at a socket in a running instance: gives the connections that programs there make to it, from when this returns until the
    /// instance stops, or the stream is dropped; then they all are closed, and the socket is gone. One that nobody reads holds up no other. A
    /// socket, file or link that is there is replaced; parents must exist.
    ///
    /// `None` where the engine passes sockets of this computer in as devices ([`DriverKind::passes_sockets`]), which is how it is done
    /// there.
    async fn listen(
        &self,
        _name: &InstanceName,
        _at: &ListenAt,
    ) -> Result<Option<BoxStream<'static, Connection>>, DriverError> {
        Ok(None)
    }

    /// A volume of ours; `None` where there is none of this name. A foreign one is [`DriverError::NameTaken`].
    async fn volume(&self, name: &InstanceName) -> Result<Option<Volume>, DriverError>;

    /// Creates an empty volume that instances can share, whatever their maps of ids are where the engine can do that.
    /// [`DriverError::NameTaken`] where the name is in use.
    async fn create_volume(&self, name: &InstanceName) -> Result<Volume, DriverError>;

    /// Deletes a volume of ours, which no instance may have. One that does not exist is not an error.
    async fn delete_volume(&self, name: &InstanceName) -> Result<(), DriverError>;

    /// What to add to the specification of an instance in which no program asks for an address, so that it has one;
    /// `None` where the default profile's network gives none that way.
    async fn given_address(&self, name: &InstanceName) -> Result<Option<GivenAddress>, DriverError>;

    /// What happens to our instances from now on, until the stream is dropped. Ends when the connection does.
    async fn events(&self) -> Result<BoxStream<'static, Result<Event, DriverError>>, DriverError>;

    /// Runs a command to its end with `stdin` as input; gathers at most 1 MiB of each output.
    async fn run(&self, name: &InstanceName, exec: &Exec, stdin: &[u8]) -> Result<Output, DriverError> {
        types::run_to_end(self.exec(name, exec).await?, stdin).await
    }
}
