//! From the entries of a log to the error that a person reads.

use crate::{FailedBuild, NixError, Position, ansi};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};

/// How many lines of a failed build's log are kept.
const LAST_LINES: usize = 25;
/// How many lines of git are kept.
const GIT_LINES: usize = 3;
/// How much of one line is kept, in bytes.
const LINE_LENGTH: usize = 4096;

/// A message of the log.
#[derive(Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    pub(crate) level: u64,
    #[serde(default)]
    pub(crate) msg: String,
    raw_msg: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    #[serde(default)]
    trace: Vec<TraceEntry>,
}

#[derive(Deserialize)]
struct TraceEntry {
    #[serde(default)]
    raw_msg: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

/// What is known so far about why a run fails.
#[derive(Default)]
pub(crate) struct Failure {
    /// The last error of all, and the first that is about a builder: those that follow it only say that other
    /// derivations need this one.
    last: Option<Entry>,
    builder: Option<(Entry, String)>,
    tails: BTreeMap<String, VecDeque<String>>,
    /// Errors from before the log began, e.g. about arguments.
    plain: String,
    in_plain_error: bool,
    /// Why a git that Nix ran, or the ssh that this git ran, gave up: at most [`GIT_LINES`] lines, the first tell most.
    git: Vec<String>,
}

impl Failure {
    /// A line that is no log entry.
    pub(crate) fn plain_line(&mut self, line: &str) {
        if is_from_git(line) {
            if self.git.len() < GIT_LINES {
                self.git.push(line.strip_prefix("fatal:").unwrap_or(line).trim().to_owned());
            }
            self.in_plain_error = false;
        } else if let Some(message) = line.strip_prefix("error:") {
            self.plain = message.trim().to_owned();
            self.in_plain_error = true;
        } else if line.trim().is_empty() {
            self.in_plain_error = false;
        } else if self.in_plain_error {
            self.plain.push('\n');
            self.plain.push_str(line.trim());
        }
    }

    /// A line that a builder printed.
    pub(crate) fn build_line(&mut self, derivation: &str, mut line: String) {
        line.truncate(line.floor_char_boundary(LINE_LENGTH));
        let tail = self.tails.entry(derivation.to_owned()).or_default();
        if tail.len() == LAST_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }

    /// A message; those that are no errors are passed over.
    pub(crate) fn entry(&mut self, entry: Entry) {
        let text = entry.text();
        let is_trace = entry.raw_msg.is_none() && text.starts_with("trace: ");
        if entry.level > 0 || is_trace || text.starts_with("error (ignored)") {
            return;
        }
        if self.builder.is_none()
            && let Some(derivation) = failed_derivation(&text)
        {
            self.builder = Some((entry, derivation));
        } else {
            self.last = Some(entry);
        }
    }

