//! Sessions with the program of ours in a distribution ([`codchi_guest`]): one request each.
//!
//! A session starts a distribution that is stopped, so whoever must not do that looks at the list first.

use super::call::{self, CallError, Program};
use crate::streams::{self, Output};
use crate::types::{Exec, ExitStatus, InstanceName, Process, PtySize, Resizer, Stdio};
use crate::{DriverError, types};
use bytes::Bytes;
use codchi_guest::frame::{HEAD, LIMIT, head, parse_head};
use codchi_guest::{ExecRequest, Kind, PROGRAM, Request, Size, Target, VERSION};
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// Frames that may wait on their way in either direction.
const QUEUE: usize = 16;

/// The program in a distribution, which has said that it is there.
pub(super) struct Session {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
}

/// One frame.
type Frame = (Kind, Vec<u8>);

impl Session {
    /// Starts the program in the distribution `name`, which is started if it does not run.
    pub(super) async fn open(program: &Program, name: &InstanceName) -> Result<Self, CallError> {
        Self::open_as(program.command(arguments(name)), program.boot_limit()).await
    }

    /// The same by a call that is made already.
    pub(super) async fn open_as(
        command: tokio::process::Command,
        limit: Duration,
    ) -> Result<Self, CallError> {
        match Self::greeted(command, limit).await? {
            (session, VERSION) => Ok(session),
            (_, other) => Err(CallError::Unexpected(format!(
                "the distribution has the program of another codchi (it speaks {other}, not {VERSION}); it gets this one's when it is stopped \
                 and started"
            ))),
        }
    }

    /// The same with a program of any version. What it is asked must mean the same to all.
    pub(super) async fn open_whatever_it_speaks(
        program: &Program,
        name: &InstanceName,
    ) -> Result<Self, CallError> {
        Ok(Self::greeted(program.command(arguments(name)), program.boot_limit()).await?.0)
    }

