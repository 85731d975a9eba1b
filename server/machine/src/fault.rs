//! Fault points: named places between two steps where a test lets the process die, stop or fail. Only in debug builds; a
//! program that is shipped has none of it.
//!
//! `CODCHI_FAULT` holds one or several of `ACTION:NAME`, where ACTION is `kill` (the process gets SIGKILL), `stop` (SIGSTOP: a
//! test does something and lets it go on), or `fail` (an error), separated by commas; `list:FILE` adds the name of each place
//! that is passed to a file. Names are `OPERATION/STEP/begun` (the journal names the step, nothing of it is
//! done), `OPERATION/STEP/done`, `OPERATION/STEP/undo` (about to be undone), `OPERATION/commit` (all has happened, the journal
//! is still there), and a few within a step. STEP is written as in the plan.

use crate::MachineError;

/// The place called `name`.
///
/// # Errors
/// Where a test wants one.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) -> Result<(), MachineError> {
    let faults = std::env::var("CODCHI_FAULT").unwrap_or_default();
    for (action, of) in faults.split(',').filter_map(|fault| fault.split_once(':')) {
        let is_done = match action {
            "list" => note(std::path::Path::new(of), name),
            "kill" | "stop" if of == name => sent(action),
            "fail" if of == name => false,
            _ => true,
        };
        if !is_done {
            return Err(MachineError::User { message: format!("told to fail at {name}"), hint: None });
        }
    }
    Ok(())
}

/// Sends this process the signal of that name.
#[cfg(all(debug_assertions, unix))]
fn sent(signal: &str) -> bool {
    use rustix::process::{Signal, getpid, kill_process};
    kill_process(getpid(), if signal == "kill" { Signal::KILL } else { Signal::STOP }).is_ok()
}

/// Windows stops no process; one that is killed leaves nothing undone.
#[cfg(all(debug_assertions, not(unix)))]
fn sent(signal: &str) -> bool {
    if signal == "kill" {
        std::process::abort();
    }
    false
}

#[cfg(debug_assertions)]
fn note(file: &std::path::Path, name: &str) -> bool {
    use std::io::Write as _;
    let file = std::fs::File::options().create(true).append(true).open(file);
    file.and_then(|mut file| writeln!(file, "{name}")).is_ok()
}

/// Nothing.
///
/// # Errors
/// None.
#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "it is as it is in debug builds")]
pub(crate) fn point(_name: &str) -> Result<(), MachineError> {
    Ok(())
}
