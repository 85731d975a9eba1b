//! One process of an evaluation.

use super::read::Note;
use super::request::{Known, WHAT, expression};
use super::{Depth, Inspect, Limits};
use crate::process::{Bounds, Ended, Listener, run_within};
use crate::{CancellationToken, Nix, NixError, Position};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// What the memory limit of the operating system has on top of that of Nix's own memory management, which ends with an
/// error that is understood: programs, libraries, the stack, what was set aside and never used.
const SLACK: u64 = 1 << 30;

/// Makes the processes of one evaluation; they share its time.
pub(super) struct Runner<'a> {
    nix: &'a Nix,
    pub(super) inspect: &'a Inspect,
    cancel: &'a CancellationToken,
    end: Instant,
    folders: Vec<String>,
}

/// What a process said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: Result<serde_json::Value, Failed>,
    /// In the order in which they were printed.
    pub(super) notes: Vec<Note>,
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) took: Duration,
}

/// An error of the evaluation; [`NixError::Failed`] without what is about builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) message: String,
    pub(super) position: Option<Position>,
    /// The innermost first.
    pub(super) trace: Vec<(String, Option<Position>)>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(nix: &'a Nix, inspect: &'a Inspect, cancel: &'a CancellationToken) -> Self {
        Self { nix, inspect, cancel, end: Instant::now() + inspect.limits.time, folders: folders() }
    }

    /// Whether a file is neither of codchi nor of nixpkgs.
    pub(super) fn is_users(&self, file: &Path) -> bool {
        !file.starts_with(&self.inspect.codchi) && !file.starts_with(&self.inspect.nixpkgs)
    }

    /// Asks `inspect.nix`.
    pub(super) async fn ask(
        &self,
        known: Known,
        skip: &[Vec<String>],
        only: Option<&[String]>,
    ) -> Result<Answer, NixError> {
        let Limits { time, memory, output } = self.inspect.limits;
        let bounds = Bounds {
            input: expression(self.inspect, known, skip, only)?,
            time: Some((self.end, time)),
            output: Some(output),
            memory: Some(memory.saturating_add(SLACK)),
        };
        let mut notes = Vec::new();
        let mut note = |line: &str| notes.extend(Note::read(line));
        let mut listener = Listener { progress: &mut |_| {}, log: &mut note };
        let started = Instant::now();
        let Ended { status, stdout, mut log } =
            run_within(self.command(memory, only.is_some()), WHAT, bounds, &mut listener, self.cancel)
                .await?;
        let took = started.elapsed();
        let files = log.take_files();
        let result = if status.success() {
            Ok(serde_json::from_slice(&stdout)
                .map_err(|source| NixError::Output { command: WHAT.into(), source })?)
        } else {
            Err(failed(status, log.into_failure().into_error(&status.to_string()), memory)?)
        };
        tracing::debug!(?known, ?only, ?took, ok = result.is_ok(), "evaluated");
        Ok(Answer { result, notes, files, took })
    }

    fn command(&self, memory: u64, is_explained: bool) -> Command {
        let mut command = self.nix.instantiate();
        // A store that keeps nothing: what would be written to it is only named.
        command.args(["--eval", "--strict", "--json", "--store", "dummy://", "-v"]);
        command.args(["--log-format", "internal-json"]);
        // Old versions take seconds to make one, so only where it is read.
        if is_explained || self.inspect.depth == Depth::Full {
            command.arg("--show-trace");
        }
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        // Nothing is fetched or built, and the environment is not read: a machine's own evaluation sees none either.
        command.args(["--option", "restrict-eval", "true", "--option", "allowed-uris", ""]);
        command.args(["--option", "allow-import-from-derivation", "false"]);
        // All files may be read. Older versions take no `/`.
        for folder in &self.folders {
            command.arg("-I").arg(folder);
        }
        command.arg("-").env("NIX_PATH", "");
        command.env("GC_MAXIMUM_HEAP_SIZE", memory.to_string());
        if self.inspect.depth == Depth::Lenient {
            // Without this, Nix sets aside a quarter of the computer's memory, and then clears some of it.
            command.env("GC_INITIAL_HEAP_SIZE", (64_u64 << 20).min(memory).to_string());
        }
        command
    }
}

/// `NAME=/FOLDER` of each folder in which there may be files.
fn folders() -> Vec<String> {
    let entries = fs::read_dir("/").into_iter().flatten().flatten();
    let folders = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !matches!(name.as_str(), "proc" | "sys" | "dev"));
    folders.chain([String::new()]).map(|name| format!("codchi-root-{name}=/{name}")).collect()
}

/// Why a process failed, where that is about what it evaluated.
fn failed(status: std::process::ExitStatus, error: NixError, memory: u64) -> Result<Failed, NixError> {
    use std::os::unix::process::ExitStatusExt as _;
    match error {
        NixError::Failed { message, .. } if is_out_of_memory(&message) => {
            Err(NixError::TooMuchMemory { limit: Some(memory) })
        }
        NixError::Failed { message, position, trace, .. } => match status.signal() {
            None => Ok(Failed { message, position, trace }),
            // The kernel kills the largest process where memory runs out; an allocation that fails aborts.
            Some(9) => Err(NixError::TooMuchMemory { limit: None }),
            Some(6) => Err(NixError::TooMuchMemory { limit: Some(memory) }),
            Some(_) => Err(NixError::Failed { message, position, trace, build: None }),
        },
        other => Err(other),
    }
}

fn is_out_of_memory(message: &str) -> bool {
    ["out of memory", "std::bad_alloc", "Out of memory", "Out of Memory"]
        .iter()
        .any(|text| message.contains(text))
}
