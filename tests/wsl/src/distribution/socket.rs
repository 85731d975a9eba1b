//! Sockets in folders whose paths may be too long for one.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// The socket's name in its folder.
const NAME: &str = "s";

fn folder(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn through(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())
}

/// Listens in `path`, instead of one that did before.
///
/// # Errors
/// That the socket cannot be made.
pub(crate) fn listen(path: &Path) -> Result<UnixListener> {
    remove(path);
    let folder = folder(path)?;
    UnixListener::bind(through(&folder)).with_context(|| format!("a socket in {}", path.display()))
}

/// Takes the socket in `path` away.
pub(crate) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path.join(NAME));
}

/// A connection to whoever listens in `path`; `None` where nobody does.
pub(crate) fn connect(path: &Path) -> Option<UnixStream> {
    let folder = folder(path).ok()?;
    UnixStream::connect(through(&folder)).ok()
}

/// Sends a line and reads the one that answers it.
///
/// # Errors
/// That the other end is gone.
pub(crate) fn ask(stream: &UnixStream, line: &str) -> Result<String> {
    let mut writer = stream;
    writer.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    anyhow::ensure!(answer.ends_with('\n'), "it has ended");
    Ok(answer.trim_end().into())
}
