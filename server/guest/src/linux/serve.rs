//! One request: reads it, does it and answers.

use super::instance::{self, Kept};
use super::wire::{Contents, Incoming, Outgoing};
use super::{apply, enter, exec, hold, listen, pack, put, stop};
use anyhow::{Context as _, Result};
use codchi_guest::frame::LIMIT;
use codchi_guest::{Kind, Request, VERSION};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;

/// Serves the standard streams.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("codchi-guest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<()> {
    let out = Arc::new(Outgoing::stdout()?);
    let mut incoming = Incoming::stdin()?;
    out.send(Kind::Hello, &[VERSION])?;
    let Some((kind, bytes)) = incoming.next()? else { return Ok(()) };
    let request = match kind {
        Kind::Request => serde_json::from_slice(&bytes).context("the request is not understood"),
        _ => Err(anyhow::anyhow!("the first frame is no request")),
    };
    let request = enter::distribution().and(request);
    let done = match &request {
        Ok(request) => answer(request, incoming, &out).map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("{error:#}")),
    };
    let sent = match &done {
        Ok(result) => out.send(Kind::Done, &serde_json::to_vec(result)?),
        Err(message) => out.send(Kind::Failed, shortened(message).as_bytes()),
    };
    if let (Ok(Request::Hold { share, uses }), Ok(_)) = (&request, &done) {
        // Whoever asked may be gone already, or be nobody who reads.
        hold::stay(share.as_ref(), uses);
    }
    sent.context("sending the answer")
}

fn answer(request: &Request, mut incoming: Incoming, out: &Arc<Outgoing>) -> Result<Value> {
    Ok(match request {
        Request::Ping => Value::Null,
        Request::Hold { share, .. } => hold::begin(share.as_ref())?.into(),
        Request::Exec(request) => exec::run(request, incoming, out)?.into(),
        Request::Put { target, entry } => {
            put::into(&instance::root(*target)?, entry, Contents::of(&mut incoming))?;
            Value::Null
        }
        Request::Apply { target, boot } => {
            apply::apply(*target, boot)?;
            Value::Null
        }
        Request::Stop { target, how } => {
            stop::stop(*target, *how)?;
            Value::Null
        }
        Request::CreateInstance => {
            Kept::lock()?.create(Contents::of(&mut incoming))?;
            Value::Null
        }
        Request::StartInstance { boot } => Kept::lock()?.start(boot)?.into(),
        Request::Instance => json!(instance::state()?),
        Request::DeleteInstance => {
            Kept::lock()?.delete()?;
            Value::Null
        }
        Request::Pack => {
            pack::root(out)?;
            Value::Null
        }
        Request::Listen(request) => {
            listen::run(request, incoming, out)?;
            Value::Null
        }
    })
}

/// The beginning of a text, as long as a frame may be.
fn shortened(text: &str) -> &str {
    let end = (0..=text.len().min(LIMIT)).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
