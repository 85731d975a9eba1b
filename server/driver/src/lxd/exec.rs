//! Commands in an instance.
//!
//! The engine gives a command one websocket per stream and one for control. Data is in binary frames and an empty text
//! frame ends a stream, both ways. Closing the control connection without a farewell kills the command: whoever holds
//! [`Process::exit`] holds that connection, so that dropping it does.

use super::operations::Finished;
use super::reply::ApiError;
use super::transport::{Body, Transport, WebSocket};
use crate::DriverError;
use crate::streams::{self, Output};
use crate::types::{Exec, ExitStatus, InstanceName, Process, PtySize, Resizer, Stdio};
use bytes::Bytes;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

/// Frames that may wait on their way in either direction.
const QUEUE: usize = 16;
/// How often the engine is asked to run a command whose streams it did not wait for.
const ATTEMPTS: u32 = 4;
/// What a terminal takes for the end of its input.
const END_OF_TRANSMISSION: &[u8] = &[4];

/// The value of the request's operation.
#[derive(Deserialize)]
struct Started {
    id: String,
    metadata: Streams,
}

#[derive(Deserialize)]
struct Streams {
    /// The secret of each websocket, by `0`, `1`, `2` and `control`.
    fds: BTreeMap<String, String>,
}

impl Transport {
    /// `POST /1.0/instances/NAME/exec`, then `GET /1.0/operations/ID/websocket?secret=…` for each stream.
    ///
    /// The engine gives up a command whose streams are not all connected within five seconds, which on a busy computer
    /// happens. Nothing was started then, so it is asked again.
    pub(super) async fn execute(&self, name: &InstanceName, exec: &Exec) -> Result<Process, ApiError> {
        let mut attempt = 1;
        loop {
            match self.begin(name, exec).await {
                Err(error) if attempt < ATTEMPTS && error.is_given_up() => {
                    tracing::debug!(attempt, "the engine gave up before all streams were connected");
                    attempt += 1;
                }
                connected => return connected.map(|streams| self.process(name, streams)),
            }
        }
    }

    /// Asks for the command and connects its streams; with the last one it begins.
    async fn begin(&self, name: &InstanceName, exec: &Exec) -> Result<Connected, ApiError> {
        let answer = self
            .request(Method::POST, &format!("/1.0/instances/{name}/exec"), Body::json(&request(exec)))
            .await?;
        let Started { id, metadata } = answer.metadata()?;
        let operation = format!("/1.0/operations/{id}");
        let connect = async |stream: &str| {
            let Some(secret) = metadata.fds.get(stream) else {
                return Err(ApiError::Protocol(format!("the command has no stream `{stream}`")));
            };
            let secret = utf8_percent_encode(secret, NON_ALPHANUMERIC);
            self.websocket(&format!("{operation}/websocket?secret={secret}")).await
        };
        // First, as the engine does not wait for it: a short command would have ended before.
        let control = connect("control").await?;
        let (input, outputs) = match exec.stdio {
            Stdio::Piped => {
                let (input, output, error) = tokio::try_join!(connect("0"), connect("1"), connect("2"))?;
                (input, Some((output, error)))
            }
            Stdio::Pty(_) => (connect("0").await?, None),
        };
        Ok(Connected { operation, control, input, outputs })
    }

    fn process(&self, name: &InstanceName, connected: Connected) -> Process {
        let Connected { operation, control, input: stream, outputs } = connected;
        let (steer, commands) = mpsc::unbounded_channel();
        let (input, keys) = mpsc::channel(QUEUE);
        let (feeder, stdout, stderr) = match outputs {
            Some((stdout, stderr)) => (Some(feed(stream, keys)), output(stdout), output(stderr)),
            None => (None, converse(stream, keys), Box::new(tokio::io::empty()) as Output),
        };

        let control = AbortOnDropHandle::new(tokio::spawn(obey(control, commands)));
        let transport = self.clone();
        let instance = name.clone();
        let ended = AbortOnDropHandle::new(tokio::spawn(async move {
            // Nobody reads the input of a command that has ended: whoever still writes gets a broken pipe.
            let _feeder = feeder;
            exit_status(transport.ended(&operation).await)
                .map_err(|error| error.explain("running a command in", &instance))
        }));
        Process {
            stdin: streams::writer(input),
            stdout,
            stderr,
            control: Arc::new(Control(steer)),
            exit: Box::pin(async move {
                let _control = control;
                ended.await.unwrap_or_else(|error| {
                    Err(DriverError::Connection { action: "running a command".into(), source: error.into() })
                })
            }),
        }
    }
}

/// A command that has begun.
struct Connected {
    operation: String,
    control: WebSocket,
    /// Its standard input, or its terminal.
    input: WebSocket,
    /// Its standard output and error, where it has no terminal.
    outputs: Option<(WebSocket, WebSocket)>,
}

fn request(exec: &Exec) -> Value {
    let mut body = json!({
        "command": exec.command,
        "wait-for-websocket": true,
        "interactive": false,
        "user": exec.uid,
        "group": exec.gid,
        "cwd": exec.cwd.clone().unwrap_or_default(),
        "environment": exec.environment,
    });
    if let Stdio::Pty(size) = exec.stdio {
        body["interactive"] = true.into();
        body["width"] = size.columns.into();
        body["height"] = size.rows.into();
    }
    body
}

