//! `codchi`: language server, machine controller and command line in one program.

mod config;
mod context;
mod doctor;
mod driver;
mod error;
mod files;
mod log;
mod lsp;
mod names;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Turns a repository's codchi module into a working development machine.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Speak the language server protocol on standard input and output
    Lsp,
}

fn main() -> ExitCode {
    let Command::Lsp = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(paths) = codchi_machine::Paths::from_environment() else {
        eprintln!("error: there is no home folder: $HOME is not set");
        return ExitCode::FAILURE;
    };
    let code = runtime.block_on(lsp::serve(paths));
    // A thread may still wait for standard input, which nobody can interrupt.
    runtime.shutdown_background();
    code
}
