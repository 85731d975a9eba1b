//! A minimal LSP client that talks to the built server over its real standard input and output.

use crate::binary::Home;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No answer takes this long, however busy the computer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Answers a request of the server; `None` for one that it leaves open.
pub type Answerer = Box<dyn FnMut(&Value) -> Option<Value>>;

/// A session with a server.
pub struct Client {
    /// The server's process.
    pub child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    heard: Arc<Mutex<Vec<String>>>,
    /// Messages that came while another was waited for.
    waiting: VecDeque<Value>,
    last_id: i64,
    answerer: Answerer,
}

impl Client {
    /// Starts a server that lives in `home`.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(home: &Home) -> Self {
        Self::start_with(home.codchi())
    }

    /// Starts a server with the given program, to which `lsp` is added.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_with(mut command: std::process::Command) -> Self {
        let mut child = command
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, messages) = channel();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            while let Some(message) = read_message(&mut stdout) {
                all.lock().unwrap().push(message.to_string());
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        let answerer: Answerer = Box::new(|_| Some(Value::Null));
        Self { child, stdin, messages, heard, waiting: VecDeque::new(), last_id: 0, answerer }
    }

    /// Every message that the server has sent so far.
    ///
    /// # Panics
    /// Where the thread that reads them has.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Does the handshake with these client capabilities and workspace folder; gives the server's answer.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn initialize(&mut self, capabilities: &Value, folder: &Path) -> Value {
        self.initialize_with(&json!({
            "processId": null,
            "capabilities": capabilities,
            "workspaceFolders": [{ "uri": uri(folder), "name": "workspace" }],
        }))
    }

    /// Does the handshake with these parameters; gives the server's answer.
    ///
    /// # Panics
    /// Where the server refuses.
    pub fn initialize_with(&mut self, params: &Value) -> Value {
        let result = self.request("initialize", params).expect("initialize succeeds");
        self.notify("initialized", &json!({}));
        result
    }

    /// How requests of the server are answered from now on: each gets the request (`method`, `params`).
    pub fn answer_with(&mut self, answerer: impl FnMut(&Value) -> Option<Value> + 'static) {
        self.answerer = Box::new(answerer);
    }

    /// Sends a request and waits for its answer: a result or an error object.
    ///
    /// # Errors
    /// The error object that the server answers.
    ///
    /// # Panics
    /// Where there is no answer.
    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.send_request(method, params);
        self.response(id)
    }

    /// Sends a request, gives its id.
    pub fn send_request(&mut self, method: &str, params: &Value) -> i64 {
        self.last_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params }));
        self.last_id
    }

    /// Waits for the answer to a request that was sent.
    ///
    /// # Errors
    /// The error object that the server answers.
    ///
    /// # Panics
    /// Where there is none.
    pub fn response(&mut self, id: i64) -> Result<Value, Value> {
        let message = self.wait_for(&format!("the answer to request {id}"), |message| {
            message.get("method").is_none() && message["id"] == id
        });
        match message.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(message["result"].clone()),
        }
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a message as it is; one that the server can no longer take is dropped.
    pub fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.send_bytes(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// Sends anything at all.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(bytes);
            let _ = stdin.flush();
        }
    }

    /// The most memory that the server had so far, in MiB.
    ///
    /// # Panics
    /// Where the server is gone.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib >> 10
    }

    /// Waits for the first message, of those not yet taken, for which `wanted` holds.
    ///
    /// # Panics
    /// Where none comes; says so with `what`.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(index).expect("it was just found");
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receive(deadline) {
                Some(message) if wanted(&message) => return message,
                Some(message) => self.waiting.push_back(message),
                None => panic!("{what} did not come; what came: {:#?}", self.waiting),
            }
        }
    }

    /// All messages that come until `quiet` passes without one, and those not yet taken.
    pub fn messages(&mut self, quiet: Duration) -> Vec<Value> {
        while let Some(message) = self.receive(Instant::now() + quiet) {
            self.waiting.push_back(message);
        }
        self.waiting.drain(..).collect()
    }

    /// The next message before `deadline`; requests of the server are answered on the way.
    fn receive(&mut self, deadline: Instant) -> Option<Value> {
        let message = self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        if let (Some(id), true) = (message.get("id"), message.get("method").is_some())
            && let Some(result) = (self.answerer)(&message)
        {
            self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        }
        Some(message)
    }

    /// Opens a text of version 1.
    pub fn open(&mut self, path: &Path, text: &str) {
        let document = json!({ "uri": uri(path), "languageId": "nix", "version": 1, "text": text });
        self.notify("textDocument/didOpen", &json!({ "textDocument": document }));
    }

    /// Changes a text.
    pub fn change(&mut self, path: &Path, version: i32, changes: &Value) {
        let document = json!({ "uri": uri(path), "version": version });
        let params = json!({ "textDocument": document, "contentChanges": changes });
        self.notify("textDocument/didChange", &params);
    }

    /// Waits for the diagnostics of this version of a text.
    pub fn diagnostics(&mut self, path: &Path, version: i32) -> Vec<Value> {
        let uri = uri(path);
        let message = self.wait_for(&format!("diagnostics of version {version}"), |message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri.as_str()
                && message["params"]["version"] == version
        });
        message["params"]["diagnostics"].as_array().cloned().unwrap_or_default()
    }

    /// Closes the server's standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for the server's end.
    ///
    /// # Panics
    /// Where it goes on.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the server did not end");
    }

    /// Ends the session as LSP says, and checks that the server does its part.
    ///
    /// # Panics
    /// Where it does not.
    pub fn shutdown(mut self) {
        self.request("shutdown", &Value::Null).expect("shutdown succeeds");
        self.notify("exit", &Value::Null);
        assert!(self.wait_for_end().success());
    }
}

impl Drop for Client {
    /// A failed test leaves no server behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as a `file:` URI.
///
/// # Panics
/// Where the path is not absolute.
#[must_use]
pub fn uri(path: &Path) -> String {
    url::Url::from_file_path(path).expect("an absolute path").to_string()
}

fn read_message(stdout: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut header = String::new();
        if stdout.read_line(&mut header).ok()? == 0 {
            return None;
        }
        match header.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.parse().expect("a length is a number"));
            }
            None if header == "\r\n" => break,
            _ => panic!("standard output holds something that is not LSP: {header:?}"),
        }
    }
    let mut body = vec![0; length.expect("a message says its length")];
    stdout.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("a message is JSON"))
}
