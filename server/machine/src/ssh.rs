//! SSH into a machine without a port: keys, and our block of the user's ssh config.

use crate::{MachineError, MachineName, Paths, Secret};
use std::path::Path;

/// The keys that a machine's `sshd -i` needs.
#[derive(Debug, Clone)]
pub(crate) struct SshKeys {
    /// The machine's host key (private).
    pub(crate) host_key: Secret,
    /// Its public half, one line.
    pub(crate) host_key_public: String,
    /// Who may log in: our user key's public half, one line.
    pub(crate) authorized_keys: String,
}

/// The keys of `machine`, made where they are missing (the host key below the machine's folder, the user's key once
/// for all machines). Blocking.
///
/// # Errors
/// [`MachineError`] where a key cannot be made, read or written.
pub(crate) fn keys(paths: &Paths, machine: &MachineName) -> Result<SshKeys, MachineError> {
    let _ = (paths, machine);
    unimplemented!()
}

/// Whether the user's ssh config already includes ours, so that nobody has to be asked.
pub(crate) fn is_included(paths: &Paths) -> bool {
    let _ = paths;
    unimplemented!()
}

/// Makes `ssh codchi-NAME` work: our host block for `machine`, run by `program ssh-proxy NAME`, and the include of our
/// file in the user's ssh config. Does nothing where all of it is there.
///
/// # Errors
/// [`MachineError::Io`]; then the user's config is as before.
pub(crate) fn add_host(paths: &Paths, machine: &MachineName, program: &Path) -> Result<(), MachineError> {
    let _ = (paths, machine, program);
    unimplemented!()
}

/// Removes the host block of `machine`, and with the last one the include. One that is not there is not an error.
///
/// # Errors
/// [`MachineError::Io`]; then the config is as before.
pub(crate) fn remove_host(paths: &Paths, machine: &MachineName) -> Result<(), MachineError> {
    let _ = (paths, machine);
    unimplemented!()
}
