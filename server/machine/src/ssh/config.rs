//! Our ssh config file: one marked block per machine. Text in, text out.

use crate::{MachineError, MachineName};
use std::path::Path;

/// The first line of a new file.
const HEADER: &str = "# Written by codchi: one block for each code machine.\n";

/// The block of `machine`.
///
/// # Errors
/// [`MachineError::User`] for a path that no ssh config can name.
pub(super) fn host_block(
    machine: &MachineName,
    program: &Path,
    identity: &Path,
    known_hosts: &Path,
) -> Result<String, MachineError> {
    let alias = machine.host_alias();
    let [program, identity, known_hosts] = [text(program)?, text(identity)?, text(known_hosts)?];
    let (proxy, identity, known_hosts) = (shell_word(&program), argument(&identity), argument(&known_hosts));
    Ok(format!(
        "Host {alias}\n\
         \x20   HostName {alias}\n\
         \x20   User codchi\n\
         \x20   ProxyCommand {proxy} ssh-proxy {machine}\n\
         \x20   IdentityFile {identity}\n\
         \x20   IdentitiesOnly yes\n\
         \x20   AddKeysToAgent no\n\
         \x20   UserKnownHostsFile {known_hosts}\n\
         \x20   HostKeyAlias {alias}\n\
         \x20   StrictHostKeyChecking yes\n\
         \x20   UpdateHostKeys no\n\
         \x20   ForwardAgent no\n"
    ))
}

/// `config` with this block of `machine` and no other.
pub(super) fn with_block(config: &[u8], machine: &MachineName, block: &str) -> Vec<u8> {
    let (begin, end) = markers(machine);
    let mut config = without_block(config, machine);
    if config.is_empty() {
        config.extend_from_slice(HEADER.as_bytes());
    }
    config.extend_from_slice(format!("{begin}\n{block}{end}\n").as_bytes());
    config
}

/// `config` without a block of `machine`.
pub(super) fn without_block(config: &[u8], machine: &MachineName) -> Vec<u8> {
    let (begin, end) = markers(machine);
    without_marked(config, &begin, &end)
}

/// Whether a machine is left.
pub(super) fn has_blocks(config: &[u8]) -> bool {
    config.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"Host "))
}

fn markers(machine: &MachineName) -> (String, String) {
    let alias = machine.host_alias();
    (format!("# {alias}: begin"), format!("# {alias}: end"))
}

/// `text` without the lines from `begin` to `end`. A begin without an end marks nothing.
pub(super) fn without_marked(text: &[u8], begin: &str, end: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let is = |line: &&[u8], marker: &str| line.trim_ascii() == marker.as_bytes();
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = lines.as_slice();
    while let [line, after @ ..] = rest {
        let marked = is(line, begin).then(|| after.iter().position(|line| is(line, end))).flatten();
        match marked {
            Some(last) => rest = &after[last + 1..],
            None => {
                kept.extend_from_slice(line);
                rest = after;
            }
        }
    }
    kept
}

/// A path as an argument of an option that knows `%` tokens.
fn argument(path: &str) -> String {
    quoted(&path.replace('%', "%%"))
}

/// A word in double quotes, in which ssh knows two escapes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The rest of a line that goes to a shell, after ssh has replaced its tokens. On Windows that is one of several (cmd, or the one of
/// Git), which all read double quotes, and no path holds such.
fn shell_word(path: &str) -> String {
    let path = path.replace('%', "%%");
    if cfg!(windows) { format!("\"{path}\"") } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// The path as text of one line; with slashes also on Windows, where ssh takes a backslash for an escape.
pub(super) fn text(path: &Path) -> Result<String, MachineError> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    let text = text.map(|text| if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() });
    text.ok_or_else(|| MachineError::User {
        message: format!("{} cannot be named in an ssh config", path.display()),
        hint: Some("Move it to a path without line breaks and with valid UTF-8.".into()),
    })
}
