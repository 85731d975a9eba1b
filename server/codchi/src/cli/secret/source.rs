//! Where a secret's value comes from.

use crate::cli::prompt::{self, Reply};
use codchi_machine::{CancellationToken, MachineError, Machines, Scope, Secret};
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// How much of what a command that failed has said is told.
const LAST_LINES: usize = 10;

#[derive(clap::Args)]
pub(super) struct Source {
    /// The value has several lines
    #[arg(long)]
    multiline: bool,
    /// Take what this command prints, e.g. `pass show x`; run with `sh -c`
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["from_file", "multiline"])]
    from_command: Option<String>,
    /// Take what is in this file
    #[arg(long, value_name = "FILE", conflicts_with = "multiline")]
    from_file: Option<PathBuf>,
}

impl Source {
    /// Whether the person is asked.
    pub(super) fn asks(&self) -> bool {
        self.from_command.is_none() && self.from_file.is_none() && std::io::stdin().is_terminal()
    }

    /// The value of the secret `name` of `scope`.
    pub(super) async fn value(
        self,
        machines: &Machines,
        scope: &Scope,
        name: &str,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Secret> {
        if self.asks() {
            return ask(machines, scope, name, self.multiline, cancel).await;
        }
        let Self { from_command, from_file, .. } = self;
        let read = tokio::task::spawn_blocking(move || match (from_command, from_file) {
            (Some(command), _) => printed(&command),
            (None, Some(file)) => std::fs::read(&file).map(Zeroizing::new).map_err(|source| {
                MachineError::Io { action: "Reading", path: file.display().to_string(), source }
            }),
            (None, None) => {
                let mut value = Zeroizing::new(Vec::new());
                let read = std::io::stdin().lock().read_to_end(&mut value);
                read.map(|_| value).map_err(|source| MachineError::Io {
                    action: "Reading",
                    path: "standard input".into(),
                    source,
                })
            }
        });
        let value = tokio::select! {
            () = cancel.cancelled() => return Err(MachineError::Cancelled.into()),
            value = read => value??,
        };
        Ok(Secret::new(without_line_end(&value)).ok_or_else(|| MachineError::User {
            message: format!("The value of {name} holds a NUL byte, which no environment variable can"),
            hint: None,
        })?)
    }
}

async fn ask(
    machines: &Machines,
    scope: &Scope,
    name: &str,
    multiline: bool,
    cancel: &CancellationToken,
) -> anyhow::Result<Secret> {
    let form = machines.secret_form(scope, name).await?.unwrap_or_default();
    let for_whom = match scope {
        Scope::All => "all machines".into(),
        Scope::Machine(machine) => machine.to_string(),
    };
    let prompt = match form.description.as_str() {
        "" => format!("{name} for {for_whom}"),
        description => format!("{name} for {for_whom} ({description})"),
    };
    let reply = tokio::select! {
        () = cancel.cancelled() => Reply::Closed,
        reply = prompt::secret(prompt, form.pattern, multiline || form.multiline) => reply,
    };
    match reply {
        Reply::Given(value) => Ok(value),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => Err(MachineError::User {
            message: "There is no terminal to ask for the value".into(),
            hint: Some(format!("Pipe it in: `… | codchi secret set {name}`.")),
        }
        .into()),
    }
}

/// What a command prints. It may ask the person by itself, as password managers do.
fn printed(command: &str) -> Result<Zeroizing<Vec<u8>>, MachineError> {
    let failed = |message: String| MachineError::User {
        message,
        hint: Some("Run the command by itself to see what it does.".into()),
    };
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", command]).stdin(Stdio::inherit()).stderr(Stdio::piped()).output();
    let output = output.map_err(|e| failed(format!("`sh` cannot be run: {e}")))?;
    let value = Zeroizing::new(output.stdout);
    if output.status.success() {
        return Ok(value);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    let said = if last.is_empty() { String::new() } else { format!(":\n{last}") };
    Err(failed(format!("The command for the value failed ({}){said}", output.status)))
}

/// A single line without its end, which `echo` adds; several lines, such as a key file, are kept as they are.
fn without_line_end(value: &[u8]) -> &[u8] {
    let Some(line) = value.strip_suffix(b"\n") else { return value };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.contains(&b'\n') { value } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_single_line_is_not_part_of_the_value() {
        assert_eq!(without_line_end(b"value\n"), b"value");
        assert_eq!(without_line_end(b"value\r\n"), b"value");
        assert_eq!(without_line_end(b" value \n"), b" value ");
        assert_eq!(without_line_end(b"value"), b"value");
        assert_eq!(without_line_end(b"a\nb\n"), b"a\nb\n");
        assert_eq!(without_line_end(b"\n"), b"");
    }

    #[test]
    fn a_command_that_fails_is_told_with_what_it_said_and_not_with_what_it_printed() {
        assert_eq!(printed("printf 'a b'").unwrap().as_slice(), b"a b");
        let error = printed("echo sesame; echo no such entry >&2; exit 3").unwrap_err().to_string();
        assert!(
            error.contains("no such entry") && error.contains('3') && !error.contains("sesame"),
            "{error}"
        );
    }
}