    /// A session, and the version that its program speaks.
    async fn greeted(mut command: tokio::process::Command, limit: Duration) -> Result<(Self, u8), CallError> {
        command.stdin(std::process::Stdio::piped());
        let mut child = command.spawn().map_err(CallError::Run)?;
        let (Some(stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(CallError::Unexpected("wsl.exe was started without streams".into()));
        };
        let hello = tokio::time::timeout(limit, greeting(&mut stdout));
        match hello.await.map_err(|_| CallError::Hangs(limit))?.map_err(CallError::Run)? {
            Greeting::Version(version) => Ok((Self { child, stdin, stdout }, version)),
            // What wsl.exe itself says.
            Greeting::Other(mut begin) => {
                let mut output = call::ended(Self::with(child, stdout), limit).await?;
                begin.append(&mut output.stdout);
                output.stdout = begin;
                let status = output.status;
                let said = call::said(output)?;
                Err(CallError::Unexpected(format!("{said} ({status})")))
            }
        }
    }

    fn with(mut child: Child, stdout: ChildStdout) -> Child {
        child.stdout = Some(stdout);
        child
    }

    pub(super) async fn request(&mut self, request: &Request) -> Result<(), CallError> {
        let bytes = serde_json::to_vec(request).map_err(|error| CallError::Unexpected(error.to_string()))?;
        send(&mut self.stdin, Kind::Request, &bytes).await.map_err(CallError::Run)
    }

    /// The result of a request that has been sent, when it is done.
    pub(super) async fn done(&mut self) -> Result<Result<Value, String>, CallError> {
        loop {
            match receive(&mut self.stdout).await.map_err(CallError::Run)? {
                Some((Kind::Done, bytes)) => {
                    let value = serde_json::from_slice(&bytes);
                    return value.map(Ok).map_err(|error| CallError::Unexpected(error.to_string()));
                }
                Some((Kind::Failed, bytes)) => return Ok(Err(String::from_utf8_lossy(&bytes).into_owned())),
                Some(_) => {}
                None => return Err(broken()),
            }
        }
    }

    /// Waits until what was asked for, which goes on, has begun.
    pub(super) async fn begun(&mut self) -> Result<(), CallError> {
        loop {
            match receive(&mut self.stdout).await.map_err(CallError::Run)? {
                Some((Kind::Begun, _)) => return Ok(()),
                Some((Kind::Failed, bytes)) => {
                    return Err(CallError::Failed(String::from_utf8_lossy(&bytes).into_owned()));
                }
                Some((Kind::Done, _)) | None => return Err(broken()),
                Some(_) => {}
            }
        }
    }

    /// Sends `input`, and its end.
    pub(super) async fn input(&mut self, mut input: impl tokio::io::AsyncRead + Unpin) -> io::Result<()> {
        let mut piece = vec![0; LIMIT];
        loop {
            let read = input.read(&mut piece).await?;
            if read == 0 {
                return send(&mut self.stdin, Kind::InputEnd, &[]).await;
            }
            send(&mut self.stdin, Kind::Input, &piece[..read]).await?;
        }
    }

    /// Writes what the program sends as output to `output`, and gives its result.
    pub(super) async fn output(
        &mut self,
        mut output: impl tokio::io::AsyncWrite + Unpin,
    ) -> Result<Result<Value, String>, OutputError> {
        loop {
            match receive(&mut self.stdout).await.map_err(|error| OutputError::Call(CallError::Run(error)))? {
                Some((Kind::Output, bytes)) => {
                    output.write_all(&bytes).await.map_err(|_| OutputError::Write)?
                }
                Some((Kind::Done, _)) => return Ok(Ok(Value::Null)),
                Some((Kind::Failed, bytes)) => return Ok(Err(String::from_utf8_lossy(&bytes).into_owned())),
                Some(_) => {}
                None => return Err(OutputError::Call(broken())),
            }
        }
    }
}

/// Why output did not come to where it was to go.
pub(super) enum OutputError {
    Call(CallError),
    Write,
}

fn broken() -> CallError {
    CallError::Unexpected("the distribution ended".into())
}

/// The arguments by which the program is called in the distribution `name`.
pub(super) fn arguments(name: &InstanceName) -> [&str; 6] {
    ["-d", name.as_str(), "-u", "root", "--exec", PROGRAM]
}

enum Greeting {
    Version(u8),
    Other(Vec<u8>),
}

async fn greeting(stdout: &mut ChildStdout) -> io::Result<Greeting> {
    let mut begin = Vec::new();
    stdout.take(HEAD as u64 + 1).read_to_end(&mut begin).await?;
    let hello = head(Kind::Hello, 1);
    Ok(match begin.strip_prefix(&hello[..]) {
        Some(&[version]) => Greeting::Version(version),
        _ => Greeting::Other(begin),
    })
}

/// Sends a frame.
pub(super) async fn send(stdin: &mut ChildStdin, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    // In one piece, so that nothing waits for the rest of a frame.
    let mut frame = head(kind, bytes.len()).to_vec();
    frame.extend_from_slice(bytes);
    stdin.write_all(&frame).await?;
    stdin.flush().await
}

/// The next frame; `None` at the end.
pub(super) async fn receive(stdout: &mut ChildStdout) -> io::Result<Option<Frame>> {
    let mut begin = [0; HEAD];
    if stdout.read(&mut begin[..1]).await? == 0 {
        return Ok(None);
    }
    stdout.read_exact(&mut begin[1..]).await?;
    let (kind, length) = parse_head(begin)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what came is no frame"))?;
    let mut bytes = vec![0; length];
    stdout.read_exact(&mut bytes).await?;
    Ok(Some((kind, bytes)))
}

impl Program {
    /// What the program in `name` does of `request`, with `input`; the distribution is started if it does not run.
    pub(super) async fn ask(
        &self,
        name: &InstanceName,
        request: &Request,
        input: &[u8],
    ) -> Result<Result<Value, String>, CallError> {
        let mut session = Session::open(self, name).await?;
        session.request(request).await?;
        // What it does not want it does not read.
        let _ = session.input(input).await;
        session.done().await
    }

