//! The client's messages, read before the service's transport does, which ends the session at the first that it cannot
//! read.
//!
//! What is a message is passed on as it is. What is none is passed on as a request called [`UNREADABLE`], so that it is
//! answered in its turn, and the next message is looked for.

use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tower_lsp::jsonrpc::{Error, Request, Response};

/// The method that stands for what is no message; its parameter is the error's code.
pub(super) const UNREADABLE: &str = "codchi/unreadable";

/// A longer message is not read: editors themselves do not send files of such a size.
const LONGEST: u64 = 64 << 20;

/// The header that tells how long a message is.
const LENGTH: &str = "content-length";

/// So much is looked at in one go for a line that could be a header, and so much of it may be the beginning of one.
const LINE: u64 = 1024;
const BEGINNING: usize = 64;

/// Passes messages on until the input ends or nobody takes them.
pub(super) async fn pass_on(input: impl AsyncRead + Unpin, mut output: impl AsyncWrite + Unpin) {
    let mut input = Messages { input: BufReader::new(input), length: None };
    let end = async {
        while let Some(message) = input.next().await? {
            let body = message.unwrap_or_else(|unreadable| {
                tracing::warn!("a message of the client cannot be read: {}", unreadable.why);
                let params = [unreadable.error.code.code()];
                let body = json!({ "jsonrpc": "2.0", "id": null, "method": UNREADABLE, "params": params });
                body.to_string()
            });
            output.write_all(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes()).await?;
            output.write_all(body.as_bytes()).await?;
        }
        Ok::<_, io::Error>(())
    };
    if let Err(error) = end.await {
        tracing::info!("the client's messages end: {error}");
    }
}

/// The answer to a request called [`UNREADABLE`].
pub(super) fn error(request: &Request) -> Error {
    let code = request.params().and_then(|params| params.get(0)).and_then(Value::as_i64);
    match code {
        Some(code) if code == Error::invalid_request().code.code() => Error::invalid_request(),
        _ => Error::parse_error(),
    }
}

/// Something that is no message.
struct Unreadable {
    error: Error,
    why: String,
}

impl Unreadable {
    fn new(why: impl Into<String>) -> Self {
        Self { error: Error::parse_error(), why: why.into() }
    }
}

/// Finds messages in the input.
struct Messages<R> {
    input: BufReader<R>,
    /// The length of the next body, where its headers were read already.
    length: Option<u64>,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    /// The next message's text; `None` at the end of the input.
    async fn next(&mut self) -> io::Result<Option<Result<String, Unreadable>>> {
        if self.length.is_none()
            && let Some(unreadable) = self.headers().await?
        {
            return Ok(Some(Err(unreadable)));
        }
        let Some(length) = self.length.take() else { return Ok(None) };
        let mut body = Vec::new();
        // Grows with what comes, whatever length is told.
        let read = (&mut self.input).take(length).read_to_end(&mut body).await?;
        Ok(if read as u64 == length { Some(message(body)) } else { None })
    }

