//! Garbage: what no generation of a machine, no build in a machine and no running program needs.

use super::Tell;
use super::place::{Place, ROOTS, machine_roots};
use super::roots::forget_running;
use crate::instance::{instance_name, own_instance};
use crate::state::MachineFolder;
use crate::{CancellationToken, MachineError, MachineName, Machines};
use codchi_driver::{Exec, RunState};
use std::path::Path;
use tokio::io::AsyncReadExt as _;

/// So many paths are asked for their size at once.
const AT_ONCE: usize = 500;

/// What a collection is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// How many paths nothing needs.
    pub paths: usize,
    /// How many bytes they hold.
    pub size: u64,
}

impl Machines {
    /// What a collection would free. Running machines are asked first what they use of the store, and that is kept.
    ///
    /// # Errors
    /// Any, also where a machine does not say what it uses.
    pub async fn store_garbage(
        &self,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<Collected, MachineError> {
        self.store_up(tell, cancel).await?;
        let place = Place::find(self).await?;
        tokio::select! {
            garbage = async {
                tell("Asking machines what they use");
                for name in self.machines_by_store()?.0 {
                    self.keep_used(&name).await?;
                }
                tell("Looking for what nothing needs");
                place.garbage().await
            } => garbage,
            () = cancel.cancelled() => Err(MachineError::Cancelled),
        }
    }

    /// Frees what [`Machines::store_garbage`] has found, as far as nothing needs it now.
    ///
    /// # Errors
    /// Any.
    pub async fn collect_store(
        &self,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<Collected, MachineError> {
        let found = self.store_garbage(tell, cancel).await?;
        let place = Place::find(self).await?;
        tell("Collecting garbage");
        let left = async {
            place.stream(&place.administer("nix-store", ["--gc"]), "Collecting garbage").await?;
            place.garbage().await
        };
        let left = tokio::select! {
            left = left => left?,
            () = cancel.cancelled() => return Err(MachineError::Cancelled),
        };
        Ok(Collected {
            paths: found.paths.saturating_sub(left.paths),
            size: found.size.saturating_sub(left.size),
        })
    }

    /// Lets a running machine write down what it uses of the store.
    async fn keep_used(&self, name: &MachineName) -> Result<(), MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        let (Some(definition), Some(current)) =
            (folder.definition()?, folder.generations()?.current().cloned())
        else {
            return Ok(());
        };
        let instance = instance_name(name)?;
        let found = own_instance(self.driver().as_ref(), &instance, &definition).await?;
        if found.is_none_or(|found| found.state != RunState::Running) {
            // It has written down what it keeps, and nothing of it runs.
            return forget_running(&machine_roots(self.paths(), name));
        }
        let exec = Exec::root([current.path("sw/bin/codchi-roots"), "--running".into()]);
        let output = self.driver().run(&instance, &exec, &[]).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(MachineError::User {
            message: format!(
                "`{name}` does not say what it uses of the store ({ROOTS}): {}",
                super::up::last_line(&output.stderr)
            ),
            hint: Some(format!("Stop it with `codchi stop {name}`, then try again.")),
        })
    }
}

impl Place<'_> {
    async fn garbage(&self) -> Result<Collected, MachineError> {
        const WHAT: &str = "Looking for garbage";
        let dead = self.stream(&self.administer("nix-store", ["--gc", "--print-dead"]), WHAT).await?;
        let paths: Vec<&str> = dead.lines().filter(|line| line.starts_with("/nix/store/")).collect();
        let mut size = 0;
        for some in paths.chunks(AT_ONCE) {
            // Leftovers of builds have no size that Nix knows: then none of these is counted.
            let arguments = ["--query", "--size"].into_iter().chain(some.iter().copied());
            let sizes = self.stream(&self.administer("nix-store", arguments), WHAT).await.unwrap_or_default();
            size += sizes.lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum::<u64>();
        }
        Ok(Collected { paths: paths.len(), size })
    }

    /// All that a program prints, however much.
    async fn stream(&self, exec: &Exec, what: &str) -> Result<String, MachineError> {
        let mut process = self.driver().exec(&self.name, exec).await?;
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let failed = |error| crate::files::io_error("Reading", Path::new(what), error);
        let (read, told) =
            tokio::join!(process.stdout.read_to_end(&mut output), process.stderr.read_to_end(&mut errors));
        read.and(told).map_err(failed)?;
        if process.exit.as_mut().await?.success() {
            return Ok(String::from_utf8_lossy(&output).into_owned());
        }
        let message = super::up::last_line(&errors);
        let hint = crate::explain::hint(&message).map(Into::into);
        Err(MachineError::User { message: format!("{what} failed: {message}"), hint })
    }
}
