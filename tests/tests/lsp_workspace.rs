//! The language server and the files around a text: on the disk, in other folders, and nowhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const IMPORTS: &str = "{ imports = [ ./parts/a.nix ]; codchi.gpu.enable = true; }";

/// Waits until the pushed diagnostics of a text are these codes.
fn wait_for_codes(client: &mut Client, path: &Path, expected: &[&str]) {
    let uri = uri(path);
    client.wait_for(&format!("{expected:?}"), |message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == uri.as_str()
            && codes(&message["params"]["diagnostics"]) == expected
    });
}

fn codes(diagnostics: &Value) -> Vec<&str> {
    diagnostics.as_array().unwrap().iter().map(|diagnostic| diagnostic["code"].as_str().unwrap()).collect()
}

fn pulling(home: &Home, folder: &Path) -> Client {
    let mut client = Client::start(home);
    let capabilities = json!({
        "textDocument": { "diagnostic": { "relatedDocumentSupport": true } },
        "workspace": { "diagnostics": { "refreshSupport": true } },
    });
    client.initialize(&capabilities, folder);
    client
}

fn pull(client: &mut Client, path: &Path, previous: Option<&Value>) -> Value {
    let mut params = json!({ "textDocument": { "uri": uri(path) } });
    if let Some(previous) = previous {
        params["previousResultId"] = previous.clone();
    }
    client.request("textDocument/diagnostic", &params).unwrap()
}

#[test]
fn changes_on_the_disk_are_seen_though_the_client_watches_nothing() {
    let home = Home::new();
    let module = home.write("w/codchi.nix", IMPORTS);
    let mut client = Client::start(&home);
    client.initialize(&json!({}), &home.path().join("w"));
    client.open(&module, IMPORTS);
    wait_for_codes(&mut client, &module, &["import-not-found"]);
    // A folder, and then a file in it.
    home.write("w/parts/a.nix", "{ }");
    wait_for_codes(&mut client, &module, &[]);
    std::fs::rename(home.path().join("w/parts"), home.path().join("w/other")).unwrap();
    wait_for_codes(&mut client, &module, &["import-not-found"]);
    std::fs::rename(home.path().join("w/other"), home.path().join("w/parts")).unwrap();
    wait_for_codes(&mut client, &module, &[]);
    std::fs::remove_dir_all(home.path().join("w/parts")).unwrap();
    wait_for_codes(&mut client, &module, &["import-not-found"]);
    client.shutdown();
}

#[test]
fn what_another_program_writes_into_a_module_counts_for_the_others() {
    let home = Home::new();
    let text = "{ codchi.own.port = 1; }";
    let module = home.write("w/use.nix", text);
    home.write("w/codchi.nix", "{ imports = [ ./use.nix ]; }");
    let mut client = Client::start(&home);
    client.initialize(&json!({}), &home.path().join("w"));
    client.open(&module, text);
    wait_for_codes(&mut client, &module, &["unknown-option"]);
    home.write(
        "w/codchi.nix",
        "{ lib, ... }: { imports = [ ./use.nix ]; options.codchi.own.port = lib.mkOption { }; }",
    );
    wait_for_codes(&mut client, &module, &[]);
    client.shutdown();
}

#[test]
fn only_what_leads_from_a_codchi_module_or_a_flake_gets_more_than_syntax_help() {
    let home = Home::new();
    let text = "{ imports = [ ./gone.nix ]; }";
    home.write("w/flake.nix", "{ outputs = _: { nixosModules.default = ./given.nix; }; }");
    let mut client = Client::start(&home);
    client.initialize(&json!({}), &home.path().join("w"));
    let (given, other) = (home.write("w/given.nix", text), home.write("w/other.nix", text));
    client.open(&other, text);
    client.open(&given, text);
    assert_eq!(client.diagnostics(&other, 1), [] as [Value; 0]);
    wait_for_codes(&mut client, &given, &["import-not-found"]);
    client.shutdown();
}

#[test]
fn a_text_that_lies_nowhere_is_checked() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let text = "{ imports = [ ./a.nix ]; codchi.gpu.enabled = true; }";
    let document = json!({ "uri": "untitled:Untitled-1", "languageId": "nix", "version": 1, "text": text });
    client.notify("textDocument/didOpen", &json!({ "textDocument": document }));
    let pushed = client.wait_for("its diagnostics", |message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == "untitled:Untitled-1"
    });
    assert_eq!(codes(&pushed["params"]["diagnostics"]), ["unknown-option"], "and no import is looked for");
    let hover = client
        .request(
            "textDocument/hover",
            &json!({ "textDocument": { "uri": "untitled:Untitled-1" }, "position": { "line": 0, "character": 30 } }),
        )
        .unwrap();
    assert!(hover.is_object(), "{hover}");
    let lenses =
        client.request("textDocument/codeLens", &json!({ "textDocument": { "uri": "untitled:Untitled-1" } }));
    assert_eq!(lenses.unwrap(), json!([]), "no machine can be made of what is not on the disk");
    client.shutdown();
}

#[test]
fn a_file_that_is_not_on_the_disk_yet_is_imported() {
    let home = Home::new();
    let module = home.write("w/codchi.nix", IMPORTS);
    let mut client = Client::start(&home);
    client.initialize(&json!({}), &home.path().join("w"));
    client.open(&module, IMPORTS);
    wait_for_codes(&mut client, &module, &["import-not-found"]);
    let part = home.path().join("w/parts/a.nix");
    client.open(&part, "{ codchi.gpu.enabled = true; }");
    wait_for_codes(&mut client, &part, &["unknown-option"]);
    wait_for_codes(&mut client, &module, &[]);
    client.shutdown();
}

