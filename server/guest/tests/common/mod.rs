//! The other end of the program: what a driver does.

#![allow(dead_code, reason = "each test file uses some of it")]

use codchi_guest::frame::{HEAD, LIMIT, head, parse_head};
use codchi_guest::{ExecRequest, Kind, Request, Size, Target, VERSION};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

/// A session with the program.
pub(crate) struct Session {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: ChildStdout,
}

/// What came of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: Vec<u8>,
}

impl Session {
    /// A session with the program that was just built, here.
    pub(crate) fn here(request: &Request) -> Self {
        Self::open(Command::new(env!("CARGO_BIN_EXE_codchi-guest")), request)
    }

    pub(crate) fn open(mut command: Command, request: &Request) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut session = Self { child, stdin, stdout };
        assert_eq!(session.receive(), Some((Kind::Hello, vec![VERSION])));
        session.send(Kind::Request, &serde_json::to_vec(request).unwrap());
        session
    }

    pub(crate) fn send(&mut self, kind: Kind, bytes: &[u8]) {
        send(self.stdin.as_mut().unwrap(), kind, bytes).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Option<(Kind, Vec<u8>)> {
        let mut begin = [0; HEAD];
        if self.stdout.read(&mut begin[..1]).unwrap() == 0 {
            return None;
        }
        self.stdout.read_exact(&mut begin[1..]).unwrap();
        let (kind, length) = parse_head(begin).unwrap();
        let mut bytes = vec![0; length];
        self.stdout.read_exact(&mut bytes).unwrap();
        Some((kind, bytes))
    }

    /// Sends `input` from another thread while it takes what comes, to the end.
    pub(crate) fn end(mut self, input: &[u8]) -> Result<(Value, Ended), String> {
        let mut stdin = self.stdin.take().unwrap();
        thread::scope(|scope| {
            let (done, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                // What is not read is the program's own business.
                let _ = input
                    .chunks(LIMIT)
                    .try_for_each(|piece| send(&mut stdin, Kind::Input, piece))
                    .and_then(|()| send(&mut stdin, Kind::InputEnd, b""));
                // It stays open until the answer is there.
                let _ = wait.recv();
            });
            let mut ended = Ended::default();
            let answer = loop {
                match self.receive().expect("an answer") {
                    (Kind::Output, mut bytes) => ended.output.append(&mut bytes),
                    (Kind::Errors, mut bytes) => ended.errors.append(&mut bytes),
                    (Kind::Done, bytes) => break Ok(serde_json::from_slice::<Value>(&bytes).unwrap()),
                    (Kind::Failed, bytes) => break Err(String::from_utf8(bytes).unwrap()),
                    other => panic!("{other:?}"),
                }
            };
            // Only a distribution that is held has a program that goes on.
            assert_eq!(self.receive(), None, "nothing comes after the answer");
            self.child.wait().unwrap();
            drop(done);
            let answer = answer?;
            ended.code = answer.as_i64().unwrap_or_default().try_into().unwrap();
            Ok((answer, ended))
        })
    }

    /// Takes output until `text` is among it.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            match self.receive() {
                Some((Kind::Output, bytes)) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("no `{text}` in `{seen}`, but {other:?}"),
            }
        }
        seen
    }
}

pub(crate) fn send(stdin: &mut ChildStdin, kind: Kind, bytes: &[u8]) -> std::io::Result<()> {
    stdin.write_all(&head(kind, bytes.len()))?;
    stdin.write_all(bytes)
}

/// A command for whoever runs the tests.
pub(crate) fn exec<'a>(command: impl IntoIterator<Item = &'a str>) -> ExecRequest {
    ExecRequest {
        target: Target::Distribution,
        command: command.into_iter().map(str::to_owned).collect(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        cwd: None,
        environment: BTreeMap::new(),
        terminal: None,
    }
}

pub(crate) fn shell(script: &str) -> ExecRequest {
    exec(["sh", "-c", script])
}

pub(crate) fn on_terminal(request: ExecRequest) -> ExecRequest {
    ExecRequest { terminal: Some(Size { columns: 101, rows: 31 }), ..request }
}

pub(crate) fn run(request: ExecRequest, input: &[u8]) -> Result<Ended, String> {
    Session::here(&Request::Exec(request)).end(input).map(|(_, ended)| ended)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
