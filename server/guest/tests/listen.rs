//! Sockets that are listened at, and who connects to them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod common;

use codchi_guest::connection::{LONGEST, Step, WINDOW, parse, payload};
use codchi_guest::{Kind, ListenRequest, Request, Target};
use common::Session;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use tempfile::TempDir;

fn request(path: &Path) -> ListenRequest {
    ListenRequest {
        target: Target::Distribution,
        path: path.to_str().unwrap().into(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        mode: 0o640,
    }
}

/// A program that listens at a socket of its own.
struct Listening {
    session: Session,
    folder: TempDir,
}

impl Listening {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { session: listen(&folder.path().join("socket")), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path()).unwrap()
    }

    fn say(&mut self, number: u32, step: Step<'_>) {
        self.session.send(Kind::ToConnection, &payload(number, step));
    }

    fn hear(&mut self, take: impl FnOnce(u32, Step<'_>)) {
        match self.session.receive() {
            Some((Kind::FromConnection, bytes)) => {
                let (number, step) = parse(&bytes).unwrap();
                take(number, step);
            }
            other => panic!("{other:?}"),
        }
    }

    fn expect(&mut self, number: u32, step: Step<'_>) {
        self.hear(|of, heard| assert_eq!((of, heard), (number, step)));
    }

    /// Gives back what comes until `count` connections are over.
    fn echo(&mut self, count: usize) {
        let mut over = 0;
        let mut rooms: BTreeMap<u32, (usize, Vec<u8>, bool)> = BTreeMap::new();
        while over < count {
            let mut at = 0;
            let mut taken = 0;
            self.hear(|number, step| {
                at = number;
                let (room, waiting, ended) = rooms.entry(number).or_insert((WINDOW, Vec::new(), false));
                match step {
                    Step::Opened => {}
                    Step::Data(bytes) => {
                        waiting.extend_from_slice(bytes);
                        taken = bytes.len();
                    }
                    Step::End => *ended = true,
                    Step::Closed => over += 1,
                    Step::Taken(count) => *room += count as usize,
                }
            });
            if taken > 0 {
                self.say(at, Step::Taken(taken.try_into().unwrap()));
            }
            let (room, waiting, ended) = rooms.get_mut(&at).unwrap();
            while *room > 0 && !waiting.is_empty() {
                let length = waiting.len().min(*room).min(LONGEST);
                let piece: Vec<u8> = waiting.drain(..length).collect();
                *room -= length;
                self.say(at, Step::Data(&piece));
            }
            if *ended && waiting.is_empty() {
                self.say(at, Step::End);
                *ended = false;
            }
        }
    }
}

fn listen(path: &Path) -> Session {
    let mut session = Session::here(&Request::Listen(request(path)));
    assert_eq!(session.receive(), Some((Kind::Begun, Vec::new())));
    session
}

/// The program's end, where who asked is gone.
fn gone(mut session: Session) -> ExitStatus {
    drop(session.stdin.take());
    session.child.wait().unwrap()
}

fn read(stream: &mut UnixStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn connections_pass_much_both_ways_at_once() {
    let mut listening = Listening::new();
    let talk = |mut stream: UnixStream, seed: u32| {
        thread::spawn(move || {
            let said: Vec<u8> = (0..5_000_000u32).map(|index| ((index ^ seed) % 251) as u8).collect();
            let mut writing = stream.try_clone().unwrap();
            let to_say = said.clone();
            let writer = thread::spawn(move || {
                writing.write_all(&to_say).unwrap();
                writing.shutdown(Shutdown::Write).unwrap();
            });
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            writer.join().unwrap();
            assert!(heard == said, "{} bytes came back", heard.len());
        })
    };
    let talks = [talk(listening.connect(), 1), talk(listening.connect(), 99)];
    listening.echo(2);
    for talk in talks {
        talk.join().unwrap();
    }
}

#[test]
fn one_that_hangs_stops_no_other_and_takes_no_more_than_its_window() {
    let mut listening = Listening::new();
    let mut hangs = listening.connect();
    listening.expect(1, Step::Opened);
    // It says more than anybody takes, and reads nothing.
    let writing = thread::spawn(move || {
        let _ = hangs.write_all(&vec![b'x'; 4 << 20]);
        hangs
    });
    let mut came = 0;
    while came < WINDOW {
        listening.hear(|number, step| match step {
            Step::Data(bytes) if number == 1 => came += bytes.len(),
            other => panic!("{number} {other:?}"),
        });
    }
    for _ in 0..WINDOW / (32 << 10) {
        listening.say(1, Step::Data(&vec![b'y'; 32 << 10]));
    }
    let mut other = listening.connect();
    let mut number = 0;
    while number == 0 {
        listening.hear(|of, step| match step {
            Step::Opened => number = of,
            // What the kernel keeps for the one that hangs.
            Step::Taken(_) if of == 1 => {}
            other => panic!("{of} {other:?}"),
        });
    }
    other.write_all(b"hello").unwrap();
    let mut heard = false;
    while !heard {
        listening.hear(|of, step| match step {
            Step::Taken(_) if of == 1 => {}
            step => {
                assert_eq!((of, step), (number, Step::Data(b"hello")));
                heard = true;
            }
        });
    }
    listening.say(number, Step::Data(b"there"));
    assert_eq!(read(&mut other, 5), b"there");
    // Whoever says more than was agreed on is not listened to.
    for _ in 0..WINDOW / (32 << 10) {
        listening.say(1, Step::Data(&vec![b'y'; 32 << 10]));
    }
    let mut over = false;
    while !over {
        listening.hear(|of, step| over = (of, step) == (1, Step::Closed));
    }
    drop(writing.join().unwrap());
}

#[test]
fn what_was_said_last_arrives_and_then_it_is_over() {
    let mut listening = Listening::new();
    let mut stream = listening.connect();
    listening.expect(1, Step::Opened);
    listening.say(1, Step::Data(b"bye"));
    listening.say(1, Step::Closed);
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "bye");
    let mut over = false;
    while !over {
        listening.hear(|of, step| over = (of, step) == (1, Step::Closed));
    }
    // A program that has ended is known by the end of what it says.
    let stream = listening.connect();
    listening.expect(2, Step::Opened);
    drop(stream);
    listening.expect(2, Step::End);
    listening.say(2, Step::End);
    listening.expect(2, Step::Closed);
}

#[test]
fn the_socket_is_whose_it_is_said_to_be_and_goes_with_who_asked() {
    let mut listening = Listening::new();
    let path = listening.path();
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    let mut stream = listening.connect();
    listening.expect(1, Step::Opened);
    gone(listening.session);
    assert_eq!(fs::read_dir(listening.folder.path()).unwrap().count(), 0);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);

    let mut session = listen(&path);
    session.send(Kind::InputEnd, b"");
    assert_eq!(session.receive(), Some((Kind::Done, b"null".to_vec())));
    assert!(!path.exists());
}

#[test]
fn a_name_that_is_taken_is_taken_over_and_kept_by_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let first = listen(&path);
    let mut second = listen(&path);
    gone(first);
    let _stream = UnixStream::connect(&path).unwrap();
    let opened = payload(1, Step::Opened);
    assert_eq!(second.receive(), Some((Kind::FromConnection, opened)));
    gone(second);
    assert!(!path.exists());
}

#[test]
fn where_no_socket_can_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        let error = Session::here(&Request::Listen(request(path))).end(b"").unwrap_err();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    };
    refused(&folder.path().join("no/such"));
    refused(Path::new("relative"));
    fs::create_dir(folder.path().join("taken")).unwrap();
    refused(&folder.path().join("taken"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of it");
}
