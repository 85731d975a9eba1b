//! The instance: created, configured, started, stopped, deleted, switched.

use crate::capabilities::{self, Lack};
use crate::files::make_folder;
use crate::instance::{Parts, explain_refusal, missing_sources, own_instance, spec};
use crate::run::{Outcome, Run};
use crate::store::machine_roots;
use crate::{MachineError, Operation, StoreKind};
use codchi_driver::{Driver, DriverError, Exec, Instance, InstanceSpec, RunState, ServerInfo};
use std::time::Duration;

/// How long a machine may take to shut down before it is forced.
const GRACE: Duration = Duration::from_secs(30);

impl Run<'_> {
    pub(super) fn driver(&self) -> &dyn Driver {
        self.machines.driver().as_ref()
    }

    pub(crate) async fn own_instance(&self) -> Result<Option<Instance>, MachineError> {
        Ok(own_instance(self.driver(), &self.instance, &self.definition).await?)
    }

    pub(crate) async fn is_running(&self) -> Result<bool, MachineError> {
        Ok(self.own_instance().await?.is_some_and(|i| i.state == RunState::Running))
    }

    pub(super) async fn spec(&self) -> Result<(InstanceSpec, ServerInfo), MachineError> {
        if let Some(missing) = missing_sources(&self.definition) {
            return Err(MachineError::User {
                message: format!("{} is not there, and the machine is to have it", missing.display()),
                hint: Some("`codchi doctor` says what is missing on this computer.".into()),
            });
        }
        let server = self.driver().server().await?;
        let volume = match self.definition.store {
            StoreKind::Host => None,
            StoreKind::Instance => {
                make_folder(&machine_roots(self.machines.paths(), &self.name))?;
                Some(self.machines.store_volume().await?)
            }
        };
        let (host, permissions) = (self.machines.host(), self.folder.permissions()?);
        let parts = Parts {
            name: &self.name,
            definition: &self.definition,
            generation: self.target()?,
            server: &server,
            host: &host,
            permissions: &permissions,
            paths: self.machines.paths(),
            volume: volume.as_ref(),
        };
        Ok((spec(&parts)?, server))
    }

    /// [`Step::CreateInstance`](crate::Step::CreateInstance).
    pub(crate) async fn create_instance(&mut self) -> Result<Outcome, MachineError> {
        let (spec, server) = self.spec().await?;
        self.driver()
            .create(&self.instance, &spec)
            .await
            .map_err(|e| explain_refusal(e, &self.definition, &server))?;
        Ok(Outcome::Done)
    }

    /// [`Step::Configure`](crate::Step::Configure).
    pub(crate) async fn configure(&mut self) -> Result<Outcome, MachineError> {
        let Some(instance) = self.own_instance().await? else {
            if self.operation() == Operation::Start {
                return Err(MachineError::User {
                    message: format!("The instance of `{}` is gone", self.name),
                    hint: Some(format!("Make it again with `codchi rebuild {}`.", self.name)),
                });
            }
            return Ok(Outcome::Skipped);
        };
        self.start_store().await;
        self.report.works();
        self.tell_what_is_lacking(&instance)?;
        let (spec, server) = self.spec().await?;
        self.driver()
            .reconfigure(&self.instance, &spec)
            .await
            .map_err(|e| explain_refusal(e, &self.definition, &server))?;
        Ok(Outcome::Done)
    }

    /// A machine that is started goes without what this computer does not offer at the moment, and says so. Not so without what the
    /// person has denied: then it stays off until they change their mind, or the module is changed.
    fn tell_what_is_lacking(&self, instance: &Instance) -> Result<(), MachineError> {
        let permissions = self.folder.permissions()?;
        let lacking = capabilities::lacking(&self.target()?.manifest, &permissions, &self.machines.host());
        if self.operation() != Operation::Start || lacking.is_empty() {
            return Ok(());
        }
        let is_denied = lacking.iter().any(|(_, lack)| matches!(lack, Lack::Denied));
        let refusal = capabilities::refusal(&self.name, lacking);
        // One that runs is changed because the person has just denied it something.
        if is_denied && instance.state != RunState::Running {
            return Err(refusal);
        }
        let hint = refusal.hint().unwrap_or_default();
        self.report.warning(&format!("{refusal}. `{}` goes without. {hint}", self.name));
        Ok(())
    }

    /// [`Step::StartInstance`](crate::Step::StartInstance).
    pub(crate) async fn start_instance(&mut self) -> Result<Outcome, MachineError> {
        if let Err(error) = self.driver().start(&self.instance).await {
            let system = &self.target()?.toplevel;
            if self.definition.store == StoreKind::Instance && self.machines.store_lacks(system).await {
                return Err(MachineError::User {
                    message: format!(
                        "The store lost what was in it, and the system of `{}` with it",
                        self.name
                    ),
                    hint: Some(format!("`codchi rebuild {}` builds it anew.", self.name)),
                });
            }
            let server = self.driver().server().await?;
            return Err(explain_refusal(error, &self.definition, &server));
        }
        Ok(Outcome::Done)
    }

    /// Starts the store instance, so that Nix works in the machine. The machine's system works without.
    async fn start_store(&self) {
        if self.definition.store == StoreKind::Host {
            return;
        }
        if let Err(error) = self.machines.store_up(&|what| self.report.info(what), self.cancel).await {
            let hint = error.hint().unwrap_or_default();
            self.report.warning(&format!("Nix will not work in `{}`: {error}. {hint}", self.name));
        }
    }

    /// [`Step::StopInstance`](crate::Step::StopInstance).
    pub(crate) async fn stop_instance(&mut self) -> Result<Outcome, MachineError> {
        match self.own_instance().await {
            Ok(Some(instance)) if instance.state != RunState::Stopped => {}
            // Another instance of this name is none of ours.
            Ok(_) | Err(MachineError::Driver(DriverError::NameTaken { .. })) => return Ok(Outcome::Skipped),
            Err(error) => return Err(error),
        }
        self.report.works();
        if self.stopped_for_a_while() {
            self.journal.ran = true;
            self.folder.write_journal(&self.journal)?;
        }
        self.driver().stop(&self.instance, GRACE).await?;
        Ok(Outcome::Done)
    }

    /// [`Step::DeleteInstance`](crate::Step::DeleteInstance).
    pub(crate) async fn delete_instance(&mut self) -> Result<Outcome, MachineError> {
        match self.own_instance().await {
            Ok(Some(_)) => {}
            Ok(None) => {
                // Where somebody else deleted it, what the driver keeps beside it is left.
                self.driver().delete(&self.instance).await?;
                return Ok(Outcome::Skipped);
            }
            Err(MachineError::Driver(DriverError::NameTaken { .. })) => return Ok(Outcome::Skipped),
            Err(error) => return Err(error),
        }
        self.report.works();
        self.driver().delete(&self.instance).await?;
        Ok(Outcome::Done)
    }

    /// [`Step::Switch`](crate::Step::Switch).
    pub(crate) async fn switch(&mut self) -> Result<Outcome, MachineError> {
        if !self.is_running().await? {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        let target = self.target()?;
        let program = target.path("bin/switch-to-configuration");
        let exec = Exec::root([program.as_str(), "switch"]);
        let output = self.driver().run(&self.instance, &exec, &[]).await?;
        for line in [&output.stdout, &output.stderr].into_iter().flat_map(|o| lines(o)) {
            self.report.info(&line);
        }
        if output.status.success() {
            // Owners that only the new system knows are there from now on.
            return self.deliver_again().await.map(|()| Outcome::Done);
        }
        let failed = self.failed_units().await;
        if !failed.is_empty() {
            return Err(self.activation_error(&failed).await);
        }
        let message =
            lines(&output.stderr).pop().unwrap_or_else(|| format!("exit code {}", output.status.code));
        Err(MachineError::Inside {
            name: self.name.to_string(),
            action: "Switching to the new generation".into(),
            message,
        })
    }

    /// The units that have failed in the running machine, as far as it can be asked. Those that its system no longer
    /// has, as after a switch that was undone, are forgotten.
    pub(super) async fn failed_units(&self) -> Vec<String> {
        let Ok(target) = self.target() else { return Vec::new() };
        let systemctl = target.path("sw/bin/systemctl");
        let exec = Exec::root([systemctl.as_str(), "--failed", "--plain", "--no-legend", "--full"]);
        let Ok(output) = self.driver().run(&self.instance, &exec, &[]).await else { return Vec::new() };
        let (failed, gone) = units(&lines(&output.stdout));
        if !gone.is_empty() {
            let words = [systemctl, "reset-failed".into(), "--".into()].into_iter().chain(gone);
            if let Err(error) = self.driver().run(&self.instance, &Exec::root(words), &[]).await {
                self.report.info(&error.to_string());
            }
        }
        failed
    }
}

/// Of `systemctl --failed --plain`: the units that there are, and those whose files are gone.
fn units(lines: &[String]) -> (Vec<String>, Vec<String>) {
    let mut units = (Vec::new(), Vec::new());
    for line in lines {
        let mut words = line.split_whitespace();
        let Some(unit) = words.next().map(Into::into) else { continue };
        if words.next() == Some("not-found") { units.1.push(unit) } else { units.0.push(unit) }
    }
    units
}

/// Lines of a command's output, without empty ones.
pub(super) fn lines(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().filter(|l| !l.trim().is_empty()).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_unit_whose_file_is_gone_is_no_unit_of_the_system() {
        let output = b"a.service loaded    failed failed A\nb.service not-found failed failed b.service\n";
        assert_eq!(units(&lines(output)), (vec!["a.service".into()], vec!["b.service".into()]));
    }
}
