//! A `wsl.exe` that executes, for tests on Linux: see `README.md`.

mod arguments;
mod client;
mod computer;
mod distribution;
mod environment;
mod failure;
mod launch;
mod raw;
mod registry;
mod relay;
mod text;
mod verbs;
mod windows_path;

use anyhow::{Context, Result};
use computer::Computer;
use distribution::process::{BOOT, DOWN, INIT, KEEPER, REGISTER, SESSION, UNREGISTER, VM};
use distribution::{down, init, keeper, session, vm};
use std::process::ExitCode;

/// The longest command line that Windows starts a program with, in UTF-16 units.
const LONGEST: usize = 32_766;

fn main() -> ExitCode {
    distribution::process::close_inherited();
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    match run(&arguments) {
        // Windows has 32 bits for it.
        Ok(code) => ExitCode::from(code.to_le_bytes()[0]),
        Err(error) => {
            eprintln!("codchi-test-wsl: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn run(arguments: &[String]) -> Result<i32> {
    let verb = arguments.first().map_or("", String::as_str);
    let argument = || arguments.get(1).map(String::as_str).context("an argument is missing");
    match verb {
        BOOT => init::boot(argument()?)?,
        INIT => init::run(argument()?)?,
        SESSION => {
            // A distribution that ends meanwhile ends its commands with 1.
            if let Err(error) = session::run(argument()?) {
                eprintln!("codchi-test-wsl: {error:#}");
                return Ok(1);
            }
        }
        VM => vm::run(&Computer::of_this_process()?)?,
        KEEPER => {
            if let Err(error) = keeper::run(&Computer::of_this_process()?, argument()?) {
                println!("{error:#}");
                return Err(error);
            }
        }
        REGISTER => verbs::import::register(&Computer::of_this_process()?, argument()?)?,
        UNREGISTER => verbs::unregister::service(&Computer::of_this_process()?, argument()?)?,
        DOWN => down::all(&Computer::of_this_process()?)?,
        _ => {
            let length = raw::joined(arguments).encode_utf16().count();
            anyhow::ensure!(length < LONGEST, "The filename or extension is too long. (os error 206)");
            return client::run(&Computer::of_this_process()?, arguments);
        }
    }
    Ok(0)
}
