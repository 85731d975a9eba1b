//! Why options do not evaluate: one process for each, at most two at a time.
//!
//! A lenient evaluation asks for the error once more in a world of which nothing is known. An error that it has there as
//! well is the module's own; one that turns into something unknown may come from what is only partly known, and is none.

use super::process::{Answer, Runner};
use super::request::Known;
use super::{Depth, InspectError};
use crate::NixError;
use crate::evaluate::Failed;
use std::path::Path;

/// How many frames of a trace are kept.
const FRAMES: usize = 40;

/// What is wrong with an option.
pub(super) enum Reason {
    /// Nothing, as far as can be known.
    Unknown,
    Error(Box<InspectError>),
}

/// Asks why `path` does not evaluate.
pub(super) async fn explain(runner: &Runner<'_>, path: &[String]) -> Result<(Reason, Vec<Answer>), NixError> {
    let lenient = [Known::Nothing, Known::NoModules];
    let worlds = if runner.inspect.depth == Depth::Full { &lenient[1..] } else { &lenient };
    let mut answers: Vec<Answer> = Vec::new();
    let mut missing: Option<Failed> = None;
    for &known in worlds {
        let answer = runner.ask(known, &[], Some(path)).await?;
        let failed = answer.result.as_ref().err().cloned();
        answers.push(answer);
        match failed {
            Some(failed) if !failed.is_unknown() => {
                if known == Known::Nothing && failed.is_missing_name() {
                    missing = Some(failed);
                    continue;
                }
                // A name that is missing everywhere is; any other error is another one.
                if missing.is_none_or(|missing| missing.message == failed.message) {
                    return Ok((Reason::Error(Box::new(error(runner, path, &failed))), answers));
                }
                return Ok((Reason::Unknown, answers));
            }
            // It evaluates where less is known, so the error was about what is only partly known.
            _ => return Ok((Reason::Unknown, answers)),
        }
    }
    Ok((Reason::Unknown, answers))
}

/// The error of the evaluation of `path`.
pub(super) fn error(runner: &Runner<'_>, path: &[String], failed: &Failed) -> InspectError {
    let is_users = |file: &Path| runner.is_users(file);
    let option = failed.option().filter(|option| !is_inner(option)).or_else(|| named(path));
    let mut files = failed.files();
    files.retain(|file| is_users(file));
    let frames = failed.trace.iter().filter(|(_, at)| at.as_ref().is_none_or(|at| is_users(&at.file)));
    let mut trace: Vec<String> = frames
        .take(FRAMES)
        .map(|(text, at)| match at {
            Some(at) => format!("{text} (at {}:{}:{})", at.file.display(), at.line, at.column),
            None => text.clone(),
        })
        .collect();
    trace.reverse();
    InspectError { message: failed.message.clone(), option, places: failed.places(is_users), files, trace }
}

/// Whether an option is of the inside of codchi, NixOS or the module system, which nobody sets.
fn is_inner(option: &[String]) -> bool {
    starts_with(option, &["_module"])
        || starts_with(option, &["codchi", "manifest"])
        || starts_with(option, &["system", "build"])
}

/// The option that a path of the evaluation is about.
pub(super) fn named(path: &[String]) -> Option<Vec<String>> {
    if starts_with(path, &["codchi", "manifest"]) {
        return Some([&path[..1], &path[2..]].concat());
    }
    (path.len() > 1 && !is_inner(path)).then(|| path.to_vec())
}

fn starts_with(path: &[String], names: &[&str]) -> bool {
    path.len() >= names.len() && path.iter().zip(names).all(|(name, other)| name == other)
}
