//! `codchi doctor`.

use super::output;
use crate::context::Context;
use crate::doctor::{self, CapabilityCheck, Check};
use codchi_machine::MachineName;
use owo_colors::OwoColorize as _;
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Also say which capabilities this machine may have, and whether they work in it
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

/// How a capability is in the machine that was asked about, and what was found of it on this computer.
fn told(capability: &CapabilityCheck) -> Vec<String> {
    let machine = capability.machine.as_ref().map(|machine| {
        let works = match machine.works {
            Some(true) => "works",
            Some(false) => "does not work",
            None => "not tried",
        };
        let allowed = if machine.allowed { "allowed" } else { "not allowed" };
        let asked = if machine.required { "required" } else { "optional" };
        format!("in the machine: {asked}, {allowed}, {works}")
    });
    let found =
        (!capability.evidence.is_empty()).then(|| format!("found: {}", capability.evidence.join("; ")));
    machine.into_iter().chain(found).collect()
}

fn report(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Check { name, ok, required, message, remedy, capability } in checks {
        let sign = match (ok, required) {
            (true, _) => "✓".green().to_string(),
            (false, true) => "✗".red().to_string(),
            (false, false) => "-".yellow().to_string(),
        };
        let _ = writeln!(text, "{sign} {name:width$}  {message}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "  {:width$}  {remedy}", "");
        }
        for told in capability.iter().flat_map(told) {
            let _ = writeln!(text, "  {:width$}  {}", "", told.dimmed());
        }
    }
    text
}
