//! One run of `nix-instantiate --eval`, which writes nothing to the store in all versions: how it is called, what it may
//! do and what it may take. All evaluations for the editor go through here.
//!
//! Nothing is built or fetched, and the environment is not read: the same text has the same answer everywhere.

use crate::process::{self, Bounds, Ended, Listener};
use crate::{CancellationToken, Limits, Nix, NixError, Position};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// What it is called in errors.
pub(crate) const WHAT: &str = "nix-instantiate --eval";

/// What the memory limit of the operating system has on top of that of Nix's own memory management, which ends with an
/// error that is understood: programs, libraries, the stack, what was set aside and never used.
const SLACK: u64 = 1 << 30;

/// What is evaluated, and how.
pub(crate) struct Evaluation<'a> {
    /// The expression, for standard input: it may be longer than an argument can be.
    pub(crate) input: Vec<u8>,
    /// The nixpkgs that it reads.
    pub(crate) nixpkgs: &'a Path,
    /// What it may take; its time ends at `end`.
    pub(crate) limits: Limits,
    /// When its time is over.
    pub(crate) end: Instant,
    /// Whether errors have traces. Old versions take seconds to make one.
    pub(crate) has_trace: bool,
    /// Whether little memory is enough to begin with.
    pub(crate) is_small: bool,
    /// Whether everything else goes first.
    pub(crate) background: bool,
}

/// What it gave.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// JSON.
    pub(crate) result: Result<Vec<u8>, Failed>,
    /// The files that were read.
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) took: Duration,
}

/// An error of the evaluation; [`NixError::Failed`] without what is about builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) message: String,
    pub(crate) position: Option<Position>,
    /// The innermost first.
    pub(crate) trace: Vec<(String, Option<Position>)>,
}

impl Nix {
    /// Evaluates; `note` gets each line of the log.
    pub(crate) async fn evaluate(
        &self,
        evaluation: Evaluation<'_>,
        note: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Evaluated, NixError> {
        let command = self.evaluation(&evaluation);
        let Limits { time, memory, output } = evaluation.limits;
        let bounds = Bounds {
            input: evaluation.input,
            time: Some((evaluation.end, time)),
            output: Some(output),
            memory: Some(memory.saturating_add(SLACK)),
            background: evaluation.background,
        };
        let mut listener = Listener { progress: &mut |_| {}, log: note };
        let started = Instant::now();
        let ended = process::run_within(command, WHAT, bounds, &mut listener, cancel).await?;
        let Ended { status, stdout, mut log } = ended;
        let files = log.take_files();
        let result = if status.success() {
            Ok(stdout)
        } else {
            Err(failed(status, log.into_failure().into_error(&status.to_string()), memory)?)
        };
        Ok(Evaluated { result, files, took: started.elapsed() })
    }

    fn evaluation(&self, evaluation: &Evaluation<'_>) -> Command {
        let mut command = self.sibling("nix-instantiate");
        // A store that keeps nothing: what would be written to it is only named.
        command.args(["--eval", "--strict", "--json", "--store", "dummy://", "-v"]);
        command.args(["--log-format", "internal-json"]);
        if evaluation.has_trace {
            command.arg("--show-trace");
        }
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command.args(["--option", "restrict-eval", "true", "--option", "allowed-uris", ""]);
        command.args(["--option", "allow-import-from-derivation", "false"]);
        // All files may be read. Older versions take no `/`.
        for folder in folders(Path::new("/")) {
            command.arg("-I").arg(folder);
        }
        command.arg("-").env("NIX_PATH", "");
        // A garbage collection spares what running processes have in their environment.
        command.env("CODCHI_EVALUATES", evaluation.nixpkgs);
        let memory = evaluation.limits.memory;
        command.env("GC_MAXIMUM_HEAP_SIZE", memory.to_string());
        if evaluation.is_small {
            // Without this, Nix sets aside a quarter of the computer's memory, and then clears some of it.
            command.env("GC_INITIAL_HEAP_SIZE", (64_u64 << 20).min(memory).to_string());
        }
        command
    }
}

/// `NAME=FOLDER` of each folder below `root` in which there may be files, and of `root` itself. Some are links: older
/// versions look for a path as it is written before they follow it.
fn folders(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !matches!(name.as_str(), "proc" | "sys" | "dev"));
    let folder = |name: String| format!("codchi-root-{name}={}", root.join(&name).display());
    names.chain([String::new()]).map(folder).collect()
}

/// Why a process failed, where that is about what it evaluated.
fn failed(status: ExitStatus, error: NixError, memory: u64) -> Result<Failed, NixError> {
    match error {
        NixError::Failed { message, .. } if is_out_of_memory(&message) => {
            Err(NixError::TooMuchMemory { limit: Some(memory) })
        }
        NixError::Failed { message, position, trace, .. } => match signal_of(status) {
            None => Ok(Failed { message, position, trace }),
            // The kernel kills the largest process where memory runs out; an allocation that fails aborts.
            Some(9) => Err(NixError::TooMuchMemory { limit: None }),
            Some(6) => Err(NixError::TooMuchMemory { limit: Some(memory) }),
            Some(_) => Err(NixError::Failed { message, position, trace, build: None }),
        },
        other => Err(other),
    }
}

/// The signal that ended the process.
fn signal_of(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    // What stands for a process that is elsewhere ends with 128 + N for it.
    #[cfg(not(unix))]
    let signal = status.code().map(|code| code - 128).filter(|number| (1..=64).contains(number));
    signal
}

fn is_out_of_memory(message: &str) -> bool {
    ["out of memory", "std::bad_alloc", "Out of memory", "Out of Memory"]
        .iter()
        .any(|text| message.contains(text))
}

impl From<Failed> for NixError {
    fn from(Failed { message, position, trace }: Failed) -> Self {
        Self::Failed { message, position, trace, build: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_are_links_may_be_read_under_both_of_their_names() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/home")).unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("var/home", root.path().join("home")).unwrap();
        let mut found = folders(root.path());
        found.sort();
        let at = |name: &str| format!("codchi-root-{name}={}", root.path().join(name).display());
        assert_eq!(found, [at(""), at("home"), at("var")]);
    }
}
