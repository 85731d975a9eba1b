//! What a command is given to read.
//!
//! It waits here until the command takes it, so that signals, and the end of who asked, are seen behind input that nobody reads.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How much may wait, in bytes. More than that stays with who asked.
const ROOM: usize = 16 << 20;
/// How often it is looked whether who asked is gone, while there is no room.
const LOOK: Duration = Duration::from_millis(200);
/// What a terminal takes for the end of its input.
const END_OF_TRANSMISSION: &[u8] = &[4];

/// Gives a command its input.
pub(super) struct Feeder(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// How many bytes they are.
    bytes: usize,
    /// Whether nothing comes after them.
    ended: bool,
    /// Whether nobody reads any more.
    unread: bool,
}

impl Feeder {
    /// Into a pipe, whose end is the input's.
    pub(super) fn pipe(pipe: OwnedFd) -> Self {
        Self::into(move |queue| queue.write_to(&mut File::from(pipe)))
    }

    /// Into a terminal.
    pub(super) fn terminal(terminal: OwnedFd) -> Self {
        Self::into(move |queue| {
            let mut terminal = File::from(terminal);
            queue.write_to(&mut terminal)?;
            terminal.write_all(END_OF_TRANSMISSION)
        })
    }

    fn into(feed: impl FnOnce(&Queue) -> io::Result<()> + Send + 'static) -> Self {
        let queue = Arc::new(Queue::default());
        let fed = Arc::clone(&queue);
        thread::spawn(move || {
            // An error says that nobody reads any more, which is the command's own business.
            let _ = feed(&fed);
            let mut state = fed.lock();
            *state = State { unread: true, ..State::default() };
            fed.changed.notify_all();
        });
        Self(queue)
    }

    /// Gives a piece. Where there is no room it waits for it, and gives up with `false` once `gone` says so.
    pub(super) fn push(&self, piece: &[u8], gone: impl Fn() -> bool) -> bool {
        let Queue { changed, .. } = &*self.0;
        let mut state = self.0.lock();
        while state.bytes >= ROOM {
            state = changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            if state.bytes >= ROOM && gone() {
                return false;
            }
        }
        if !state.unread && !state.ended {
            state.bytes += piece.len();
            state.pieces.push_back(piece.to_vec());
            changed.notify_all();
        }
        true
    }

    /// Nothing comes after this.
    pub(super) fn end(&self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl Queue {
    /// Writes all pieces to `into`, to the input's end.
    fn write_to(&self, into: &mut File) -> io::Result<()> {
        loop {
            let mut state = self.lock();
            while state.pieces.is_empty() && !state.ended {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(piece) = state.pieces.pop_front() else { return Ok(()) };
            state.bytes -= piece.len();
            self.changed.notify_all();
            drop(state);
            into.write_all(&piece)?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
