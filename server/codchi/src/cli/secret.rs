//! `codchi secret`.

use super::output;
use super::prompt::{self, Reply};
use crate::context::Context;
use codchi_machine::{MachineError, MachineName, Machines, Scope, VaultError};
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use zeroize::Zeroizing;

#[derive(clap::Args)]
pub(crate) struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Set a secret: asks for its value, or reads it from standard input where that is no terminal
    Set(Set),
    /// List which secrets are set; never their values
    Ls(List),
    /// Forget a secret
    Rm(Remove),
}

#[derive(clap::Args)]
struct Set {
    /// The secret's name, without `CODCHI_`
    name: String,
    /// Only for this machine; else for all that have no value of their own
    #[arg(long)]
    machine: Option<MachineName>,
    /// The value has several lines
    #[arg(long)]
    multiline: bool,
}

#[derive(clap::Args)]
struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Remove {
    /// The secret's name, without `CODCHI_`
    name: String,
    /// The value of this machine only
    #[arg(long)]
    machine: Option<MachineName>,
}

/// One set secret.
#[derive(serde::Serialize)]
struct Listed {
    name: String,
    /// For which machine; for all where there is none.
    machine: Option<MachineName>,
}

impl Secret {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines();
        match self.command {
            Command::Set(set) => set.run(machines).await,
            Command::Ls(list) => list.run(machines).await,
            Command::Rm(remove) => remove.run(machines).await,
        }
    }
}

impl Set {
    async fn run(self, machines: Machines) -> anyhow::Result<ExitCode> {
        let Self { name, machine, multiline } = self;
        let value = if std::io::stdin().is_terminal() {
            let for_whom = machine.as_ref().map_or("all machines".into(), ToString::to_string);
            match prompt::secret(format!("{name} for {for_whom}"), None, multiline).await {
                Reply::Given(value) => value,
                Reply::Closed => return Err(MachineError::Cancelled.into()),
                Reply::CannotAsk => {
                    return Err(MachineError::User {
                        message: "There is no terminal to ask for the value.".into(),
                        hint: Some(format!("Pipe it in: `… | codchi secret set {name}`.")),
                    }
                    .into());
                }
            }
        } else {
            let mut value = Zeroizing::new(Vec::new());
            std::io::stdin().lock().read_to_end(&mut value)?;
            codchi_machine::Secret::new(without_line_end(&value)).ok_or_else(|| MachineError::User {
                message: "A secret's value cannot hold a NUL byte.".into(),
                hint: None,
            })?
        };
        let told = format!("{name} is set.");
        let scope = scope(machine);
        vault(machines, move |machines| machines.vault().set(&scope, &name, &value)).await?;
        output::print(&told)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A single line without its end, which `echo` adds; several lines, such as a key file, are kept as they are.
fn without_line_end(value: &[u8]) -> &[u8] {
    let Some(line) = value.strip_suffix(b"\n") else { return value };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.contains(&b'\n') { value } else { line }
}

impl List {
    async fn run(self, machines: Machines) -> anyhow::Result<ExitCode> {
        let names = vault(machines, |machines| machines.vault().names()).await?;
        let listed: Vec<_> = names
            .into_iter()
            .flat_map(|(scope, names)| {
                let machine = match scope {
                    Scope::All => None,
                    Scope::Machine(machine) => Some(machine),
                };
                names.into_iter().map(move |name| Listed { name, machine: machine.clone() })
            })
            .collect();
        if self.json {
            output::json(&listed)?;
        } else if listed.is_empty() {
            output::print("No secret is set.")?;
        } else {
            let mut rows = vec![vec!["NAME".into(), "FOR".into()]];
            rows.extend(listed.into_iter().map(|Listed { name, machine }| {
                vec![name, machine.map_or("all machines".into(), |machine| machine.to_string())]
            }));
            output::print(&output::table(&rows))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    async fn run(self, machines: Machines) -> anyhow::Result<ExitCode> {
        let Self { name, machine } = self;
        let for_whom = machine.as_ref().map_or("all machines".into(), ToString::to_string);
        let scope = scope(machine);
        let secret = name.clone();
        if vault(machines, move |machines| machines.vault().remove(&scope, &secret)).await? {
            output::print(&format!("{name} is forgotten."))?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(MachineError::User {
            message: format!("{name} is not set for {for_whom}."),
            hint: Some("`codchi secret ls` lists what is set.".into()),
        }
        .into())
    }
}

fn scope(machine: Option<MachineName>) -> Scope {
    machine.map_or(Scope::All, Scope::Machine)
}

/// Does something with the vault, which reads and writes files.
async fn vault<T: Send + 'static>(
    machines: Machines,
    work: impl FnOnce(&Machines) -> Result<T, VaultError> + Send + 'static,
) -> anyhow::Result<T> {
    Ok(tokio::task::spawn_blocking(move || work(&machines)).await?.map_err(MachineError::from)?)
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
}
