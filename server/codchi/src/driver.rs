//! The driver of this computer, connected at its first use.

use async_trait::async_trait;
use codchi_driver::{
    Driver, DriverError, DriverKind, Event, Exec, FileSpec, Instance, InstanceName, InstanceSpec, Process,
    ServerInfo,
};
use futures_util::stream::BoxStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The driver of this computer, connected at its first use: so that nothing waits for an engine that it does not need,
/// and one that is installed later is found by a server that already runs.
pub(crate) struct Lazy {
    wanted: Option<DriverKind>,
    found: OnceLock<Arc<dyn Driver>>,
}

impl Lazy {
    /// Looks for nothing yet.
    pub(crate) fn new(wanted: Option<DriverKind>) -> Self {
        Self { wanted, found: OnceLock::new() }
    }

    fn get(&self) -> Result<&Arc<dyn Driver>, DriverError> {
        match self.found.get() {
            Some(driver) => Ok(driver),
            None => {
                let driver = connect(self.wanted)?;
                Ok(self.found.get_or_init(|| driver))
            }
        }
    }
}

#[async_trait]
impl Driver for Lazy {
    fn kind(&self) -> DriverKind {
        self.found.get().map_or(self.wanted.unwrap_or(DriverKind::Lxd), |driver| driver.kind())
    }

    async fn server(&self) -> Result<ServerInfo, DriverError> {
        self.get()?.server().await
    }

    async fn instances(&self) -> Result<Vec<Instance>, DriverError> {
        self.get()?.instances().await
    }

    async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, DriverError> {
        self.get()?.instance(name).await
    }

    async fn create(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        self.get()?.create(name, spec).await
    }

    async fn reconfigure(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        self.get()?.reconfigure(name, spec).await
    }

    async fn start(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.get()?.start(name).await
    }

    async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<(), DriverError> {
        self.get()?.stop(name, grace).await
    }

    async fn delete(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.get()?.delete(name).await
    }

    async fn put_file(&self, name: &InstanceName, file: &FileSpec) -> Result<(), DriverError> {
        self.get()?.put_file(name, file).await
    }

    async fn exec(&self, name: &InstanceName, exec: &Exec) -> Result<Process, DriverError> {
        self.get()?.exec(name, exec).await
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, DriverError>>, DriverError> {
        self.get()?.events().await
    }
}

fn connect(_wanted: Option<DriverKind>) -> Result<Arc<dyn Driver>, DriverError> {
    Err(DriverError::NotInstalled { searched: "its driver has not landed yet".into() })
}
