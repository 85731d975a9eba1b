//! `workspace/executeCommand`, as PROTOCOL.md has it.

/// The commands' names.
pub(crate) mod name {
    pub(crate) const LIST: &str = "codchi.machine.list";
    pub(crate) const CREATE: &str = "codchi.machine.create";
    pub(crate) const REBUILD: &str = "codchi.machine.rebuild";
    pub(crate) const START: &str = "codchi.machine.start";
    pub(crate) const STOP: &str = "codchi.machine.stop";
    pub(crate) const DELETE: &str = "codchi.machine.delete";
    pub(crate) const OPEN: &str = "codchi.machine.open";
    pub(crate) const LOG: &str = "codchi.machine.log";
    pub(crate) const SECRET_SET: &str = "codchi.secret.set";
    pub(crate) const SECRET_REMOVE: &str = "codchi.secret.remove";
    pub(crate) const DOCTOR: &str = "codchi.doctor";
}