    /// Reads headers up to the empty line that ends them. Gives what there is before good ones that makes no sense:
    /// all of it is one thing that cannot be read.
    async fn headers(&mut self) -> io::Result<Option<Unreadable>> {
        let mut length = None;
        let mut unreadable = None;
        let mut line = Vec::new();
        loop {
            if (&mut self.input).take(LINE).read_until(b'\n', &mut line).await? == 0 {
                return Ok(unreadable);
            }
            if !line.ends_with(b"\n") {
                unreadable.get_or_insert_with(|| Unreadable::new("it does not begin with Content-Length"));
                line.drain(..line.len().saturating_sub(BEGINNING));
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if !is_header(&text) && !text.trim().is_empty() {
                unreadable.get_or_insert_with(|| Unreadable::new("it does not begin with Content-Length"));
            }
            match content_length(text.trim()) {
                Some(Ok(found)) => length = Some(found),
                Some(Err(why)) => {
                    length = None;
                    unreadable = Some(Unreadable::new(why));
                }
                None if text.trim().is_empty() && length.is_some() => {
                    self.length = length;
                    return Ok(unreadable);
                }
                None if text.trim().is_empty() => {
                    unreadable.get_or_insert_with(|| Unreadable::new("it has no Content-Length"));
                }
                // A header that says nothing to us.
                None => {}
            }
        }
    }
}

/// The length that a line tells, or why that makes no sense; `None` for another line. The line may begin with the rest of
/// something that cannot be read.
fn content_length(line: &str) -> Option<Result<u64, String>> {
    let (name, value) = line.rsplit_once(':')?;
    name.to_ascii_lowercase().ends_with(LENGTH).then_some(())?;
    Some(match value.trim().parse() {
        Ok(length) if length <= LONGEST => Ok(length),
        Ok(length) => Err(format!("it has {length} bytes, and no more than {LONGEST} are read")),
        Err(_) => Err("its Content-Length is not a number".to_owned()),
    })
}

/// Whether a line is a header, and nothing else before it.
fn is_header(line: &str) -> bool {
    let Some((name, _)) = line.split_once(':') else { return false };
    let name = name.to_ascii_lowercase();
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_name && (name == LENGTH || !name.ends_with(LENGTH))
}

/// A body that is a message.
fn message(body: Vec<u8>) -> Result<String, Unreadable> {
    /// Either, as the transport reads it.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Message {
        Response(#[expect(dead_code, reason = "only whether it is one matters")] Response),
        Request(#[expect(dead_code, reason = "only whether it is one matters")] Request),
    }

    let text = String::from_utf8(body).map_err(|_| Unreadable::new("it is not UTF-8"))?;
    match serde_json::from_str::<Message>(&text) {
        Ok(_) => Ok(text),
        Err(error) if error.is_data() => {
            Err(Unreadable { error: Error::invalid_request(), why: "it is not JSON-RPC".to_owned() })
        }
        Err(error) => Err(Unreadable::new(format!("it is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages that are passed on; codes for those that cannot be read.
    fn passed_on(input: &[u8]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut output = Vec::new();
        runtime.block_on(pass_on(input, &mut output));
        let mut rest = output.as_slice();
        let mut messages = Vec::new();
        while let Some(at) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
            let header = std::str::from_utf8(&rest[..at]).unwrap();
            let length: usize = header.strip_prefix("Content-Length: ").unwrap().parse().unwrap();
            let body = std::str::from_utf8(&rest[at + 4..at + 4 + length]).unwrap();
            let request: Request = serde_json::from_str(body).unwrap();
            messages.push(match request.method() {
                UNREADABLE => error(&request).code.code().to_string(),
                method => method.to_owned(),
            });
            rest = &rest[at + 4 + length..];
        }
        assert!(rest.is_empty());
        messages
    }

    fn framed(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    fn request(method: &str) -> String {
        framed(&json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string())
    }

    #[test]
    fn what_cannot_be_read_is_told_once_and_the_next_message_is_found() {
        let (a, b) = (request("a"), request("b"));
        for (broken, code) in [
            (framed("{"), "-32700"),
            (framed(""), "-32700"),
            (framed("[]"), "-32600"),
            (framed("{\"method\":1}"), "-32600"),
            (framed(&"[".repeat(10_000)), "-32700"),
            ("garbage".to_owned(), "-32700"),
            ("garbage\r\n\r\n\r\nmore\r\n".to_owned(), "-32700"),
            ("x".repeat(1020), "-32700"),
            ("x".repeat(100_000), "-32700"),
            ("Content-Length: -5\r\n\r\n".to_owned(), "-32700"),
            ("Content-Length: 99999999999999999999999\r\n\r\n".to_owned(), "-32700"),
            ("Content-Length: 9999999999\r\n\r\n{\"jsonrpc\":\"2.0\"}".to_owned(), "-32700"),
            ("Content-Type: a\r\n\r\n{}".to_owned(), "-32700"),
        ] {
            assert_eq!(passed_on(format!("{a}{broken}{b}").as_bytes()), ["a", code, "b"], "{broken:.80}");
            assert_eq!(passed_on(format!("{a}{broken}").as_bytes()), ["a", code], "{broken:.80}");
        }
        let broken = [b"Content-Length: 2\r\n\r\n\xff\xfe", b.as_bytes()].concat();
        assert_eq!(passed_on(&broken), ["-32700", "b"]);
    }

    #[test]
    fn headers_may_be_spelled_as_they_like() {
        let body = "{\"jsonrpc\":\"2.0\",\"method\":\"a\"}";
        for headers in [
            "content-length: {}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n",
            "Content-Type: a\r\nX-More: b\r\nContent-Length:{}\r\n\r\n",
            "Content-Length: {}\n\n",
        ] {
            let headers = headers.replace("{}", &body.len().to_string());
            assert_eq!(passed_on(format!("{headers}{body}").as_bytes()), ["a"], "{headers}");
        }
    }

    #[test]
    fn a_message_that_ends_too_early_is_the_end() {
        let a = request("a");
        for end in 1..a.len() {
            let found = passed_on(format!("{a}{}", &a[..end]).as_bytes());
            assert!(found == ["a"] || found == ["a", "-32700"], "{found:?}");
        }
    }
}
