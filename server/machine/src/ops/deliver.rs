//! Into the running machine: secrets and keys, then waiting until it is up, then the init script.

use super::instance::lines;
use crate::run::{Outcome, Run};
use crate::state::Runtime;
use crate::{MachineError, Secret, delivery, ssh};
use codchi_driver::Exec;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a machine may take until all its services are up before the operation goes on without.
const UP_LIMIT: Duration = Duration::from_secs(60);

/// How long a machine that was just started may take until programs of its system can run.
const RUNNABLE_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(20);

impl Run<'_> {
    /// [`Step::Deliver`](crate::Step::Deliver).
    pub(crate) async fn deliver(&mut self) -> Result<Outcome, MachineError> {
        if !self.is_running().await? {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        let (secrets, provided) = self.deliver_now().await?;
        let failed_units = self.wait_until_up().await?;
        // Asked again: what was found out holds for the start that it was found out in.
        let Some(instance) = self.own_instance().await? else { return Ok(Outcome::Done) };
        let (start, secrets) = (instance.started, Some(secrets));
        self.folder.write_runtime(&Runtime { start, failed_units, secrets, provided })?;
        Ok(Outcome::Done)
    }

    /// Delivers anew to a machine that was delivered to since its start.
    pub(super) async fn deliver_again(&mut self) -> Result<(), MachineError> {
        let (secrets, provided) = self.deliver_now().await?;
        match self.folder.runtime()? {
            Some(runtime) => {
                self.folder.write_runtime(&Runtime { secrets: Some(secrets), provided, ..runtime })
            }
            None => Ok(()),
        }
    }

    /// Hands in the archive of secrets and keys; gives what tells the vault's values that went from others, and which of the
    /// others are of which provider.
    async fn deliver_now(
        &mut self,
    ) -> Result<(BTreeMap<String, String>, BTreeMap<String, String>), MachineError> {
        let target = self.target()?.clone();
        let manifest = target.manifest.clone();
        let values = self.values(&manifest).await?;
        let (digests, provided) = (values.digests().clone(), values.provided());
        let (paths, name) = (self.machines.paths().clone(), self.name.clone());
        // Keys are files.
        let gathered = tokio::task::spawn_blocking(move || -> Result<_, MachineError> {
            let (values, keys) = (values.into_secrets(), ssh::keys(&paths, &name)?);
            let archive = delivery::archive(&manifest, &values, &keys)?;
            Ok((values.into_values().collect::<Vec<Secret>>(), archive))
        });
        let (values, archive) =
            gathered.await.map_err(|e| self.inside("Delivering secrets", &e.to_string()))??;
        self.report.conceal(values);
        let exec = Exec::root([target.path("sw/bin/codchi-receive")]);
        let begun = Instant::now();
        let output = loop {
            let output = self.driver().run(&self.instance, &exec, &archive).await?;
            if output.status.success() {
                return Ok((digests, provided));
            }
            // An init that has only just begun may not have made yet what the program itself needs to run.
            let cannot_run = matches!(output.status.code, 126 | 127);
            if !cannot_run || begun.elapsed() > RUNNABLE_LIMIT {
                break output;
            }
            tokio::time::sleep(RETRY).await;
        };
        // What the program prints is ours and never a value.
        let message =
            lines(&output.stderr).pop().unwrap_or_else(|| format!("exit code {}", output.status.code));
        Err(self.inside("Delivering secrets", &message))
    }

    /// Waits until the system says that it is up; the units that failed, where it is not all up.
    async fn wait_until_up(&self) -> Result<Vec<String>, MachineError> {
        let systemctl = self.target()?.path("sw/bin/systemctl");
        let exec = Exec::root([systemctl.as_str(), "is-system-running", "--wait"]);
        match tokio::time::timeout(UP_LIMIT, self.driver().run(&self.instance, &exec, &[])).await {
            Err(_) => {
                self.report.warning(&format!(
                    "The machine runs, but not all of its services were up within {} seconds.",
                    UP_LIMIT.as_secs()
                ));
                Ok(Vec::new())
            }
            Ok(output) if output.as_ref().is_ok_and(|o| o.status.success()) => Ok(Vec::new()),
            Ok(output) => {
                let state = output.map(|o| lines(&o.stdout).join(" "))?;
                let failed = self.failed_units().await;
                if failed.is_empty() && state == "degraded" {
                    return Ok(failed);
                }
                self.report.warning(&match failed.is_empty() {
                    true => format!("The machine runs; its system says: {state}."),
                    false => format!("The machine runs, but these units failed: {}.", failed.join(", ")),
                });
                Ok(failed)
            }
        }
    }

    /// [`Step::InitScript`](crate::Step::InitScript).
    pub(crate) async fn init_script(&mut self) -> Result<Outcome, MachineError> {
        let target = self.target()?;
        let script = target.manifest.init_script.clone();
        if script.trim().is_empty() {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        let exec = Exec {
            cwd: Some(self.definition.workspace()),
            ..Exec::root([target.path("sw/bin/codchi-session"), "bash".into(), "-s".into()])
        };
        let output = self.driver().run(&self.instance, &exec, script.as_bytes()).await?;
        for line in [&output.stdout, &output.stderr].into_iter().flat_map(|o| lines(o)) {
            self.report.info(&line);
        }
        if !output.status.success() {
            self.report.warning(&format!(
                "`codchi.initScript` failed with exit code {}; the machine is there, and the log holds what it printed.",
                output.status.code
            ));
        }
        Ok(Outcome::Done)
    }

    fn inside(&self, action: &str, message: &str) -> MachineError {
        MachineError::Inside { name: self.name.to_string(), action: action.into(), message: message.into() }
    }
}
