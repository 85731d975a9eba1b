//! Running a command.

mod command;
mod group;
mod input;
mod output;

use super::wire::{self, Incoming, Outgoing};
use super::{enter, instance};
use anyhow::{Context as _, Result};
use codchi_guest::{ExecRequest, Kind, Size, Target};
use command::{Begun, Running, Streams};
use group::Group;
use input::Feeder;
use rustix::termios::{Winsize, tcsetwinsize};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::thread;

/// Runs a command to its end; gives its exit code. What it prints has been sent when this returns.
pub(crate) fn run(request: &ExecRequest, incoming: Incoming, out: &Arc<Outgoing>) -> Result<i32> {
    wire::outlive_hangup()?;
    let begun = match request.target {
        Target::Distribution => command::start(request),
        Target::Instance => enter::within(&instance::required()?, |_| command::start(request)),
    };
    match begun? {
        Begun::Not { code } => Ok(code),
        Begun::Running(running) => attend(running, incoming, out),
    }
}

/// Passes streams on until the command has ended.
fn attend(Running { mut child, streams }: Running, incoming: Incoming, out: &Arc<Outgoing>) -> Result<i32> {
    let group = Arc::new(Group::of(&child));
    // Nothing is ever written to it: its end says that the command has ended.
    let (ended, running) = io::pipe()?;
    let pump = |from: OwnedFd, kind| {
        let ended = ended.try_clone()?;
        let (out, group) = (Arc::clone(out), Arc::clone(&group));
        Ok::<_, io::Error>(thread::spawn(move || output::pass_on(&from.into(), &ended, kind, &out, &group)))
    };
    let (pumps, feeder, terminal) = match streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            let pumps = vec![pump(stdout, Kind::Output)?, pump(stderr, Kind::Errors)?];
            (pumps, Feeder::pipe(stdin), None)
        }
        Streams::Terminal(terminal) => {
            let pumps = vec![pump(terminal.try_clone()?, Kind::Output)?];
            (pumps, Feeder::terminal(terminal.try_clone()?), Some(terminal))
        }
    };
    let listener = Arc::clone(&group);
    // It ends with this process, since it waits for who asked.
    thread::spawn(move || listen(incoming, &feeder, terminal.as_ref(), &listener));

    let status = group.wait(&mut child).context("waiting for the command")?;
    drop(running);
    for pump in pumps {
        // One that died has said why.
        let _ = pump.join();
    }
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Does what comes until who asked is gone, and the command is not wanted any more.
fn listen(mut incoming: Incoming, feeder: &Feeder, terminal: Option<&OwnedFd>, group: &Group) {
    while let Ok(Some((kind, bytes))) = incoming.next() {
        match (kind, bytes.as_slice()) {
            (Kind::Input, _) if feeder.push(&bytes, || incoming.is_gone()) => {}
            (Kind::Input, _) => break,
            (Kind::InputEnd, _) => feeder.end(),
            (Kind::Signal, &[a, b, c, d]) => group.signal(i32::from_be_bytes([a, b, c, d])),
            (Kind::Resize, &[a, b, c, d]) => {
                let size = Size { columns: u16::from_be_bytes([a, b]), rows: u16::from_be_bytes([c, d]) };
                if let Some(terminal) = terminal {
                    // One that is gone needs no size.
                    let _ = tcsetwinsize(terminal, winsize(size));
                }
            }
            _ => {}
        }
    }
    group.kill();
}

fn winsize(size: Size) -> Winsize {
    Winsize { ws_col: size.columns, ws_row: size.rows, ws_xpixel: 0, ws_ypixel: 0 }
}
