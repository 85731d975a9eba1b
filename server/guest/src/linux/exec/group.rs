//! A command's processes.

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use uapi::c;

/// A command and its process group, to which no signal is sent once the command has ended: another process might have its id.
pub(super) struct Group {
    pid: c::pid_t,
    runs: Mutex<bool>,
}

impl Group {
    pub(super) fn of(child: &Child) -> Self {
        // Ids of processes are far below the limit of either type.
        Self { pid: child.id().cast_signed(), runs: Mutex::new(true) }
    }

    /// Waits for the command's end.
    pub(super) fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        // Its id is its own until it has been waited for.
        if let Some(pid) = Pid::from_raw(self.pid) {
            while let Err(error) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                if error != Errno::INTR {
                    return Err(error.into());
                }
            }
        }
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner) = false;
        child.wait()
    }

    /// Sends the command, which runs still, a signal.
    pub(super) fn signal(&self, signal: i32) {
        self.send(self.pid, signal);
    }

    /// Kills the command, which runs still, and what is in its process group.
    pub(super) fn kill(&self) {
        self.send(-self.pid, c::SIGKILL);
    }

    fn send(&self, to: c::pid_t, signal: i32) {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if *runs {
            // What is no signal is sent to nobody.
            let _ = uapi::kill(to, signal);
        }
    }
}
