//! `codchi doctor`.

use super::output;
use crate::context::Context;
use crate::doctor::{self, Check, InMachine, Offered};
use codchi_machine::MachineName;
use owo_colors::OwoColorize as _;
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Also say what of this computer this machine may have, and whether it works in there
    name: Option<MachineName>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Fails where something is missing without which no machine works.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let checks = doctor::checks(context, self.name.as_ref()).await?;
        if self.json {
            output::json(&checks)?
        } else {
            output::print(&report(&checks))?
        }
        let broken = checks.iter().any(|check| check.required && !check.ok);
        Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// How something is in the machine that was asked about, and what was found of it on this computer.
fn told(offer: &Offered) -> Vec<String> {
    let machine = offer.machine.as_ref().map(|machine| match machine {
        InMachine::Capability(capability) => {
            let works = match capability.works {
                Some(true) => "works",
                Some(false) => "does not work",
                None => "not tried",
            };
            let allowed = if capability.allowed { "allowed" } else { "not allowed" };
            let asked = if capability.required { "required" } else { "optional" };
            format!("in the machine: {asked}, {allowed}, {works}")
        }
        InMachine::HostSecret(secret) => {
            let allowed = match secret.allowed {
                Some(true) => "allowed",
                Some(false) => "denied",
                None => "not answered yet",
            };
            let asked = if secret.asked { "asked for" } else { "not asked for" };
            format!("in the machine: {asked}, {allowed}")
        }
    });
    let found = (!offer.evidence.is_empty()).then(|| format!("found: {}", offer.evidence.join("; ")));
    machine.into_iter().chain(found).collect()
}

fn report(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Check { name, ok, required, message, remedy, offer } in checks {
        let sign = match (ok, required) {
            (true, _) => "✓".green().to_string(),
            (false, true) => "✗".red().to_string(),
            (false, false) => "-".yellow().to_string(),
        };
        let _ = writeln!(text, "{sign} {name:width$}  {message}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "  {:width$}  {remedy}", "");
        }
        for told in offer.iter().flat_map(told) {
            let _ = writeln!(text, "  {:width$}  {}", "", told.dimmed());
        }
    }
    text
}
