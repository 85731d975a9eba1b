//! Makes sure that the store instance runs.

use super::Tell;
use super::place::{BIN, Place, is_ready};
use crate::instance::Owner;
use crate::state::FileLock;
use crate::{CancellationToken, MachineError, Machines};
use codchi_driver::{Driver, DriverError, Exec, Process, RunState, Volume};
use codchi_nix::inside;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the daemon may take to answer after its start.
const ANSWERS: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(30);

/// What to do where the store instance does not work.
pub(super) const REPAIR: &str =
    "`codchi store repair` makes the store instance anew; what is in the store stays.";

impl Machines {
    /// Makes sure that the store instance runs and its daemon answers: it is made where it is missing, around the volume
    /// where that is there, and started where it is stopped.
    ///
    /// # Errors
    /// Any.
    pub(crate) async fn store_up(
        &self,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let place = Place::find(self).await?;
        let instance = self.driver().instance(&place.name).await?;
        if instance.is_some_and(|i| i.state == RunState::Running && is_ready(&i.labels))
            && place.answers().await.is_ok()
        {
            return Ok(());
        }
        let _lock = self.store_lock(cancel).await?;
        place.unless_cancelled(place.up(tell, cancel), cancel).await
    }

    /// Held by who makes, starts or removes the store instance.
    pub(super) async fn store_lock(&self, cancel: &CancellationToken) -> Result<FileLock, MachineError> {
        // No machine's name begins with a dot.
        FileLock::wait(&self.paths().data.join("locks").join(".store"), cancel).await
    }

    /// Runs a program of Nix in the store instance as the owner of the data folder: the other end of
    /// `codchi store exec`. The instance must run.
    ///
    /// # Errors
    /// Any.
    pub async fn store_exec(&self, program: &str, arguments: &[String]) -> Result<Process, MachineError> {
        let place = Place::find(self).await?;
        let exec = place.command(program, arguments.iter().map(String::as_str));
        self.driver().exec(&place.name, &exec).await.map_err(|error| gone(error, &place))
    }

    /// Whether the store instance runs and knows that `path` is not in its store; where it does not run nothing is known.
    pub(crate) async fn store_lacks(&self, path: &Path) -> bool {
        let Ok(place) = Place::find(self).await else { return false };
        if place.answers().await.is_err() {
            return false;
        }
        let question = place.administer("nix-store", ["--check-validity", &inside(path).to_string_lossy()]);
        let answer = self.driver().run(&place.name, &question, &[]).await;
        answer.is_ok_and(|output| !output.status.success())
    }

    /// The volume of the store instance, for a machine that is to have it.
    ///
    /// # Errors
    /// Where it is not there.
    pub(crate) async fn store_volume(&self) -> Result<Volume, MachineError> {
        let place = Place::find(self).await?;
        let volume = self.driver().volume(&place.name).await?;
        volume.ok_or_else(|| MachineError::User {
            message: format!("The store's volume `{}` is gone, and the machine's system with it", place.name),
            hint: Some(
                "`codchi store repair` makes an empty one; then `codchi rebuild` builds each machine's system anew."
                    .into(),
            ),
        })
    }
}

/// The machine-independent words for an instance that is not there.
fn gone(error: DriverError, place: &Place<'_>) -> MachineError {
    match error {
        DriverError::NotFound { .. } | DriverError::NotRunning { .. } => MachineError::User {
            message: format!("The store instance `{}` does not run", place.name),
            hint: Some("What needs it starts it: `codchi store` says how it is.".into()),
        },
        error => error.into(),
    }
}