    /// The error; `status` says how the process ended, for the case that it said nothing itself.
    pub(crate) fn into_error(mut self, status: &str) -> NixError {
        let (entry, build) = match (self.builder, self.last) {
            (Some((entry, derivation)), _) => {
                let mut last_lines: Vec<_> =
                    self.tails.remove(&derivation).unwrap_or_default().into_iter().collect();
                if last_lines.is_empty() {
                    last_lines = quoted_lines(&entry.text());
                }
                (entry, Some(Box::new(FailedBuild { derivation, last_lines })))
            }
            (None, Some(entry)) => (entry, None),
            (None, None) => {
                let message =
                    if self.plain.is_empty() { format!("Nix ended with {status}") } else { self.plain };
                let position = Position::find(&message);
                return NixError::Failed { message, position, trace: Vec::new(), build: None };
            }
        };
        let text = entry.text();
        let position = entry
            .file
            .as_deref()
            .and_then(|file| Position::from_fields(file, entry.line, entry.column))
            .or_else(|| Position::find(&text));
        let trace = entry.trace.iter().map(TraceEntry::read).collect();
        let mut message = first_paragraph(&text);
        // Nix only knows that it failed, git says why.
        let git_failed =
            ["program 'git' failed", "resolving Git reference"].iter().any(|it| message.contains(it));
        if git_failed && !self.git.is_empty() {
            message = format!("git failed: {}", self.git.join("\n"));
        }
        NixError::Failed { message, position, trace, build }
    }
}

impl Entry {
    /// The message without colours, `error:` and, where Nix gives it so, without trace and source excerpt.
    fn text(&self) -> String {
        let text = ansi::strip(self.raw_msg.as_deref().unwrap_or(&self.msg));
        text.trim().strip_prefix("error:").unwrap_or(text.trim()).trim().to_owned()
    }
}

impl TraceEntry {
    fn read(&self) -> (String, Option<Position>) {
        let file = self.file.as_deref();
        let position = file.and_then(|file| Position::from_fields(file, self.line, self.column));
        (ansi::strip(&self.raw_msg).trim().to_owned(), position)
    }
}

/// The derivation of `builder for '…' failed …` (up to Nix 2.29) or `Cannot build '…'. Reason: builder failed …`.
fn failed_derivation(text: &str) -> Option<String> {
    let rest = text.strip_prefix("builder for '").or_else(|| {
        let rest = text.strip_prefix("Cannot build '")?;
        rest.contains("Reason: builder ").then_some(rest)
    })?;
    rest.split_once('\'').map(|(derivation, _)| derivation.to_owned())
}

/// Whether git, or ssh for it, says with this line why it fails.
fn is_from_git(line: &str) -> bool {
    // That one follows from an earlier failure: newer versions of Nix go on without the remote's answer.
    (line.starts_with("fatal:") && !line.contains("Refusing to point HEAD"))
        || line.starts_with("ssh: ")
        || line.ends_with(": Permission denied (publickey).")
        || line == "Host key verification failed."
}

/// The log lines that a message quotes: `> …` each.
fn quoted_lines(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix('>'));
    let mut lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect();
    lines.drain(..lines.len().saturating_sub(LAST_LINES));
    lines
}

