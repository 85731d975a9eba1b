//! `codchi rollback`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::MachineName;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Rollback {
    /// The machine
    name: MachineName,
    /// The generation to switch to; the one before the current where none is given
    generation: Option<u32>,
    #[command(flatten)]
    talk: Talk,
}

impl Rollback {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, generation, talk } = self;
        operation::run(context, talk, async |machines, front, cancel| {
            machines.rollback(&name, generation, front, cancel).await
        })
        .await?;
        let machines = context.machines().status().await?;
        let is = super::status::one(machines, &name)?.generation;
        output::print(&format!("{name} is generation {is} now."))?;
        Ok(ExitCode::SUCCESS)
    }
}
