//! How the store is: the JSON of `codchi store --json`.

use super::StoreKind;
use super::place::{Place, is_ready, name};
use super::up::REPAIR;
use crate::state::{MachineFolder, machine_names};
use crate::{MachineError, MachineName, Machines};
use codchi_driver::{Instance, RunState};

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// Which store new machines get.
    pub new_machines: StoreKind,
    /// The store instance's name, and that of its volume.
    pub instance: String,
    /// Whether there is a store instance.
    pub exists: bool,
    /// Whether it runs.
    pub running: bool,
    /// The version of its Nix; `None` where it does not run.
    pub version: Option<String>,
    /// How many bytes its volume takes, where the engine knows that.
    pub used: Option<u64>,
    /// Whether it can be given an address, without which nothing can be fetched into it.
    pub network: bool,
    /// The machines whose systems lie in it.
    pub machines: Vec<MachineName>,
    /// The machines whose systems lie in this computer's own store.
    pub host_machines: Vec<MachineName>,
    /// What is wrong and what to do about it, as sentences; empty where all is well.
    pub problems: Vec<String>,
}

impl Machines {
    /// How the store is; nothing is made or started.
    ///
    /// # Errors
    /// Where the engine or the machines' files cannot be read.
    pub async fn store_status(&self) -> Result<StoreStatus, MachineError> {
        let place = Place::find(self).await?;
        let (instance, volume) =
            (self.driver().instance(&place.name).await?, self.driver().volume(&place.name).await?);
        let running = instance.as_ref().is_some_and(|i| i.state == RunState::Running && is_ready(&i.labels));
        let (machines, host_machines) = self.machines_by_store()?;
        let mut problems = Vec::new();
        let mut version = None;
        match (&instance, &volume) {
            (Some(instance), Some(_)) if !is_ready(&instance.labels) => {
                problems.push("It is being made, or that was interrupted: what needs it next goes on.".into());
            }
            (Some(_), Some(_)) if running => match place.answers().await {
                Ok(()) => {
                    version = self.nix_at_hand(StoreKind::Instance).await.map(|nix| {
                        let codchi_nix::Version(major, minor) = nix.version();
                        format!("{major}.{minor}")
                    });
                }
                Err(error) => problems.push(format!("{error}. {REPAIR}")),
            },
            (Some(_), None) => problems.push(format!("Its volume is gone. {REPAIR}")),
            (None, Some(_)) => problems.push(format!(
                "Its instance is gone, its volume is there: what needs it next makes it again, as does `codchi store repair`. \
                 Until then nothing can be built{}.",
                if machines.is_empty() { "" } else { ", in machines neither" }
            )),
            (None, None) if !machines.is_empty() => {
                problems.push("Instance and volume are gone, and with them the systems of all its machines. `codchi store repair` \
                     makes an empty store; `codchi rebuild` builds each machine's system anew.".into());
            }
            _ => {}
        }
        Ok(StoreStatus {
            new_machines: self.store_of_new().await,
            instance: place.name.to_string(),
            exists: instance.is_some() || volume.is_some(),
            running,
            version,
            network: self.driver().given_address(&place.name).await?.is_some(),
            used: volume.and_then(|volume| volume.used),
            machines,
            host_machines,
            problems,
        })
    }

    /// Whether machines have a store instance, and there is neither that among `instances` nor its volume: then their systems are gone.
    pub(crate) async fn is_store_lost(&self, instances: &[Instance]) -> bool {
        let Ok(name) = name(&self.paths().data) else { return false };
        if instances.iter().any(|instance| instance.name == name)
            || self.machines_by_store().is_ok_and(|(with_it, _)| with_it.is_empty())
        {
            return false;
        }
        matches!(self.driver().volume(&name).await, Ok(None))
    }

    /// The machines in the store instance, and the others.
    pub(super) fn machines_by_store(&self) -> Result<(Vec<MachineName>, Vec<MachineName>), MachineError> {
        let names = machine_names(self.paths())?;
        // One whose files are damaged is taken for one in the store instance: nothing is removed under its feet.
        Ok(names.into_iter().partition(|name| {
            let definition = MachineFolder::new(self.paths(), name).definition();
            !matches!(definition, Ok(Some(definition)) if definition.store == StoreKind::Host)
        }))
    }
}