/// Up to the first empty line, and of a failed build without the log lines that it quotes.
fn first_paragraph(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let end = paragraph.find(";\n").filter(|&at| paragraph[at..].contains("log lines:"));
    paragraph[..end.unwrap_or(paragraph.len())].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;

    /// The error that a log ends in.
    fn error(text: &str) -> NixError {
        let mut log = Log::default();
        for line in text.trim().lines() {
            log.line(line.trim(), &mut |_| {});
        }
        log.into_failure().into_error("exit status: 1")
    }

    type Trace = Vec<(String, Option<Position>)>;

    fn failed(text: &str) -> (String, Option<Position>, Trace, Option<Box<FailedBuild>>) {
        match error(text) {
            NixError::Failed { message, position, trace, build } => (message, position, trace, build),
            other => panic!("{other:?}"),
        }
    }

    fn at(file: &str, line: u32, column: u32) -> Option<Position> {
        Some(Position { file: file.into(), line, column })
    }

    #[test]
    fn an_evaluation_error_has_its_message_place_and_trace() {
        let (message, position, trace, build) = failed(
            r#"@nix {"action":"msg","level":0,"file":"/s/flake.nix","line":5,"column":28,"msg":"long","raw_msg":"attribute '\u001b[35;1mfoo\u001b[0m' missing","trace":[{"column":25,"file":"/s/flake.nix","line":5,"raw_msg":"while evaluating \u001b[35;1m'f'\u001b[0m"},{"column":null,"file":null,"line":null,"raw_msg":"from call site"}]}"#,
        );
        assert_eq!(message, "attribute 'foo' missing");
        assert_eq!(position, at("/s/flake.nix", 5, 28));
        assert_eq!(
            trace,
            [("while evaluating 'f'".into(), at("/s/flake.nix", 5, 25)), ("from call site".into(), None)]
        );
        assert_eq!(build, None);
    }

    #[test]
    fn a_message_is_its_first_paragraph_with_all_of_its_lines() {
        let (message, ..) = failed(
            r#"@nix {"action":"msg","level":0,"msg":"x","raw_msg":"\nThe option `foo' does not exist. Definition values:\n- In `/a.nix': true\n\nDid you mean `bar'?"}"#,
        );
        assert_eq!(message, "The option `foo' does not exist. Definition values:\n- In `/a.nix': true");
    }

    #[test]
    fn the_builder_that_failed_is_named_not_what_depends_on_it() {
        let (message, _, _, build) = failed(
            r#"@nix {"action":"start","fields":["/nix/store/a-bad.drv","",1,1],"id":3,"level":3,"text":"","type":105}
               @nix {"action":"result","fields":["boom"],"id":3,"type":101}
               @nix {"action":"msg","level":0,"msg":"","raw_msg":"\u001b[35;1m\u001b[0mbuilder for '\u001b[35;1m/nix/store/a-bad.drv\u001b[0m' failed with exit code 3;\n       last 1 log lines:\n       > boom\n       For full logs, run"}
               @nix {"action":"stop","id":3}
               @nix {"action":"msg","level":0,"msg":"","raw_msg":"1 dependencies of derivation '/nix/store/b-top.drv' failed to build"}"#,
        );
        assert_eq!(message, "builder for '/nix/store/a-bad.drv' failed with exit code 3");
        let build = build.unwrap();
        assert_eq!(
            (build.derivation.as_str(), build.last_lines),
            ("/nix/store/a-bad.drv", vec!["boom".into()])
        );
    }

    #[test]
    fn newer_words_for_a_failed_build_and_its_quoted_log_are_read() {
        let (_, _, _, build) = failed(
            r#"@nix {"action":"msg","level":0,"msg":"","raw_msg":"Cannot build '/nix/store/a-bad.drv'.\nReason: builder failed with exit code 3.\nOutput paths:\n  /nix/store/c-bad\nLast 2 log lines:\n> one\n>   two"}
               @nix {"action":"msg","level":0,"msg":"","raw_msg":"Cannot build '/nix/store/b-top.drv'.\nReason: 1 dependency failed."}"#,
        );
        let build = build.unwrap();
        assert_eq!(build.derivation, "/nix/store/a-bad.drv");
        assert_eq!(build.last_lines, ["one", "  two"]);
    }

    #[test]
    fn only_the_last_lines_of_a_build_are_kept() {
        let mut failure = Failure::default();
        for n in 0..100 {
            failure.build_line("/nix/store/a.drv", format!("{n} {}", "ä".repeat(5000)));
        }
        let tail = &failure.tails["/nix/store/a.drv"];
        assert_eq!(tail.len(), LAST_LINES);
        assert!(tail[0].starts_with("75 ") && tail[0].len() <= LINE_LENGTH);
    }

    #[test]
    fn of_a_git_that_failed_its_own_reason_is_told() {
        let (message, ..) = failed(
            r#"fatal: unable to access 'https://x.invalid/a.git/': Could not resolve host: x.invalid
               @nix {"action":"msg","level":0,"msg":"","raw_msg":"program '\u001b[35;1mgit\u001b[0m' failed with exit code 128"}"#,
        );
        assert_eq!(
            message,
            "git failed: unable to access 'https://x.invalid/a.git/': Could not resolve host: x.invalid"
        );
        let (message, ..) = failed(
            r#"ssh: Could not resolve hostname x.invalid: Name or service not known
               fatal: Could not read from remote repository.
               fatal: Refusing to point HEAD outside of refs/
               @nix {"action":"msg","level":0,"msg":"","raw_msg":"resolving Git reference 'master': revspec 'master' not found"}"#,
        );
        assert_eq!(
            message,
            "git failed: ssh: Could not resolve hostname x.invalid: Name or service not known\n\
             Could not read from remote repository."
        );
    }

    #[test]
    fn errors_outside_the_log_and_silence_are_told_too() {
        let (message, ..) = failed("warning: x\nerror: unrecognised flag '--y'\nTry 'nix --help'.\n\nmore");
        assert_eq!(message, "unrecognised flag '--y'\nTry 'nix --help'.");
        let (message, ..) = failed("");
        assert_eq!(message, "Nix ended with exit status: 1");
    }
}
