//! Frames on the standard streams.

use anyhow::{Context as _, Result};
use codchi_guest::Kind;
use codchi_guest::frame::{HEAD, head, parse_head};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, BufReader, Error, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use uapi::c;

/// What comes.
pub(crate) struct Incoming(BufReader<File>);

impl Incoming {
    pub(crate) fn stdin() -> io::Result<Self> {
        Ok(Self(BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?))))
    }

    /// The next frame; `None` where who asked is gone.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Kind, Vec<u8>)>> {
        let mut begin = [0; HEAD];
        let (first, rest) = begin.split_at_mut(1);
        loop {
            match self.0.read(first) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.0.read_exact(rest)?;
        let (kind, length) =
            parse_head(begin).ok_or_else(|| Error::new(ErrorKind::InvalidData, "what came is no frame"))?;
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(Some((kind, bytes)))
    }

    /// Whether who asked is gone, without reading anything.
    pub(crate) fn is_gone(&self) -> bool {
        let mut stream = [PollFd::new(self.0.get_ref(), PollFlags::RDHUP)];
        let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR | PollFlags::NVAL;
        poll(&mut stream, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok()
            && stream[0].revents().intersects(gone)
    }
}

/// The contents that come as input, to their end. A stream that ends before is an error.
pub(crate) struct Contents<'a> {
    incoming: &'a mut Incoming,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl<'a> Contents<'a> {
    pub(crate) fn of(incoming: &'a mut Incoming) -> Self {
        Self { incoming, piece: io::Cursor::default(), ended: false }
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(into)?;
            if read > 0 || self.ended || into.is_empty() {
                return Ok(read);
            }
            match self.incoming.next()? {
                Some((Kind::Input, bytes)) => self.piece = io::Cursor::new(bytes),
                Some((Kind::InputEnd, _)) => self.ended = true,
                Some(_) => {}
                None => return Err(Error::new(ErrorKind::UnexpectedEof, "who sends it is gone")),
            }
        }
    }
}

/// What goes.
pub(crate) struct Outgoing(Mutex<File>);

impl Outgoing {
    pub(crate) fn stdout() -> io::Result<Self> {
        Ok(Self(Mutex::new(File::from(io::stdout().as_fd().try_clone_to_owned()?))))
    }

    /// Sends one frame, as a whole and not amid another.
    pub(crate) fn send(&self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEAD + bytes.len());
        frame.extend_from_slice(&head(kind, bytes.len()));
        frame.extend_from_slice(bytes);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&frame)
    }
}

/// WSL gives each session a terminal, which hangs up when its `wsl.exe` is killed: a program that has
/// something to end then must not end by that itself, and sees the end of its input. What `Command` starts has no signal blocked.
pub(crate) fn outlive_hangup() -> Result<()> {
    let mut signals = uapi::empty_sig_set()?;
    uapi::sigaddset(&mut signals, c::SIGHUP)?;
    uapi::pthread_sigmask(c::SIG_BLOCK, Some(&signals), None).context("blocking a signal")
}
