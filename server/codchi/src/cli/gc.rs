//! `codchi gc`.

use super::generations::age;
use super::operation::{self, Talk};
use super::output;
use super::prompt::{self, Reply};
use crate::context::Context;
use codchi_machine::{Discard, Freed, Garbage, MachineError};
use std::process::ExitCode;

/// So many generations of each machine stay.
pub(crate) const KEPT: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Gc {
    /// Keep the newest so many generations of each machine; the current one and the one that it was started with always stay
    #[arg(long, value_name = "COUNT", default_value_t = KEPT, conflicts_with = "older_than")]
    keep: usize,
    /// Free the generations older than this instead, e.g. 30d, 12h or 4w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<u64>,
    /// Collect the garbage of the Nix store, too: all of this computer's, which is not codchi's alone
    #[arg(long)]
    store: bool,
    /// Only show what would be freed
    #[arg(long)]
    dry_run: bool,
    /// As JSON: what would be freed with --dry-run, else what was
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    talk: Talk,
}

impl Gc {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { keep, older_than, store, dry_run, json, talk } = self;
        let which = older_than.map_or(Discard::AllBut(keep), Discard::OlderThan);
        let paths = context.paths.clone();
        let known = tokio::task::spawn_blocking(move || crate::gc::leftovers(&paths)).await?;
        let garbage = operation::run(context, talk, async |machines, _front, cancel| {
            machines.garbage(&which, store, known, cancel).await
        })
        .await?;
        if dry_run {
            if json {
                output::json(&garbage)?
            } else {
                output::print(&shown(&garbage))?
            }
            return Ok(ExitCode::SUCCESS);
        }
        let freed = if garbage.is_empty() {
            Freed::default()
        } else {
            if !talk.yes {
                confirm(&garbage).await?;
            }
            operation::run(context, talk, async |machines, front, cancel| {
                machines.free(garbage.clone(), front, cancel).await
            })
            .await?
        };
        match (json, garbage.is_empty()) {
            (true, _) => output::json(&freed)?,
            (false, true) => output::print(&shown(&garbage))?,
            (false, false) => output::print(&done(&freed))?,
        }
        Ok(if freed.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn confirm(garbage: &Garbage) -> anyhow::Result<()> {
    match prompt::confirm("Free this?".into(), garbage.lines().join("\n")).await {
        Reply::Given(true) => Ok(()),
        Reply::Given(false) | Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => Err(MachineError::User {
            message: "There is no terminal to ask whether all of this is to be freed.".into(),
            hint: Some("See it with `codchi gc --dry-run`, and free it with `codchi gc --yes`.".into()),
        }
        .into()),
    }
}

/// What would be freed.
fn shown(garbage: &Garbage) -> String {
    let mut lines = garbage.lines();
    if garbage.is_empty() {
        lines.insert(0, "There is nothing to free.".into());
    }
    lines.join("\n")
}

/// What was freed.
fn done(freed: &Freed) -> String {
    std::iter::once("Freed:".to_owned()).chain(freed.lines()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_even_where_there_is_nothing_to_free() {
        let garbage = Garbage { stays: vec!["Images: no engine.".into()], ..Garbage::default() };
        assert_eq!(shown(&garbage), "There is nothing to free.\n! stays: Images: no engine.");
        let freed = Freed { bytes: 2048, failed: vec!["The Nix store: busy.".into()], ..Freed::default() };
        assert_eq!(done(&freed), "Freed:\n- 2.0 KiB of files and images\n! stays: The Nix store: busy.");
    }
}
