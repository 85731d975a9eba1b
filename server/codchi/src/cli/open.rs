//! `codchi open`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use crate::program;
use anyhow::Context as _;
use codchi_machine::{Attach, MachineName};
use std::process::{Command, ExitCode, Stdio};

#[derive(clap::Args)]
pub(crate) struct Open {
    /// The machine; started where it is stopped
    name: MachineName,
    /// Print how to get in as JSON, and start no editor
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    talk: Talk,
}

impl Open {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let attach = operation::run(context, self.talk, async |machines, front, cancel| {
            machines.attach(&self.name, front, cancel).await
        })
        .await?;
        if self.json {
            output::json(&attach)?;
            return Ok(ExitCode::SUCCESS);
        }
        output::print(&ways(&attach))?;
        if let (Some(remote), Some(code)) = (&attach.remote, program::find("code")) {
            let status = Command::new(&code)
                .args(["--remote", remote, &attach.folder])
                .stdin(Stdio::null())
                .status()
                .with_context(|| format!("running {} failed", code.display()))?;
            anyhow::ensure!(status.success(), "{} ended with {status}", code.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How to get into a machine.
fn ways(attach: &Attach) -> String {
    let mut rows = vec![vec!["Terminal".into(), attach.terminal.join(" ")]];
    if let Some(host) = &attach.ssh_host {
        rows.push(vec!["SSH".into(), format!("ssh {host}")]);
    } else {
        rows.push(vec![
            "SSH".into(),
            "not set up: the ssh config may not be touched ([ssh] config in config.toml)".into(),
        ]);
    }
    if let Some(remote) = &attach.remote {
        rows.push(vec!["VS Code".into(), format!("code --remote {remote} {}", attach.folder)]);
    }
    output::table(&rows)
}
