//! `codchi exec`: a command in a machine, on the person's terminal or with pipes.

use super::output;
use super::signals::Signals;
use super::terminal::{self, Resized, Restored};
use crate::context::Context;
use codchi_driver::{Process, Stdio};
use codchi_machine::{ExecRequest, MachineError, MachineName};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a command in a machine learns about the person's terminal.
const PASSED_ON: [&str; 3] = ["TERM", "COLORTERM", "LANG"];

/// The exit code of a shell and of `env` for a program that is not there.
const NOT_FOUND: u8 = 127;

#[derive(clap::Args)]
pub(crate) struct Exec {
    /// The machine; started where it is stopped
    name: MachineName,
    /// Run as root
    #[arg(long)]
    root: bool,
    /// The folder in the machine to run it in; the project's where it is not given
    #[arg(long, value_name = "FOLDER")]
    cwd: Option<String>,
    /// The command; a login shell where there is none
    #[arg(trailing_var_arg = true)]
    command: Vec<String>,
}

impl Exec {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let size = (std::io::stdin().is_terminal() && std::io::stdout().is_terminal())
            .then(terminal::size)
            .flatten();
        let request = ExecRequest {
            command: self.command,
            cwd: self.cwd,
            root: self.root,
            environment: environment(),
            stdio: size.map_or(Stdio::Piped, Stdio::Pty),
        };
        let mut signals = Signals::new()?;
        let machines = context.machines();
        let process = tokio::select! {
            process = machines.exec(&self.name, request) => process?,
            _ = signals.next() => return Err(MachineError::Cancelled.into()),
        };
        let code = match size {
            Some(_) => on_terminal(process, signals).await?,
            None => with_pipes(process, signals).await?,
        };
        if code == NOT_FOUND
            && let Some(why) = machines.lost_system(&self.name).await
        {
            eprintln!("{why}");
        }
        Ok(ExitCode::from(code))
    }
}

fn environment() -> BTreeMap<String, String> {
    PASSED_ON
        .into_iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| (name.to_owned(), value)))
        .collect()
}

/// Hands the terminal over to the command until it ends.
async fn on_terminal(process: Process, mut signals: Signals) -> anyhow::Result<u8> {
    let Process { stdin, stdout, control, exit, .. } = process;
    let _restored = Restored::raw();
    let mut resized = Resized::new()?;
    // Ends with the process: nobody can interrupt a read of standard input.
    tokio::spawn(copy(tokio::io::stdin(), stdin));
    let mut shown = tokio::spawn(copy(stdout, tokio::io::stdout()));
    tokio::pin!(exit);
    let status = loop {
        tokio::select! {
            status = &mut exit => break status,
            () = resized.next() => {
                if let Some(size) = terminal::size() {
                    control.resize(size);
                }
            }
            // The terminal is gone, or this process is told to end: so is the command.
            number = signals.next() => return Ok(interrupted_by(number)),
        }
    };
    let _ = (&mut shown).await;
    Ok(exit_code(status.map_err(MachineError::from)?.code))
}

/// Connects the command to our own three pipes until it ends. Signals are passed on; a second one ends us.
pub(super) async fn with_pipes(process: Process, mut signals: Signals) -> anyhow::Result<u8> {
    let Process { stdin, stdout, stderr, control, exit } = process;
    tokio::spawn(copy(tokio::io::stdin(), stdin));
    let done = async {
        let printed = async { output::told(copy(stdout, tokio::io::stdout()).await) };
        let told = async { Ok(copy(stderr, tokio::io::stderr()).await?) };
        let exit = async { Ok(exit.await.map_err(MachineError::from)?) };
        tokio::try_join!(printed, told, exit)
    };
    tokio::pin!(done);
    let mut signalled = false;
    loop {
        tokio::select! {
            done = &mut done => return done.map(|((), (), status)| exit_code(status.code)),
            number = signals.next() => {
                if signalled {
                    return Ok(interrupted_by(number));
                }
                signalled = true;
                control.signal(number);
            }
        }
    }
}

/// Copies to the end of `from`, telling `to` that it is the end.
pub(super) async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}

/// An exit code as a process can have it: the lowest eight bits, as the operating system does it.
fn exit_code(code: i32) -> u8 {
    code.to_le_bytes()[0]
}

fn interrupted_by(signal: i32) -> u8 {
    exit_code(128 + signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_passed_on_as_the_operating_system_has_them() {
        assert_eq!([exit_code(0), exit_code(7), exit_code(255), exit_code(-1)], [0, 7, 255, 255]);
        assert_eq!(interrupted_by(2), 130);
    }
}
