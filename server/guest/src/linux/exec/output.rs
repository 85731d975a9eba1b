//! What a command prints.

use super::group::Group;
use crate::linux::wire::Outgoing;
use codchi_guest::Kind;
use codchi_guest::frame::LIMIT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read as _};
use std::time::{Duration, Instant};

/// How long after the command's end nothing may come for it to be all. What the command itself printed is there at once, except on a
/// terminal on a busy computer.
const QUIET: Duration = Duration::from_millis(200);
/// How long is waited after the command's end at all, for others that have its streams.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much is taken after the command's end: more than any pipe holds.
const REST: usize = 2 << 20;

/// Sends what comes from `from` until its end, or until `ended` has ended and nothing more is there. Where it cannot be sent nobody
/// wants the command any more.
pub(super) fn pass_on(mut from: &File, ended: &PipeReader, kind: Kind, out: &Outgoing, group: &Group) {
    let mut after = After { patience: PATIENCE, rest: REST };
    let mut piece = vec![0; LIMIT];
    while !matches!(something_comes(from, ended, &mut after), Ok(false) | Err(_)) {
        let read = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => continue,
            // A terminal ends so when nobody has it any more.
            Err(_) => return,
        };
        after.rest = after.rest.saturating_sub(if has_ended(ended) { read } else { 0 });
        if out.send(kind, &piece[..read]).is_err() {
            group.kill();
            return;
        }
    }
}

/// What may still come after the command's end.
struct After {
    patience: Duration,
    rest: usize,
}

/// Waits until there is something to read, which may be the end, and gives `true`; `false` where that is not to be waited for any more.
fn something_comes(from: &File, ended: &PipeReader, after: &mut After) -> io::Result<bool> {
    let mut both = [PollFd::new(from, PollFlags::IN), PollFd::new(ended, PollFlags::empty())];
    wait(&mut both, None)?;
    if both[1].revents().is_empty() {
        return Ok(true);
    }
    if after.rest == 0 {
        return Ok(false);
    }
    let since = Instant::now();
    let comes = wait(&mut both[..1], Some(QUIET.min(after.patience)))?;
    after.patience = after.patience.saturating_sub(since.elapsed());
    Ok(comes)
}

fn has_ended(ended: &PipeReader) -> bool {
    wait(&mut [PollFd::new(ended, PollFlags::empty())], Some(Duration::ZERO)).unwrap_or(true)
}

/// Whether something has happened within that time.
fn wait(streams: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<bool> {
    let limit = limit.map(|limit| Timespec { tv_sec: 0, tv_nsec: limit.subsec_nanos().into() });
    loop {
        match poll(streams, limit.as_ref()) {
            Err(Errno::INTR) => {}
            done => return Ok(done? > 0),
        }
    }
}
