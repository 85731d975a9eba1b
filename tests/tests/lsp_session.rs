//! Whole sessions with the built language server, over its real standard input and output. No driver and no Nix are
//! needed.
#![allow(clippy::unwrap_used, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::Client;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_server_says_who_it_is_and_what_it_can_do() {
    let home = Home::new();
    let mut client = Client::start(&home);
    let answer = client.initialize(&json!({}), home.path());
    assert_eq!(answer["serverInfo"]["name"], "codchi");
    let capabilities = &answer["capabilities"];
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    assert_eq!(capabilities["textDocumentSync"]["change"], 2, "incremental");
    for provider in ["completion", "hover", "definition", "documentSymbol", "codeAction", "codeLens"] {
        assert!(!capabilities[format!("{provider}Provider")].is_null(), "{provider}");
    }
    client.shutdown();
}

#[test]
fn exit_without_shutdown_is_a_failure() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    client.notify("exit", &Value::Null);
    assert_eq!(client.wait_for_end().code(), Some(1));
}

#[test]
fn exit_before_initialize_ends_the_server() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.notify("exit", &Value::Null);
    assert_eq!(client.wait_for_end().code(), Some(1));
}

#[test]
fn the_end_of_input_ends_the_server() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    client.close_input();
    assert_eq!(client.wait_for_end().code(), Some(1));
}

#[test]
fn a_client_that_says_everything_in_one_breath_is_answered() {
    let home = Home::new();
    let mut client = Client::start(&home);
    let initialize = client.send_request("initialize", &json!({ "capabilities": {} }));
    client.response(initialize).unwrap();
    let shutdown = client.send_request("shutdown", &Value::Null);
    client.notify("exit", &Value::Null);
    client.close_input();
    // An `exit` that overtakes the answer may cancel it; an answer there must be.
    let _ = client.response(shutdown);
    assert_eq!(client.wait_for_end().code(), Some(0));
}

#[test]
fn sigterm_ends_the_server() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let pid = client.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(client.wait_for_end().code(), Some(143));
}

#[test]
fn the_death_of_the_clients_process_ends_the_server_though_its_input_is_open() {
    let home = Home::new();
    let mut editor = Command::new("sleep").arg("600").spawn().unwrap();
    let mut client = Client::start(&home);
    client.initialize_with(&json!({ "processId": editor.id(), "capabilities": {} }));
    std::thread::sleep(Duration::from_millis(50));
    assert!(client.child.try_wait().unwrap().is_none(), "the server lives as long as its client");
    editor.kill().unwrap();
    assert_eq!(client.wait_for_end().code(), Some(1));
    editor.wait().unwrap();
}

#[test]
fn a_broken_pipe_ends_the_server() {
    let home = Home::new();
    let mut child = home.codchi().arg("lsp").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "capabilities": {} } });
    let message = message.to_string();
    let mut stdin = child.stdin.take().unwrap();
    write!(stdin, "Content-Length: {}\r\n\r\n{message}", message.len()).unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the server goes on");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(status.code(), Some(1));
}
