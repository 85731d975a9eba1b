//! git's credentials for a machine: HTTP on its socket, a request for each of `git credential`'s verbs, in git's own form.

use super::doors::Asker;
use crate::{MachineName, host_tool};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a helper may take, which may ask the person on their desktop.
const LIMIT: Duration = Duration::from_secs(120);
/// No request is larger, in bytes.
const LARGEST: usize = 64 << 10;

/// What git may say of a credential (git-credential(1)). Not `url`, which would take the place of the protocol, and nothing that
/// a later git may come to mean.
const KEYS: [&str; 13] = [
    "protocol",
    "host",
    "path",
    "username",
    "password",
    "password_expiry_utc",
    "oauth_refresh_token",
    "authtype",
    "credential",
    "ephemeral",
    "capability[]",
    "state[]",
    "wwwauth[]",
];

/// Answers one connection of `machine`; `may` says whether it may ask.
pub(super) async fn answer(stream: impl Asker, machine: MachineName, may: impl Fn() -> bool) {
    let service = hyper::service::service_fn(|request| {
        let permitted = may();
        let machine = machine.clone();
        async move { Ok::<_, Infallible>(reply(request, &machine, permitted).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a question of `{machine}` ended early: {error}");
    }
}

async fn reply(request: Request<Incoming>, machine: &MachineName, permitted: bool) -> Response<Full<Bytes>> {
    let verb = match (request.method(), request.uri().path()) {
        (&Method::POST, "/get") => "fill",
        (&Method::POST, "/store") => "approve",
        (&Method::POST, "/erase") => "reject",
        _ => return told(StatusCode::NOT_FOUND, "the host does not know what is asked"),
    };
    if !permitted {
        let message = format!(
            "this machine may not use the host's git credentials; `codchi allow {machine} git-credentials` on the host lets it"
        );
        return told(StatusCode::FORBIDDEN, &message);
    }
    let Ok(body) = Limited::new(request.into_body(), LARGEST).collect().await else {
        return told(StatusCode::BAD_REQUEST, "the question is too long");
    };
    let question = match checked(&Zeroizing::new(body.to_bytes().to_vec())) {
        Ok(question) => question,
        Err(why) => return told(StatusCode::BAD_REQUEST, why),
    };
    let answer = host_tool::ask("git", &["credential", verb], &question, LIMIT).await;
    tracing::info!(
        "`{machine}` asked git's credential helper ({verb}): {}",
        if answer.is_some() { "answered" } else { "no answer" }
    );
    match answer {
        Some(answer) => {
            let mut response = Response::new(Full::new(Bytes::from_owner(Wiped(answer))));
            *response.status_mut() = StatusCode::OK;
            response
        }
        // git goes on to its other helpers, or asks.
        None => told(StatusCode::NO_CONTENT, ""),
    }
}

/// Wiped once it was sent.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn told(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(message.to_owned())));
    *response.status_mut() = status;
    response
}

/// What of a question is passed on to git: lines that we know, about a web server and nothing else.
fn checked(question: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let Ok(text) = std::str::from_utf8(question) else { return Err("the question is no text") };
    // Never grows: the same lines, and one more.
    let mut passed = Zeroizing::new(Vec::with_capacity(question.len() + 2));
    let mut is_web = false;
    for line in text.split('\n') {
        let Some((key, value)) = line.split_once('=') else { continue };
        if value.contains(|c: char| c.is_control()) {
            return Err("the question holds control characters");
        }
        if !KEYS.contains(&key) {
            continue;
        }
        if key == "protocol" {
            if !matches!(value, "https" | "http") {
                return Err("only credentials for https and http are given");
            }
            is_web = true;
        }
        passed.extend_from_slice(line.as_bytes());
        passed.push(b'\n');
    }
    passed.push(b'\n');
    if is_web { Ok(passed) } else { Err("the question names no protocol") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_about_web_servers_go_on_and_only_what_is_known_of_them() {
        let good = b"protocol=https\nhost=git.example\nwwwauth[]=Basic realm=\"x\"\nfuture=1\n";
        let passed = checked(good).unwrap();
        assert_eq!(passed.as_slice(), b"protocol=https\nhost=git.example\nwwwauth[]=Basic realm=\"x\"\n\n");
        // git would take the protocol of a URL, and the last of several.
        assert_eq!(checked(b"protocol=http\nurl=ssh://h\n").unwrap().as_slice(), b"protocol=http\n\n");
        for bad in [
            b"protocol=ssh\nhost=h\n".as_slice(),
            b"protocol=https\nprotocol=cert\n",
            b"host=h\n",
            b"url=https://h\n",
            b"",
            b"protocol=https\nhost=a\rb\n",
            b"protocol=https\nhost=\xff\n",
        ] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }
}
