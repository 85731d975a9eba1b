//! The three programs that it is: a distribution's first process, one that serves a request, and an instance's first process.

mod apply;
mod boot;
mod enter;
mod exec;
mod hold;
mod instance;
mod listen;
mod lock;
mod mounts;
mod pack;
mod proc;
mod put;
mod serve;
mod started;
mod stop;
mod wire;

use std::env;
use std::process::{self, ExitCode};

/// The folders that programs are looked for in where nothing else is said.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Does what it was started for.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let called = arguments.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match arguments.get(1..).unwrap_or_default() {
        // `wsl.exe` may be given more arguments by nobody of us, but an init is by some.
        _ if process::id() == 1 && called.ends_with("init") => boot::run(),
        [] => serve::run(),
        [what] if what == instance::INIT_ARGUMENT => instance::init::run(),
        _ => {
            eprintln!("codchi-guest: it takes no arguments; what it shall do comes as its input");
            ExitCode::from(2)
        }
    }
}
