//! Changes of code that is right, over the built server's real standard input and output: a text that becomes a secret, a module
//! that gets a flake.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_machine::{Paths, Vault};
use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

const VALUE: &str = "hunter-2-𝄞-correct-horse";

fn module() -> String {
    format!(
        "{{ ... }}:\n{{\n  codchi.gpu.enable = true;\n  services.a.adminPasswordFile = \"{VALUE}\";\n}}\n"
    )
}

/// A session whose person answers questions with these, in order; gives all that the server sent.
struct Session {
    client: Client,
    path: PathBuf,
    heard: Rc<RefCell<Vec<Value>>>,
}

impl Session {
    fn new(home: &Home, asks: bool, mut answers: Vec<Value>) -> Self {
        let path = home.path().join("codchi.nix");
        let mut client = Client::start(home);
        let capabilities = json!({ "experimental": { "codchi": { "input": asks } } });
        client.initialize(&capabilities, home.path());
        client.open(&path, &module());
        let heard: Rc<RefCell<Vec<Value>>> = Rc::default();
        let heard_too = heard.clone();
        answers.reverse();
        client.answer_with(move |request| {
            heard_too.borrow_mut().push(request.clone());
            match request["method"].as_str().unwrap() {
                "codchi/input" | "window/showMessageRequest" | "workspace/applyEdit" => {
                    Some(answers.pop().unwrap_or_else(|| panic!("unexpected: {request}")))
                }
                _ => Some(Value::Null),
            }
        });
        Self { client, path, heard }
    }

    /// The arguments of the action at the value.
    fn arguments(&mut self) -> Value {
        let text = module();
        let line = text.lines().position(|line| line.contains(VALUE)).unwrap();
        let column = text.lines().nth(line).unwrap().find('"').unwrap() + 2;
        let at = json!({ "line": line, "character": column });
        let params = json!({ "textDocument": { "uri": uri(&self.path) }, "range": { "start": at, "end": at }, "context": { "diagnostics": [] } });
        let actions = self.client.request("textDocument/codeAction", &params).unwrap();
        let action = actions.as_array().unwrap().iter().find(|it| it["kind"] == "refactor.extract");
        let action = action.unwrap_or_else(|| panic!("no such action: {actions}"));
        assert_eq!(action["command"]["command"], "codchi.secret.extract");
        action["command"]["arguments"].clone()
    }

    fn extract(&mut self, arguments: &Value) -> Result<Value, Value> {
        let params = json!({ "command": "codchi.secret.extract", "arguments": arguments });
        self.client.request("workspace/executeCommand", &params)
    }

    /// What the server asked, by method and kind.
    fn asked(&self) -> Vec<String> {
        let heard = self.heard.borrow();
        let asked = heard.iter().map(|it| match it["params"]["kind"].as_str() {
            Some(kind) => kind.to_owned(),
            None => it["method"].as_str().unwrap().to_owned(),
        });
        asked.filter(|method| method != "client/registerCapability").collect()
    }

    /// Ends the session, and checks that nothing that the server sent holds the value, nor any file.
    fn end(mut self, home: &Home) {
        let mut all = self.client.messages(Duration::from_millis(100));
        all.extend(self.heard.borrow().iter().cloned());
        for message in &all {
            assert!(!message.to_string().contains("hunter-2"), "{message}");
        }
        self.client.shutdown();
        home.assert_nowhere("hunter-2");
    }
}

fn vault(home: &Home) -> Vault {
    let below = |folder: &str| home.path().join(folder).join("codchi");
    Vault::new(Paths {
        data: below(".local/share"),
        config: below(".config"),
        state: below(".local/state"),
        cache: below(".cache"),
        home: home.path().to_owned(),
    })
}

fn value(home: &Home, name: &str) -> Option<String> {
    let value = vault(home).get(&"any".parse().unwrap(), name).unwrap()?;
    Some(String::from_utf8(value.expose().to_vec()).unwrap())
}

fn position_after(edit: &Value, text: &str) -> usize {
    let (line, column) = (edit["line"].as_u64().unwrap(), edit["character"].as_u64().unwrap());
    let before: usize = text.split_inclusive('\n').take(usize::try_from(line).unwrap()).map(str::len).sum();
    let rest = text[before..].char_indices().map(|(at, c)| (at, c.len_utf16() as u64));
    let mut units = 0;
    for (at, len) in rest {
        if units == column {
            return before + at;
        }
        units += len;
    }
    text.len()
}