/// How the command ended. A shell's codes stand for a command that could not be run: LXD gives them itself, in the
/// metadata of the failed operation; Incus has words only.
fn exit_status(finished: Result<Finished, ApiError>) -> Result<ExitStatus, ApiError> {
    let metadata = finished.as_ref().ok().map(|finished| &finished.metadata);
    let code = metadata.and_then(|metadata| metadata.get("return")?.as_i64()?.try_into().ok());
    // The engine says -1 where it does not know.
    if let Some(code) = code.filter(|code: &i32| *code >= 0) {
        return Ok(ExitStatus { code });
    }
    match finished.and_then(Finished::success) {
        Err(ApiError::Refused { message, .. }) if message.contains("Command not found") => {
            Ok(ExitStatus { code: 127 })
        }
        Err(ApiError::Refused { message, .. }) if message.contains("Command not executable") => {
            Ok(ExitStatus { code: 126 })
        }
        Err(error) => Err(error),
        Ok(_) => Err(ApiError::Protocol("the command ended without an exit code".into())),
    }
}

/// The bytes of an output stream.
fn output(socket: WebSocket) -> Output {
    let (bytes, output) = mpsc::channel(QUEUE);
    tokio::spawn(async move { drain(&mut socket.split().1, bytes).await });
    streams::reader(output)
}

/// Passes on data until the stream's end. Where nobody takes it any more it is thrown away, so that the command is not
/// blocked by us.
async fn drain(frames: &mut SplitStream<WebSocket>, bytes: mpsc::Sender<Bytes>) {
    while let Some(Ok(frame)) = frames.next().await {
        match frame {
            Message::Binary(data) => drop(bytes.send(data).await),
            Message::Text(text) if text.is_empty() => return,
            Message::Text(text) => drop(bytes.send(text.into()).await),
            Message::Close(_) => return,
            _ => {}
        }
    }
}

/// Sends input to a pipe; when the writer is gone, its end. The task holds the connection.
fn feed(mut socket: WebSocket, mut input: mpsc::Receiver<Bytes>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::select! {
                data = input.recv() => {
                    let end = data.is_none();
                    let frame = data.map_or_else(|| Message::text(""), Message::Binary);
                    if socket.send(frame).await.is_err() {
                        return;
                    }
                    if end {
                        pending::<()>().await;
                    }
                }
                // Read as well: this is where a ping is answered, and where the end of the connection shows.
                frame = socket.next() => if !matches!(frame, Some(Ok(_))) { return },
            }
        }
    }))
}

/// Both directions of a terminal.
fn converse(socket: WebSocket, mut input: mpsc::Receiver<Bytes>) -> Output {
    let (bytes, output) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let (mut sink, mut frames) = socket.split();
        let typing = async {
            while let Some(data) = input.recv().await {
                if sink.send(Message::Binary(data)).await.is_err() {
                    break;
                }
            }
            let _ = sink.send(Message::Binary(Bytes::from_static(END_OF_TRANSMISSION))).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = drain(&mut frames, bytes) => {}
            () = typing => {}
        }
        // The engine waits for this before it ends the operation.
        let _ = sink.close().await;
    });
    streams::reader(output)
}

/// Hands on what is to be done to the command, until the connection ends or the task is aborted, which kills the command.
async fn obey(mut socket: WebSocket, mut commands: mpsc::UnboundedReceiver<Message>) {
    loop {
        tokio::select! {
            Some(command) = commands.recv() => if socket.send(command).await.is_err() { return },
            frame = socket.next() => if !matches!(frame, Some(Ok(_))) { return },
        }
    }
}

struct Control(mpsc::UnboundedSender<Message>);

impl Control {
    fn send(&self, command: &Value) {
        // Nobody is there any more when the command has ended.
        let _ = self.0.send(Message::text(command.to_string()));
    }
}

impl Resizer for Control {
    fn resize(&self, size: PtySize) {
        let args = json!({ "width": size.columns.to_string(), "height": size.rows.to_string() });
        self.send(&json!({ "command": "window-resize", "args": args }));
    }

    fn signal(&self, signal: i32) {
        self.send(&json!({ "command": "signal", "signal": signal }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(operation: &str) -> Result<i32, ApiError> {
        exit_status(Ok(serde_json::from_str(operation).unwrap())).map(|status| status.code)
    }

    #[test]
    fn the_exit_code_is_what_the_operation_says() {
        assert_eq!(status(r#"{"status_code":200,"err":"","metadata":{"return":7}}"#).unwrap(), 7);
    }

    #[test]
    fn a_command_that_cannot_be_run_has_a_shells_exit_code() {
        let lxd = r#"{"status_code":400,"err":"Command not found","metadata":{"return":127}}"#;
        assert_eq!(status(lxd).unwrap(), 127);
        assert_eq!(status(r#"{"status_code":400,"err":"Command not found","metadata":{}}"#).unwrap(), 127);
        assert_eq!(status(r#"{"status_code":400,"err":"Command not executable"}"#).unwrap(), 126);
        let refused = ApiError::Refused { code: 400, message: "Command not found".into() };
        assert_eq!(exit_status(Err(refused)).unwrap().code, 127);
    }

    #[test]
    fn a_command_whose_end_is_unknown_is_an_error() {
        assert!(status(r#"{"status_code":400,"err":"it broke","metadata":{"return":-1}}"#).is_err());
        assert!(status(r#"{"status_code":200,"err":"","metadata":{}}"#).is_err());
    }

    #[test]
    fn a_terminal_is_asked_for_with_its_size() {
        let stdio = Stdio::Pty(PtySize { columns: 80, rows: 24 });
        let body = request(&Exec { stdio, ..Exec::root(["true"]) });
        assert_eq!(
            (&body["interactive"], &body["width"], &body["height"]),
            (&true.into(), &80.into(), &24.into())
        );
        assert_eq!(request(&Exec::root(["true"]))["interactive"], false);
    }
}
