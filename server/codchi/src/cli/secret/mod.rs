//! `codchi secret`.

mod dotenv;
mod file;
mod list;
mod source;

use super::front::TerminalFront;
use super::{operation, output};
use crate::context::Context;
use codchi_machine::{
    CancellationToken, Existing, MachineError, MachineName, Machines, Scope, SecretsChange, Turn, not_set,
};
use source::Source;
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Set a secret: asks for its value, or reads it from standard input where that is no terminal
    Set(Set),
    /// Replace the value of a secret that is set by another one
    Rotate(Set),
    /// List which secrets are set, or those of a machine; never their values
    Ls(list::List),
    /// Forget a secret
    Rm(Remove),
    /// Set the secrets of a file of lines `NAME=value` (dotenv)
    Import(file::Import),
    /// Write the values to a file of lines `NAME=value` (dotenv)
    Export(file::Export),
}

/// Whose value it is.
#[derive(clap::Args)]
struct Whose {
    /// Only for this machine; else for all that have no value of their own
    #[arg(long)]
    machine: Option<MachineName>,
}

#[derive(clap::Args)]
struct Set {
    /// The secret's name, without `CODCHI_`
    name: String,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    source: Source,
}

#[derive(clap::Args)]
struct Remove {
    /// The secret's name, without `CODCHI_`
    name: String,
    #[command(flatten)]
    whose: Whose,
}

impl Secret {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines();
        match self.command {
            Command::Set(set) => set.run(&machines, Existing::Replace).await,
            Command::Rotate(set) => set.run(&machines, Existing::Rotate).await,
            Command::Ls(list) => list.run(&machines).await,
            Command::Rm(remove) => remove.run(&machines).await,
            Command::Import(import) => import.run(&machines).await,
            Command::Export(export) => export.run(&machines).await,
        }
    }
}

impl Whose {
    fn scope(self) -> Scope {
        self.machine.map_or(Scope::All, Scope::Machine)
    }
}

impl Set {
    async fn run(self, machines: &Machines, existing: Existing) -> anyhow::Result<ExitCode> {
        let Self { name, whose, source } = self;
        let scope = whose.scope();
        let cancel = operation::cancelled_by_signals()?;
        if existing == Existing::Rotate && !machines.secret_values(&scope).await?.contains_key(&name) {
            return Err(not_set(&scope, &name).into());
        }
        let mut turn = None;
        if source.asks() {
            turn = turn_to_ask(machines, &scope, &name, &cancel).await?;
            if turn.is_none() {
                output::print(&format!("{name} was set meanwhile."))?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        let value = source.value(machines, &scope, &name, &cancel).await?;
        let front = TerminalFront::new(false, false, cancel.clone());
        let values = BTreeMap::from([(name.clone(), value)]);
        let change = machines.set_secrets(&scope, values, existing, &front, &cancel).await?;
        drop((front, turn));
        let done = if existing == Existing::Rotate { "has a new value" } else { "is set" };
        output::print(&with_delivered(format!("{name} {done}."), &change))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The turn to ask the person; `None` where somebody else was asked meanwhile and the secret has another value since.
async fn turn_to_ask(
    machines: &Machines,
    scope: &Scope,
    name: &str,
    cancel: &CancellationToken,
) -> Result<Option<Turn>, MachineError> {
    let wait = || {
        let _ = output::error(&format!("{name} is being asked for elsewhere; waiting for the answer …"));
    };
    machines.turn_to_ask(scope, name, wait, cancel).await
}

/// What was done, and which machines have it.
fn with_delivered(done: String, change: &SecretsChange) -> String {
    if change.delivered.is_empty() {
        return done;
    }
    let machines: Vec<&str> = change.delivered.iter().map(MachineName::as_str).collect();
    format!("{done} Delivered to {}.", machines.join(", "))
}

impl Remove {
    async fn run(self, machines: &Machines) -> anyhow::Result<ExitCode> {
        let Self { name, whose } = self;
        let scope = whose.scope();
        let cancel = operation::cancelled_by_signals()?;
        let front = TerminalFront::new(false, false, cancel.clone());
        let change = machines.remove_secret(&scope, &name, &front, &cancel).await?;
        drop(front);
        let Some(change) = change else { return Err(not_set(&scope, &name).into()) };
        output::print(&with_delivered(format!("{name} is forgotten."), &change))?;
        Ok(ExitCode::SUCCESS)
    }
}
