//! A whole session of the language server, from the client's bytes.

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// More messages are not sent.
const MESSAGES: usize = 40;

/// So much may be on its way.
const PIPE: usize = 1 << 20;

/// A session: each line is the body of a message, a line that begins with `!` is sent without any header. `HOME` stands
/// for the folder that all is in. What would lead out of it is left out, and the handshake is made here.
pub fn protocol(data: &[u8]) {
    messages(data);
}

/// The same; gives what the server said.
pub fn messages(data: &[u8]) -> Vec<Value> {
    let Ok(home) = tempfile::tempdir() else { return Vec::new() };
    let (handshake, rest) = session(home.path(), data);
    // Time passes when there is nothing else to do: pauses cost nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let Ok(runtime) = runtime else { return Vec::new() };
    runtime.block_on(async {
        let (mut to_server, input) = tokio::io::duplex(PIPE);
        let (output, mut from_server) = tokio::io::duplex(PIPE);
        let client = async {
            let mut said = Vec::new();
            let _ = to_server.write_all(&handshake).await;
            // Before it is answered, nothing else is.
            while read(&said).is_empty() && from_server.read_buf(&mut said).await.is_ok_and(|len| len > 0) {}
            let _ = to_server.write_all(&rest).await;
            // What is told unasked comes by then.
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(to_server);
            let _ = from_server.read_to_end(&mut said).await;
            said
        };
        let (_, said) = tokio::join!(codchi::serve(home.path(), input, output), client);
        read(&said)
    })
}

/// The handshake's request, and everything after it.
fn session(home: &Path, data: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (kind, data) = data.split_first().unwrap_or((&0, &[]));
    let mut input = Vec::new();
    let encodings = [["utf-8"], ["utf-16"], ["utf-32"]];
    let encoding = encodings.get(usize::from(kind % 3)).unwrap_or(&encodings[0]);
    let mut capabilities = json!({ "general": { "positionEncodings": encoding } });
    if kind % 2 == 0 {
        capabilities["textDocument"]["diagnostic"] = json!({ "relatedDocumentSupport": true });
    }
    let folder = json!({ "uri": format!("file://{}", home.display()), "name": "home" });
    let params = json!({ "capabilities": capabilities, "workspaceFolders": [folder] });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let mut handshake = Vec::new();
    frame(&mut handshake, initialize.to_string().as_bytes());
    let initialized = json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} });
    frame(&mut input, initialized.to_string().as_bytes());
    for line in data.split(|&byte| byte == b'\n').take(MESSAGES) {
        match line.strip_prefix(b"!") {
            Some(raw) => input.extend_from_slice(raw),
            None => {
                let body = String::from_utf8_lossy(line).replace("HOME", &home.display().to_string());
                match serde_json::from_str::<Value>(&body) {
                    Ok(message) if leads_out(&message) => {}
                    // Bytes that are no UTF-8 stay as they are.
                    Err(_) if !line.is_ascii() => frame(&mut input, line),
                    _ => frame(&mut input, body.as_bytes()),
                }
            }
        }
    }
    (handshake, input)
}

fn frame(input: &mut Vec<u8>, body: &[u8]) {
    input.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    input.extend_from_slice(body);
}

/// Whether a message makes the server look at other folders, or do something to machines.
fn leads_out(message: &Value) -> bool {
    let method = message["method"].as_str().unwrap_or_default();
    ["initialize", "workspace/didChangeWorkspaceFolders", "workspace/executeCommand"].contains(&method)
}

/// Everything that was written is a message after the other; the last one may be cut off.
fn read(mut output: &[u8]) -> Vec<Value> {
    let mut messages = Vec::new();
    while let Some(at) = output.windows(4).position(|four| four == b"\r\n\r\n") {
        let header = String::from_utf8_lossy(&output[..at]);
        let length = header.strip_prefix("Content-Length: ").and_then(|length| length.parse::<usize>().ok());
        let length = length.unwrap_or_else(|| panic!("this is no header: {header}"));
        let Some(body) = output.get(at + 4..at + 4 + length) else { break };
        let message: Value = serde_json::from_slice(body).expect("a message is JSON");
        assert_eq!(message["jsonrpc"], "2.0");
        assert_ne!(message["error"]["code"], -32603, "a question failed: {message}");
        messages.push(message);
        output = &output[at + 4 + length..];
    }
    messages
}