/// The text after a `WorkspaceEdit` of one document.
fn edited(edit: &Value, text: &str) -> String {
    let mut text = text.to_owned();
    for edit in edit["documentChanges"][0]["edits"].as_array().unwrap().iter().rev() {
        let range =
            position_after(&edit["range"]["start"], &text)..position_after(&edit["range"]["end"], &text);
        text.replace_range(range, edit["newText"].as_str().unwrap());
    }
    text
}

#[test]
fn a_text_becomes_a_secret_and_its_value_is_nowhere_but_in_the_vault() {
    let home = Home::new();
    let answers = vec![json!({ "value": "DB_PASSWORD" }), json!({ "yes": true }), json!({ "applied": true })];
    let mut session = Session::new(&home, true, answers);
    let arguments = session.arguments();
    assert_eq!(session.extract(&arguments).unwrap(), json!({ "moved": true, "name": "DB_PASSWORD" }));
    assert_eq!(session.asked(), ["text", "confirm", "workspace/applyEdit"]);
    let edit = session.heard.borrow().last().unwrap()["params"]["edit"].clone();
    assert_eq!(edit["documentChanges"][0]["textDocument"]["version"], 1);
    assert_eq!(
        edited(&edit, &module()),
        "{ config, ... }:\n{\n  codchi.secrets.DB_PASSWORD.description = \"What DB_PASSWORD is and where to get it\";\n  \
         codchi.gpu.enable = true;\n  services.a.adminPasswordFile = config.codchi.secrets.DB_PASSWORD.path;\n}\n"
    );
    let text = session.heard.borrow()[session.heard.borrow().len() - 3].clone();
    assert_eq!(text["params"]["value"], "ADMIN_PASSWORD", "the suggestion comes from the option");
    session.end(&home);
    assert_eq!(value(&home, "DB_PASSWORD").as_deref(), Some(VALUE));
}

#[test]
fn nothing_changes_where_the_person_declines() {
    for answers in [
        vec![Value::Null],
        vec![json!({ "value": "A" }), json!({ "yes": false })],
        vec![json!({ "value": "A" }), Value::Null],
    ] {
        let home = Home::new();
        let mut session = Session::new(&home, true, answers);
        let arguments = session.arguments();
        assert_eq!(session.extract(&arguments).unwrap(), json!({ "moved": false }));
        assert!(!session.asked().contains(&"workspace/applyEdit".to_owned()));
        session.end(&home);
        assert_eq!(value(&home, "A"), None);
    }
}

#[test]
fn nothing_changes_where_the_text_was_changed_meanwhile() {
    // Before the command, and by the client that finds the edit too old.
    let home = Home::new();
    let answers = vec![json!({ "value": "A" }), json!({ "yes": true }), json!({ "applied": false })];
    let mut session = Session::new(&home, true, answers);
    let arguments = session.arguments();
    let refused = session.extract(&arguments).unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("changed meanwhile"), "{refused}");
    assert_eq!(value(&home, "A"), None, "it is in the text still");

    let at = json!({ "line": 0, "character": 0 });
    session.client.change(
        &session.path.clone(),
        2,
        &json!([{ "range": { "start": at, "end": at }, "text": "\n" }]),
    );
    let refused = session.extract(&arguments).unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("changed meanwhile"), "{refused}");
    session.end(&home);
}

#[test]
fn a_secret_that_there_is_keeps_its_value() {
    let home = Home::new();
    let mut session = Session::new(&home, true, vec![json!({ "value": "A" }), json!({ "yes": true })]);
    let other = codchi_machine::Secret::new("other").unwrap();
    let scope = codchi_machine::Scope::Machine("m".parse().unwrap());
    vault(&home).set(&scope, "A", &other).unwrap();
    let arguments = session.arguments();
    let refused = session.extract(&arguments).unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("There is a secret A already"), "{refused}");
    session.end(&home);
    assert_eq!(vault(&home).names().unwrap().len(), 1);
}

#[test]
fn an_editor_that_has_no_boxes_is_asked_with_a_message() {
    let home = Home::new();
    let answers = vec![json!({ "title": "Move" }), json!({ "applied": true })];
    let mut session = Session::new(&home, false, answers);
    let arguments = session.arguments();
    assert_eq!(session.extract(&arguments).unwrap()["name"], "ADMIN_PASSWORD");
    session.end(&home);
    assert_eq!(value(&home, "ADMIN_PASSWORD").as_deref(), Some(VALUE));
}

