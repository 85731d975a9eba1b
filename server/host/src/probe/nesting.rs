//! `nesting`: what containers inside a container need of the kernel.

use super::{Availability, Host, Probe};

impl Host {
    /// Whether the kernel lets an engine answer system calls in a container's place, as Docker in a machine may need.
    #[must_use]
    pub fn intercepts_calls(&self) -> bool {
        let actions = self.text("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
        actions.split_whitespace().any(|action| action == "user_notif")
    }
}

impl Probe<'_> {
    /// User namespaces.
    pub(super) fn nesting(mut self) -> Availability {
        const MOST: &str = "/proc/sys/user/max_user_namespaces";
        const UNPRIVILEGED: &str = "/proc/sys/kernel/unprivileged_userns_clone";
        if self.host.has("/sys/fs/cgroup/cgroup.controllers") {
            self.saw("control groups of version 2");
        }
        if self.host.intercepts_calls() {
            self.saw("the kernel hands system calls to the engine (seccomp user_notif)");
        }
        let file_systems = self.host.text("/proc/filesystems").unwrap_or_default();
        if file_systems.split_whitespace().any(|name| name == "overlay") {
            self.saw("overlay file systems");
        }
        match self.host.number(MOST) {
            None => self.no(
                "This kernel has no user namespaces: there is no /proc/sys/user/max_user_namespaces.",
                "Use a kernel with CONFIG_USER_NS.",
            ),
            Some(0) => {
                let remedy = self.host.sysctl("user.max_user_namespaces", 15_000);
                self.no("User namespaces are turned off: /proc/sys/user/max_user_namespaces is 0.", remedy)
            }
            // Only some distributions have this switch.
            Some(_) if self.host.number(UNPRIVILEGED) == Some(0) => {
                let remedy = self.host.sysctl("kernel.unprivileged_userns_clone", 1);
                self.no(
                    "User namespaces are turned off for all but root: /proc/sys/kernel/unprivileged_userns_clone is 0.",
                    remedy,
                )
            }
            Some(most) => {
                self.saw(format!("user.max_user_namespaces = {most}"));
                self.yes(format!("The kernel allows {most} user namespaces."))
            }
        }
    }
}
