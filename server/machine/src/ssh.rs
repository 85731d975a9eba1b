//! SSH into a machine without a port: keys, and our block of the user's ssh config.
//!
//! All that is ours lives below [`Paths::data`]: the user's key and `config` in `ssh/`, a machine's host key and its
//! known hosts in the machine's folder. The user's own config gets one `Include` line, between markers, at its top: ssh
//! takes the first value that it finds, so what the user says of all hosts cannot break ours.

mod config;
mod include;
mod keys;

use crate::files::{io_error, make_folder, read_optional, remove_file, write_atomic};
use crate::{MachineError, MachineName, Paths, Secret, access};
use std::fs::File;
use std::path::{Path, PathBuf};

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
    let host = keys::read_or_make(&host_key(paths, machine), &machine.host_alias())?;
    let user = keys::read_or_make(&user_key(paths), "codchi")?;
    let known = format!("{} {}", machine.host_alias(), host.public);
    let known_hosts = known_hosts(paths, machine);
    if read_optional(&known_hosts)?.as_deref() != Some(known.as_bytes()) {
        write_atomic(&known_hosts, known.as_bytes(), 0o600)?;
    }
    Ok(SshKeys { host_key: host.private, host_key_public: host.public, authorized_keys: user.public })
}

/// Whether the user's ssh config already includes ours, so that nobody has to be asked.
pub(crate) fn is_included(paths: &Paths) -> bool {
    let text = std::fs::read(include::user_config(paths)).unwrap_or_default();
    include::contains(&text, &our_config(paths), &paths.home)
}

/// Makes `ssh codchi-NAME` work: our host block for `machine`, run by `program ssh-proxy NAME`, and the include of our
/// file in the user's ssh config. Does nothing where all of it is there.
///
/// # Errors
/// [`MachineError::Io`]; then the user's config is as before. [`MachineError::User`] where another program keeps the
/// user's config, with the line to add to it.
pub(crate) fn add_host(paths: &Paths, machine: &MachineName, program: &Path) -> Result<(), MachineError> {
    let _lock = lock(paths)?;
    // ssh asks for files that have to be there.
    keys(paths, machine)?;
    let ours = our_config(paths);
    let before = read_optional(&ours)?.unwrap_or_default();
    let block = config::host_block(machine, program, &user_key(paths), &known_hosts(paths, machine))?;
    let after = config::with_block(&before, machine, &block);
    if after != before {
        write_atomic(&ours, &after, 0o600)?;
    }
    include::add(paths, &ours)
}

/// Removes the host block of `machine`, and with the last one the include. One that is not there is not an error.
///
/// # Errors
/// [`MachineError::Io`]; then the config is as before.
pub(crate) fn remove_host(paths: &Paths, machine: &MachineName) -> Result<(), MachineError> {
    let ours = our_config(paths);
    let Some(before) = read_optional(&ours)? else { return Ok(()) };
    let _lock = lock(paths)?;
    let after = config::without_block(&before, machine);
    if config::has_blocks(&after) {
        if after != before {
            write_atomic(&ours, &after, 0o600)?;
        }
        return Ok(());
    }
    // The include first: a run that ends between the two leaves a file that nobody reads.
    include::remove(paths)?;
    remove_file(&ours)
}

fn folder(paths: &Paths) -> PathBuf {
    paths.data.join("ssh")
}

fn our_config(paths: &Paths) -> PathBuf {
    folder(paths).join("config")
}

fn user_key(paths: &Paths) -> PathBuf {
    folder(paths).join("id_ed25519")
}

fn host_key(paths: &Paths, machine: &MachineName) -> PathBuf {
    paths.machine(machine).join("ssh_host_key")
}

fn known_hosts(paths: &Paths, machine: &MachineName) -> PathBuf {
    paths.machine(machine).join("known_hosts")
}

/// Two processes that change the config at once would each lose what the other wrote.
fn lock(paths: &Paths) -> Result<File, MachineError> {
    let folder = folder(paths);
    make_folder(&folder)?;
    let path = folder.join("lock");
    let failed = |e| io_error("Locking", &path, e);
    let mut options = File::options();
    options.create(true).write(true).truncate(false);
    let file = access::with_mode(&mut options, 0o600).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
