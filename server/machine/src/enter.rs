//! Getting into a machine: commands, SSH, editors.
//!
//! The way in is short, since people wait for it at every command: small state files, one question to the engine, the
//! command. No Nix, no lock; only a machine that is not ready is started, under its lock as any operation.

use crate::instance::{instance_name, is_own};
use crate::state::{Definition, Generation, MachineFolder};
use crate::{
    Answer, Attach, CancellationToken, Event, ExecRequest, Front, MachineError, MachineName, Machines,
    Question, remembered, ssh,
};
use async_trait::async_trait;
use codchi_driver::{DriverError, DriverKind, Exec, Process, RunState};
use std::time::Duration;

/// How long another process's start or rebuild of the machine is waited for.
const BUSY_LIMIT: Duration = Duration::from_secs(120);
const RETRY: Duration = Duration::from_millis(100);

impl Machines {
    /// Runs a command in a machine, starting the machine first where it is stopped.
    ///
    /// # Errors
    /// Any.
    pub async fn exec(&self, name: &MachineName, request: ExecRequest) -> Result<Process, MachineError> {
        let (definition, generation) = self.ready(name).await?;
        // `codchi-session` becomes the user by itself, and then with all of the user's groups.
        let mut command = if request.root {
            vec![generation.path("sw/bin/bash"), "-l".into()]
        } else {
            vec![generation.path("sw/bin/codchi-session")]
        };
        if request.root && !request.command.is_empty() {
            command.extend(["-c", "exec \"$@\"", "bash"].map(Into::into));
        }
        command.extend(request.command);
        let cwd = request.cwd.unwrap_or_else(|| definition.workspace());
        let exec = Exec {
            command,
            uid: 0,
            gid: 0,
            cwd: Some(cwd),
            environment: request.environment,
            stdio: request.stdio,
        };
        self.exec_ready(name, &exec).await
    }

    /// Runs `sshd -i` in a machine, starting the machine first where it is stopped: the other end of
    /// `codchi ssh-proxy`.
    ///
    /// # Errors
    /// Any.
    pub async fn ssh_proxy(&self, name: &MachineName) -> Result<Process, MachineError> {
        let (_, generation) = self.ready(name).await?;
        self.exec_ready(name, &Exec::root([generation.path("sw/bin/codchi-sshd")])).await
    }

    /// Makes sure that a machine runs and says how to get into it.
    ///
    /// # Errors
    /// Any.
    pub async fn attach(
        &self,
        name: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Attach, MachineError> {
        let (definition, _) = self.built(name)?;
        if !self.is_ready(name, &definition).await? {
            self.start(name, front, cancel).await?;
        } else {
            self.bridge_up(name).await;
        }
        let ssh_host = if remembered::ssh_config_allowed(self.paths(), self.options())? {
            ssh::add_host(self.paths(), name, &self.options().program)?;
            Some(name.host_alias())
        } else {
            None
        };
        let program = self.options().program.display().to_string();
        let remote = match definition.driver {
            DriverKind::Wsl => Some(format!("wsl+{}", name.host_alias())),
            DriverKind::Lxd | DriverKind::Incus => ssh_host.as_ref().map(|host| format!("ssh-remote+{host}")),
        };
        Ok(Attach {
            name: name.clone(),
            ssh_host,
            remote,
            folder: definition.workspace(),
            terminal: vec![program, "exec".into(), name.to_string()],
        })
    }

    async fn exec_ready(&self, name: &MachineName, exec: &Exec) -> Result<Process, MachineError> {
        let instance = instance_name(name)?;
        match self.driver().exec(&instance, exec).await {
            // Stopped between the look and the command.
            Err(DriverError::NotRunning { .. }) => {
                self.start_quietly(name).await?;
                Ok(self.driver().exec(&instance, exec).await?)
            }
            process => Ok(process?),
        }
    }

    /// The machine with its system, running and with its secrets in it.
    async fn ready(&self, name: &MachineName) -> Result<(Definition, Generation), MachineError> {
        let (definition, generation) = self.built(name)?;
        if self.is_ready(name, &definition).await? {
            self.bridge_up(name).await;
            return Ok((definition, generation));
        }
        self.start_quietly(name).await?;
        // Another process may have rebuilt it meanwhile.
        self.built(name)
    }

    fn built(&self, name: &MachineName) -> Result<(Definition, Generation), MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        let Some(definition) = folder.definition()? else { return Err(self.unknown(name)) };
        match folder.generations()?.current() {
            Some(generation) => Ok((definition, generation.clone())),
            None => Err(MachineError::User {
                message: format!("`{name}` is not created yet"),
                hint: Some("Wait until it is; `codchi status` says how far it is.".into()),
            }),
        }
    }

    /// Whether the machine runs and secrets were delivered to this start of it, be it by us or, as for one that was
    /// started with the engine's own tools, by nobody.
    async fn is_ready(&self, name: &MachineName, definition: &Definition) -> Result<bool, MachineError> {
        let instance_name = instance_name(name)?;
        let Some(instance) = self.driver().instance(&instance_name).await? else { return Ok(false) };
        if !is_own(&instance, definition) {
            return Err(DriverError::NameTaken { name: instance_name.to_string() }.into());
        }
        let delivered = MachineFolder::new(self.paths(), name).runtime()?;
        Ok(instance.state == RunState::Running && delivered.is_some_and(|d| d.start == instance.started))
    }

    /// Starts the machine for a command's sake; one that is just being started or rebuilt is waited for.
    async fn start_quietly(&self, name: &MachineName) -> Result<(), MachineError> {
        let begun = tokio::time::Instant::now();
        loop {
            match self.start(name, &Quiet, &CancellationToken::new()).await {
                Err(MachineError::Busy { operation, .. })
                    if ["start", "rebuild"].contains(&operation.as_str()) && begun.elapsed() < BUSY_LIMIT =>
                {
                    tokio::time::sleep(RETRY).await;
                }
                result => return result,
            }
        }
    }
}

/// A front that nobody sits at.
struct Quiet;

#[async_trait]
impl Front for Quiet {
    fn event(&self, _event: Event) {}

    async fn ask(&self, _question: Question) -> Answer {
        Answer::CannotAsk
    }
}
