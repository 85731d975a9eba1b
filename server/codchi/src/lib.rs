//! `codchi`: language server, machine controller and command line in one program. A library only so that the fuzz
//! targets reach the server ([`serve`]).
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
mod gc;
mod levels;
mod log;
mod lsp;
mod names;
mod pins;
mod program;
#[cfg(windows)]
mod streams;
mod updates;

use clap::Parser as _;
use codchi_machine::Paths;
use std::path::Path;
use std::process::ExitCode;
use tokio::io::{AsyncRead, AsyncWrite};

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    // Secrets pass through this process: no other of this user's may look into its memory, and no crash writes it to a disk.
    // Where the kernel knows of no such thing, all else works as well.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(windows)]
    streams::keep();
    let arguments = cli::Arguments::parse();
    let Some(paths) = Paths::from_environment() else {
        return cli::fail(&anyhow::anyhow!(
            "there is no home folder: {} is not set",
            if cfg!(windows) { "%USERPROFILE%" } else { "$HOME" }
        ));
    };
    // Files are parsed there, too. Where the threads are there already, they are as large as they can be.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(STACK).build_global();
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

/// One session of the language server that lives in `home` and knows nothing of the environment, until the client or its
/// input ends.
pub async fn serve(
    home: &Path,
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin,
) -> ExitCode {
    let paths = Paths {
        data: home.join("data"),
        config: home.join("config"),
        state: home.join("state"),
        cache: home.join("cache"),
        home: home.to_owned(),
    };
    let context = context::Context::new(paths, config::Config::default());
    lsp::session(context, lsp::Lifetime::default(), input, output, None).await
}

/// Nested code is parsed and analysed by recursion; what is not used of it takes no memory.
const STACK: usize = 64 << 20;
