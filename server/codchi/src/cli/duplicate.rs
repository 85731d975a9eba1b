//! `codchi duplicate`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::MachineName;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Duplicate {
    /// The machine
    name: MachineName,
    /// The copy's name
    to: MachineName,
    #[command(flatten)]
    talk: Talk,
}

impl Duplicate {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, to, talk } = self;
        operation::run(context, talk, async |machines, front, cancel| {
            machines.duplicate(&name, &to, front, cancel).await
        })
        .await?;
        output::print(&format!("{to} is a copy of {name}. Start it with: codchi start {to}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
