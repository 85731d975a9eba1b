//! Formatting with programs on PATH, over the built server's real standard input and output. The programs are scripts of these
//! tests that really read, run and print.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use codchi_tests::program;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MODULE: &str = "{ pkgs, ... }:\n{\na=pkgs.b;\n  codchi.gpu.enable = true;\n}\n";

/// Spaces around `=`, two before a name.
const FORMATTER: &str = "exec /bin/sed -E 's/^([a-z.]+) *= */  \\1 = /'";

/// A program in the home's folder of programs.
fn program(home: &Home, name: &str, script: &str) -> PathBuf {
    let path = home.path().join("bin").join(name);
    program::script(&path, script);
    path
}

fn session(home: &Home, settings: &Value, text: &str) -> (Client, PathBuf) {
    let path = home.path().join("codchi.nix");
    let mut client = Client::start(home);
    client.initialize_with(&json!({ "capabilities": {}, "initializationOptions": settings }));
    client.open(&path, text);
    (client, path)
}

fn params(path: &Path) -> Value {
    json!({ "textDocument": { "uri": uri(path) }, "options": { "tabSize": 2, "insertSpaces": true } })
}

fn format(client: &mut Client, path: &Path) -> Result<Value, Value> {
    client.request("textDocument/formatting", &params(path))
}

/// The messages that are shown to the person.
fn shown(client: &mut Client) -> Vec<String> {
    let messages = client.messages(Duration::from_millis(100));
    let shown = messages.iter().filter(|message| message["method"] == "window/showMessage");
    shown.map(|message| message["params"]["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_installed_formatter_changes_the_lines_that_it_changes() {
    let home = Home::new();
    program(&home, "nixfmt", FORMATTER);
    let (mut client, path) = session(&home, &json!({}), MODULE);
    let edits = format(&mut client, &path).unwrap();
    assert_eq!(
        edits,
        json!([{
            "range": { "start": { "line": 2, "character": 0 }, "end": { "line": 3, "character": 0 } },
            "newText": "  a = pkgs.b;\n",
        }])
    );
    client.shutdown();
}

#[test]
fn the_setting_chooses_the_formatter() {
    let home = Home::new();
    program(&home, "nixfmt", "echo wrong >&2; exit 1");
    program(&home, "alejandra", &format!("test \"$*\" = '--quiet -' || exit 9\n{FORMATTER}"));
    let own = program(&home, "my formatter", &format!("test \"$1\" = '; $(x)' || exit 9\n{FORMATTER}"));
    let (mut client, path) = session(&home, &json!({ "formatter": "alejandra" }), MODULE);
    assert_eq!(format(&mut client, &path).unwrap().as_array().unwrap().len(), 1);
    for (formatter, edits) in
        [(json!([own, "; $(x)"]), Some(1)), (json!("off"), None), (json!("alejandra"), Some(1))]
    {
        let settings = json!({ "settings": { "codchi": { "formatter": formatter } } });
        client.notify("workspace/didChangeConfiguration", &settings);
        let answer = format(&mut client, &path).unwrap();
        assert_eq!(answer.as_array().map(Vec::len), edits, "{formatter}");
    }
    assert_eq!(shown(&mut client), Vec::<String>::new());
    client.shutdown();
}

#[test]
fn where_none_is_installed_it_is_told_once() {
    let home = Home::new();
    let (mut client, path) = session(&home, &json!({}), MODULE);
    for _ in 0..3 {
        assert_eq!(format(&mut client, &path).unwrap(), Value::Null);
    }
    let shown = shown(&mut client);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].contains("neither nixfmt nor alejandra is on PATH"), "{shown:?}");
    client.shutdown();
}

#[test]
fn a_formatter_that_refuses_says_why_and_changes_nothing() {
    let home = Home::new();
    program(
        &home,
        "nixfmt",
        "/bin/cat > /dev/null; printf '\\033[31mno:\\033[0m not this one\\n' >&2; exit 3",
    );
    let (mut client, path) = session(&home, &json!({}), MODULE);
    for _ in 0..2 {
        let error = format(&mut client, &path).unwrap_err();
        assert_eq!(error["code"], -32803);
        assert_eq!(error["message"], "nixfmt does not format this text: no: not this one");
    }
    assert_eq!(shown(&mut client).len(), 1, "each save would tell it again");
    client.shutdown();
}

#[test]
fn what_is_no_formatted_text_is_not_taken() {
    let large = format!("[\n{}]\n", "{ a = 1; }\n".repeat(20_000));
    for (script, text) in [
        ("echo garbage", MODULE),
        ("printf '\\377\\376'", MODULE),
        ("exit 0", MODULE),
        ("/bin/sed s/gpu/cpu/", MODULE),
        // Does not read what it is given, and prints more than anybody wants.
        ("exec /usr/bin/head -c 300000000 /dev/zero", large.as_str()),
    ] {
        let home = Home::new();
        program(&home, "nixfmt", script);
        let (mut client, path) = session(&home, &json!({}), text);
        let error = format(&mut client, &path).unwrap_err();
        assert!(error["message"].as_str().unwrap().ends_with("Nothing was changed."), "{script}: {error}");
        client.shutdown();
    }
}

#[test]
fn a_text_that_is_not_nix_is_no_formatters_business() {
    let home = Home::new();
    program(&home, "nixfmt", &format!("echo ran > '{}'", home.path().join("ran").display()));
    let (mut client, path) = session(&home, &json!({}), "{ a = ");
    let error = format(&mut client, &path).unwrap_err();
    assert!(
        error["message"].as_str().unwrap().starts_with("This text is not formatted, as it is not Nix"),
        "{error}"
    );
    assert!(!home.path().join("ran").exists());
    assert_eq!(shown(&mut client), Vec::<String>::new(), "it is a diagnostic already");
    client.shutdown();
}

#[test]
fn a_formatter_that_hangs_ends_with_its_request_and_with_the_session() {
    let home = Home::new();
    let pids = home.path().join("pids");
    // One that has started another, both of which hang.
    program(
        &home,
        "nixfmt",
        &format!("echo $$ >> '{0}'; /bin/sleep 60 & echo $! >> '{0}'; wait", pids.display()),
    );
    let (mut client, path) = session(&home, &json!({}), MODULE);
    for round in 1..=2 {
        let id = client.send_request("textDocument/formatting", &params(&path));
        let running = until(|| {
            let pids = std::fs::read_to_string(&pids).unwrap_or_default();
            let pids: Vec<u32> = pids.lines().filter_map(|line| line.parse().ok()).collect();
            (pids.len() == 2 * round).then_some(pids)
        });
        if round == 1 {
            client.notify("$/cancelRequest", &json!({ "id": id }));
            assert_eq!(client.response(id).unwrap_err()["code"], -32800);
        } else {
            client.request("shutdown", &Value::Null).unwrap();
            client.notify("exit", &Value::Null);
            assert!(client.wait_for_end().success());
        }
        until(|| running.iter().all(|pid| !is_running(*pid)).then_some(()));
    }
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come to that");
}

/// Whether a process is there and is no zombie that nobody waits for.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}
