//! Removes the store instance with all that is in the store.

use super::Tell;
use super::place::Place;
use super::tarball::make_removable;
use crate::files::remove_folder;
use crate::{CancellationToken, MachineError, Machines};

impl Machines {
    /// Removes the store instance, its volume, and the Nix that was fetched for it. There may be no machine in it.
    ///
    /// # Errors
    /// Any, also where there is one.
    pub async fn remove_store(&self, tell: Tell<'_>, cancel: &CancellationToken) -> Result<(), MachineError> {
        let place = Place::find(self).await?;
        let _lock = self.store_lock(cancel).await?;
        let (machines, _) = self.machines_by_store()?;
        if !machines.is_empty() {
            let names: Vec<String> = machines.iter().map(|name| format!("`{name}`")).collect();
            return Err(MachineError::User {
                message: format!("The systems of {} lie in the store instance", names.join(", ")),
                hint: Some("Delete these machines first (`codchi delete`).".into()),
            });
        }
        tell("Removing the store instance");
        self.driver().delete(&place.name).await?;
        self.driver().delete_volume(&place.name).await?;
        let cache = self.paths().cache.join("store");
        make_removable(&cache);
        remove_folder(&cache)
    }
}
