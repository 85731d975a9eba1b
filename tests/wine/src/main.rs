//! Stands for a program of Linux among those of Windows: runs it with the same arguments, streams and exit code.
//!
//! `NAME.relay` beside this program, `NAME.exe`, holds the address of who runs it ([`codchi_test_wine::serve`]).

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("The relay has failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<u8> {
    let address = std::fs::read_to_string(std::env::current_exe()?.with_extension("relay"))?;
    codchi_test_wine::run(address.trim())
}
