//! The language server and what no client should send, or no file should hold: everything is answered or ignored, told
//! once, and nothing else waits for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use codchi_tests::nasty;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is asked about a small text meanwhile is answered, and not only after what would go on for minutes. No measure: a
/// busy computer takes its time, and `cargo xtask bench` measures.
const HELD_UP: Duration = Duration::from_secs(60);

/// No more memory than this, in MiB.
const MEMORY: u64 = 700;

/// A session with a small module that is open.
struct Session {
    client: Client,
    small: PathBuf,
    // Last, so that the server is gone first.
    home: Home,
}

impl Session {
    fn new() -> Self {
        Self::of(Home::new())
    }

    fn of(home: Home) -> Self {
        let mut client = Client::start(&home);
        client.initialize(&json!({}), &home.path().join("w"));
        let small = home.path().join("small/codchi.nix");
        client.open(&small, "{ codchi.gpu.enable = true; }");
        client.diagnostics(&small, 1);
        Self { client, small, home }
    }

    /// The small module is answered about as if nothing were.
    fn assert_not_held_up(&mut self, meanwhile: &str) {
        let begin = Instant::now();
        let hover = self.client.request("textDocument/hover", &at(&self.small, 0, 13)).unwrap();
        assert!(hover["contents"]["value"].as_str().unwrap().contains("gpu"), "{hover}");
        assert!(begin.elapsed() < HELD_UP, "{meanwhile}: {:?}", begin.elapsed());
        println!("{meanwhile}: a hover took {:?}", begin.elapsed());
    }

    fn end(mut self) {
        self.assert_not_held_up("at the end");
        println!("peak memory: {} MiB", self.client.peak_memory());
        assert!(self.client.peak_memory() < MEMORY, "{} MiB", self.client.peak_memory());
        self.client.shutdown();
        drop(self.home);
    }
}

fn at(path: &Path, line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": uri(path) }, "position": { "line": line, "character": character } })
}

/// Every request about a text, with parameters that are right but for the place.
fn questions(path: &Path, line: u32, character: u32) -> Vec<(&'static str, Value)> {
    let place = json!({ "line": line, "character": character });
    let range = json!({ "start": place, "end": place });
    let document = json!({ "uri": uri(path) });
    let of_text = json!({ "textDocument": document });
    let of_range = json!({ "textDocument": document, "range": range, "context": { "diagnostics": [] } });
    let of_place = json!({
        "textDocument": document, "position": place, "newName": "a", "context": { "includeDeclaration": true },
    });
    vec![
        ("textDocument/hover", of_place.clone()),
        ("textDocument/definition", of_place.clone()),
        ("textDocument/references", of_place.clone()),
        ("textDocument/documentHighlight", of_place.clone()),
        ("textDocument/prepareRename", of_place.clone()),
        ("textDocument/rename", of_place.clone()),
        ("textDocument/completion", json!({ "textDocument": document, "position": place })),
        ("textDocument/selectionRange", json!({ "textDocument": document, "positions": [place] })),
        ("textDocument/codeAction", of_range.clone()),
        ("textDocument/inlayHint", of_range),
        ("textDocument/documentSymbol", of_text.clone()),
        ("textDocument/foldingRange", of_text.clone()),
        ("textDocument/documentLink", of_text.clone()),
        ("textDocument/codeLens", of_text.clone()),
        ("textDocument/diagnostic", of_text),
    ]
}

