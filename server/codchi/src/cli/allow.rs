//! `codchi allow` and `codchi deny`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::{MachineName, Offer};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Permit {
    /// The machine
    name: MachineName,
    /// Host secrets (ca-certificates, ssh-agent, ssh-keys, git-credentials, tokens) or capabilities; a machine that runs gets or
    /// loses them at once
    #[arg(required = true, value_name = "OFFER")]
    offers: Vec<Offer>,
    #[command(flatten)]
    talk: Talk,
}

impl Permit {
    pub(crate) async fn run(self, context: &Context, allowed: bool) -> anyhow::Result<ExitCode> {
        let Self { name, offers, talk } = self;
        operation::run(context, talk, async |machines, front, cancel| {
            machines.permit(&name, &offers, allowed, front, cancel).await
        })
        .await?;
        let offers: Vec<String> = offers.iter().map(ToString::to_string).collect();
        let may = if allowed { "may have" } else { "may not have" };
        output::print(&format!("{name} {may} {}.", offers.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}
