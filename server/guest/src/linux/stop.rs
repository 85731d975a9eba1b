//! Ending a system.

use super::instance::Kept;
use super::{hold, instance, lock};
use anyhow::{Context as _, Result, bail};
use codchi_guest::{Shutdown, Target};
use std::path::Path;
use uapi::c;

/// What systemd takes for "power off" (systemd(1)), by the number that it has in every program but glibc's own: SIGRTMIN+4.
const SYSTEMD_POWEROFF: i32 = 34 + 4;

/// Stops the system.
pub(crate) fn stop(target: Target, how: Shutdown) -> Result<()> {
    match (target, how) {
        (Target::Distribution, Shutdown::Ask) => {
            hold::let_go();
            ask(1)
        }
        (Target::Distribution, Shutdown::Kill) => bail!("a distribution is ended by `wsl.exe --terminate`"),
        (Target::Instance, Shutdown::Kill) => Kept::lock()?.kill(),
        (Target::Instance, Shutdown::Ask) => {
            let _lock = lock::lock()?;
            // One that does not run need not be asked.
            instance::running()?.map_or(Ok(()), |started| ask(started.pid))
        }
    }
}

/// Asks the init with this id.
fn ask(pid: u32) -> Result<()> {
    let systemd = Path::new(&format!("/proc/{pid}/root/run/systemd/system")).exists();
    let signal = if systemd { SYSTEMD_POWEROFF } else { c::SIGPWR };
    let send = || uapi::kill(c::pid_t::try_from(pid)?, signal).map_err(anyhow::Error::from);
    send().with_context(|| format!("asking the init (process {pid}) to shut down"))
}
