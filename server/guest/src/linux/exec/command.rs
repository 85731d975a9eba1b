//! Finding a program and starting it.

use super::winsize;
use crate::linux::PATH;
use anyhow::{Context as _, Result, bail};
use codchi_guest::{ExecRequest, Size};
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};
use rustix::termios::tcsetwinsize;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a shell says of a program that is not there.
const NOT_FOUND: i32 = 127;
/// What it says of one that cannot be run.
const NOT_EXECUTABLE: i32 = 126;

/// A command that was to be started.
pub(super) enum Begun {
    /// It was.
    Running(Running),
    /// There is no such program, or none that can be run: the exit code that says so.
    Not { code: i32 },
}

/// A command that was started.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) streams: Streams,
}

/// Our ends of its streams.
pub(super) enum Streams {
    Pipes { stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd },
    Terminal(OwnedFd),
}

/// Starts a command where the calling thread is.
pub(super) fn start(request: &ExecRequest) -> Result<Begun> {
    let Some(name) = request.command.first() else { bail!("there is no command") };
    let cwd = Path::new(request.cwd.as_deref().unwrap_or("/"));
    if !fs::metadata(cwd).with_context(|| format!("the working folder {}", cwd.display()))?.is_dir() {
        bail!("the working folder {} is none", cwd.display());
    }
    let path = request.environment.get("PATH").map_or(PATH, String::as_str);
    let program = match find(name, path, cwd) {
        Ok(program) => program,
        Err(code) => return Ok(Begun::Not { code }),
    };
    let mut command = Command::new(program);
    // Without other groups than this one: that is what `Command` makes of a user.
    command
        .arg0(name)
        .args(request.command.iter().skip(1))
        .uid(request.uid)
        .gid(request.gid)
        .current_dir(cwd);
    command.env_clear().env("PATH", path).envs(&request.environment);
    let started = match request.terminal {
        None => with_pipes(command),
        Some(size) => on_terminal(command, size, request),
    };
    match started {
        Ok(running) => Ok(Begun::Running(running)),
        // Of a script that is its interpreter.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Begun::Not { code: NOT_FOUND }),
        Err(error) if is_of_the_program(&error) => Ok(Begun::Not { code: NOT_EXECUTABLE }),
        Err(error) => Err(error).with_context(|| format!("starting {name}")),
    }
}

/// The program that is called `name`; else the exit code that says why there is none.
fn find(name: &str, path: &str, cwd: &Path) -> Result<PathBuf, i32> {
    if name.is_empty() {
        return Err(NOT_FOUND);
    }
    if name.contains('/') {
        return Ok(cwd.join(name));
    }
    let mut code = NOT_FOUND;
    for folder in path.split(':') {
        let program = cwd.join(folder).join(name);
        match fs::metadata(&program) {
            Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {
                return Ok(program);
            }
            Ok(metadata) if metadata.is_file() => code = NOT_EXECUTABLE,
            _ => {}
        }
    }
    Err(code)
}

/// Whether a program cannot be run because of what it is, and not because of what there is too little of.
fn is_of_the_program(error: &io::Error) -> bool {
    let raw = rustix::io::Errno::from_io_error(error);
    use rustix::io::Errno;
    matches!(
        raw,
        Some(
            Errno::ACCESS
                | Errno::PERM
                | Errno::NOEXEC
                | Errno::ISDIR
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::TXTBSY
                | Errno::INVAL
                | Errno::TOOBIG
                | Errno::LIBBAD
        )
    )
}

fn with_pipes(mut command: Command) -> io::Result<Running> {
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let none = || io::Error::other("it has no streams");
    let streams = Streams::Pipes {
        stdin: child.stdin.take().ok_or_else(none)?.into(),
        stdout: child.stdout.take().ok_or_else(none)?.into(),
        stderr: child.stderr.take().ok_or_else(none)?.into(),
    };
    Ok(Running { child, streams })
}

fn on_terminal(command: Command, size: Size, request: &ExecRequest) -> io::Result<Running> {
    let (terminal, other_end) = pty_process::blocking::open().map_err(of_terminal)?;
    // Whoever has a terminal may open it by its name.
    fchown(&other_end, Some(Uid::from_raw(request.uid)), Some(Gid::from_raw(request.gid)))?;
    fchmod(&other_end, Mode::RUSR | Mode::WUSR | Mode::WGRP)?;
    let terminal = OwnedFd::from(terminal);
    tcsetwinsize(&terminal, winsize(size))?;
    let child = pty_process::blocking::Command::from(command).spawn(other_end).map_err(of_terminal)?;
    Ok(Running { child, streams: Streams::Terminal(terminal) })
}

fn of_terminal(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path();
        for (file, mode) in [("no", 0o644), ("yes", 0o755)] {
            fs::create_dir_all(cwd.join("bin")).unwrap();
            fs::write(cwd.join("bin").join(file), "").unwrap();
            fs::set_permissions(cwd.join("bin").join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(cwd.join("bin/folder")).unwrap();
        let path = "/no/such:bin";
        assert_eq!(find("yes", path, cwd), Ok(cwd.join("bin/yes")));
        assert_eq!(find("no", path, cwd), Err(NOT_EXECUTABLE));
        assert_eq!(find("folder", path, cwd), Err(NOT_FOUND));
        assert_eq!(find("other", path, cwd), Err(NOT_FOUND));
        assert_eq!(find("", path, cwd), Err(NOT_FOUND));
        assert_eq!(find("./x/y", path, cwd), Ok(cwd.join("x/y")));
        assert_eq!(find("/x/y", path, cwd), Ok("/x/y".into()));
    }
}
