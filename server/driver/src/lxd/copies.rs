//! Instances that are made of others: the steps, with what has to be put right where one fails.

use super::archive::Upload;
use super::temporary::Temporary;
use super::{Lxd, mark};
use crate::DriverError;
use crate::outlive::outlive;
use crate::types::{InstanceName, InstanceSpec};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

impl Lxd {
    /// The instance, which must be ours and stopped.
    async fn require_stopped(&self, name: &InstanceName, action: &str) -> Result<(), DriverError> {
        let stopped = self.require(name, action).await?.stopped;
        if stopped { Ok(()) } else { Err(DriverError::StillRunning { name: name.to_string() }) }
    }

    /// See [`crate::Driver::rename`].
    pub(super) async fn rename_whole(
        &self,
        name: &InstanceName,
        to: &InstanceName,
    ) -> Result<(), DriverError> {
        const ACTION: &str = "renaming";
        self.require_stopped(name, ACTION).await?;
        let taken = || DriverError::NameTaken { name: to.to_string() };
        if name == to {
            // Incus says something else.
            return Err(taken());
        }
        let Err(error) = self.transport.rename_instance(name, to).await else { return Ok(()) };
        if error.is_conflict() {
            return Err(taken());
        }
        // LXD puts its log folder in place after all else, and fails where a hook of the container has just written there. It has
        // happened then (`Rename` in `lxd/instance/drivers/driver_lxc.go` of LXD 5.0).
        let has_happened = error.is_about_logs()
            && self.look(name, ACTION).await.is_ok_and(|old| old.is_none())
            && self.look(to, ACTION).await.is_ok_and(|new| new.is_some());
        if has_happened { Ok(()) } else { Err(error.explain(ACTION, name)) }
    }

    /// See [`crate::Driver::copy`].
    pub(super) async fn copy_whole(
        self,
        from: InstanceName,
        to: InstanceName,
        spec: InstanceSpec,
    ) -> Result<Temporary, DriverError> {
        const ACTION: &str = "copying";
        self.require(&from, ACTION).await?;
        self.transport.copy_instance(&from, &to, &spec).await.map_err(|error| {
            if error.is_conflict() {
                DriverError::NameTaken { name: to.to_string() }
            } else {
                error.explain(ACTION, &from)
            }
        })?;
        let made = Temporary::instance(&self.transport, &to);
        let finished = async {
            let exactly = |config: &mut _, devices: &mut _| mark::replace(&spec, config, devices);
            self.transport.change_instance(&to, exactly).await?;
            self.link_init(&to, &spec).await
        };
        match finished.await {
            Ok(()) => Ok(made),
            Err(error) => {
                made.remove().await;
                Err(error.explain(ACTION, &from))
            }
        }
    }

    /// See [`crate::Driver::export`].
    pub(super) async fn export_whole(
        &self,
        name: &InstanceName,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError> {
        const ACTION: &str = "exporting";
        self.require_stopped(name, ACTION).await?;
        let (transport, instance) = (self.transport.clone(), name.clone());
        let published = outlive(ACTION, name, async move {
            let published = transport.publish(&instance).await;
            let fingerprint = published.map_err(|error| error.explain(ACTION, &instance))?;
            Ok((Temporary::image(&transport, fingerprint.clone()), fingerprint))
        });
        let (image, fingerprint) = published.await?;
        let written = self.transport.download_image(&fingerprint, archive).await;
        image.remove().await;
        written.map_err(|error| error.explain(ACTION, name))
    }

    /// See [`crate::Driver::sweep`].
    pub(super) async fn sweep_whole(&self, name: &InstanceName) -> Result<(), DriverError> {
        let images = self.transport.images_for(name).await;
        for fingerprint in images.map_err(|error| error.explain("looking for images of", name))? {
            match self.transport.delete_image(&fingerprint).await {
                Err(error) if error.is_not_found() => {}
                deleted => deleted.map_err(|error| error.explain("deleting an image of", name))?,
            }
        }
        Ok(())
    }

    /// See [`crate::Driver::import`]. Sends no more of the archive after `cancel`.
    pub(super) async fn import_whole(
        self,
        name: InstanceName,
        spec: InstanceSpec,
        archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
        cancel: CancellationToken,
    ) -> Result<Temporary, DriverError> {
        const ACTION: &str = "importing";
        // Before gigabytes are sent for nothing.
        if self.look(&name, ACTION).await?.is_some() {
            return Err(DriverError::NameTaken { name: name.to_string() });
        }
        let uploaded = self.transport.upload(Upload::new(archive, size, cancel), &name).await;
        let fingerprint = uploaded.map_err(|error| error.explain(ACTION, &name))?;
        let image = Temporary::image(&self.transport, fingerprint.clone());
        let made = self.create_from(&fingerprint, &name, &spec, ACTION).await;
        image.remove().await;
        made
    }
}
