//! Semantic tokens, over the built server's real standard input and output.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use serde_json::{Value, json};
use std::path::Path;

const MODULE: &str = "{ pkgs, ... }:\n{\n  codchi.secrets.TOKEN.description = \"𝄞\"; # é\n  a = \"𝄞 $CODCHI_TOKEN\"; b = pkgs.git;\n}\n";

/// The tokens of an answer's numbers, as texts of the module with their types.
fn shown(text: &str, legend: &Value, data: &[u64], units: fn(&str) -> usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut line, mut column) = (0, 0);
    data.chunks(5)
        .map(|token| {
            let [delta_line, delta_start, length, kind, modifiers] = *token else { panic!("five numbers") };
            column = if delta_line == 0 { column + delta_start } else { delta_start };
            line += delta_line;
            let of_line = lines[usize::try_from(line).unwrap()];
            let at = |unit: u64| {
                let ends = of_line.char_indices().map(|(at, _)| at).chain([of_line.len()]);
                let mut found = ends.filter(|&at| units(&of_line[..at]) as u64 == unit);
                found.next().unwrap_or_else(|| panic!("{unit} is inside a character"))
            };
            let kind = legend["tokenTypes"][usize::try_from(kind).unwrap()].as_str().unwrap();
            let names = legend["tokenModifiers"].as_array().unwrap().iter().enumerate();
            let set = names.filter(|(bit, _)| modifiers & (1 << bit) != 0);
            let modifiers: String = set.map(|(_, name)| format!(" {}", name.as_str().unwrap())).collect();
            format!("{kind}{modifiers}: {}", &of_line[at(column)..at(column + length)])
        })
        .collect()
}

fn numbers(data: &Value) -> Vec<u64> {
    data.as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect()
}

fn full(client: &mut Client, path: &Path) -> Value {
    let params = json!({ "textDocument": { "uri": uri(path) } });
    client.request("textDocument/semanticTokens/full", &params).unwrap()
}

#[test]
fn names_are_told_in_the_clients_unit() {
    let utf8 = json!({ "general": { "positionEncodings": ["utf-8"] } });
    let utf16: fn(&str) -> usize = |text| text.encode_utf16().count();
    for (capabilities, units) in [(json!({}), utf16), (utf8, str::len)] {
        let home = Home::new();
        let path = home.path().join("codchi.nix");
        let mut client = Client::start(&home);
        let answer = client.initialize(&capabilities, home.path());
        let legend = &answer["capabilities"]["semanticTokensProvider"]["legend"];
        client.open(&path, MODULE);
        let tokens = full(&mut client, &path);
        let all = shown(MODULE, legend, &numbers(&tokens["data"]), units);
        assert_eq!(
            all,
            [
                "parameter declaration: pkgs",
                "property declaration: codchi",
                "property declaration: secrets",
                "macro declaration: TOKEN",
                "property declaration: description",
                "property declaration: a",
                "macro readonly: $CODCHI_TOKEN",
                "property declaration: b",
                "parameter: pkgs",
                "class: git",
            ]
        );
        let range = json!({ "start": { "line": 3, "character": 0 }, "end": { "line": 3, "character": 4 } });
        let params = json!({ "textDocument": { "uri": uri(&path) }, "range": range });
        let of_range = client.request("textDocument/semanticTokens/range", &params).unwrap();
        assert_eq!(shown(MODULE, legend, &numbers(&of_range["data"]), units), ["property declaration: a"]);
        client.shutdown();
    }
}

#[test]
fn a_change_is_told_as_what_changed() {
    let home = Home::new();
    let path = home.path().join("codchi.nix");
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    client.open(&path, MODULE);
    let before = full(&mut client, &path);
    let range = json!({ "start": { "line": 3, "character": 0 }, "end": { "line": 3, "character": 0 } });
    client.change(&path, 2, &json!([{ "range": range, "text": "  c = 1;\n" }]));
    let params = json!({ "textDocument": { "uri": uri(&path) }, "previousResultId": before["resultId"] });
    let delta = client.request("textDocument/semanticTokens/full/delta", &params).unwrap();
    let [edit] = delta["edits"].as_array().unwrap().as_slice() else { panic!("{delta}") };
    let (start, deleted) = (edit["start"].as_u64().unwrap(), edit["deleteCount"].as_u64().unwrap());
    let mut data = numbers(&before["data"]);
    let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(start + deleted).unwrap());
    data.splice(start..end, numbers(&edit["data"]));
    let now = full(&mut client, &path);
    assert_eq!(data, numbers(&now["data"]));
    assert!(numbers(&edit["data"]).len() <= 10, "only what changed: {edit}");

    // One that we do not know any more is answered with all.
    let params = json!({ "textDocument": { "uri": uri(&path) }, "previousResultId": "old" });
    let all = client.request("textDocument/semanticTokens/full/delta", &params).unwrap();
    assert_eq!(all["data"], now["data"]);
    client.shutdown();
}
