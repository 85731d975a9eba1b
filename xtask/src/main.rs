//! The project's automation. `cargo xtask demo` runs the main job, `cargo xtask test` proves it; both install what
//! they need on a fresh Debian or Ubuntu machine and say so.

mod apt;
mod bench;
mod demo;
mod fuzz;
mod guest;
mod install;
mod lab;
mod package;
mod process;
mod test;
mod windows;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's automation.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the main job: a VS Code in the browser on a sample project, with codchi in it.
    Demo(demo::Demo),
    /// Checks and tests everything, with a real LXD, Nix and VS Code; ends with `N passed, N failed`.
    Test(test::Test),
    /// Builds everything and installs the extension into the VS Code, VSCodium or code-server of this machine.
    Install(install::Install),
    /// Builds the release programs and the extension's .vsix into a folder of target/package.
    Package(package::Package),
    /// Prints the numbers that the README promises.
    Bench(bench::Bench),
    /// Looks for an input that breaks the analysis, completion or the protocol.
    Fuzz(fuzz::Fuzz),
    /// Builds the program of Windows and tests it in Wine.
    Windows,
    /// Starts and stops the engines that tests and the demo use.
    #[command(subcommand)]
    Lab(lab::Command),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Install(install) => install.run(),
        Command::Package(package) => package.run(),
        Command::Bench(bench) => bench.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Windows => windows::test(),
        Command::Lab(lab) => lab.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
fn repository() -> &'static std::path::Path {
    // This package lies directly below the root.
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// One line that says what happens now; on standard error, since what commands print may be for a program.
fn say(text: impl std::fmt::Display) {
    eprintln!("==> {text}");
}

/// The type of every entry point here.
type Done = Result<()>;
