//! Sockets in a distribution at which this computer is asked for something: the program in it listens, and the connections come through one
//! session ([`codchi_guest::connection`]).

use super::call::{CallError, Program};
use super::session::{self, Session};
use crate::types::{Connection, InstanceName, ListenAt};
use bytes::Bytes;
use codchi_guest::connection::{LONGEST, Step, WINDOW, parse, payload};
use codchi_guest::{Kind, ListenRequest, Request, Target};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::process::Child;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Payloads that may wait on their way to the distribution.
const QUEUE: usize = 16;
/// What is kept of a connection's data between its two ends here, in each direction, in bytes; it is in the windows.
const KEPT: usize = 64 << 10;
/// How long what was written last may wait for its reader, once the connection was dropped.
const LINGER: Duration = Duration::from_secs(10);

impl Program {
    /// Who connects to a socket in a distribution that runs, from when it is there. The stream ends with the distribution.
    pub(super) async fn listen(
        &self,
        name: &InstanceName,
        target: Target,
        at: &ListenAt,
    ) -> Result<BoxStream<'static, Connection>, CallError> {
        let mut session = Session::open(self, name).await?;
        let ListenAt { path, uid, gid, mode } = at.clone();
        session.request(&Request::Listen(ListenRequest { target, path, uid, gid, mode })).await?;
        session.begun().await?;
        let (come, mut coming) = mpsc::unbounded_channel();
        let session = AbortOnDropHandle::new(tokio::spawn(pass(session, come)));
        let connections = stream::poll_fn(move |context| {
            // Whoever holds the stream holds the session, whose end takes the socket away.
            let _ = &session;
            coming.poll_recv(context)
        });
        Ok(connections.boxed())
    }
}

/// A connection as the session's task has it.
struct Known {
    /// What its program says, to its end; as much as the window lets.
    said: Option<mpsc::UnboundedSender<Bytes>>,
    /// How many bytes may be sent.
    room: Arc<Semaphore>,
    /// It is over.
    over: CancellationToken,
}

/// Passes on between a session and its connections, until the session ends.
async fn pass(session: Session, come: mpsc::UnboundedSender<Connection>) {
    let Session { child, mut stdin, mut stdout } = session;
    let _child: Child = child;
    let (say, mut to_say) = mpsc::channel::<Vec<u8>>(QUEUE);
    // All that is about the connections ends with this one.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Some(payload) = to_say.recv().await {
            if session::send(&mut stdin, Kind::ToConnection, &payload).await.is_err() {
                return;
            }
        }
    });
    let mut known: HashMap<u32, Known> = HashMap::new();
    loop {
        let bytes = match session::receive(&mut stdout).await {
            Ok(Some((Kind::FromConnection, bytes))) => bytes,
            Ok(Some((Kind::Done | Kind::Failed, _)) | None) | Err(_) => return,
            Ok(Some(_)) => continue,
        };
        while tasks.try_join_next().is_some() {}
        let Some((number, step)) = parse(&bytes) else { continue };
        if step == Step::Opened {
            let (theirs, ours) = tokio::io::duplex(KEPT);
            let dropped = CancellationToken::new();
            let (said, saying) = mpsc::unbounded_channel();
            let (room, over) = (Arc::new(Semaphore::new(WINDOW)), CancellationToken::new());
            let (read, write) = tokio::io::split(ours);
            let out = Out { number, say: say.clone() };
            tasks.spawn(out.clone().take(write, saying));
            tasks.spawn(out.give(read, room.clone(), dropped.clone(), over.clone()));
            known.insert(number, Known { said: Some(said), room, over });
            if come.send(Connection::new(theirs, dropped)).is_err() {
                return;
            }
            continue;
        }
        let Some(connection) = known.get_mut(&number) else { continue };
        match step {
            Step::Data(data) => {
                if let Some(said) = &connection.said {
                    // Nobody reads it where that end was dropped.
                    let _ = said.send(Bytes::copy_from_slice(data));
                }
            }
            Step::End => connection.said = None,
            Step::Taken(count) => connection.room.add_permits(count as usize),
            Step::Closed => {
                if let Some(connection) = known.remove(&number) {
                    connection.over.cancel();
                }
            }
            Step::Opened => {}
        }
    }
}

/// A connection's way out.
#[derive(Clone)]
struct Out {
    number: u32,
    say: mpsc::Sender<Vec<u8>>,
}

impl Out {
    /// Whether it could be said.
    async fn step(&self, step: Step<'_>) -> bool {
        self.say.send(payload(self.number, step)).await.is_ok()
    }

    /// Has read what the program in the distribution says.
    async fn take(self, mut write: WriteHalf<DuplexStream>, mut saying: mpsc::UnboundedReceiver<Bytes>) {
        while let Some(bytes) = saying.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
            self.step(Step::Taken(u32::try_from(bytes.len()).unwrap_or(0))).await;
        }
        // Where nobody reads any more nobody hears of the end.
        let _ = write.shutdown().await;
    }

    /// Sends what is written here, and says when nobody wants the connection any more.
    async fn give(
        self,
        read: ReadHalf<DuplexStream>,
        room: Arc<Semaphore>,
        dropped: CancellationToken,
        over: CancellationToken,
    ) {
        let lingered = async {
            dropped.cancelled().await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            () = self.send(read, &room) => {}
            () = lingered => {}
            () = over.cancelled() => return,
        }
        tokio::select! {
            () = dropped.cancelled() => drop(self.step(Step::Closed).await),
            () = over.cancelled() => {}
        }
    }

    /// To its end, which is said.
    async fn send(&self, mut read: ReadHalf<DuplexStream>, room: &Semaphore) {
        let mut piece = vec![0; LONGEST];
        while let Ok(length) = read.read(&mut piece).await {
            let Ok(count) = u32::try_from(length) else { return };
            if length == 0 {
                break;
            }
            let Ok(taken) = room.acquire_many(count).await else { return };
            taken.forget();
            if !self.step(Step::Data(&piece[..length])).await {
                return;
            }
        }
        self.step(Step::End).await;
    }
}
