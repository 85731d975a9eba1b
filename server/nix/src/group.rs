//! A process with all that it starts: how willingly it lets others go first, what it may take, and how it is ended.

use tokio::process::{Child, Command};

#[cfg(unix)]
pub(crate) use unix::Group;
#[cfg(windows)]
pub(crate) use windows::Group;

/// Keeps Windows from opening a console's window for `command` where codchi has none itself, as below an editor. Elsewhere nothing has
/// a window of its own.
pub fn without_window(command: &mut Command) {
    #[cfg(windows)]
    command.creation_flags(windows::NO_WINDOW);
    #[cfg(not(windows))]
    let _ = command;
}

/// The most that a process may take.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(windows, expect(dead_code, reason = "nothing is bounded there"))]
pub(crate) struct Most {
    /// Memory that it maps for data, in bytes.
    pub(crate) memory: Option<u64>,
    /// Time on processors, in seconds.
    pub(crate) time: Option<u64>,
}

#[cfg(unix)]
mod unix {
    use super::{Child, Command, Most};
    use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit, setpriority_process};

    /// How willingly a process of the background lets others go first.
    const NICE: i32 = 10;

    /// A process group of its own.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Group(Option<Pid>);

    impl Group {
        /// Has `command` start one.
        pub(crate) fn start(command: &mut Command, _is_background: bool) {
            command.process_group(0);
        }

        /// That of `child`, which [`Group::start`] was said of, within `most`. It may have taken some by now, but it cannot have read its
        /// input.
        pub(crate) fn of(child: &Child, most: Most, is_background: bool) -> Self {
            let group = Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
            group.limit(Resource::Data, most.memory);
            group.limit(Resource::Cpu, most.time);
            if is_background {
                // Where it cannot be, it is only less polite.
                let _ = setpriority_process(group.0, NICE);
            }
            group
        }

        /// Asks it to end.
        pub(crate) fn ask(self, _child: &mut Child) {
            self.signal(Signal::TERM);
        }

        /// Ends it.
        pub(crate) fn kill(self, _child: &mut Child) {
            self.signal(Signal::KILL);
        }

        fn signal(self, signal: Signal) {
            if let Some(group) = self.0 {
                // It fails only where the group is gone already.
                let _ = kill_process_group(group, signal);
            }
        }

        fn limit(self, resource: Resource, most: Option<u64>) {
            if let (Some(_), Some(pid)) = (most, self.0) {
                let limit = Rlimit { current: most, maximum: most };
                if let Err(error) = prlimit(Some(pid), resource, limit) {
                    tracing::debug!(%error, ?resource, "a process could not be limited");
                }
            }
        }
    }
}

/// On Windows a process is only what stands for one in a distribution: that one sees its input end and ends, too. So nothing is
/// bounded here, and nothing is asked before it is ended.
#[cfg(windows)]
mod windows {
    use super::{Child, Command, Most};

    /// `CREATE_NO_WINDOW`.
    pub(super) const NO_WINDOW: u32 = 0x0800_0000;
    /// `BELOW_NORMAL_PRIORITY_CLASS`.
    const BELOW_NORMAL: u32 = 0x4000;

    /// A process without a window of its own.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Group;

    impl Group {
        /// Has `command` start one.
        pub(crate) fn start(command: &mut Command, is_background: bool) {
            command.creation_flags(NO_WINDOW | if is_background { BELOW_NORMAL } else { 0 });
        }

        /// That of `child`, which [`Group::start`] was said of.
        pub(crate) fn of(_child: &Child, _most: Most, _is_background: bool) -> Self {
            Self
        }

        /// Ends it: there is no way to ask a process without a window.
        pub(crate) fn ask(self, child: &mut Child) {
            self.kill(child);
        }

        /// Ends it.
        pub(crate) fn kill(self, child: &mut Child) {
            // It fails only where the process is gone already.
            let _ = child.start_kill();
        }
    }
}
