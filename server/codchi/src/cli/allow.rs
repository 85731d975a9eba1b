//! `codchi allow` and `codchi deny`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use codchi_machine::{MachineName, Offer};
use std::process::ExitCode;

/// Reads the name of an offer; the help, completions and errors list them all.
pub(super) fn offer() -> impl TypedValueParser<Value = Offer> {
    PossibleValuesParser::new(Offer::names()).try_map(|name| name.parse())
}

#[derive(clap::Args)]
pub(crate) struct Permit {
    /// The machine
    name: MachineName,
    /// Host secrets or capabilities; a machine that runs gets or loses them at once
    #[arg(required = true, value_name = "OFFER", value_parser = offer())]
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
