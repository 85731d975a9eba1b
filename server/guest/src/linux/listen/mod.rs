//! Listening at a socket in a system, and passing on who connects to it.

mod connection;
mod socket;

use super::wire::{self, Incoming, Outgoing};
use super::{enter, instance};
use anyhow::{Context as _, Result};
use codchi_guest::connection::{Step, parse, payload};
use codchi_guest::{Kind, ListenRequest, Target};
use connection::Connection;
use socket::Socket;
use std::collections::BTreeMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many connections there may be; who comes then waits, as the kernel lets them.
const MOST: usize = 128;
/// How long nobody is let in where there is too little of something.
const RETRY: Duration = Duration::from_millis(100);

/// Listens until who asked says that it is enough, or is gone.
pub(crate) fn run(request: &ListenRequest, mut incoming: Incoming, out: &Arc<Outgoing>) -> Result<()> {
    wire::outlive_hangup()?;
    let bound = match request.target {
        Target::Distribution => Socket::bind(request),
        Target::Instance => enter::within(&instance::required()?, |_| Socket::bind(request)),
    };
    // It goes with this function.
    let (_socket, listener) = bound.with_context(|| format!("listening at {}", request.path))?;
    out.send(Kind::Begun, &[])?;
    let table = Arc::new(Table::default());
    let (accepting, to) = (Arc::clone(&table), Arc::clone(out));
    // It ends with this process.
    thread::Builder::new().spawn(move || accept(&listener, &accepting, &to))?;
    while let Ok(Some((kind, bytes))) = incoming.next() {
        match kind {
            Kind::ToConnection => {
                if let Some((number, step)) = parse(&bytes)
                    && let Some(connection) = table.get(number)
                {
                    connection.hear(step);
                }
            }
            Kind::InputEnd => break,
            _ => {}
        }
    }
    Ok(())
}

/// Lets in who comes.
fn accept(listener: &UnixListener, table: &Arc<Table>, out: &Arc<Outgoing>) {
    let mut number = 0;
    loop {
        table.wait_for_room();
        match listener.accept() {
            Ok((stream, _)) => {
                number += 1;
                begin(number, stream, table, out);
            }
            Err(_) => thread::sleep(RETRY),
        }
    }
}

fn begin(number: u32, stream: UnixStream, table: &Arc<Table>, out: &Arc<Outgoing>) {
    let connection = Arc::new(Connection::new(number, stream));
    table.lock().insert(number, Arc::clone(&connection));
    let (of, to) = (Arc::clone(table), Arc::clone(out));
    let begun = thread::Builder::new().spawn(move || {
        // Where nobody hears it, nobody is there to say anything else to.
        if to.send(Kind::FromConnection, &payload(number, Step::Opened)).is_ok() {
            connection.pass(&to);
            let _ = to.send(Kind::FromConnection, &payload(number, Step::Closed));
        }
        of.remove(number);
    });
    if begun.is_err() {
        table.remove(number);
        thread::sleep(RETRY);
    }
}

/// The connections, by their numbers.
#[derive(Default)]
struct Table {
    all: Mutex<BTreeMap<u32, Arc<Connection>>>,
    fewer: Condvar,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, number: u32) -> Option<Arc<Connection>> {
        self.lock().get(&number).cloned()
    }

    fn remove(&self, number: u32) {
        self.lock().remove(&number);
        self.fewer.notify_all();
    }

    fn wait_for_room(&self) {
        let mut all = self.lock();
        while all.len() >= MOST {
            all = self.fewer.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
