//! A command in a distribution, from its namespaces up to its own program: `CreateProcessCommon` in `init.cpp`.

use super::cgroup::Cgroup;
use super::users::User;
use super::{mounts, process};
use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid};
use rustix::thread::LinkNameSpaceType;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Where programs are looked for that are named without a folder. It is not the command's own `PATH`: `/init` calls `execvpe`, which takes that
/// of its caller, and `/init` has none.
const SEARCHED: [&str; 3] = ["/usr/local/bin", "/bin", "/usr/bin"];

/// What is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The distribution's first process, as this machine numbers it.
    pub(crate) pid: i32,
    pub(crate) cgroup: PathBuf,
    /// The number of the terminal, and which of the three streams are on it.
    pub(crate) terminal: Option<(u32, [bool; 3])>,
    pub(crate) user: User,
    pub(crate) groups: Vec<u32>,
    /// Where it begins.
    pub(crate) folder: String,
    pub(crate) umask: u32,
    pub(crate) program: String,
    /// With the program's own name.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Order {
    /// A shell's command line that WSL itself runs, as root and without an environment, `PATH` included.
    pub(crate) fn of_init(pid: i32, cgroup: PathBuf, line: &str) -> Self {
        Self {
            pid,
            cgroup,
            terminal: None,
            user: User::root(),
            groups: vec![0],
            folder: "/".into(),
            umask: 0,
            program: "/bin/sh".into(),
            arguments: vec!["sh".into(), "-c".into(), line.into()],
            environment: Vec::new(),
        }
    }

    /// The command that executes it. The process that spawns it must have chosen the distribution's pid namespace.
    ///
    /// # Errors
    /// That this program cannot be found.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = process::this(process::SESSION)?;
        command.arg(serde_json::to_string(self)?);
        Ok(command)
    }
}

/// Chooses the pid namespace of the process `pid` for all children of this process. It can start no threads until it chooses its own again.
///
/// # Errors
/// That the process has ended.
pub(crate) fn choose_pids(pid: impl std::fmt::Display) -> Result<()> {
    let space = File::open(format!("/proc/{pid}/ns/pid")).context("the distribution has ended")?;
    rustix::thread::move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
    Ok(())
}

/// The process that becomes the command.
///
/// # Errors
/// That it could not get that far. What WSL itself says of is no error, but ends this process.
pub(crate) fn run(text: &str) -> Result<()> {
    let order: Order = serde_json::from_str(text)?;
    enter(&order)?;
    mounts::forbid();
    if let Some((number, streams)) = order.terminal {
        take_terminal(number, streams)?;
    }
    let groups: Vec<Gid> = order.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_gid(Gid::from_raw(order.user.gid))?;
    rustix::thread::set_thread_uid(Uid::from_raw(order.user.uid))?;
    rustix::process::umask(Mode::from_raw_mode(order.umask));
    if let Err(error) = std::env::set_current_dir(&order.folder) {
        complain("CreateProcessCommon:811", &format!("chdir({}) failed {}", order.folder, number(&error)));
    }
    let error = execute(&order);
    complain("CreateProcessCommon:819", &format!("execvpe({}) failed: {}", order.program, said(&error)));
    std::process::exit(1)
}

/// Goes into the namespaces.
fn enter(order: &Order) -> Result<()> {
    let space = |name: &str| {
        File::open(format!("/proc/{}/ns/{name}", order.pid)).context("the distribution has ended")
    };
    let spaces = [
        (space("cgroup")?, LinkNameSpaceType::ControlGroup),
        (space("uts")?, LinkNameSpaceType::HostNameAndNISDomainName),
        (space("ipc")?, LinkNameSpaceType::InterProcessCommunication),
        (space("net")?, LinkNameSpaceType::Network),
        (space("mnt")?, LinkNameSpaceType::Mount),
    ];
    Cgroup::at(&order.cgroup).enter_sessions()?;
    for (space, kind) in spaces {
        rustix::thread::move_into_link_name_space(space.as_fd(), Some(kind))
            .with_context(|| format!("{kind:?}"))?;
    }
    Ok(std::env::set_current_dir("/")?)
}

/// Makes the terminal this process's, whether or not a stream is on it.
fn take_terminal(number: u32, streams: [bool; 3]) -> Result<()> {
    rustix::process::setsid()?;
    // Opened by a session's leader without a terminal, it becomes that one's.
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let terminal: OwnedFd = rustix::fs::open(format!("/dev/pts/{number}"), flags, Mode::empty())?;
    rustix::process::ioctl_tiocsctty(&terminal)?;
    let [input, output, errors] = streams;
    if input {
        rustix::stdio::dup2_stdin(&terminal)?;
    }
    if output {
        rustix::stdio::dup2_stdout(&terminal)?;
    }
    if errors {
        rustix::stdio::dup2_stderr(&terminal)?;
    }
    Ok(())
}

/// Becomes the program; comes back only where that cannot be.
fn execute(order: &Order) -> std::io::Error {
    let attempt = |program: &str| {
        let mut command = Command::new(program);
        let mut arguments = order.arguments.iter();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments).env_clear().envs(order.environment.iter().map(|(name, value)| (name, value)));
        command.exec()
    };
    if order.program.contains('/') {
        return attempt(&order.program);
    }
    let mut last = std::io::Error::from(ErrorKind::NotFound);
    for folder in SEARCHED {
        let error = attempt(&format!("{folder}/{}", order.program));
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {}
            ErrorKind::PermissionDenied => last = error,
            _ => return error,
        }
    }
    last
}

/// Says something as WSL's `/init` does when it fails for a command: on the command's standard error.
pub(crate) fn complain(place: &str, what: &str) {
    eprintln!("<3>WSL ({} - Relay) ERROR: {place}: {what}", std::process::id());
}

fn number(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// The text of the error's number alone.
fn said(error: &std::io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None if error.kind() == ErrorKind::NotFound => "No such file or directory".into(),
        None => error.to_string(),
    };
    text.split(" (os error").next().unwrap_or_default().into()
}
