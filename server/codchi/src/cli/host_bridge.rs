//! `codchi host-bridge`: the process that answers what machines ask of this computer.

use super::signals::Signals;
use crate::context::Context;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct HostBridge {}

impl HostBridge {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        // A terminal that closes, or is interrupted, is nothing to it. One that leads its process group already, as when it is run
        // by hand, stays where it is.
        #[cfg(unix)]
        let _ = rustix::process::setsid();
        let mut signals = Signals::new()?;
        context.machines().serve_bridge(async { _ = signals.next().await }).await?;
        Ok(ExitCode::SUCCESS)
    }
}
