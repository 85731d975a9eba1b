//! Into the running machine: secrets and keys, then waiting until it is up, then the init script.

use super::instance::lines;
use crate::capabilities::{self, Given};
use crate::run::{Outcome, Run};
use crate::state::Runtime;
use crate::{MachineError, Secret, delivery, host_secrets, ssh};
use codchi_driver::Exec;
use codchi_host::HostSecret;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a machine may take until all its services are up before the operation goes on without.
const UP_LIMIT: Duration = Duration::from_secs(60);

/// How long a machine that was just started may take until programs of its system can run.
const RUNNABLE_LIMIT: Duration = Duration::from_secs(10);
/// How long the check of capabilities may take; what it has not said until then is not known.
const CHECK_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(20);

/// What tells what was delivered from anything else.
struct Delivered {
    /// The user secrets of the vault.
    secrets: BTreeMap<String, String>,
    /// The user secrets of providers, each with that one's name.
    provided: BTreeMap<String, String>,
    /// What is this computer's.
    host: BTreeMap<HostSecret, String>,
}

impl Run<'_> {
    /// [`Step::Deliver`](crate::Step::Deliver).
    pub(crate) async fn deliver(&mut self) -> Result<Outcome, MachineError> {
        if !self.is_running().await? {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        let Delivered { secrets, provided, host } = self.deliver_now().await?;
        let failed_units = self.wait_until_up().await?;
        let capabilities = Some(self.check_given().await?);
        // Asked again: what was found out holds for the start that it was found out in.
        let Some(instance) = self.own_instance().await? else { return Ok(Outcome::Done) };
        self.folder.write_runtime(&Runtime {
            start: instance.started,
            failed_units,
            secrets: Some(secrets),
            provided,
            host,
            capabilities,
        })?;
        Ok(Outcome::Done)
    }

    /// Delivers anew to a machine that was delivered to since its start.
    pub(super) async fn deliver_again(&mut self) -> Result<(), MachineError> {
        let Delivered { secrets, provided, host } = self.deliver_now().await?;
        // The system that has just been switched to may be the first that can tell.
        let capabilities = Some(self.check_given().await?);
        match self.folder.runtime()? {
            Some(runtime) => {
                let secrets = Some(secrets);
                self.folder.write_runtime(&Runtime { secrets, provided, host, capabilities, ..runtime })
            }
            None => Ok(()),
        }
    }

    /// Hands in the archive of secrets and keys; gives what tells what was in it.
    async fn deliver_now(&mut self) -> Result<Delivered, MachineError> {
        let target = self.target()?.clone();
        self.machines.bridge_up(&self.name).await;
        let (permissions, certificates) =
            (self.folder.permissions()?, &self.machines.options().ca_certificates);
        let given = host_secrets::gather(
            self.definition.driver,
            &self.name,
            &permissions,
            self.machines.vault(),
            certificates,
        )
        .await?;
        let host_secrets::Given { mut extra, digests: host, secrets: tokens, problems } = given;
        self.report.conceal(tokens);
        for problem in problems {
            self.report.warning(&problem);
        }
        let manifest = target.manifest.clone();
        let values = self.values(&manifest).await?;
        let (digests, provided) = (values.digests().clone(), values.provided());
        let (paths, name, here) = (self.machines.paths().clone(), self.name.clone(), self.machines.host());
        // Keys are files, and so is what says who may use a sound server or a display.
        let gathered = tokio::task::spawn_blocking(move || -> Result<_, MachineError> {
            let (values, keys) = (values.into_secrets(), ssh::keys(&paths, &name)?);
            extra.extend(capabilities::extra(&manifest, &permissions, &here));
            let archive = delivery::archive(&manifest, &values, &keys, extra)?;
            Ok((values.into_values().collect::<Vec<Secret>>(), archive))
        });
        let (values, archive) =
            gathered.await.map_err(|e| self.inside("Delivering secrets", &e.to_string()))??;
        self.report.conceal(values);
        if !archive.left_out.is_empty() {
            self.report.warning(&format!(
                "Too long for environment variables, with which no program would start, and not in `{}` as such: {}.",
                self.name,
                archive.left_out.join(", ")
            ));
        }
        let exec = Exec::root([target.path("sw/bin/codchi-receive")]);
        let begun = Instant::now();
        let output = loop {
            let output = self.driver().run(&self.instance, &exec, &archive.bytes).await?;
            if output.status.success() {
                return Ok(Delivered { secrets: digests, provided, host });
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

    /// The capabilities that the machine has, and whether they work in it.
    async fn check_given(&self) -> Result<Given, MachineError> {
        let target = self.target()?;
        let (driver, permissions) = (self.definition.driver, self.folder.permissions()?);
        let arguments =
            capabilities::arguments(driver, &target.manifest, &permissions, &self.machines.host());
        if arguments.is_empty() {
            return Ok(Given::new());
        }
        let program = [target.path("sw/bin/codchi-capabilities")];
        let exec = Exec::root(program.into_iter().chain(arguments.iter().cloned()));
        let output = tokio::time::timeout(CHECK_LIMIT, self.driver().run(&self.instance, &exec, &[])).await;
        // A system of an earlier codchi has no such program.
        let output = output.ok().and_then(Result::ok).filter(|output| output.status.success());
        let said = output.map(|output| lines(&output.stdout).join("\n")).unwrap_or_default();
        let given = capabilities::found(&arguments, &said);
        for (capability, failed) in &given {
            if let Some(what) = failed {
                let remedy = capabilities::remedy(&self.name, *capability);
                self.report.warning(&format!("{} {remedy}", capabilities::failure(*capability, what)));
            }
        }
        Ok(given)
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