    /// Starts a command in a distribution that runs.
    pub(super) async fn execute(
        &self,
        name: &InstanceName,
        target: Target,
        exec: &Exec,
    ) -> Result<Process, CallError> {
        let mut session = Session::open(self, name).await?;
        session.request(&Request::Exec(request(target, exec))).await?;
        Ok(process(session))
    }
}

fn request(target: Target, exec: &Exec) -> ExecRequest {
    ExecRequest {
        target,
        command: exec.command.clone(),
        uid: exec.uid,
        gid: exec.gid,
        cwd: exec.cwd.clone(),
        environment: exec.environment.clone(),
        terminal: match exec.stdio {
            Stdio::Piped => None,
            Stdio::Pty(PtySize { columns, rows }) => Some(Size { columns, rows }),
        },
    }
}

/// The command that a session runs. Whoever holds its `exit` holds the session, whose end kills the command.
fn process(session: Session) -> Process {
    let Session { child, mut stdin, mut stdout } = session;
    let (input, mut written) = mpsc::channel::<Bytes>(QUEUE);
    let (steer, mut steps) = mpsc::unbounded_channel::<Frame>();
    let (out, output) = mpsc::channel(QUEUE);
    let (err, errors) = mpsc::channel(QUEUE);
    let (ended, end) = oneshot::channel();

    let feeder = tokio::spawn(async move {
        let mut open = true;
        loop {
            let sent = tokio::select! {
                data = written.recv(), if open => match data {
                    Some(data) => send(&mut stdin, Kind::Input, &data).await,
                    None => {
                        open = false;
                        send(&mut stdin, Kind::InputEnd, &[]).await
                    }
                },
                Some((kind, bytes)) = steps.recv() => send(&mut stdin, kind, &bytes).await,
                else => std::future::pending().await,
            };
            if sent.is_err() {
                return;
            }
        }
    });
    let feeder = AbortOnDropHandle::new(feeder);
    // It goes on where only the end was taken: what was printed before is then still read.
    let reader = tokio::spawn(async move {
        // Nobody reads the input of a command that has ended: whoever still writes gets a broken pipe.
        let _feeder = feeder;
        let end = loop {
            match receive(&mut stdout).await {
                Ok(Some((Kind::Output, bytes))) => drop(out.send(bytes.into()).await),
                Ok(Some((Kind::Errors, bytes))) => drop(err.send(bytes.into()).await),
                Ok(Some((Kind::Done, bytes))) => {
                    break serde_json::from_slice(&bytes).map_err(|e| CallError::Unexpected(e.to_string()));
                }
                Ok(Some((Kind::Failed, bytes))) => {
                    break Err(CallError::Failed(String::from_utf8_lossy(&bytes).into_owned()));
                }
                Ok(Some(_)) => {}
                Ok(None) => break Err(broken()),
                Err(error) => break Err(CallError::Run(error)),
            }
        };
        // Its own end comes soon, and is not waited for by anybody.
        let _ = ended.send((end, child));
    });
    let reader = AbortOnDropHandle::new(reader);
    let exit = async move {
        let _reader = reader;
        let (end, _child) = end.await.map_err(|error| connection(error.into()))?;
        let code: i32 = end.map_err(|error: CallError| match error {
            CallError::Unexpected(message) => connection(message.into()),
            error => error.while_doing("running a command"),
        })?;
        Ok(ExitStatus { code })
    };
    Process {
        stdin: streams::writer(input),
        stdout: streams::reader(output) as Output,
        stderr: streams::reader(errors) as Output,
        control: Arc::new(Control(steer)),
        exit: Box::pin(exit),
    }
}

fn connection(source: Box<dyn std::error::Error + Send + Sync>) -> DriverError {
    DriverError::Connection { action: "running a command".into(), source }
}

struct Control(mpsc::UnboundedSender<Frame>);

impl Resizer for Control {
    fn resize(&self, size: types::PtySize) {
        let bytes = [size.columns.to_be_bytes(), size.rows.to_be_bytes()].concat();
        // Nobody is there any more when the command has ended.
        let _ = self.0.send((Kind::Resize, bytes));
    }

    fn signal(&self, signal: i32) {
        let _ = self.0.send((Kind::Signal, signal.to_be_bytes().to_vec()));
    }
}
