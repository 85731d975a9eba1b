//! When a session ends, and why.

mod parent;

use super::framing;
use crate::cli::signals::Signals;
use futures_util::future::{Either, Ready, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_lsp::jsonrpc::{Id, Request, Response};

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client sent `exit`.
    Exit,
    /// Standard input ended.
    InputEnded,
    /// Nobody reads standard output.
    OutputBroken,
    /// The process was told to end.
    Signal,
    /// The client's process is gone, though its end of standard input is still open somewhere.
    ParentGone,
}

/// Knows when the session has ended. The first end counts.
#[derive(Clone, Default)]
pub(crate) struct Lifetime(Arc<Inner>);

#[derive(Default)]
struct Inner {
    ended: CancellationToken,
    end: OnceLock<End>,
    shutdown: AtomicBool,
}

impl Lifetime {
    /// Ends the session.
    pub(crate) fn end(&self, end: End) {
        if self.0.end.set(end).is_ok() {
            tracing::info!("the session ends: {end:?}");
        }
        self.0.ended.cancel();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// The process's exit code: 0 after `shutdown`, 143 after SIGTERM and its like, else 1, as LSP asks for.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.0.end.get() {
            _ if self.0.shutdown.load(Ordering::Relaxed) => 0,
            Some(End::Signal) => 143,
            _ => 1,
        }
    }

    /// Ends the session at SIGTERM, SIGINT or SIGHUP, and what means the same on Windows.
    pub(crate) fn watch_signals(&self) -> std::io::Result<()> {
        let (mut signals, lifetime) = (Signals::new()?, self.clone());
        tokio::spawn(async move {
            signals.next().await;
            lifetime.end(End::Signal);
        });
        Ok(())
    }

    /// Ends the session when the process `pid` does. One that is not there from the start is not waited for: a client
    /// outside of this process's PID namespace has a number that means nothing here.
    pub(crate) fn watch_process(&self, pid: u32) {
        let lifetime = self.clone();
        tokio::spawn(async move {
            match parent::ended(pid).await {
                Ok(()) => lifetime.end(End::ParentGone),
                Err(error) => tracing::info!("the client's process {pid} cannot be watched: {error}"),
            }
        });
    }

    /// Lets `service` tell of `shutdown` and `exit`.
    pub(crate) fn watch<S>(&self, service: S) -> Watched<S> {
        Watched { service, lifetime: self.clone() }
    }
}

/// A service whose `shutdown` and `exit` are noticed, and that answers what is no message. The transport itself waits for
/// more input after `exit`.
pub(crate) struct Watched<S> {
    service: S,
    lifetime: Lifetime,
}

impl<S: Service<Request, Response = Option<Response>>> Service<Request> for Watched<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let exit = match request.method() {
            framing::UNREADABLE => {
                let response = Response::from_error(Id::Null, framing::error(&request));
                return Either::Right(ready(Ok(Some(response))));
            }
            "shutdown" => {
                self.lifetime.0.shutdown.store(true, Ordering::Relaxed);
                false
            }
            method => method == "exit",
        };
        let future = self.service.call(as_the_service_reads(request));
        if exit {
            self.lifetime.end(End::Exit);
        }
        Either::Left(future)
    }
}

/// The request as the service understands it: `shutdown` and `exit` take no parameters, but some clients send `null`, which
/// the service refuses; and it reads `workspace.diagnostics` of a client's capabilities by another name.
fn as_the_service_reads(request: Request) -> Request {
    let is_null = request.params() == Some(&serde_json::Value::Null);
    if !is_null && request.method() != "initialize" {
        return request;
    }
    let (method, id, params) = request.into_parts();
    let mut request = Request::build(method);
    if let Some(mut params) = params.filter(|params| !params.is_null()) {
        if let Some(workspace) =
            params.pointer_mut("/capabilities/workspace").and_then(|it| it.as_object_mut())
            && let Some(diagnostics) = workspace.get("diagnostics").cloned()
        {
            workspace.insert("diagnostic".to_owned(), diagnostics);
        }
        request = request.params(params);
    }
    match id {
        Some(id) => request.id(id).finish(),
        None => request.finish(),
    }
}