#[test]
fn folders_of_the_workspace_come_and_go() {
    let home = Home::new();
    let text = "{ imports = [ ./gone.nix ]; }";
    let part = home.write("b/part.nix", text);
    home.write("c/web.nix", "{ imports = [ ../b/part.nix ]; codchi.gpu.enable = true; }");
    let mut client = Client::start(&home);
    client.initialize(&json!({}), &home.path().join("b"));
    client.open(&part, text);
    wait_for_codes(&mut client, &part, &[]);
    let folder = json!({ "uri": uri(&home.path().join("c")), "name": "c" });
    let mut change = |added: &Value, removed: &Value| {
        let event = json!({ "added": added, "removed": removed });
        client.notify("workspace/didChangeWorkspaceFolders", &json!({ "event": event }));
        wait_for_codes(&mut client, &part, if added == &json!([]) { &[] } else { &["import-not-found"] });
    };
    change(&json!([folder]), &json!([]));
    change(&json!([]), &json!([folder]));
    client.shutdown();
}

#[test]
fn a_client_that_pulls_gets_nothing_pushed_and_nothing_twice() {
    let home = Home::new();
    let module = home.write("w/codchi.nix", IMPORTS);
    let mut client = pulling(&home, &home.path().join("w"));
    client.open(&module, IMPORTS);
    let full = pull(&mut client, &module, None);
    assert_eq!((&full["kind"], codes(&full["items"])), (&"full".into(), vec!["import-not-found"]));
    let same = pull(&mut client, &module, Some(&full["resultId"]));
    assert_eq!((&same["kind"], &same["resultId"]), (&"unchanged".into(), &full["resultId"]));
    assert!(same.get("items").is_none());

    // What changed on the disk is told as a request to pull again.
    client.messages(Duration::from_millis(500));
    home.write("w/parts/a.nix", "{ }");
    client.wait_for("a refresh", |message| message["method"] == "workspace/diagnostic/refresh");
    let full = pull(&mut client, &module, Some(&full["resultId"]));
    assert_eq!((&full["kind"], &full["items"]), (&"full".into(), &json!([])));
    let messages = client.messages(Duration::from_millis(300));
    assert!(messages.iter().all(|message| message["method"] != "textDocument/publishDiagnostics"));
    client.shutdown();
}

#[test]
fn open_texts_that_depend_on_the_one_asked_about_come_with_it() {
    let home = Home::new();
    let module = home.write("w/codchi.nix", IMPORTS);
    let part = home.write("w/parts/a.nix", "{ codchi.gpu.enabled = true; }");
    let mut client = pulling(&home, &home.path().join("w"));
    client.open(&module, IMPORTS);
    client.open(&part, "{ codchi.gpu.enabled = true; }");
    let report = pull(&mut client, &module, None);
    assert_eq!(codes(&report["relatedDocuments"][uri(&part)]["items"]), ["unknown-option"]);
    client.shutdown();
}

#[test]
fn the_whole_workspace_is_answered_for_at_once_and_then_when_something_is_new() {
    let home = Home::new();
    let closed = home.write("w/a/codchi.nix", "{ codchi.gpu.enabled = true; }");
    home.write("w/b.nix", "{ }");
    let mut client = pulling(&home, &home.path().join("w"));
    let whole = client.request("workspace/diagnostic", &json!({ "previousResultIds": [] })).unwrap();
    let items = whole["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["uri"], codes(&items[0]["items"])), (&uri(&closed).into(), vec!["unknown-option"]));

    let known = json!([{ "uri": items[0]["uri"], "value": items[0]["resultId"] }]);
    let id = client.send_request("workspace/diagnostic", &json!({ "previousResultIds": known }));
    let early = client.messages(Duration::from_millis(500));
    assert!(early.iter().all(|message| message["id"] != id), "nothing is new yet");
    std::fs::remove_file(&closed).unwrap();
    let whole = client.response(id).unwrap();
    assert_eq!((&whole["items"][0]["uri"], &whole["items"][0]["items"]), (&uri(&closed).into(), &json!([])));
    client.shutdown();
}

#[test]
fn a_secret_is_unused_until_a_file_of_any_kind_mentions_it() {
    let home = Home::new();
    let module = home.write(
        "project/codchi.nix",
        "{ codchi.secrets.API_TOKEN = { description = \"a\"; required = false; }; }",
    );
    home.write("project/src/main.py", "print('hello')");
    let mut client = Client::start(&home);
    client.initialize(&json!({}), &home.path().join("project"));
    client.open(&module, &std::fs::read_to_string(&module).unwrap());
    wait_for_codes(&mut client, &module, &["secret-unused"]);
    // What was said before that is not waited for.
    client.messages(Duration::from_millis(100));
    home.write("project/src/main.py", "settings.api_token");
    wait_for_codes(&mut client, &module, &[]);
    home.write("project/src/main.py", "print('hello')");
    wait_for_codes(&mut client, &module, &["secret-unused"]);
    client.change(
        &module,
        2,
        &json!([{ "text": "{ codchi.secrets.API_TOKEN = { description = \"a\"; required = false; }; a.b = \"$CODCHI_API_TOKEN\"; }" }]),
    );
    wait_for_codes(&mut client, &module, &[]);
    client.shutdown();
}
