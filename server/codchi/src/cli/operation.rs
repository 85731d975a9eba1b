//! What all operations on machines have in common on the command line.

use super::front::TerminalFront;
use super::output;
use super::signals::Signals;
use crate::context::Context;
use codchi_machine::{CancellationToken, MachineError, Machines};
use std::process;

/// How an operation talks to the person.
#[derive(clap::Args, Clone, Copy, Default)]
pub(crate) struct Talk {
    /// Answer yes to every question of yes or no
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show the log while it runs
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// Runs an operation; Ctrl-C cancels it, and then it undoes what it did.
pub(crate) async fn run<T>(
    context: &Context,
    talk: Talk,
    work: impl AsyncFnOnce(&Machines, &TerminalFront, &CancellationToken) -> Result<T, MachineError>,
) -> anyhow::Result<T> {
    let cancel = cancelled_by_signals()?;
    let front = TerminalFront::new(talk.yes, talk.verbose, cancel.clone());
    Ok(work(&context.machines(), &front, &cancel).await?)
}

/// A token that the first Ctrl-C (or SIGTERM, SIGHUP) cancels. The second ends the process at once.
pub(crate) fn cancelled_by_signals() -> anyhow::Result<CancellationToken> {
    let cancel = CancellationToken::new();
    let (mut signals, cancelled) = (Signals::new()?, cancel.clone());
    tokio::spawn(async move {
        loop {
            signals.next().await;
            if cancelled.is_cancelled() {
                super::terminal::restore();
                process::exit(i32::from(super::INTERRUPTED));
            }
            cancelled.cancel();
            let _ = output::error("Cancelled; undoing … (press Ctrl-C again to stop at once)");
        }
    });
    Ok(cancel)
}
