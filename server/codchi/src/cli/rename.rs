//! `codchi rename`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::MachineName;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Rename {
    /// The machine
    name: MachineName,
    /// Its new name
    to: MachineName,
    #[command(flatten)]
    talk: Talk,
}

impl Rename {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, to, talk } = self;
        operation::run(context, talk, async |machines, front, cancel| {
            machines.rename(&name, &to, front, cancel).await
        })
        .await?;
        output::print(&format!("{name} is {to} now. Its host name follows with the next rebuild."))?;
        Ok(ExitCode::SUCCESS)
    }
}
