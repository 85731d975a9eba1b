//! `codchi generations`.

use super::{operation, output};
use crate::context::Context;
use codchi_machine::{Discard, GenerationStatus, MachineName};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Generations {
    /// The machine
    name: MachineName,
    /// As JSON: a list of generations, or of the numbers of those that went
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    discard: Which,
}

/// Which generations are to go; the current one and the one that the machine was started with stay.
#[derive(clap::Args)]
#[group(multiple = false)]
struct Which {
    /// Delete these generations, so that Nix may collect what only they need
    #[arg(long, value_name = "NUMBER", num_args = 1..)]
    delete: Option<Vec<u32>>,
    /// Delete all but the newest so many generations
    #[arg(long, value_name = "COUNT")]
    keep: Option<usize>,
    /// Delete the generations older than this, e.g. 30d, 12h or 4w
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<u64>,
}

impl Which {
    fn discard(self) -> Option<Discard> {
        let Self { delete, keep, older_than } = self;
        delete
            .map(Discard::Numbers)
            .or_else(|| keep.map(Discard::AllBut))
            .or_else(|| older_than.map(Discard::OlderThan))
    }
}

impl Generations {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, json, discard } = self;
        let machines = context.machines();
        match discard.discard() {
            Some(which) => {
                let gone = machines.discard(&name, &which).await?;
                if json { output::json(&gone)? } else { output::print(&told(&gone))? }
            }
            None => {
                let list = machines.generations(&name, &operation::cancelled_by_signals()?).await?;
                if json { output::json(&list)? } else { output::print(&overview(&name, &list))? }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told(gone: &[u32]) -> String {
    match gone {
        [] => "There was nothing to delete.".into(),
        [one] => format!("Generation {one} is deleted."),
        several => {
            let numbers: Vec<String> = several.iter().map(ToString::to_string).collect();
            format!("Generations {} are deleted.", numbers.join(", "))
        }
    }
}

fn overview(name: &MachineName, generations: &[GenerationStatus]) -> String {
    if generations.is_empty() {
        return format!("{name} was never built. `codchi rebuild {name}` does that.");
    }
    let mut rows = vec![["NUMBER", "DATE (UTC)", "CHANGES"].map(ToOwned::to_owned).to_vec()];
    for generation in generations {
        let current = if generation.current { " (current)" } else { "" };
        rows.push(vec![
            format!("{}{current}", generation.number),
            date(generation.created),
            generation.changes(),
        ]);
    }
    output::table(&rows)
}

/// A moment in seconds since 1970 as date and time (UTC).
fn date(seconds: u64) -> String {
    if seconds == 0 {
        return "-".into();
    }
    let moment = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "-".into(), |moment| moment.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Reads an age, as `30d`.
pub(super) fn age(text: &str) -> Result<u64, String> {
    let units = [("w", 604_800), ("d", 86_400), ("h", 3600)];
    let parsed = units
        .iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*seconds));
    parsed.ok_or_else(|| "an age is a number of hours, days or weeks: 12h, 30d, 4w".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_of_the_calendar() {
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_767_225_599), "2025-12-31 23:59");
        assert_eq!(date(0), "-");
    }

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("30d"), Ok(30 * 86_400));
        assert_eq!(age("2w"), Ok(14 * 86_400));
        for wrong in ["30", "d", "-1d", "1y", "99999999999999999999d", "18446744073709551615w"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
