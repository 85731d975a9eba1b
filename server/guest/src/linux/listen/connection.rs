//! One connection: what its program says goes into frames, what frames say goes to its program. Each way has a thread and a window.

use crate::linux::wire::Outgoing;
use codchi_guest::Kind;
use codchi_guest::connection::{LONGEST, Step, WINDOW, payload};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long what was sent last may take to be read by the program, once nobody wants the connection any more.
const LINGER: Duration = Duration::from_secs(10);
/// How often it is looked whether that has passed.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    number: u32,
    stream: UnixStream,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What is to be written, at most [`WINDOW`] bytes.
    pieces: VecDeque<Vec<u8>>,
    waiting: usize,
    /// Nothing comes after them.
    ended: bool,
    /// How many bytes may be sent.
    room: usize,
    /// Since when nobody wants it any more.
    unwanted: Option<Instant>,
}

impl Connection {
    pub(super) fn new(number: u32, stream: UnixStream) -> Self {
        let (pieces, waiting, ended) = (VecDeque::new(), 0, false);
        let state = State { pieces, waiting, ended, room: WINDOW, unwanted: None };
        Self { number, stream, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Does what a frame says; waits for nobody.
    pub(super) fn hear(&self, step: Step<'_>) {
        let mut state = self.state();
        match step {
            // More than was agreed on is none of ours.
            Step::Data(bytes) if state.waiting + bytes.len() > WINDOW => self.close(&mut state),
            Step::Data(bytes) if !state.ended => {
                state.waiting += bytes.len();
                state.pieces.push_back(bytes.to_vec());
            }
            Step::Taken(count) => {
                state.room = state.room.saturating_add(count as usize).min(WINDOW);
            }
            Step::End => state.ended = true,
            Step::Closed => {
                state.ended = true;
                state.unwanted.get_or_insert_with(Instant::now);
                // Where it fails it is gone already.
                let _ = self.stream.shutdown(Shutdown::Read);
            }
            Step::Data(_) | Step::Opened => {}
        }
        self.changed.notify_all();
    }

    /// Passes on until both ways have ended.
    pub(super) fn pass(&self, out: &Outgoing) {
        thread::scope(|scope| {
            let writes = thread::Builder::new().spawn_scoped(scope, || self.write(out));
            if writes.is_err() {
                return self.close(&mut self.state());
            }
            self.read(out);
        });
    }

    fn read(&self, out: &Outgoing) {
        let mut piece = vec![0; LONGEST];
        while let Some(room) = self.room() {
            match (&self.stream).read(&mut piece[..room.min(LONGEST)]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    self.state().room -= read;
                    if !self.say(out, Step::Data(&piece[..read])) {
                        return self.close(&mut self.state());
                    }
                }
            }
        }
        self.say(out, Step::End);
    }

    /// How much may be sent, once that is something; `None` where nobody wants it any more.
    fn room(&self) -> Option<usize> {
        let mut state = self.state();
        while state.room == 0 && state.unwanted.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.unwanted.is_none().then_some(state.room)
    }

    fn write(&self, out: &Outgoing) {
        let patient = self.stream.set_write_timeout(Some(LOOK));
        while let Some(piece) = self.piece() {
            if patient.is_err() || !self.write_all(&piece) {
                return self.close(&mut self.state());
            }
            let length = piece.len();
            self.state().waiting -= length;
            self.say(out, Step::Taken(u32::try_from(length).unwrap_or(0)));
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// What is to be written next; `None` at the end.
    fn piece(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        while state.pieces.is_empty() && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.pieces.pop_front()
    }

    /// Whether all of it could be written.
    fn write_all(&self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() {
            match (&self.stream).write(piece) {
                Ok(written) => piece = piece.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nobody reads.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.state().unwanted.is_some_and(|since| since.elapsed() > LINGER) {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// Ends both ways, whatever still waits.
    fn close(&self, state: &mut State) {
        state.pieces.clear();
        state.ended = true;
        state.unwanted.get_or_insert_with(Instant::now);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.changed.notify_all();
    }

    fn say(&self, out: &Outgoing, step: Step<'_>) -> bool {
        out.send(Kind::FromConnection, &payload(self.number, step)).is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
