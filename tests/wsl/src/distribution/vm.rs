//! The virtual machine: a mount namespace with the shared `/mnt/wsl`, and a network namespace that nothing leaves.

use super::{process, shared, socket};
use crate::computer::{Computer, lock};
use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags};
use rustix::thread::LinkNameSpaceType;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The name of its folder in `run`.
const FOLDER: &str = "vm";

/// Where the shared `/mnt/wsl` is in the virtual machine's mount namespace.
///
/// # Errors
/// That the folder cannot be made.
pub(crate) fn shared_folder(computer: &Computer) -> Result<PathBuf> {
    Ok(computer.run(FOLDER)?.join("shared"))
}

/// What the helpers of a computer say of themselves.
///
/// # Errors
/// That it cannot be opened.
pub(crate) fn log_file(computer: &Computer) -> Result<File> {
    Ok(OpenOptions::new().create(true).append(true).open(computer.run("")?.join("log"))?)
}

/// Starts a helper and waits until it says that it is ready.
///
/// # Errors
/// What it said instead, or that it has ended.
pub(crate) fn started(computer: &Computer, mut command: Command) -> Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file(computer)?).current_dir("/");
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut said)?;
    }
    ensure!(said.trim_end() == "ready", "{said}{command:?} has ended; see run/log");
    Ok(())
}

/// Holds the virtual machine, which is started where it does not run, and tells its process.
///
/// # Errors
/// That it cannot be started.
pub(crate) fn hold(computer: &Computer) -> Result<(UnixStream, i32)> {
    let folder = computer.run(FOLDER)?;
    let attempt = || -> Option<(UnixStream, i32)> {
        let stream = socket::connect(&folder)?;
        let pid = socket::ask(&stream, "hold").ok()?.parse().ok()?;
        Some((stream, pid))
    };
    if let Some(held) = attempt() {
        return Ok(held);
    }
    let _lock = lock(&folder.join("start"))?;
    if let Some(held) = attempt() {
        return Ok(held);
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "--"]);
    command.arg(process::program()?).arg(process::VM);
    started(computer, command)?;
    attempt().context("the virtual machine has ended at once")
}

/// Ends it where it runs.
///
/// # Errors
/// That its folder cannot be made.
pub(crate) fn stop(computer: &Computer) -> Result<()> {
    let folder = computer.run(FOLDER)?;
    if let Some(stream) = socket::connect(&folder) {
        let _ = socket::ask(&stream, "stop");
    }
    // It is gone once its lock is free.
    drop(lock(&folder.join("alive"))?);
    Ok(())
}

/// Detaches the disk whose root file system is at `root`, in all distributions. This process moves into the virtual machine's mount
/// namespace for that, where it runs.
///
/// # Errors
/// That it cannot.
pub(crate) fn eject(computer: &Computer, root: &Path) -> Result<()> {
    let folder = computer.run(FOLDER)?;
    let is_running = File::open(folder.join("alive")).is_ok_and(|file| file.try_lock_shared().is_err());
    let Some(pid) = fs::read_to_string(folder.join("pid")).ok().filter(|_| is_running) else { return Ok(()) };
    // It may end at any moment, and all mounts with it.
    let Ok(space) = File::open(format!("/proc/{pid}/ns/mnt")) else { return Ok(()) };
    rustix::thread::move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Mount))?;
    shared::eject(&shared_folder(computer)?, &shared::place(root)?)
}

/// The process of the virtual machine.
///
/// # Errors
/// That it cannot be set up.
pub(crate) fn run(computer: &Computer) -> Result<()> {
    let _ = rustix::process::setsid();
    let folder = computer.run(FOLDER)?;
    let _alive = lock(&folder.join("alive"))?;
    fs::write(folder.join("pid"), std::process::id().to_string())?;
    shared::make(&shared_folder(computer)?)?;
    // Without it there is no `localhost` in the distributions, which few need.
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).stdin(Stdio::null()).status();
    let listener = socket::listen(&folder)?;
    println!("ready");
    let mut holders: Vec<UnixStream> = Vec::new();
    let mut idle_since = Instant::now();
    let timeout = u64::try_from(computer.config.vm_idle_timeout).ok().map(Duration::from_millis);
    loop {
        let is_busy = !holders.is_empty();
        let left = timeout.filter(|_| !is_busy).map(|limit| limit.saturating_sub(idle_since.elapsed()));
        if left == Some(Duration::ZERO) {
            break;
        }
        let mut fds = vec![PollFd::new(&listener, PollFlags::IN)];
        fds.extend(holders.iter().map(|holder| PollFd::new(holder, PollFlags::IN)));
        match rustix::event::poll(&mut fds, left.map(process::timespec).as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut kept = Vec::new();
        for (mut holder, ready) in holders.into_iter().zip(&ready[1..]) {
            let mut line = [0; 64];
            let length = if *ready { holder.read(&mut line).unwrap_or(0) } else { usize::MAX };
            match length {
                0 => continue,
                usize::MAX => {}
                _ if line.starts_with(b"stop") => {
                    socket::remove(&folder);
                    let _ = holder.write_all(b"done\n");
                    return Ok(());
                }
                _ => {
                    let _ = writeln!(holder, "{}", std::process::id());
                }
            }
            kept.push(holder);
        }
        holders = kept;
        if ready[0] {
            holders.push(listener.accept()?.0);
        }
        if is_busy || !holders.is_empty() {
            idle_since = Instant::now();
        }
    }
    socket::remove(&folder);
    Ok(())
}
