//! Arguments of one verb, read as `ArgumentParser` in `src/shared/inc/CommandLine.h` of WSL does.

use crate::failure::Failure;
use crate::raw;

/// What a verb takes.
pub(crate) struct Options<'a> {
    /// Options that stand alone: long name, letter.
    pub(crate) flags: &'a [(&'a str, Option<char>)],
    /// Options with a value.
    pub(crate) values: &'a [(&'a str, Option<char>)],
    /// How many arguments it takes that are no options.
    pub(crate) positions: usize,
}

/// What a verb was given.
#[derive(Debug, Default)]
pub(crate) struct Given {
    flags: Vec<String>,
    values: Vec<(String, String)>,
    pub(crate) positions: Vec<String>,
}

impl Given {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The value given last.
    pub(crate) fn value(&self, option: &str) -> Option<&str> {
        self.values.iter().rev().find(|(name, _)| name == option).map(|(_, value)| &**value)
    }
}

/// Reads `line`, of which the first `skip` arguments are the verb's name.
///
/// # Errors
/// What `wsl.exe` says of an argument that the verb does not take, or of a value that is missing.
pub(crate) fn parse(line: &str, skip: usize, options: &Options<'_>) -> Result<Given, Failure> {
    let all = if line.is_empty() { Vec::new() } else { raw::apart(line) };
    let mut given = Given::default();
    let mut arguments = all.into_iter().skip(skip);
    let mut stop = false;
    while let Some(argument) = arguments.next() {
        if !stop && argument == "--" {
            stop = true;
            continue;
        }
        let named = |(long, short): &&(&str, Option<char>)| {
            argument == *long || short.is_some_and(|letter| argument == format!("-{letter}"))
        };
        let is_option = !stop && argument.len() > 1 && argument.starts_with('-');
        if !is_option {
            if given.positions.len() == options.positions {
                return Err(unknown(&argument));
            }
            given.positions.push(argument);
        } else if let Some((long, _)) = options.flags.iter().find(named) {
            given.flags.push((*long).into());
        } else if let Some((long, _)) = options.values.iter().find(named) {
            let value = arguments.next().ok_or_else(|| {
                Failure::told(
                    &["Wsl"],
                    "E_INVALIDARG",
                    "MessageMissingArgument",
                    &[argument.as_str(), "wsl.exe"],
                )
            })?;
            given.values.push(((*long).into(), value));
        } else if let Some(flags) = together(&argument, options) {
            given.flags.extend(flags);
        } else {
            return Err(unknown(&argument));
        }
    }
    Ok(given)
}

fn unknown(argument: &str) -> Failure {
    Failure::told(&["Wsl"], "E_INVALIDARG", "MessageInvalidCommandLine", &[argument, "wsl.exe"])
}

/// Flags whose letters are written together, as in `-qv`.
fn together(argument: &str, options: &Options<'_>) -> Option<Vec<String>> {
    let letters = argument.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    let flag = |letter: char| options.flags.iter().find(|(_, short)| *short == Some(letter));
    letters.chars().map(|letter| flag(letter).map(|(long, _)| (*long).to_owned())).collect()
}
