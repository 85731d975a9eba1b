//! Volumes: a folder of a distribution, which the others see below `/mnt/wsl` while that distribution runs.

use super::folder::Folder;
use super::folder::Kept;
use super::text::ListedState;
use super::{PREFIX, Wsl, on_disk};
use crate::DriverError;
use crate::types::{InstanceName, Volume};
use std::fs::File;
use std::io::Error;

/// What WSL calls the place where all distributions are: it has none.
const POOL: &str = "wsl";

/// The volume of the distribution in `folder`.
pub(super) fn described(folder: &Folder) -> Volume {
    // The disk has the size of what was once in it: what is in use only the distribution knows, and only while it runs.
    Volume { pool: POOL.into(), used: folder.disk_size() }
}

impl Wsl {
    /// Held while somebody begins to use a volume, so that nobody ends its distribution.
    pub(super) async fn use_volume(&self, name: &InstanceName, action: &str) -> Result<File, DriverError> {
        let failed = |error: Error| DriverError::Engine { action: action.into(), message: error.to_string() };
        let file = self.lock_file(name).map_err(failed)?;
        let locked = tokio::task::spawn_blocking(move || file.lock_shared().map(|()| file)).await;
        locked.unwrap_or_else(|error| Err(Error::other(error))).map_err(failed)
    }

    /// Ends the distributions of volumes that an instance had and nothing that runs has now. That it could not be done is no error.
    pub(super) async fn release_volumes(&self, name: &InstanceName, kept: &Kept) {
        let own = std::iter::once(name.to_string());
        for volume in kept.volumes.iter().cloned().chain(own) {
            let Ok(volume) = InstanceName::new(volume) else { continue };
            if let Err(error) = self.release(&volume).await {
                tracing::debug!(%volume, ?error, "the distribution of a volume runs on");
            }
        }
    }

    async fn release(&self, volume: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "ending";
        let Some(found) = self.find(volume).await?.filter(|found| found.mark.volume && found.running) else {
            return Ok(());
        };
        let file = self.lock_file(volume).map_err(|error| on_disk(ACTION, volume, &error))?;
        if file.try_lock().is_err()
            || self.beside(volume, &found).await?.is_some()
            || !self.users(volume, true).await?.is_empty()
        {
            return Ok(());
        }
        let ended = self.program.say(["--terminate", volume.as_str()]).await;
        ended.map(drop).map_err(|error| error.explain(ACTION, volume))
    }

    /// The distributions whose instances have the volume, or only those that run.
    async fn users(&self, volume: &InstanceName, running: bool) -> Result<Vec<String>, DriverError> {
        let mut users = Vec::new();
        for listed in self.list().await? {
            let Some(name) =
                InstanceName::new(&*listed.name).ok().filter(|name| name.as_str().starts_with(PREFIX))
            else {
                continue;
            };
            let mark = self.folder(&name).mark().map_err(|error| on_disk("looking for", &name, &error))?;
            let kept = mark.and_then(|mark| mark.instance);
            let has = kept.is_some_and(|kept| kept.volumes.iter().any(|of| of == volume.as_str()));
            // The one beside the volume has it only while it runs, which is asked for elsewhere.
            let counts = if running { listed.state == ListedState::Running && name != *volume } else { true };
            if has && counts {
                users.push(listed.name);
            }
        }
        Ok(users)
    }

    /// See [`crate::Driver::delete_volume`].
    pub(super) async fn delete_unused_volume(&self, name: &InstanceName) -> Result<(), DriverError> {
        let Some(found) = self.find(name).await? else { return Ok(()) };
        let action = || format!("deleting the volume {name}");
        if !found.mark.volume {
            return Ok(());
        }
        let mut users = self.users(name, false).await?;
        if found.mark.instance.is_some() && !users.contains(&name.to_string()) {
            users.push(name.to_string());
        }
        if !users.is_empty() {
            let message = format!("the instance {} has it", users.join(" and "));
            return Err(DriverError::Engine { action: action(), message });
        }
        self.unregister(name).await
    }
}
