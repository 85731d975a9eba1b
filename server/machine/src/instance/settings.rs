//! What is set in an instance by its engine's own keys, whatever it has of this computer.
//!
//! Sources: `doc/reference/instance_options` of LXD and Incus; for WSL
//! <https://learn.microsoft.com/en-us/windows/wsl/wsl-config#wslconf>.

use codchi_driver::{DriverKind, InstanceSpec};

/// Settings of a machine.
pub(crate) fn of_machine(spec: &mut InstanceSpec, kind: DriverKind) {
    let keys: &[(&str, &str)] = match kind {
        DriverKind::Lxd | DriverKind::Incus => &[],
        // Whether systemd is up we see ourselves: units that wait for secrets would have WSL wait for us. In milliseconds.
        DriverKind::Wsl => &[("boot.initTimeout", "1000")],
    };
    set(spec, keys);
    close_guest_api(spec, kind);
}

/// Settings of a store instance.
pub(crate) fn of_store(spec: &mut InstanceSpec, kind: DriverKind) {
    let keys: &[(&str, &str)] = match kind {
        DriverKind::Lxd | DriverKind::Incus => &[
            // Builds are shut off from each other and from what is mounted here, which takes namespaces in namespaces.
            ("security.nesting", "true"),
            // The daemon does not hear that it is to shut down, and loses nothing where it is ended. In seconds.
            ("boot.host_shutdown_timeout", "1"),
        ],
        DriverKind::Wsl => &[],
    };
    set(spec, keys);
    close_guest_api(spec, kind);
}

/// Takes the engine's interface for guests away: anybody inside could read there what the instance is labelled with, such as
/// folders of the person's.
fn close_guest_api(spec: &mut InstanceSpec, kind: DriverKind) {
    let keys: &[(&str, &str)] = match kind {
        DriverKind::Lxd => &[("security.devlxd", "false")],
        DriverKind::Incus => &[("security.guestapi", "false")],
        // There is none.
        DriverKind::Wsl => &[],
    };
    set(spec, keys);
}

fn set(spec: &mut InstanceSpec, keys: &[(&str, &str)]) {
    spec.config.extend(keys.iter().map(|(key, value)| ((*key).into(), (*value).into())));
}
