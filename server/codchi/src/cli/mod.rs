//! The command line: one file per command, each thin over `machine` and `ide`.

mod allow;
mod check;
mod clone;
mod completions;
mod create;
mod delete;
mod doctor;
mod duplicate;
mod exec;
mod export;
mod front;
pub(crate) mod gc;
mod generations;
mod host_bridge;
mod import;
mod log;
mod machine;
mod module;
mod nixpkgs;
mod open;
mod operation;
mod output;
mod passphrase;
mod prompt;
mod rename;
mod rollback;
mod secret;
pub(crate) mod signals;
mod ssh_proxy;
pub(crate) mod status;
mod store;
mod terminal;
mod update;
mod vault;

use crate::context::Context;
use crate::error;
use clap::{Parser, Subcommand};
use codchi_machine::{MachineError, Paths};
use output::OutputClosed;
use owo_colors::OwoColorize as _;
use std::process::ExitCode;

/// The exit code where the person interrupted.
const INTERRUPTED: u8 = 130;

/// Turns a repository's codchi module into a working development machine.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 success, 1 failure, 2 wrong command line, 130 interrupted; `exec` passes on the command's own.
Configuration: config.toml in codchi's configuration folder (~/.config/codchi), $CODCHI_NIXPKGS, $CODCHI_LOG.";

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a code machine of a codchi module, and start it
    Create(create::Create),
    /// Create a code machine of a repository's module, and clone the repository into it
    Clone(clone::Clone),
    /// Build a machine's modules anew and switch to the result
    Rebuild(machine::Rebuild),
    /// Switch a machine to another of its generations; one that does not run boots it at its next start
    Rollback(rollback::Rollback),
    /// Show a machine's generations and what changed from one to the next, or delete some
    Generations(generations::Generations),
    /// Free disk space: old generations, leftovers, unused images, and on request the garbage of the Nix store
    Gc(gc::Gc),
    /// Start a machine; one that runs gets its secrets delivered anew
    Start(machine::Start),
    /// Stop a machine
    Stop(machine::Stop),
    /// Lock newer revisions of modules and nixpkgs, and show from what to what
    Update(update::Update),
    /// Add, list, switch and remove the modules of a machine
    Module(module::Module),
    /// Show or choose the nixpkgs of a machine
    Nixpkgs(nixpkgs::Nixpkgs),
    /// Give a machine another name; one that runs is stopped and started again
    Rename(rename::Rename),
    /// Make a copy of a machine with all that is in it
    Duplicate(duplicate::Duplicate),
    /// Write a machine to a file, from which it can be made again here or on another computer
    Export(export::Export),
    /// Make a machine of a file that `codchi export` wrote
    Import(import::Import),
    /// Let a machine have something of this computer: host secrets, capabilities
    Allow(allow::Permit),
    /// Take from a machine what it has of this computer
    Deny(allow::Permit),
    /// Delete a machine; its project folder stays as it is
    Delete(delete::Delete),
    /// Show how the machines are
    #[command(visible_alias = "ls")]
    Status(status::Status),
    /// Run a command, or a login shell, in a machine
    Exec(exec::Exec),
    /// Print the log of the last operation on a machine
    Log(log::Log),
    /// Connect standard input and output to a machine's SSH server (for ssh's ProxyCommand)
    #[command(name = "ssh-proxy")]
    SshProxy(ssh_proxy::SshProxy),
    /// Open a machine in an editor
    Open(open::Open),
    /// Set, list and remove secrets
    Secret(secret::Secret),
    /// Show, protect, repair and restore the vault that secrets are in, and test the providers beside it
    Vault(vault::VaultCommand),
    /// Show the store that machines share, repair it, collect garbage in it
    Store(store::Store),
    /// Say what is wrong in modules
    Check(check::Check),
    /// Say what works on this host, and what to do about what does not
    Doctor(doctor::Doctor),
    /// Answer what machines ask of this computer, until none does any more (started where it is needed)
    #[command(name = "host-bridge", hide = true)]
    HostBridge(host_bridge::HostBridge),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Speak the language server protocol on standard input and output
    Lsp,
}

/// Runs a command and tells what went wrong.
pub(crate) async fn run(command: Command, paths: Paths) -> ExitCode {
    crate::log::start(&paths, None);
    let is_check = matches!(command, Command::Check(_));
    match dispatch(command, paths).await {
        Ok(code) => code,
        Err(error) if error.is::<OutputClosed>() => ExitCode::SUCCESS,
        Err(error) if matches!(error.downcast_ref(), Some(MachineError::Cancelled)) => {
            ExitCode::from(INTERRUPTED)
        }
        // That nothing could be checked is something else than that something was found.
        Err(error) if is_check => {
            let _ = fail(&error);
            ExitCode::from(check::UNREAD)
        }
        Err(error) => fail(&error),
    }
}

async fn dispatch(command: Command, paths: Paths) -> anyhow::Result<ExitCode> {
    // What needs no configuration works with a broken one.
    match command {
        Command::Completions(command) => return command.run(),
        Command::Lsp => return Ok(crate::lsp::serve(paths).await),
        _ => {}
    }
    let context = Context::load(paths)?;
    match command {
        Command::Create(command) => command.run(&context).await,
        Command::Clone(command) => command.run(&context).await,
        Command::Rebuild(command) => command.run(&context).await,
        Command::Update(command) => command.run(&context).await,
        Command::Module(command) => command.run(&context).await,
        Command::Nixpkgs(command) => command.run(&context).await,
        Command::Rollback(command) => command.run(&context).await,
        Command::Generations(command) => command.run(&context).await,
        Command::Rename(command) => command.run(&context).await,
        Command::Duplicate(command) => command.run(&context).await,
        Command::Export(command) => command.run(&context).await,
        Command::Import(command) => command.run(&context).await,
        Command::Gc(command) => command.run(&context).await,
        Command::Start(command) => command.run(&context).await,
        Command::Stop(command) => command.run(&context).await,
        Command::Allow(command) => command.run(&context, true).await,
        Command::Deny(command) => command.run(&context, false).await,
        Command::HostBridge(command) => command.run(&context).await,
        Command::Delete(command) => command.run(&context).await,
        Command::Status(command) => command.run(&context).await,
        Command::Exec(command) => command.run(&context).await,
        Command::Log(command) => command.run(&context).await,
        Command::SshProxy(command) => command.run(&context).await,
        Command::Open(command) => command.run(&context).await,
        Command::Secret(command) => {
            context.unlock().await?;
            command.run(&context).await
        }
        Command::Vault(command) => command.run(&context).await,
        Command::Store(command) => command.run(&context).await,
        Command::Check(command) => command.run(&context).await,
        Command::Doctor(command) => command.run(&context).await,
        Command::Completions(_) | Command::Lsp => Ok(ExitCode::SUCCESS),
    }
}

/// Tells an error on standard error; gives its exit code.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    tracing::warn!("{error:#}");
    // Where standard error is closed, nobody can be told.
    let _ = output::error(&format!("{} {}", "error:".red().bold(), error::report(error.as_ref())));
    ExitCode::FAILURE
}
