//! The program of ours in each WSL distribution. What it is asked, and how, is in the library beside it.

#[cfg(target_os = "linux")]
mod linux;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("codchi-guest: this program runs in WSL's distributions only");
    ExitCode::FAILURE
}
