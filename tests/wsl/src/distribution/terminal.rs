//! Terminals of a distribution.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;

/// A new terminal of the distribution whose first process is `pid`: the end that stays here, and its number.
///
/// # Errors
/// That the distribution has ended, or has no more.
pub(crate) fn open(pid: i32) -> Result<(OwnedFd, u32)> {
    let path = format!("/proc/{pid}/root/dev/pts/ptmx");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open(&path, flags, Mode::empty()).context(path)?;
    rustix::pty::unlockpt(&master)?;
    let name = rustix::pty::ptsname(&master, Vec::new())?.into_string()?;
    let number = name.rsplit('/').next().and_then(|number| number.parse().ok());
    Ok((master, number.with_context(|| format!("{name} has no number"))?))
}