#[test]
fn what_is_no_message_is_answered_once_and_the_session_goes_on() {
    let mut session = Session::new();
    let framed = |body: &[u8]| [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
    for (bytes, code) in [
        (framed(b"{ this is no JSON"), -32700),
        (framed(b"\xff\xfe\x00"), -32700),
        (framed(b""), -32700),
        (framed("[".repeat(100_000).as_bytes()), -32700),
        (framed(b"[]"), -32600),
        (framed(b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"shutdown\"}"), -32600),
        (framed(b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":7}"), -32600),
        (b"Content-Length: 99999999999999\r\n\r\n{}".to_vec(), -32700),
        (b"Content-Length: twelve\r\n\r\n".to_vec(), -32700),
        (b"Content-Type: text/plain\r\n\r\n".to_vec(), -32700),
        (vec![0; 5000], -32700),
    ] {
        session.client.send_bytes(&bytes);
        session.assert_not_held_up("after what is no message");
        let answer = session.client.wait_for("an answer", |message| message.get("error").is_some());
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &code.into()), "{bytes:.50?}");
        let more = session.client.messages(Duration::from_millis(50));
        assert!(more.iter().all(|message| message.get("error").is_none()), "{more:?}");
    }
    session.end();
}

#[test]
fn a_message_that_is_cut_off_ends_the_session() {
    for bytes in ["Content-Length: 50\r\n\r\n{", "Content-Len", "Content-Length: 50\r\n"] {
        let mut session = Session::new();
        session.client.send_bytes(bytes.as_bytes());
        session.client.close_input();
        assert_eq!(session.client.wait_for_end().code(), Some(1), "{bytes:?}");
    }
}

#[test]
fn methods_that_there_are_not_and_wrong_parameters_are_refused() {
    let mut session = Session::new();
    let unknown = session.client.request("textDocument/nothing", &json!({})).unwrap_err();
    assert_eq!(unknown["code"], -32601);
    session.client.notify("$/nothing", &json!({}));
    session.client.notify("textDocument/nothing", &json!([1, 2]));
    for params in [json!(null), json!({}), json!([]), json!({ "textDocument": 1, "position": {} }), json!(7)]
    {
        for (method, _) in questions(&session.small, 0, 0) {
            let id = session.client.send_request(method, &params);
            let error = session.client.response(id).unwrap_err();
            assert!(
                [-32602, -32600].contains(&error["code"].as_i64().unwrap()),
                "{method} {params}: {error}"
            );
        }
        for method in
            ["textDocument/didOpen", "textDocument/didChange", "textDocument/didClose", "$/cancelRequest"]
        {
            session.client.notify(method, &params);
        }
    }
    for position in
        [json!({ "line": -1, "character": 0 }), json!({ "line": 4_294_967_296_u64, "character": 0 })]
    {
        let params = json!({ "textDocument": { "uri": uri(&session.small) }, "position": position });
        assert_eq!(session.client.request("textDocument/hover", &params).unwrap_err()["code"], -32602);
    }
    session.end();
}

#[test]
fn nothing_is_answered_before_initialize_but_that_it_is_missing() {
    let home = Home::new();
    let path = home.write("codchi.nix", "{ }");
    let mut client = Client::start(&home);
    client.open(&path, "{ }");
    for (method, params) in questions(&path, 0, 0) {
        assert_eq!(client.request(method, &params).unwrap_err()["code"], -32002, "{method}");
    }
    client.initialize(&json!({}), home.path());
    assert_eq!(client.request("initialize", &json!({ "capabilities": {} })).unwrap_err()["code"], -32600);
    client.shutdown();
}

#[test]
fn places_outside_of_a_text_and_texts_that_are_nowhere_are_answered() {
    let mut session = Session::new();
    let text = "{ codchi.gpu.enable = true; /* 𝄞 */ }\r\n";
    let path = session.home.path().join("a.nix");
    session.client.open(&path, text);
    for (line, character) in
        [(0, 5000), (5000, 0), (u32::MAX, u32::MAX), (0, u32::MAX), (0, 34), (1, 0), (2, 0)]
    {
        for (method, params) in questions(&path, line, character) {
            let answer = session.client.request(method, &params);
            // Where there is nothing that could be renamed, that is said.
            assert!(
                answer.is_ok() || method.ends_with("ename"),
                "{method} at {line}:{character}: {answer:?}"
            );
        }
    }
    for uri in [
        "file:///nowhere/at/all.nix",
        "file:///a%00b.nix",
        "file://other-computer/a.nix",
        "file:///",
        "file:///dev/zero",
        "untitled:never-opened",
        "http://[::1]/a.nix",
        "data:,{}",
    ] {
        for (method, mut params) in questions(&path, 0, 3) {
            params["textDocument"]["uri"] = uri.into();
            let answer = session.client.request(method, &params);
            assert!(answer.is_ok() || method.ends_with("ename"), "{method} of {uri}: {answer:?}");
        }
    }
    session.end();
}

