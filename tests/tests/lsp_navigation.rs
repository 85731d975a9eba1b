//! Getting around in texts and what is reported, over the built server's real standard input and output.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const MODULE: &str = "{ config, lib, ... }:\nlet\n  ports = [ 1 ];\nin\n{\n  imports = [ ./other.nix ];\n  \
                      codchi.secrets.TOKEN.description = \"a\";\n  a = ports;\n  b = \"é $CODCHI_TOKEN\";\n}\n";

/// A session with two files: `codchi.nix` open, and `other.nix` beside it on the disk.
fn session(home: &Home) -> (Client, PathBuf, PathBuf) {
    let (module, other) = (home.path().join("codchi.nix"), home.path().join("other.nix"));
    std::fs::write(&module, MODULE).unwrap();
    std::fs::write(&other, "{ c = \"𝄞 $CODCHI_TOKEN\"; }\n").unwrap();
    let mut client = Client::start(home);
    client.initialize(&json!({}), home.path());
    client.open(&module, MODULE);
    (client, module, other)
}

/// The position of `what` in the text, plus `skip` characters (UTF-16).
fn position(text: &str, what: &str, skip: usize) -> Value {
    let at = text.find(what).unwrap();
    let line = text[..at].matches('\n').count();
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    json!({ "line": line, "character": text[start..at].encode_utf16().count() + skip })
}

fn ask(
    client: &mut Client,
    method: &str,
    path: &Path,
    position: &Value,
    more: &Value,
) -> Result<Value, Value> {
    let mut params = json!({ "textDocument": { "uri": uri(path) }, "position": position });
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    client.request(method, &params)
}

#[test]
fn a_secret_is_found_and_renamed_in_all_files_of_the_module() {
    let home = Home::new();
    let (mut client, module, other) = session(&home);
    let at = position(MODULE, "TOKEN.desc", 2);
    let context = json!({ "context": { "includeDeclaration": true } });
    let found = ask(&mut client, "textDocument/references", &module, &at, &context).unwrap();
    let places: Vec<_> =
        found.as_array().unwrap().iter().map(|it| (&it["uri"], &it["range"]["start"])).collect();
    assert_eq!(places.len(), 3, "{places:?}");
    // `𝄞` takes two units.
    let in_other = places.iter().find(|(uri_of, _)| **uri_of == json!(uri(&other))).unwrap();
    assert_eq!(*in_other.1, json!({ "line": 0, "character": 18 }));

    let prepared = ask(&mut client, "textDocument/prepareRename", &module, &at, &json!({})).unwrap();
    assert_eq!(prepared["placeholder"], "TOKEN");
    let renamed =
        ask(&mut client, "textDocument/rename", &module, &at, &json!({ "newName": "KEY" })).unwrap();
    let changes = renamed["documentChanges"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    for change in changes {
        let open = change["textDocument"]["uri"] == json!(uri(&module));
        assert_eq!(
            change["textDocument"]["version"].is_null(),
            !open,
            "an open text is changed as it was seen"
        );
    }
    let refused =
        ask(&mut client, "textDocument/rename", &module, &at, &json!({ "newName": "a b" })).unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("$CODCHI_"), "{refused}");
    client.shutdown();
}

#[test]
fn a_name_is_highlighted_in_its_scope() {
    let home = Home::new();
    let (mut client, module, _) = session(&home);
    let at = position(MODULE, "ports;", 0);
    let found = ask(&mut client, "textDocument/documentHighlight", &module, &at, &json!({})).unwrap();
    let kinds: Vec<_> = found.as_array().unwrap().iter().map(|it| it["kind"].as_u64().unwrap()).collect();
    assert_eq!(kinds, [3, 2], "written, then read");
    client.shutdown();
}

#[test]
fn texts_fold_select_and_link() {
    let home = Home::new();
    let (mut client, module, other) = session(&home);
    let document = json!({ "textDocument": { "uri": uri(&module) } });
    let folds = client.request("textDocument/foldingRange", &document).unwrap();
    let lines: Vec<_> =
        folds.as_array().unwrap().iter().map(|it| (it["startLine"].clone(), it["endLine"].clone())).collect();
    assert_eq!(lines, [(json!(1), json!(8)), (json!(4), json!(8))]);

    let links = client.request("textDocument/documentLink", &document).unwrap();
    assert_eq!(links[0]["target"], json!(uri(&other)));

    let params =
        json!({ "textDocument": { "uri": uri(&module) }, "positions": [position(MODULE, "ports;", 1)] });
    let selection = &client.request("textDocument/selectionRange", &params).unwrap()[0];
    assert_eq!(selection["range"]["end"]["character"], 11);
    assert!(!selection["parent"]["parent"].is_null());
    client.shutdown();
}

#[test]
fn hints_say_whether_a_secret_is_set_and_symbols_are_found_by_name() {
    let home = Home::new();
    let (mut client, module, _) = session(&home);
    // The vault was looked at once the warning is there.
    client.wait_for("secret-not-set", |message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message.to_string().contains("secret-not-set")
    });
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let params = json!({ "textDocument": { "uri": uri(&module) }, "range": range });
    let hints = client.request("textDocument/inlayHint", &params).unwrap();
    assert_eq!(hints[0]["label"], "not set");
    assert_eq!(hints[0]["position"], position(MODULE, "TOKEN.desc", 5));

    let symbols = client.request("workspace/symbol", &json!({ "query": "tkn" })).unwrap();
    assert_eq!((&symbols[0]["name"], symbols.as_array().unwrap().len()), (&json!("TOKEN"), 1));
    client.shutdown();
}

#[test]
fn levels_of_diagnostics_follow_the_settings() {
    let home = Home::new();
    let path = home.path().join("codchi.nix");
    let text =
        "{\n  codchi.gpu.enable = true;\n  boot.loader.grub.enable = true;\n  codchi.welcome.a = 1;\n}\n";
    let mut client = Client::start(&home);
    let options = json!({ "diagnostics": { "no-effect": "off", "nonsense": "off" } });
    client.initialize_with(&json!({ "capabilities": {}, "initializationOptions": options }));
    client.open(&path, text);
    let found = client.diagnostics(&path, 1);
    let codes: Vec<_> =
        found.iter().map(|it| (it["code"].as_str().unwrap(), it["severity"].as_u64().unwrap())).collect();
    assert_eq!(codes, [("deprecated-option", 2)]);
    assert_eq!(found[0]["tags"], json!([2]), "struck through");

    let settings = json!({ "settings": { "codchi": { "diagnostics": { "deprecated-option": "error" } } } });
    client.notify("workspace/didChangeConfiguration", &settings);
    let now = client.wait_for("the new levels", |message| {
        message["method"] == "textDocument/publishDiagnostics" && message.to_string().contains("no-effect")
    });
    let severities: Vec<_> =
        now["params"]["diagnostics"].as_array().unwrap().iter().map(|it| it["severity"].clone()).collect();
    assert_eq!(severities, [json!(4), json!(1)]);
    client.shutdown();
}
