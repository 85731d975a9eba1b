//! `codchi ssh-proxy`: the other end of `ProxyCommand`.

use super::exec::copy;
use super::output;
use crate::context::Context;
use codchi_driver::Process;
use codchi_machine::{MachineError, MachineName};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct SshProxy {
    /// The machine; started where it is stopped
    name: MachineName,
}

impl SshProxy {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Process { stdin, stdout, stderr, control: _control, exit } =
            context.machines().ssh_proxy(&self.name).await?;
        tokio::spawn(copy(tokio::io::stdin(), stdin));
        let printed = async { output::told(copy(stdout, tokio::io::stdout()).await) };
        let told = async { Ok(copy(stderr, tokio::io::stderr()).await?) };
        let exit = async { Ok(exit.await.map_err(MachineError::from)?) };
        let ((), (), status) = tokio::try_join!(printed, told, exit)?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
