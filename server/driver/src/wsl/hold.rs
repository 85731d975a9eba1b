//! Starting and stopping. What runs is kept running by a `wsl.exe` that outlives this process.

use super::call::CallError;
use super::folder::Kept;
use super::session::{self, Session};
use super::{Found, Wsl, on_disk};
use crate::DriverError;
use crate::types::{EventKind, InstanceName};
use codchi_guest::{Request, Share, Shutdown, Target};
use serde_json::Value;
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How often it is looked whether what shuts down has ended.
const LOOK: Duration = Duration::from_millis(100);
/// When an init that has not gone down is asked once more: a signal that comes before it is ready for it is lost.
const ASK_AGAIN: Duration = Duration::from_secs(2);

impl Wsl {
    /// Keeps the distribution running, which is started if it does not; with `share`, its volume is there for all. Where this is cancelled, it
    /// runs on.
    async fn hold(&self, name: &InstanceName, share: bool, uses: &[String]) -> Result<(), CallError> {
        let mut command = self.program.command(session::arguments(name));
        command.stderr(Stdio::null()).kill_on_drop(false);
        // What is typed in this terminal is not for it.
        #[cfg(unix)]
        command.process_group(0);
        let limit = self.program.boot_limit();
        let mut session = Session::open_as(command, limit).await?;
        // Whoever uses the volume has begun to by then.
        let idle = self.program.boot_limit().as_secs() * 2;
        let share = share.then(|| Share { name: name.to_string(), idle });
        let held = async {
            session.request(&Request::Hold { share, uses: uses.to_owned() }).await?;
            session.done().await?.map(drop).map_err(CallError::Failed)
        };
        let held = tokio::time::timeout(limit, held).await.unwrap_or(Err(CallError::Hangs(limit)));
        if held.is_err() {
            // It may have ended already.
            let _ = session.child.start_kill();
        }
        held
    }

    /// Makes the volumes of an instance that is about to run be there.
    pub(super) async fn share_volumes(&self, kept: &Kept, action: &str) -> Result<Vec<File>, DriverError> {
        let mut locks = Vec::new();
        for volume in &kept.volumes {
            let gone = || DriverError::Engine {
                action: action.into(),
                message: format!("the volume `{volume}` is gone"),
            };
            let name = InstanceName::new(&**volume).map_err(|_| gone())?;
            locks.push(self.use_volume(&name, action).await?);
            if !self.find(&name).await?.is_some_and(|found| found.mark.volume) {
                return Err(gone());
            }
            self.hold(&name, true, &[])
                .await
                .map_err(|error| error.explain("sharing the volume of", &name))?;
        }
        Ok(locks)
    }

    pub(super) async fn start_found(
        &self,
        name: &InstanceName,
        found: &Found,
        kept: &Kept,
    ) -> Result<(), DriverError> {
        const ACTION: &str = "starting";
        let _used = self.share_volumes(kept, &format!("{ACTION} instance {name}")).await?;
        if found.mark.volume {
            self.renew_guest(name, found).await?;
            self.hold(name, true, &[]).await.map_err(|error| error.explain(ACTION, name))?;
            let was_running = self.beside(name, &Found { running: true, ..found.clone() }).await?.is_some();
            let boot = kept.boot.clone();
            self.ask::<String>(name, ACTION, &Request::StartInstance { boot }, b"").await?;
            if !was_running {
                self.tell(name, EventKind::Started);
            }
            return Ok(());
        }
        if !found.running {
            found.folder.prepare(&kept.boot).map_err(|error| on_disk(ACTION, name, &error))?;
        }
        let held = match self.renew_guest(name, found).await {
            // One that runs may have been started by hand, and end by itself soon.
            Ok(()) => {
                self.hold(name, false, &kept.volumes).await.map_err(|error| self.explain(error, ACTION, name))
            }
            failed => failed,
        };
        if let Err(error) = held {
            if !found.running {
                // Half a system is none.
                let _ = self.program.say(["--terminate", name.as_str()]).await;
            }
            return Err(error);
        }
        if !found.running {
            self.tell(name, EventKind::Started);
        }
        Ok(())
    }

    /// Asks the instance to shut down, and ends it where it has not within `grace`.
    pub(super) async fn stop_found(
        &self,
        name: &InstanceName,
        found: &Found,
        grace: Duration,
    ) -> Result<(), DriverError> {
        const ACTION: &str = "stopping";
        let target = if found.mark.volume { Target::Instance } else { Target::Distribution };
        let end = Instant::now() + grace;
        let mut ask_at = Instant::now();
        while Instant::now() < end {
            if Instant::now() >= ask_at {
                ask_at = Instant::now() + ASK_AGAIN;
                // A `wsl.exe` that hangs gets no more time than the rest.
                let stop = Request::Stop { target, how: Shutdown::Ask };
                let asked = timeout_at(end, self.ask::<Value>(name, ACTION, &stop, b"")).await;
                if !matches!(asked, Ok(Ok(_))) {
                    tracing::debug!(%name, ?asked, "does not hear that it is to stop");
                }
            }
            if !self.runs(name, found).await? {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        if found.mark.volume {
            let kill = Request::Stop { target, how: Shutdown::Kill };
            return self.ask::<Value>(name, ACTION, &kill, b"").await.map(drop);
        }
        let ended = self.program.say(["--terminate", name.as_str()]).await;
        ended.map(drop).map_err(|error| error.explain(ACTION, name))
    }

    async fn runs(&self, name: &InstanceName, found: &Found) -> Result<bool, DriverError> {
        match self.find(name).await? {
            Some(now) if found.mark.volume => Ok(self.beside(name, &now).await?.is_some()),
            now => Ok(now.is_some_and(|now| now.running)),
        }
    }
}
