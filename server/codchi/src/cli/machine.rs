//! `codchi rebuild`, `start` and `stop`.

use super::operation::{self, Talk};
use super::output;
use super::update::Update;
use crate::context::Context;
use codchi_machine::MachineName;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Rebuild {
    /// The machine
    name: MachineName,
    /// Take newer revisions of its modules and nixpkgs; without it, those that are locked stay
    #[arg(long)]
    update: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: build the new system, without which packages and units cannot be compared
    #[arg(long, requires = "dry_run")]
    build: bool,
    /// With --dry-run: as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    talk: Talk,
}

#[derive(clap::Args)]
pub(crate) struct Start {
    /// The machine
    name: MachineName,
    #[command(flatten)]
    talk: Talk,
}

#[derive(clap::Args)]
pub(crate) struct Stop {
    /// The machine
    name: MachineName,
    #[command(flatten)]
    talk: Talk,
}

impl Rebuild {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, update, dry_run, build, json, talk } = self;
        if dry_run {
            let preview = operation::run(context, talk, async |machines, front, cancel| {
                machines.preview(&name, build, front, cancel).await
            })
            .await?;
            if json {
                output::json(&preview)?
            } else {
                output::print(&preview.markdown())?
            }
            return Ok(ExitCode::SUCCESS);
        }
        if update {
            let update =
                Update { name: Some(name), module: None, nixpkgs: false, rebuild: true, json: false, talk };
            return update.run(context).await;
        }
        operation::run(context, talk, async |machines, front, cancel| {
            machines.rebuild(&name, front, cancel).await
        })
        .await?;
        output::print(&format!("{name} is rebuilt."))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Start {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        operation::run(context, self.talk, async |machines, front, cancel| {
            machines.start(&self.name, front, cancel).await
        })
        .await?;
        output::print(&format!("{} runs.", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Stop {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        operation::run(context, self.talk, async |machines, front, cancel| {
            machines.stop(&self.name, front, cancel).await
        })
        .await?;
        output::print(&format!("{} is stopped.", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}
