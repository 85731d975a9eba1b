//! Stands for a program of Linux among those of Windows: runs it with the same arguments, streams and exit code.
//!
//! `CODCHI_TEST_RELAY` is the address of who runs it ([`codchi_test_wine::serve`]).

use std::process::ExitCode;

fn main() -> ExitCode {
    let address = std::env::var("CODCHI_TEST_RELAY").unwrap_or_default();
    match codchi_test_wine::run(&address) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("The relay at `{address}` has failed: {error}");
            ExitCode::FAILURE
        }
    }
}
