//! `codchi store`: the store that machines share.

use super::exec::with_pipes;
use super::operation::cancelled_by_signals;
use super::output;
use super::prompt::{self, Reply};
use super::signals::Signals;
use crate::context::Context;
use codchi_machine::{Collected, MachineError, StoreKind, StoreStatus};
use std::fmt::Write as _;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Store {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make the store instance anew around its volume, and compare all that is in the store with its digests
    Repair {
        /// Fetch or build damaged paths again
        #[arg(long)]
        replace: bool,
    },
    /// Take the Nix of this codchi, or of `store-nix` in config.toml, in the place of the one that the store instance has
    Update,
    /// Remove what no generation of a machine, no build in a machine and no running program needs
    Gc {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
    /// Remove the store instance with all that is in its store; there may be no machine in it
    Delete {
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
    /// Run a program of Nix in the store instance, with this process's streams
    #[command(hide = true)]
    Exec {
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

impl Store {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines();
        let Some(command) = self.command else {
            let status = machines.store_status().await?;
            if self.json {
                output::json(&status)?
            } else {
                output::print(&report(&status))?
            }
            return Ok(if status.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        };
        if let Command::Exec { command } = command {
            return exec(context, &command).await;
        }
        let cancel = cancelled_by_signals()?;
        match command {
            Command::Exec { .. } => {}
            Command::Repair { replace } => {
                let damaged = machines.repair_store(replace, &tell, &cancel).await?;
                if !damaged.is_empty() {
                    let (count, list) = (damaged.len(), damaged.join("\n  "));
                    let message = format!("{count} paths in the store are not as they should be:\n  {list}");
                    let hint = (!replace)
                        .then(|| "`codchi store repair --replace` fetches or builds them again.".to_owned());
                    return Err(MachineError::User { message, hint }.into());
                }
                output::print("The store instance runs, and all that is in the store is as it should be.")?;
            }
            Command::Update => {
                machines.update_store(&tell, &cancel).await?;
                let version = machines.store_status().await?.version.unwrap_or_default();
                output::print(&format!("The store instance runs Nix {version}."))?;
            }
            Command::Gc { dry_run, yes } => {
                let garbage = machines.store_garbage(&tell, &cancel).await?;
                output::print(&format!("{} can be removed.", counted(&garbage)))?;
                if dry_run || garbage.paths == 0 {
                    return Ok(ExitCode::SUCCESS);
                }
                if !yes {
                    confirmed("Remove them?", "codchi store gc --yes").await?;
                }
                let freed = machines.collect_store(&tell, &cancel).await?;
                output::print(&format!("{} were removed.", counted(&freed)))?;
            }
            Command::Delete { yes } => {
                if !yes {
                    let question = "Remove the store instance with all that is in its store?";
                    confirmed(question, "codchi store delete --yes").await?;
                }
                machines.remove_store(&tell, &cancel).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks, and is an error where the answer is not yes; `instead` is the command that does not ask.
async fn confirmed(question: &str, instead: &str) -> Result<(), MachineError> {
    match prompt::confirm(question.into(), String::new()).await {
        Reply::Given(true) => Ok(()),
        Reply::Given(false) | Reply::Closed => Err(MachineError::Cancelled),
        Reply::CannotAsk => Err(MachineError::User {
            message: format!("There is no terminal to ask on: {question}"),
            hint: Some(format!("Run `{instead}`.")),
        }),
    }
}

/// Says on standard error what is under way.
fn tell(what: &str) {
    // Where nobody reads it, nobody is told.
    let _ = output::error(&format!("{what} …"));
}

/// Streams, exit code and signals are those of the program.
async fn exec(context: &Context, command: &[String]) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else { return Ok(ExitCode::FAILURE) };
    let mut signals = Signals::new()?;
    let machines = context.machines();
    let process = tokio::select! {
        process = machines.store_exec(program, arguments) => process?,
        _ = signals.next() => return Err(MachineError::Cancelled.into()),
    };
    Ok(ExitCode::from(with_pipes(process, signals).await?))
}

fn report(status: &StoreStatus) -> String {
    let mut text = match status.new_machines {
        StoreKind::Host => "New machines share the store of this computer's own Nix.\n".to_owned(),
        StoreKind::Instance => "New machines share the store of the store instance.\n".to_owned(),
    };
    let names = |names: &[codchi_machine::MachineName]| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let mut rows = Vec::new();
    if !status.host_machines.is_empty() {
        rows.push(("on this computer", names(&status.host_machines)));
    }
    if status.exists || !status.machines.is_empty() {
        let state = match (status.running, &status.version) {
            (true, Some(version)) => format!("{}, running Nix {version}", status.instance),
            (true, None) => format!("{}, running", status.instance),
            (false, _) => format!("{}, not running", status.instance),
        };
        rows.push(("store instance", state));
        if !status.network {
            rows.push((
                "network",
                "none: the engine's default profile has no bridge that the engine manages, with IPv4; nothing can be fetched".into(),
            ));
        }
        rows.extend(status.used.map(|used| ("size", size(used))));
        if !status.machines.is_empty() {
            rows.push(("machines in it", names(&status.machines)));
        }
    }
    for (name, value) in rows {
        let _ = writeln!(text, "{name:17}{value}");
    }
    for problem in &status.problems {
        let _ = writeln!(text, "! {problem}");
    }
    text
}

fn counted(garbage: &Collected) -> String {
    let plural = if garbage.paths == 1 { "" } else { "s" };
    format!("{} path{plural} of {}", garbage.paths, size(garbage.size))
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    let (unit, name) = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .unwrap_or((1, "bytes"));
    if unit == 1 {
        return format!("{bytes} bytes");
    }
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_that_suits_them() {
        assert_eq!([size(0), size(1023), size(1 << 20)], ["0 bytes", "1023 bytes", "1.0 MiB"]);
        assert_eq!(size((5 << 30) + (1 << 29)), "5.5 GiB");
        assert_eq!(counted(&Collected { paths: 1, size: 2048 }), "1 path of 2.0 KiB");
    }

    #[test]
    fn where_the_store_is_comes_first_and_what_is_wrong_last() {
        let status = StoreStatus {
            new_machines: StoreKind::Instance,
            instance: "codchi-store-1".into(),
            exists: true,
            running: true,
            version: Some("2.24".into()),
            network: true,
            used: Some(3 << 20),
            machines: vec!["a".parse().unwrap(), "b".parse().unwrap()],
            host_machines: Vec::new(),
            problems: vec!["Something is wrong.".into()],
        };
        expect_test::expect![[r"
            New machines share the store of the store instance.
            store instance   codchi-store-1, running Nix 2.24
            size             3.0 MiB
            machines in it   a, b
            ! Something is wrong.
        "]]
        .assert_eq(&report(&status));
    }
}