#[test]
fn changes_that_make_no_sense_leave_a_text_that_both_sides_know() {
    let mut session = Session::new();
    let path = session.home.path().join("a.nix");
    let change = |from: (u32, u32), to: (u32, u32), text: &str| {
        let place = |(line, character): (u32, u32)| json!({ "line": line, "character": character });
        json!([{ "range": { "start": place(from), "end": place(to) }, "text": text }])
    };
    // Before it is open; and a text that is not open is closed.
    session.client.change(&path, 1, &change((0, 0), (0, 0), "x"));
    session.client.notify("textDocument/didClose", &json!({ "textDocument": { "uri": uri(&path) } }));
    session.client.open(&path, "{\n  a = 1;\n}\n");
    // An inverted range is the place of its start, one outside of the text its end; versions may go back.
    session.client.change(&path, 9, &change((1, 2), (0, 0), "b = 2; "));
    session.client.change(&path, 3, &change((700, 0), (900, 5), "# end"));
    session.client.change(&path, -7, &change((1, 900), (1, u32::MAX), " # line"));
    session.client.change(&path, i32::MAX, &json!([]));
    session.client.diagnostics(&path, i32::MAX);
    let same = session.home.path().join("same.nix");
    session.client.open(&same, "{\n  b = 2; a = 1; # line\n}\n# end");
    for method in ["textDocument/documentSymbol", "textDocument/foldingRange"] {
        let mut of = |path: &Path| {
            session.client.request(method, &json!({ "textDocument": { "uri": uri(path) } })).unwrap()
        };
        assert_eq!(of(&path), of(&same));
    }
    // Opened twice and closed twice.
    session.client.open(&path, "{ a = ; }");
    let close = json!({ "textDocument": { "uri": uri(&path) } });
    session.client.notify("textDocument/didClose", &close);
    session.client.notify("textDocument/didClose", &close);
    session.end();
}

#[test]
fn a_storm_of_questions_and_cancellations_is_answered_each_once() {
    let mut session = Session::new();
    let path = session.home.path().join("a.nix");
    let text = nasty::module(2000);
    session.client.open(&path, &text);
    let mut asked = Vec::new();
    for number in 0..300 {
        let (method, params) = questions(&path, number % 50, 5).swap_remove(number as usize % 15);
        asked.push(session.client.send_request(method, &params));
        session.client.notify("$/cancelRequest", &json!({ "id": asked[asked.len() - 1] }));
        session.client.notify("$/cancelRequest", &json!({ "id": 1_000_000 + number }));
        let place = json!({ "line": 3, "character": 0 });
        let typed = json!([{ "range": { "start": place, "end": place }, "text": "#" }]);
        session.client.change(&path, 2 + i32::try_from(number).unwrap(), &typed);
    }
    session.assert_not_held_up("in a storm");
    for id in asked {
        let _ = session.client.response(id);
    }
    session.client.diagnostics(&path, 301);
    let more = session.client.messages(Duration::from_millis(200));
    assert!(
        more.iter().all(|message| message["id"].is_null() || message.get("method").is_some()),
        "{more:?}"
    );
    session.end();
}

