//! Fault points: named places between two steps where a test lets the process die, stop or fail. Only in debug builds; a
//! program that is shipped has none of it.
//!
//! `CODCHI_FAULT=ACTION:NAME`, where ACTION is `kill` (the process gets SIGKILL), `stop` (SIGSTOP: a test does something and
//! lets it go on), or `fail` (an error). Names are `OPERATION/STEP/begun` (the journal names the step, nothing of it is
//! done), `OPERATION/STEP/done`, `OPERATION/STEP/undo` (about to be undone), `OPERATION/commit` (all has happened, the journal
//! is still there), and a few within a step. STEP is written as in the plan.

use crate::MachineError;

/// The place called `name`.
///
/// # Errors
/// Where a test wants one.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) -> Result<(), MachineError> {
    use rustix::process::{Signal, getpid, kill_process};
    let Ok(fault) = std::env::var("CODCHI_FAULT") else { return Ok(()) };
    let Some(action) = fault.strip_suffix(name).and_then(|rest| rest.strip_suffix(':')) else {
        return Ok(());
    };
    let sent = match action {
        "kill" => kill_process(getpid(), Signal::KILL),
        "stop" => kill_process(getpid(), Signal::STOP),
        _ => Ok(()),
    };
    if action == "fail" || sent.is_err() {
        return Err(MachineError::User { message: format!("told to fail at {name}"), hint: None });
    }
    Ok(())
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
