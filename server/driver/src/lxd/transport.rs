//! HTTP and websockets over the engine's unix socket: the one place that opens connections.
//!
//! Every request has a connection of its own: connecting to a unix socket costs some microseconds, and no request waits
//! for another or fails because of one that was cancelled. Paths are logged without their query, which may hold the
//! secret of a websocket; bodies and headers are never logged.

use super::lenient::Lenient;
use super::reply::{self, Answer, ApiError};
use crate::types::DriverKind;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, ETAG, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_util::task::AbortOnDropHandle;

/// A websocket over the unix socket.
pub(super) type WebSocket = WebSocketStream<Lenient>;

/// The way to one engine.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    /// The engine, as far as is known: before the first answer it is what the socket's path suggests.
    pub(super) kind: DriverKind,
    /// The unix socket.
    pub(super) socket: PathBuf,
}

/// What is sent along with a request.
#[derive(Default)]
pub(super) struct Body {
    headers: Vec<(HeaderName, HeaderValue)>,
    content: UnsyncBoxBody<Bytes, io::Error>,
}

/// The engine's answer to a request, with the connection that it comes over.
struct Exchange {
    response: Response<Incoming>,
    /// The connection ends when this is dropped.
    _connection: AbortOnDropHandle<hyper::Result<()>>,
}

impl Body {
    /// Bytes with their `Content-Type`. The engine must be told that they are bytes: it takes a file without a type
    /// for an empty one.
    pub(super) fn bytes(bytes: Bytes) -> Self {
        Self::whole(bytes).header("content-type", "application/octet-stream")
    }

    /// Bytes as they come, `length` in all. An error among them ends the request.
    pub(super) fn stream(
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        length: u64,
    ) -> Self {
        let content = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
        let mut body = Self { headers: Vec::new(), content };
        body.headers.push((CONTENT_LENGTH, length.into()));
        body.header("content-type", "application/octet-stream")
    }

    /// A JSON value.
    pub(super) fn json(value: &serde_json::Value) -> Self {
        Self::whole(value.to_string().into()).header("content-type", "application/json")
    }

    fn whole(bytes: Bytes) -> Self {
        let content = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        Self { headers: Vec::new(), content }
    }

    /// With one more header. A value that cannot stand in a header is left out.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

impl Transport {
    /// The engine on `socket`, taken for Incus where its path says so.
    pub(super) fn new(socket: &Path) -> Self {
        let incus = socket.components().any(|part| part.as_os_str() == "incus");
        Self { kind: if incus { DriverKind::Incus } else { DriverKind::Lxd }, socket: socket.to_owned() }
    }

    async fn connect(&self) -> Result<UnixStream, ApiError> {
        UnixStream::connect(&self.socket).await.map_err(|error| ApiError::connecting(self, error))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`ApiError::Refused`] where the engine answers with an error; else what the connection or the answer lacked.
    pub(super) async fn request(&self, method: Method, path: &str, body: Body) -> Result<Answer, ApiError> {
        let Exchange { response, _connection } = self.exchange(method, path, body).await?;
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(ToOwned::to_owned);
        let bytes = response.into_body().collect().await?.to_bytes();
        reply::decode(status.as_u16(), etag, &bytes)
    }

    /// `GET path`: writes what is there, bytes that are no answer of the API's, to `destination` as they come.
    ///
    /// # Errors
    /// Those of [`Transport::request`], and [`ApiError::Archive`] where `destination` takes no more.
    pub(super) async fn download(
        &self,
        path: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), ApiError> {
        let Exchange { response, _connection } = self.exchange(Method::GET, path, Body::default()).await?;
        let status = response.status();
        let mut content = response.into_body();
        if !status.is_success() {
            let bytes = content.collect().await?.to_bytes();
            return reply::decode(status.as_u16(), None, &bytes).map(drop);
        }
        while let Some(frame) = content.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                destination.write_all(&bytes).await.map_err(ApiError::Archive)?;
            }
        }
        destination.flush().await.map_err(ApiError::Archive)
    }

    /// Sends a request; its answer's content is still to be read.
    async fn exchange(&self, method: Method, path: &str, body: Body) -> Result<Exchange, ApiError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));

        let mut request = Request::builder().method(&method).uri(path).header(HOST, "localhost");
        for (name, value) in body.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(body.content)
            .map_err(|error| ApiError::Protocol(format!("the request cannot be sent: {error}")))?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        tracing::debug!(%method, path = without_query(path), status, "engine request");
        Ok(Exchange { response, _connection: connection })
    }

    /// `GET path`, the answer's metadata as `T`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.request(Method::GET, path, Body::default()).await?.metadata()
    }

    /// Opens the websocket at `path`.
    pub(super) async fn websocket(&self, path: &str) -> Result<WebSocket, ApiError> {
        let stream = self.connect().await?;
        let uri: Uri = format!("ws://localhost{path}")
            .parse()
            .map_err(|_| ApiError::Protocol("a websocket's address is not a valid one".into()))?;
        tracing::debug!(path = without_query(path), "engine websocket");
        let (socket, _) = tokio_tungstenite::client_async(uri, Lenient(stream)).await?;
        Ok(socket)
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}
