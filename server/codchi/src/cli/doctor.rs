//! `codchi doctor`.

use super::output;
use crate::context::Context;
use crate::doctor::{self, Check};
use owo_colors::OwoColorize as _;
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Fails where something is missing without which no machine works.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let checks = doctor::checks(context).await;
        if self.json {
            output::json(&checks)?
        } else {
            output::print(&report(&checks))?
        }
        let broken = checks.iter().any(|check| check.required && !check.ok);
        Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn report(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Check { name, ok, required, message, remedy } in checks {
        let sign = match (ok, required) {
            (true, _) => "✓".green().to_string(),
            (false, true) => "✗".red().to_string(),
            (false, false) => "-".yellow().to_string(),
        };
        let _ = writeln!(text, "{sign} {name:width$}  {message}");
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "  {:width$}  {remedy}", "");
        }
    }
    text
}
