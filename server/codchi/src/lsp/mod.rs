//! `codchi lsp`: the language server on standard input and output.
//!
//! Thin over `ide` (questions about texts) and `machine` (commands); this folder holds the protocol. What we speak
//! beyond LSP is in PROTOCOL.md.

mod actions;
mod capabilities;
mod catalogues;
mod client;
mod commands;
mod convert;
pub(crate) mod documentation;
mod edit;
mod evaluating;
mod extract;
mod formatting;
mod framing;
mod front;
mod indexing;
mod lifetime;
mod mentions;
mod navigation;
mod operations;
mod position;
mod publish;
mod pull;
mod question;
mod server;
mod session;
mod shared;
mod tokens;
mod transport;
mod watch;
mod workspace;
pub(crate) mod world;

use crate::config::Config;
use crate::context::Context;
use crate::log;
use codchi_machine::Paths;
pub(crate) use convert::code;
pub(crate) use lifetime::Lifetime;
use server::Server;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tower_lsp::LspService;
use tower_lsp::lsp_types::MessageType;
use transport::{Input, Output};

/// So many requests are answered side by side: each may wait for a person, and even a cancellation needs a place.
const CONCURRENCY: usize = 256;

/// How long operations have to undo what they did once the client is gone. What takes longer is in their journals.
const UNDO: Duration = Duration::from_secs(20);

/// How much of the client's messages is read ahead.
const PIPE: usize = 64 << 10;

/// How long answers may still take to be written after the session's end.
const FLUSH: Duration = Duration::from_millis(20);

/// Serves one client on standard input and output until it is gone.
pub(crate) async fn serve(paths: Paths) -> ExitCode {
    let (lines_in, lines) = mpsc::unbounded_channel();
    log::start(&paths, Some(lines_in));
    let lifetime = Lifetime::default();
    if let Err(error) = lifetime.watch_signals() {
        tracing::warn!("signals cannot be watched: {error}");
    }
    let context = match Context::load(paths.clone()) {
        Ok(context) => context,
        Err(error) => {
            tracing::error!("{}; it is not used", crate::error::report(&error));
            Context::new(paths, Config::default())
        }
    };
    session(context, lifetime, tokio::io::stdin(), tokio::io::stdout(), Some(lines)).await
}

/// Serves one client until it is gone; `lines` of the log are passed on to it.
pub(crate) async fn session(
    context: Context,
    lifetime: Lifetime,
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin,
    lines: Option<mpsc::UnboundedReceiver<log::Line>>,
) -> ExitCode {
    let (service, socket) = LspService::build(|client| Server::new(client, lifetime.clone(), context))
        .custom_method("window/workDoneProgress/cancel", Server::cancel_progress)
        .finish();
    let client = service.inner().client().clone();
    let shared = service.inner().shared().clone();
    let operations = shared.operations.clone();
    if let Some(mut lines) = lines {
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                client.log_message(message_type(line.level), line.text).await;
            }
        });
    }
    let (checked, messages) = tokio::io::duplex(PIPE);
    tokio::spawn(framing::pass_on(input, checked));
    let input = Input::new(messages, lifetime.clone());
    let output = Output::new(output, lifetime.clone());
    let serving = tower_lsp::Server::new(input, output, socket)
        .concurrency_level(CONCURRENCY)
        .serve(lifetime.watch(service));
    tokio::pin!(serving);
    let served = tokio::select! {
        () = &mut serving => true,
        () = lifetime.ended() => false,
    };
    operations.cancel_all();
    // Served on meanwhile, so that the client, if it still listens, hears how they end.
    let undone = async {
        if tokio::time::timeout(UNDO, operations.wait()).await.is_err() {
            tracing::warn!(
                "an operation could not be undone in time; the next one on its machine will do it"
            );
        }
        tokio::time::sleep(FLUSH).await;
    };
    // Side by side with that: what Nix does for us ends with us.
    let evaluated = async {
        let ended = async { tokio::join!(shared.evaluating.end(), shared.pins.end()) };
        let _ = tokio::time::timeout(UNDO, ended).await;
    };
    let undone = async { tokio::join!(undone, evaluated) };
    let serving = async move {
        if !served {
            serving.await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = undone => {}
        () = serving => {}
    }
    ExitCode::from(lifetime.exit_code())
}

fn message_type(level: tracing::Level) -> MessageType {
    match level {
        tracing::Level::ERROR => MessageType::ERROR,
        tracing::Level::WARN => MessageType::WARNING,
        tracing::Level::INFO => MessageType::INFO,
        _ => MessageType::LOG,
    }
}
