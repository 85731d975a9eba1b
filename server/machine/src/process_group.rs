//! The processes of a program.

use tokio::process::{Child, Command};

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process_group};

/// The processes of a program, which end when this is dropped. On Windows there is only the program itself, which ends as its
/// `Child` says.
pub struct ProcessGroup {
    #[cfg(unix)]
    group: Option<Pid>,
}

impl ProcessGroup {
    /// Ends them.
    pub fn end(self) {}
}

#[cfg(unix)]
impl ProcessGroup {
    /// Has `command` start one.
    pub fn start(command: &mut Command) {
        command.process_group(0);
    }

    /// That of `child`.
    pub fn of(child: &Child) -> Self {
        Self { group: child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) }
    }

    /// The program has ended: its number may be another's by now.
    pub fn forget(mut self) {
        self.group = None;
    }
}

#[cfg(unix)]
impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(not(unix))]
impl ProcessGroup {
    /// Has `command` start without a window.
    pub fn start(command: &mut Command) {
        codchi_nix::without_window(command);
    }

    /// That of `child`.
    pub fn of(_child: &Child) -> Self {
        Self {}
    }

    /// The program has ended.
    pub fn forget(self) {}
}
