//! `codchi`: language server, machine controller and command line in one program.
//!
//! Exit codes: 0 for success, 1 for a failure, 2 for a wrong command line, 130 where the person interrupted;
//! `codchi exec` passes the command's own on. What went wrong is told on standard error as a message, `Caused by:` and
//! `Help:`.

mod catalogue;
mod cli;
mod config;
mod context;
mod doctor;
mod driver;
mod error;
mod evaluation;
mod files;
mod formatter;
mod levels;
mod log;
mod lsp;
mod names;
mod pins;

use clap::Parser as _;
use codchi_machine::Paths;
use std::process::ExitCode;

/// Trees are made of many small pieces: with this allocator a keystroke takes a quarter less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let Some(paths) = Paths::from_environment() else {
        return cli::fail(&anyhow::anyhow!("there is no home folder: $HOME is not set"));
    };
    // Nothing here computes for long: two threads serve any number of operations.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .thread_stack_size(STACK)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&anyhow::Error::from(error).context("the runtime does not start")),
    };
    let code = runtime.block_on(async {
        match arguments.command {
            cli::Command::Lsp => lsp::serve(paths).await,
            command => cli::run(command, paths).await,
        }
    });
    // A thread may still wait for standard input, which nobody can interrupt.
    runtime.shutdown_background();
    code
}

/// Nested code is parsed and analysed by recursion; what is not used of it takes no memory.
const STACK: usize = 64 << 20;
