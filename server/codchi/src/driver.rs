//! The driver of this computer, connected at its first use.

use async_trait::async_trait;
use codchi_driver::{
    Connection, Driver, DriverError, DriverKind, Event, Exec, FileSpec, GivenAddress, Image, Instance,
    InstanceName, InstanceSpec, ListenAt, Process, ServerInfo, Volume, WslOptions,
};
use futures_util::stream::BoxStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;

/// The driver of this computer, connected at its first use: so that nothing waits for an engine that it does not need,
/// and one that is installed later is found by a server that already runs.
pub(crate) struct Lazy {
    wanted: Option<DriverKind>,
    wsl: WslOptions,
    found: OnceCell<Arc<dyn Driver>>,
}

impl Lazy {
    /// Looks for nothing yet. Distributions of WSL lie in the data folder `data`; `patience` is how long `wsl.exe` may take for what is quick.
    pub(crate) fn new(wanted: Option<DriverKind>, data: &Path, patience: Duration) -> Self {
        let wsl = WslOptions { folder: data.join("wsl"), guest: guest(), patience };
        Self { wanted, wsl, found: OnceCell::new() }
    }

    async fn get(&self) -> Result<&Arc<dyn Driver>, DriverError> {
        self.found.get_or_try_init(|| codchi_driver::connect(self.wanted, self.wsl.clone())).await
    }
}

/// The program for distributions of WSL: what `CODCHI_GUEST` names, or else the file beside this program.
fn guest() -> PathBuf {
    const NAME: &str = "codchi-guest";
    let named = std::env::var_os("CODCHI_GUEST").filter(|value| !value.is_empty()).map(PathBuf::from);
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join(NAME));
    named.or_else(beside).unwrap_or_else(|| NAME.into())
}

#[async_trait]
impl Driver for Lazy {
    fn kind(&self) -> DriverKind {
        let is_wsl =
            cfg!(windows) || std::env::var_os("CODCHI_WSL_EXE").is_some_and(|value| !value.is_empty());
        let usual = if is_wsl { DriverKind::Wsl } else { DriverKind::Lxd };
        self.found.get().map_or(self.wanted.unwrap_or(usual), |driver| driver.kind())
    }

    async fn server(&self) -> Result<ServerInfo, DriverError> {
        self.get().await?.server().await
    }

    async fn instances(&self) -> Result<Vec<Instance>, DriverError> {
        self.get().await?.instances().await
    }

    async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, DriverError> {
        self.get().await?.instance(name).await
    }

    async fn create(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        self.get().await?.create(name, spec).await
    }

    async fn reconfigure(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        self.get().await?.reconfigure(name, spec).await
    }

    async fn start(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.get().await?.start(name).await
    }

    async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<(), DriverError> {
        self.get().await?.stop(name, grace).await
    }

    async fn delete(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.get().await?.delete(name).await
    }

    async fn rename(&self, name: &InstanceName, to: &InstanceName) -> Result<(), DriverError> {
        self.get().await?.rename(name, to).await
    }

    async fn copy(
        &self,
        from: &InstanceName,
        to: &InstanceName,
        spec: &InstanceSpec,
    ) -> Result<(), DriverError> {
        self.get().await?.copy(from, to, spec).await
    }

    async fn export(
        &self,
        name: &InstanceName,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError> {
        self.get().await?.export(name, archive).await
    }

    async fn import(
        &self,
        name: &InstanceName,
        spec: &InstanceSpec,
        archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
    ) -> Result<(), DriverError> {
        self.get().await?.import(name, spec, archive, size).await
    }

    async fn sweep(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.get().await?.sweep(name).await
    }

    async fn unused_images(&self) -> Result<Vec<Image>, DriverError> {
        self.get().await?.unused_images().await
    }

    async fn delete_image(&self, image: &Image) -> Result<(), DriverError> {
        self.get().await?.delete_image(image).await
    }

    async fn put_file(&self, name: &InstanceName, file: &FileSpec) -> Result<(), DriverError> {
        self.get().await?.put_file(name, file).await
    }

    async fn exec(&self, name: &InstanceName, exec: &Exec) -> Result<Process, DriverError> {
        self.get().await?.exec(name, exec).await
    }

    async fn listen(
        &self,
        name: &InstanceName,
        at: &ListenAt,
    ) -> Result<Option<BoxStream<'static, Connection>>, DriverError> {
        self.get().await?.listen(name, at).await
    }

    async fn volume(&self, name: &InstanceName) -> Result<Option<Volume>, DriverError> {
        self.get().await?.volume(name).await
    }

    async fn create_volume(&self, name: &InstanceName) -> Result<Volume, DriverError> {
        self.get().await?.create_volume(name).await
    }

    async fn delete_volume(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.get().await?.delete_volume(name).await
    }

    async fn given_address(&self, name: &InstanceName) -> Result<Option<GivenAddress>, DriverError> {
        self.get().await?.given_address(name).await
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, DriverError>>, DriverError> {
        self.get().await?.events().await
    }
}
