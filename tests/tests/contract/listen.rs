//! Sockets in an instance that this computer answers at, where the engine passes none in as devices.

use codchi_driver::{Connection, DriverError, ListenAt, Process};
use codchi_tests::instance::{Machine, SECOND, shell};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

fn at(path: &str) -> ListenAt {
    ListenAt { path: path.into(), uid: 1000, gid: 100, mode: 0o600 }
}

/// An instance, and who connects to a socket in it.
struct Listening {
    machine: Machine,
    connections: BoxStream<'static, Connection>,
    /// The root file system of a process in it, by which a program of this computer connects there.
    root: PathBuf,
    _stays: Process,
}

impl Listening {
    /// `None` where the engine passes sockets in itself.
    async fn new() -> Option<Self> {
        let machine = Machine::running().await;
        let listened = machine.driver.listen(&machine.name, &at("/opt/socket")).await.unwrap();
        assert_eq!(listened.is_none(), machine.driver.kind().passes_sockets());
        let connections = listened?;
        let word = format!("{}00000", machine.name.as_str().rsplit('-').next().unwrap());
        let known = format!("sleep\0{}{word}\0", std::process::id());
        let stays = machine.exec(&shell(&format!("exec sleep {}{word}", std::process::id()))).await;
        let end = Instant::now() + 10 * SECOND;
        let root = loop {
            let mut all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
            let ours = all.find(|path| {
                fs::read(path.join("cmdline")).is_ok_and(|line| line.ends_with(known.as_bytes()))
            });
            match ours {
                Some(process) => break process.join("root"),
                None => assert!(Instant::now() < end, "it does not come up"),
            }
            sleep(SECOND / 20).await;
        };
        Some(Self { machine, connections, root, _stays: stays })
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.root.join("opt/socket")).await.unwrap()
    }

    async fn next(&mut self) -> Connection {
        timeout(10 * SECOND, self.connections.next()).await.expect("it comes").expect("it listens")
    }
}

/// Waits until nothing has this name.
async fn gone(machine: &Machine) {
    let end = Instant::now() + 5 * SECOND;
    while !machine.sh("ls -A /opt").await.is_empty() {
        assert!(Instant::now() < end, "the socket is still there");
        sleep(SECOND / 10).await;
    }
}

#[tokio::test]
async fn who_connects_inside_is_answered_here() {
    const SIZE: usize = 10 << 20;
    let Some(mut listening) = Listening::new().await else { return };
    assert_eq!(listening.machine.sh("stat -c '%F %u %g %a' /opt/socket").await, "socket 1000 100 600");
    let mut ends = Vec::new();
    for seed in [3, 7] {
        let (mut program, mut here) = (listening.connect().await, listening.next().await);
        let said: Vec<u8> = (0..SIZE).map(|index| ((index ^ seed) % 251) as u8).collect();
        let other: Vec<u8> = said.iter().map(|byte| byte ^ 0x55).collect();
        ends.push(tokio::spawn(async move {
            let (mut read, mut write) = program.split();
            let talk = async {
                write.write_all(&said).await.unwrap();
                write.shutdown().await.unwrap()
            };
            let mut heard = Vec::new();
            let (_, length) = tokio::join!(talk, read.read_to_end(&mut heard));
            assert!(heard == other, "{length:?} bytes came");
        }));
        ends.push(tokio::spawn(async move {
            // Each in its own time, so that all that can be is on its way at once.
            let (mut read, mut write) = tokio::io::split(&mut here);
            let mut piece = vec![0; 100_000];
            loop {
                let length = read.read(&mut piece).await.unwrap();
                if length == 0 {
                    return write.shutdown().await.unwrap();
                }
                let answer: Vec<u8> = piece[..length].iter().map(|byte| byte ^ 0x55).collect();
                write.write_all(&answer).await.unwrap();
            }
        }));
    }
    for end in ends {
        timeout(60 * SECOND, end).await.expect("no deadlock").unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_hangs_stops_no_other() {
    let Some(mut listening) = Listening::new().await else { return };
    let (hangs, mut here) = (listening.connect().await, listening.next().await);
    let (mut silent, writes) = (listening.connect().await, listening.next().await);
    // To a program that reads nothing, and from one that nobody reads: both come to a halt.
    let much = vec![b'x'; 16 << 20];
    assert!(timeout(2 * SECOND, here.write_all(&much)).await.is_err(), "all of it is kept somewhere");
    assert!(timeout(2 * SECOND, silent.write_all(&much)).await.is_err(), "all of it is kept somewhere");
    let (mut program, mut other) = (listening.connect().await, listening.next().await);
    program.write_all(b"question").await.unwrap();
    let mut heard = [0; 8];
    timeout(5 * SECOND, other.read_exact(&mut heard)).await.expect("it is not held up").unwrap();
    other.write_all(b"answer").await.unwrap();
    // What was written before it is dropped arrives, and then the end.
    drop(other);
    let mut answer = String::new();
    timeout(5 * SECOND, program.read_to_string(&mut answer)).await.expect("it ends").unwrap();
    assert_eq!((&heard, &*answer), (b"question", "answer"));
    drop((hangs, writes));
    // A program that has gone is one that nothing can be said to.
    let broken = timeout(10 * SECOND, async { while here.write_all(&much).await.is_ok() {} });
    broken.await.expect("it ends");
}

#[tokio::test]
async fn a_socket_goes_with_who_answers_and_may_come_again() {
    let Some(listening) = Listening::new().await else { return };
    let Listening { machine, connections, root, _stays } = listening;
    let mut program = UnixStream::connect(root.join("opt/socket")).await.unwrap();
    drop(connections);
    let mut heard = Vec::new();
    timeout(5 * SECOND, program.read_to_end(&mut heard)).await.expect("it is closed").ok();
    gone(&machine).await;
    let again = machine.driver.listen(&machine.name, &at("/opt/socket")).await.unwrap();
    // The last who listens has it.
    let mut last = machine.driver.listen(&machine.name, &at("/opt/socket")).await.unwrap().unwrap();
    drop(again);
    sleep(SECOND / 2).await;
    let _program = UnixStream::connect(root.join("opt/socket")).await.unwrap();
    assert!(timeout(5 * SECOND, last.next()).await.expect("it comes").is_some());
    let begun = Instant::now();
    super::stop(&machine).await;
    assert!(timeout(5 * SECOND, last.next()).await.expect("it ends with the instance").is_none());
    assert!(begun.elapsed() < 10 * SECOND, "stopping waits for nobody who listens");
}

#[tokio::test]
async fn where_nothing_can_listen_is_told() {
    let machine = Machine::stopped().await;
    if machine.driver.kind().passes_sockets() {
        assert!(machine.driver.listen(&machine.name, &at("/opt/socket")).await.unwrap().is_none());
        return;
    }
    let error = async |path: &str| machine.driver.listen(&machine.name, &at(path)).await.err().unwrap();
    let stopped = error("/opt/socket").await;
    assert!(matches!(stopped, DriverError::NotRunning { .. }), "{stopped:?}");
    machine.boot().await;
    let refused = error("/no/such/folder").await;
    assert!(
        matches!(&refused, DriverError::Engine { message, .. } if message.contains("/no/such/folder")),
        "{refused:?}"
    );
    machine.driver.delete(&machine.name).await.unwrap();
    let missing = error("/opt/socket").await;
    super::is_missing(&missing, &machine);
}