impl Place<'_> {
    pub(super) fn driver(&self) -> &dyn Driver {
        self.machines.driver().as_ref()
    }

    /// Does `work`; where that is cancelled, nothing that is half made stays.
    pub(super) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, MachineError>>,
        cancel: &CancellationToken,
    ) -> Result<T, MachineError> {
        tokio::select! {
            done = work => return done,
            () = cancel.cancelled() => {}
        }
        self.undo().await;
        Err(MachineError::Cancelled)
    }

    /// Takes back what is half made. What cannot be taken back goes with the next try.
    async fn undo(&self) {
        let undone = async {
            if self.driver().instance(&self.name).await?.is_some_and(|instance| !is_ready(&instance.labels)) {
                self.driver().delete(&self.name).await?;
            }
            if self.is_unfilled.load(Ordering::Relaxed) {
                self.driver().delete_volume(&self.name).await?;
            }
            Ok::<(), DriverError>(())
        };
        if let Err(error) = undone.await {
            tracing::warn!("a store instance that is half made is left: {error}");
        }
    }

    /// Makes and starts what is missing. Under the lock.
    pub(super) async fn up(&self, tell: Tell<'_>, cancel: &CancellationToken) -> Result<(), MachineError> {
        let instance = self.driver().instance(&self.name).await?;
        let volume = self.driver().volume(&self.name).await?;
        let volume = match (instance, volume) {
            (Some(instance), Some(volume)) if is_ready(&instance.labels) => {
                if instance.state != RunState::Running {
                    tell("Starting the store instance");
                    self.start(&volume).await?;
                }
                return self.answers().await;
            }
            (Some(instance), None) if is_ready(&instance.labels) => {
                self.machines.store_volume().await?;
                return Ok(());
            }
            (instance, volume) => {
                // Left by somebody who was interrupted while filling the volume.
                if instance.is_some() {
                    self.driver().delete(&self.name).await?;
                }
                volume
            }
        };
        match volume {
            // Its instance was deleted. Most often all that it needs is another one.
            Some(volume) => {
                tell("Making the store instance again");
                if self.make(&volume).await.is_ok() && self.answers().await.is_ok() {
                    return Ok(());
                }
                self.driver().delete(&self.name).await?;
                self.fill(&volume, tell, cancel).await?;
                self.make(&volume).await?;
            }
            None => {
                self.is_unfilled.store(true, Ordering::Relaxed);
                let volume = self.driver().create_volume(&self.name).await?;
                if let Err(error) = self.fill(&volume, tell, cancel).await {
                    self.undo().await;
                    return Err(error);
                }
                self.is_unfilled.store(false, Ordering::Relaxed);
                tell("Starting the store instance");
                self.make(&volume).await?;
            }
        }
        self.answers().await
    }

    /// Creates the instance around the volume, and starts it.
    pub(super) async fn make(&self, volume: &Volume) -> Result<(), MachineError> {
        self.driver().create(&self.name, &self.spec(volume)).await?;
        self.start(volume).await
    }

    /// Brings the stopped instance up to date and starts it.
    async fn start(&self, volume: &Volume) -> Result<(), MachineError> {
        let mut spec = self.spec(volume);
        let address = self.driver().given_address(&self.name).await?;
        let resolver = address.as_ref().and_then(|address| address.resolver.clone());
        if let Some(address) = address {
            spec.config.extend(address.config);
            spec.devices.extend(address.devices);
        } else {
            tracing::warn!("the store instance gets no address: what is not in the store cannot be fetched");
        }
        self.driver().reconfigure(&self.name, &spec).await?;
        self.write_system(BIN, resolver.as_deref()).await?;
        self.boot().await
    }

    /// Starts the instance as it is.
    pub(super) async fn boot(&self) -> Result<(), MachineError> {
        self.driver().start(&self.name).await.map_err(|error| self.explain(error))
    }

    /// The engine's refusal to map the data folder's owner, told so that the person can do something about it.
    fn explain(&self, error: DriverError) -> MachineError {
        let owner = Owner::of_data(&self.machines.paths().data);
        match (&error, owner) {
            (DriverError::Engine { message, .. }, Ok(owner))
                if self.access.is_mapped() && owner.is_refused(message) =>
            {
                MachineError::User {
                    message: format!(
                        "The engine may not give the owner of {} to the store instance: {message}",
                        self.machines.paths().data.display()
                    ),
                    hint: Some(format!("Add {} and restart the engine.", owner.subordinate_ids())),
                }
            }
            // LXD's words; the kernel can do it, and the file system of the pool cannot.
            (DriverError::Engine { message, .. }, _)
                if !self.access.is_mapped() && message.contains("idmapping abilities") =>
            {
                MachineError::User {
                    message: format!("The storage pool cannot hold a store that instances share: {message}"),
                    hint: Some(
                        "Let the root disk of the engine's default profile lie in a pool on btrfs, ext4 or xfs.".into(),
                    ),
                }
            }
            _ => error.into(),
        }
    }

    /// Waits until the daemon answers.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) async fn answers(&self) -> Result<(), MachineError> {
        let mut question =
            self.administer("nix-store", ["--check-validity", "/nix/var/nix/profiles/default"]);
        question.environment.insert("NIX_REMOTE".into(), "daemon".into());
        let begun = Instant::now();
        loop {
            let (message, hopeless) = match self.driver().run(&self.name, &question, &[]).await {
                Ok(output) if output.status.success() => return Ok(()),
                Ok(output) => (last_line(&output.stderr), false),
                Err(error @ DriverError::NotRunning { .. }) => (error.to_string(), true),
                Err(error) => return Err(error.into()),
            };
            if hopeless || begun.elapsed() > ANSWERS {
                return Err(MachineError::User {
                    message: format!("Nix does not answer in the store instance `{}`: {message}", self.name),
                    hint: Some(REPAIR.into()),
                });
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Runs `exec` to its end; `what` says in an error what failed.
    pub(super) async fn run(&self, exec: &Exec, input: &[u8], what: &str) -> Result<Vec<u8>, MachineError> {
        let output = self.driver().run(&self.name, exec, input).await?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = last_line(&output.stderr);
        let hint = crate::explain::hint(&message).unwrap_or(REPAIR);
        Err(MachineError::User { message: format!("{what} failed: {message}"), hint: Some(hint.into()) })
    }
}

/// The last line that a program of Nix printed.
pub(super) fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map_or_else(|| "it said nothing".into(), |line| line.trim_start_matches("error: ").to_owned())
}
