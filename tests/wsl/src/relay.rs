//! A command's streams, which go through `wsl.exe` on Windows and through this process here: when it is killed they end.

use crate::distribution::terminal;
use anyhow::Result;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

/// How much is passed on at once.
const PIECE: usize = 64 << 10;

/// What a command's streams are connected to.
pub(crate) struct Streams {
    /// The terminal that the command is the leader of, even where no stream is on it.
    master: OwnedFd,
    pub(crate) number: u32,
    /// Which of the three are a terminal's here.
    pub(crate) on_terminal: [bool; 3],
}

impl Streams {
    /// For the distribution whose first process is `pid`.
    ///
    /// # Errors
    /// That there is no terminal.
    pub(crate) fn of_this_process(pid: i32) -> Result<Self> {
        let (master, number) = terminal::open(pid)?;
        let on_terminal = [
            rustix::termios::isatty(rustix::stdio::stdin()),
            rustix::termios::isatty(rustix::stdio::stdout()),
            rustix::termios::isatty(rustix::stdio::stderr()),
        ];
        if let Some(size) = (on_terminal[1]).then(|| rustix::termios::tcgetwinsize(rustix::stdio::stdout())) {
            let _ = rustix::termios::tcsetwinsize(&master, size?);
        }
        Ok(Self { master, number, on_terminal })
    }

    /// Gives `command` pipes for what is on no terminal.
    pub(crate) fn apply(&self, command: &mut Command) {
        let stdio = |on: bool| if on { Stdio::null() } else { Stdio::piped() };
        let [input, output, errors] = self.on_terminal;
        command.stdin(stdio(input)).stdout(stdio(output)).stderr(stdio(errors));
    }

    /// Passes all on until the command has ended, and what it has printed until then.
    ///
    /// # Errors
    /// That the command cannot be waited for.
    pub(crate) fn relay(self, mut child: Child) -> Result<ExitStatus> {
        let ended = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let mut outputs: Vec<JoinHandle<()>> = Vec::new();
        let mut output = |from: OwnedFd, to: Target| {
            let ended = Arc::clone(&ended);
            outputs.push(std::thread::spawn(move || pass_on(from, to, &ended)));
        };
        if let Some(from) = child.stdout.take() {
            output(from.into(), Target::Output);
        }
        if let Some(from) = child.stderr.take() {
            output(from.into(), Target::Errors);
        }
        if self.on_terminal[1] || self.on_terminal[2] {
            let to = if self.on_terminal[1] { Target::Output } else { Target::Errors };
            output(self.master.try_clone()?, to);
        }
        let raw = self.on_terminal[0].then(Raw::set).flatten();
        let input: Option<OwnedFd> = match child.stdin.take() {
            Some(pipe) => Some(pipe.into()),
            None => self.on_terminal[0].then(|| self.master.try_clone()).transpose()?,
        };
        if let Some(to) = input {
            // It ends with this process.
            std::thread::spawn(move || feed(&to));
        }
        let status = child.wait()?;
        rustix::io::write(&*ended, &1_u64.to_ne_bytes())?;
        for output in outputs {
            let _ = output.join();
        }
        drop(raw);
        Ok(status)
    }
}

/// Where output goes.
#[derive(Clone, Copy)]
enum Target {
    Output,
    Errors,
}

/// Writes all of `piece`; `false` where nobody reads.
fn write_all(to: impl AsFd, mut piece: &[u8]) -> bool {
    while !piece.is_empty() {
        match rustix::io::write(&to, piece) {
            Ok(length) => piece = &piece[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&to, PollFlags::OUT)];
                let _ = rustix::event::poll(&mut fds, None);
            }
            Err(_) => return false,
        }
    }
    true
}

/// Passes on what comes from the command, until that is all, or the command has `ended` and there is no more for the moment: what it
/// has started may go on, but is not heard any more.
fn pass_on(from: OwnedFd, to: Target, ended: &OwnedFd) {
    let mut piece = vec![0; PIECE];
    loop {
        let mut fds = [PollFd::new(&from, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        if rustix::event::poll(&mut fds, None).is_err() {
            continue;
        }
        let [some, over] = [!fds[0].revents().is_empty(), !fds[1].revents().is_empty()];
        if !some && over {
            return;
        }
        let length = match rustix::io::read(&from, &mut *piece) {
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            // A terminal that nobody has open any more.
            Err(_) => return,
        };
        let reached = match to {
            Target::Output => write_all(rustix::stdio::stdout(), &piece[..length]),
            Target::Errors => write_all(rustix::stdio::stderr(), &piece[..length]),
        };
        if length == 0 || !reached {
            return;
        }
    }
}

/// Passes on standard input until it ends.
fn feed(to: &OwnedFd) {
    let mut piece = vec![0; PIECE];
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut *piece) {
            Err(Errno::INTR) => {}
            Ok(length) if length > 0 && write_all(to, &piece[..length]) => {}
            _ => return,
        }
    }
}

/// This process's terminal, raw until this is dropped.
struct Raw(Termios);

impl Raw {
    fn set() -> Option<Self> {
        let before = rustix::termios::tcgetattr(rustix::stdio::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}
