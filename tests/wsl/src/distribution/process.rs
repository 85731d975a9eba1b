//! This program as other processes of it.

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The verbs of these processes. No one else uses them, but for [`DOWN`].
pub(crate) const VM: &str = "--codchi-test-vm";
/// See [`super::keeper`].
pub(crate) const KEEPER: &str = "--codchi-test-keeper";
/// See [`super::init`].
pub(crate) const BOOT: &str = "--codchi-test-boot";
/// See [`super::init`].
pub(crate) const INIT: &str = "--codchi-test-init";
/// See [`super::session`].
pub(crate) const SESSION: &str = "--codchi-test-session";
/// See `verbs::import`.
pub(crate) const REGISTER: &str = "--codchi-test-register";
/// See `verbs::unregister`.
pub(crate) const UNREGISTER: &str = "--codchi-test-unregister";
/// Ends all that runs for the folder.
pub(crate) const DOWN: &str = "--codchi-test-down";

/// This program.
///
/// # Errors
/// That it cannot be found.
pub(crate) fn program() -> Result<PathBuf> {
    let path = fs::read_link("/proc/self/exe").context("/proc/self/exe")?;
    // Built anew meanwhile: the one that runs is still there.
    if path.to_string_lossy().ends_with(" (deleted)") { Ok("/proc/self/exe".into()) } else { Ok(path) }
}

/// A command for this program's `verb`.
///
/// # Errors
/// That it cannot be found.
pub(crate) fn this(verb: &str) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.arg(verb);
    Ok(command)
}

/// Closes what this process was given beside the three streams: on Windows nothing else goes along, and what runs on would hold it open.
pub(crate) fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten();
    let numbers: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The one of the folder is closed by now.
        let _ = nix::unistd::close(number);
    }
}

/// A process that can be waited for and killed, though it is no child.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// The process `pid`; `None` where there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self(rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?))
    }

    /// To be polled: readable once the process has ended.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// Whether it has ended, waiting up to `limit`.
    pub(crate) fn has_ended(&self, limit: Duration) -> bool {
        is_readable(&self.0, limit)
    }

    /// Kills it.
    pub(crate) fn signal_kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.0, rustix::process::Signal::KILL);
    }

    /// Kills it and waits until it is gone, up to 5 s.
    pub(crate) fn kill(&self) {
        self.signal_kill();
        self.has_ended(Duration::from_secs(5));
    }
}

/// Whether the process `pid` is about to end or has ended: before it is gone, all others of its pid namespace are killed and waited for.
pub(crate) fn is_ending(pid: i32) -> bool {
    /// `PF_EXITING` of the kernel.
    const EXITING: u32 = 4;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let flags =
        stat.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(6)?.parse::<u32>().ok());
    flags.is_none_or(|flags| flags & EXITING != 0)
}

/// Whether there is something to read, waiting up to `limit`.
pub(crate) fn is_readable(what: &impl AsFd, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(what, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timespec(left))) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) | Ok(0) => return false,
            Ok(_) => return true,
        }
    }
}

/// `duration` as the kernel takes it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