#[test]
fn a_text_of_ten_megabytes_is_followed_but_not_read_which_is_told_once() {
    for (name, text) in nasty::large(10 << 20) {
        let mut session = Session::new();
        let path = session.home.path().join("large.nix");
        session.client.open(&path, &text);
        session.assert_not_held_up(&format!("{name}, opened"));
        for version in 2..=8 {
            let place = json!({ "line": 0, "character": 0 });
            let typed = json!([{ "range": { "start": place, "end": place }, "text": " " }]);
            session.client.change(&path, version, &typed);
            for (method, params) in questions(&path, 0, 1) {
                session.client.send_request(method, &params);
            }
        }
        session.assert_not_held_up(&format!("{name}, edited"));
        let found = session.client.diagnostics(&path, 8);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(
            found[0]["severity"] == 3 && found[0]["message"].as_str().unwrap().contains("larger than 4 MiB")
        );
        // And it is read as soon as it is small enough.
        session.client.change(&path, 9, &json!([{ "text": "{ codchi.gpu.enabled = true; }" }]));
        assert_eq!(session.client.diagnostics(&path, 9)[0]["code"], "unknown-option");
        session.end();
    }
}

#[test]
fn a_text_of_a_megabyte_holds_up_nothing_else() {
    for (name, text) in nasty::large(1 << 20) {
        let mut session = Session::new();
        let path = session.home.path().join("large.nix");
        let begin = Instant::now();
        session.client.open(&path, &text);
        session.assert_not_held_up(&format!("{name}, opened"));
        let mut asked = Vec::new();
        for version in 2..=4 {
            let place = json!({ "line": 0, "character": 0 });
            let typed = json!([{ "range": { "start": place, "end": place }, "text": " " }]);
            session.client.change(&path, version, &typed);
            for (method, params) in questions(&path, 0, 1) {
                asked.push(session.client.send_request(method, &params));
            }
        }
        session.assert_not_held_up(&format!("{name}, edited"));
        for id in &asked {
            session.client.notify("$/cancelRequest", &json!({ "id": id }));
        }
        session.client.diagnostics(&path, 4);
        println!("{name}: all of it took {:?}", begin.elapsed());
        session.assert_not_held_up("at the end");
        println!("peak memory: {} MiB", session.client.peak_memory());
        session.client.shutdown();
    }
}

#[test]
fn nesting_of_any_kind_is_read_or_told_once() {
    let mut session = Session::new();
    for levels in [200, 20_000, 100_000] {
        for (name, text) in nasty::nested(levels) {
            let path = session.home.path().join(format!("{levels}-{name}.nix"));
            session.client.open(&path, &text);
            let found = session.client.diagnostics(&path, 1);
            match levels {
                200 => assert_eq!(found, [] as [Value; 0], "{name}"),
                _ => assert!(found.len() <= 1, "{levels} {name}: {found:?}"),
            }
            for (method, params) in questions(&path, 0, 150) {
                let answer = session.client.request(method, &params);
                assert!(answer.is_ok() || method.ends_with("ename"), "{method} of {name}: {answer:?}");
            }
            session.client.notify("textDocument/didClose", &json!({ "textDocument": { "uri": uri(&path) } }));
        }
        session.assert_not_held_up(&format!("{levels} levels"));
    }
    session.end();
}

#[test]
fn a_workspace_full_of_traps_is_looked_at() {
    let home = Home::new();
    let traps = nasty::traps(&home.path().join("w"));
    let begin = Instant::now();
    let mut session = Session::of(home);
    session.assert_not_held_up("while traps are looked at");
    let path = session.home.path().join("w/codchi.nix");
    let text = std::fs::read_to_string(&path).unwrap();
    session.client.open(&path, &text);
    let found = session.client.diagnostics(&path, 1);
    println!("{:?} {found:?}", begin.elapsed());
    for name in traps {
        let path = session.home.path().join("w").join(name);
        for (method, params) in questions(&path, 0, 1) {
            let _ = session.client.request(method, &params);
        }
    }
    let symbols = session.client.request("workspace/symbol", &json!({ "query": "" })).unwrap();
    assert!(symbols.as_array().is_some());
    session.end();
}