#[test]
fn a_module_gets_a_flake_where_the_editor_can_create_files() {
    let creates = json!({ "workspace": { "workspaceEdit": { "documentChanges": true, "resourceOperations": ["create"] } } });
    let shows = json!({ "textDocument": { "codeAction": { "disabledSupport": true } } });
    for (capabilities, expected) in [(creates, "made"), (shows, "refused"), (json!({}), "left out")] {
        let home = Home::new();
        let path = home.write("w/codchi.nix", &module());
        let mut client = Client::start(&home);
        client.initialize(&capabilities, &home.path().join("w"));
        client.open(&path, &module());
        let action = flake_action(&mut client, &path);
        match expected {
            "made" => {
                let action = action.unwrap();
                let changes = action["edit"]["documentChanges"].as_array().unwrap();
                let flake = uri(&path.with_file_name("flake.nix"));
                assert_eq!((&changes[0]["kind"], &changes[0]["uri"]), (&json!("create"), &json!(flake)));
                assert_eq!(changes[0]["options"]["overwrite"], false, "one that is there stays");
                let text = changes[1]["edits"][0]["newText"].as_str().unwrap();
                assert!(text.contains("nixosModules.default = ./codchi.nix;"), "{text}");
            }
            "refused" => {
                let action = action.unwrap();
                assert!(action.get("edit").is_none(), "{action}");
                assert!(action["disabled"]["reason"].as_str().unwrap().contains("create files"));
            }
            _ => assert_eq!(action, None),
        }
        client.shutdown();
    }
}

fn flake_action(client: &mut Client, path: &Path) -> Option<Value> {
    let at = json!({ "line": 0, "character": 0 });
    let context = json!({ "diagnostics": [], "only": ["refactor"] });
    let params = json!({ "textDocument": { "uri": uri(path) }, "range": { "start": at, "end": at }, "context": context });
    let actions = client.request("textDocument/codeAction", &params).unwrap();
    let found = actions.as_array().unwrap().iter().find(|it| it["title"].as_str().unwrap().contains("flake"));
    // Unasked, it would be shown wherever the cursor goes.
    let context = json!({ "diagnostics": [], "triggerKind": 2 });
    let params = json!({ "textDocument": { "uri": uri(path) }, "range": { "start": at, "end": at }, "context": context });
    let unasked = client.request("textDocument/codeAction", &params).unwrap();
    assert_eq!(unasked, json!([]));
    found.cloned()
}

#[test]
fn a_file_that_an_import_misses_is_created_where_the_editor_can() {
    let creates = json!({ "workspace": { "workspaceEdit": { "documentChanges": true, "resourceOperations": ["create"] } } });
    for (capabilities, can) in [(creates, true), (json!({}), false)] {
        let home = Home::new();
        let text = "{ imports = [ ./parts/gone.nix ]; codchi.gpu.enable = true; }";
        let path = home.write("w/codchi.nix", text);
        let mut client = Client::start(&home);
        client.initialize(&capabilities, &home.path().join("w"));
        client.open(&path, text);
        let diagnostics = client.diagnostics(&path, 1);
        let missing = diagnostics.iter().find(|it| it["code"] == "import-not-found").unwrap();
        let context = json!({ "diagnostics": [missing], "only": ["quickfix"] });
        let params =
            json!({ "textDocument": { "uri": uri(&path) }, "range": missing["range"], "context": context });
        let actions = client.request("textDocument/codeAction", &params).unwrap();
        let create =
            actions.as_array().unwrap().iter().find(|it| it["title"].as_str().unwrap().starts_with("Create"));
        match create {
            Some(action) => {
                assert!(can, "{action}");
                assert_eq!(action["diagnostics"][0], *missing);
                let changes = action["edit"]["documentChanges"].as_array().unwrap();
                let file = uri(&path.with_file_name("parts/gone.nix"));
                let options = json!({ "overwrite": false, "ignoreIfExists": false });
                assert_eq!(changes[0], json!({ "kind": "create", "uri": file, "options": options }));
                assert_eq!(changes[1]["textDocument"]["uri"], file);
                assert_eq!(changes[1]["edits"][0]["newText"], "{ pkgs, ... }:\n{\n}\n");
            }
            None => assert!(!can, "{actions}"),
        }
        client.shutdown();
    }
}
