//! Whole sessions with the built language server, over its real standard input and output. No driver and no Nix are
//! needed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
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
    for provider in
        ["completion", "hover", "definition", "declaration", "documentSymbol", "codeAction", "codeLens"]
    {
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

/// A module with a secret that is not set and an option that does not exist.
const MODULE: &str = r#"{ pkgs, ... }: {
  codchi.secrets.TOKEN.description = "The token of the registry";
  codchi.requiredCapabilites = [ ];
}
"#;

fn codes(diagnostics: &[Value]) -> Vec<&str> {
    diagnostics.iter().filter_map(|diagnostic| diagnostic["code"].as_str()).collect()
}

fn at(path: &Path, line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": uri(path) }, "position": { "line": line, "character": character } })
}

fn command(name: &str, argument: &Value) -> Value {
    json!({ "command": name, "arguments": [argument] })
}

#[test]
fn diagnostics_follow_the_text() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let path = home.path().join("codchi.nix");
    client.open(&path, MODULE);
    let found = client.diagnostics(&path, 1);
    let unknown = found.iter().find(|it| it["code"] == "unknown-option").unwrap();
    assert_eq!(unknown["source"], "codchi");
    assert_eq!(unknown["severity"], 1);
    assert_eq!(unknown["range"]["start"]["line"], 2);
    let page = unknown["codeDescription"]["href"].as_str().unwrap();
    assert!(page.starts_with("file:") && page.ends_with("#unknown-option"), "{page}");

    let name = json!({ "start": { "line": 2, "character": 9 }, "end": { "line": 2, "character": 28 } });
    client.change(&path, 2, &json!([{ "range": name, "text": "requiredCapabilities" }]));
    assert!(!codes(&client.diagnostics(&path, 2)).contains(&"unknown-option"));

    client.notify("textDocument/didClose", &json!({ "textDocument": { "uri": uri(&path) } }));
    client.wait_for("the diagnostics of a closed text", |message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["version"].is_null()
            && message["params"]["diagnostics"] == json!([])
    });
    client.shutdown();
}

#[test]
fn a_storm_of_edits_leaves_the_text_that_the_client_has() {
    for encoding in ["utf-16", "utf-8"] {
        let home = Home::new();
        let mut client = Client::start(&home);
        let capabilities = json!({ "general": { "positionEncodings": [encoding] } });
        let answer = client.initialize(&capabilities, home.path());
        assert_eq!(answer["capabilities"]["positionEncoding"], encoding);
        let units = |text: &str| match encoding {
            "utf-8" => text.len(),
            _ => text.encode_utf16().count(),
        };

        let mut lines: Vec<String> = (0..40).map(binding).collect();
        let path = home.path().join("storm.nix");
        client.open(&path, &module(&lines));
        let mut random = 7_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % below
        };
        for version in 2..=300 {
            let index = next(lines.len());
            // The text's first line is the opening brace.
            let line = index + 1;
            let change = match next(3) {
                0 => {
                    lines.insert(index, binding(1000 + version));
                    let place = json!({ "line": line, "character": 0 });
                    json!({ "range": { "start": place, "end": place }, "text": binding(1000 + version) + "\n" })
                }
                1 if lines.len() > 20 => {
                    lines.remove(index);
                    let end = json!({ "line": line + 1, "character": 0 });
                    json!({ "range": { "start": { "line": line, "character": 0 }, "end": end }, "text": "" })
                }
                // Behind characters that are longer in one unit than in the other.
                _ => {
                    let start = lines[index].find('=').unwrap();
                    let column = units(&lines[index][..start]);
                    let value = format!("= {version};");
                    let end = json!({ "line": line, "character": units(&lines[index]) });
                    lines[index].replace_range(start.., &value);
                    json!({ "range": { "start": { "line": line, "character": column }, "end": end }, "text": value })
                }
            };
            client.change(&path, version, &json!([change]));
            if version % 50 == 0 {
                client.send_request("textDocument/hover", &at(&path, 1, 4));
            }
        }
        client.diagnostics(&path, 300);

        let fresh = home.path().join("fresh.nix");
        client.open(&fresh, &module(&lines));
        let symbols = |client: &mut Client, path: &Path| {
            let params = json!({ "textDocument": { "uri": uri(path) } });
            client.request("textDocument/documentSymbol", &params).unwrap()
        };
        let (after, expected) = (symbols(&mut client, &path), symbols(&mut client, &fresh));
        assert!(expected.as_array().unwrap().len() >= 20, "{expected}");
        assert_eq!(after, expected);
        client.shutdown();
    }
}

fn binding(number: i32) -> String {
    format!("  /* 𝄞 ü */ a{number} = {number};")
}

fn module(lines: &[String]) -> String {
    format!("{{\n{}\n}}\n", lines.join("\n"))
}

#[test]
fn completion_and_hover_know_the_options() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let path = home.path().join("codchi.nix");
    client.open(&path, "{ ... }: {\n  codchi.\n}\n");
    let items = client.request("textDocument/completion", &at(&path, 1, 9)).unwrap();
    let items = items["items"].as_array().unwrap();
    let labels: Vec<_> = items.iter().filter_map(|item| item["label"].as_str()).collect();
    assert!(labels.contains(&"secrets") && labels.contains(&"requiredCapabilities"), "{labels:?}");

    client.change(&path, 2, &json!([{ "text": MODULE }]));
    let hover = client.request("textDocument/hover", &at(&path, 1, 12)).unwrap();
    assert_eq!(hover["contents"]["kind"], "markdown");
    assert!(hover["contents"]["value"].as_str().unwrap().contains("secret"), "{hover}");
    client.shutdown();
}

#[test]
fn a_lens_creates_a_machine_of_the_module() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let path = home.write("project/codchi.nix", MODULE);
    client.open(&path, MODULE);
    let params = json!({ "textDocument": { "uri": uri(&path) } });
    let lenses = client.request("textDocument/codeLens", &params).unwrap();
    let open = lenses
        .as_array()
        .unwrap()
        .iter()
        .find(|lens| lens["command"]["command"] == "codchi.machine.open")
        .unwrap_or_else(|| panic!("no lens opens a machine: {lenses}"));
    let module = open["command"]["arguments"][0]["module"].as_str().unwrap();
    assert!(Path::new(module).starts_with(home.path().join("project")), "{module}");
    client.shutdown();
}

#[test]
fn a_quick_fix_renames_an_option_that_does_not_exist() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let path = home.path().join("codchi.nix");
    client.open(&path, MODULE);
    let found = client.diagnostics(&path, 1);
    let unknown = found.iter().find(|it| it["code"] == "unknown-option").unwrap();
    let params = json!({
        "textDocument": { "uri": uri(&path) },
        "range": unknown["range"],
        "context": { "diagnostics": [unknown], "only": ["quickfix"] },
    });
    let actions = client.request("textDocument/codeAction", &params).unwrap();
    let fix = actions
        .as_array()
        .unwrap()
        .iter()
        .find(|action| action["diagnostics"][0]["code"] == "unknown-option")
        .unwrap_or_else(|| panic!("nothing fixes it: {actions}"));
    let edit = &fix["edit"]["documentChanges"][0];
    assert_eq!(edit["textDocument"]["version"], 1);
    assert_eq!(edit["edits"][0]["newText"], "requiredCapabilities");
    client.shutdown();
}

#[test]
fn a_secret_is_asked_for_and_its_diagnostic_disappears() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({ "experimental": { "codchi": { "input": true } } }), home.path());
    let path = home.path().join("codchi.nix");
    client.open(&path, MODULE);
    client.wait_for("the diagnostic of a secret that is not set", |message| {
        let diagnostics = message["params"]["diagnostics"].as_array();
        diagnostics.is_some_and(|diagnostics| codes(diagnostics).contains(&"secret-not-set"))
    });

    client.answer_with(|request| {
        (request["method"] == "codchi/input").then(|| {
            assert_eq!(request["params"]["kind"], "secret");
            assert_eq!(request["params"]["prompt"], "The token of the registry");
            json!({ "value": "hunter2-and-more" })
        })
    });
    let argument = json!({ "name": "TOKEN", "description": "The token of the registry" });
    let result = client.request("workspace/executeCommand", &command("codchi.secret.set", &argument));
    assert_eq!(result, Ok(json!({ "set": true, "delivered": [], "undelivered": [] })));
    client.wait_for("diagnostics without it", |message| {
        let diagnostics = message["params"]["diagnostics"].as_array();
        diagnostics.is_some_and(|diagnostics| {
            !diagnostics.is_empty() && !codes(diagnostics).contains(&"secret-not-set")
        })
    });
    client.shutdown();
    home.assert_nowhere("hunter2-and-more");
}

#[test]
fn a_client_that_cannot_ask_for_a_secret_is_told_the_command_line() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let argument = json!({ "name": "TOKEN", "machine": "app" });
    let error =
        client.request("workspace/executeCommand", &command("codchi.secret.set", &argument)).unwrap_err();
    assert_eq!(error["code"], -32803);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("codchi secret set TOKEN --machine app"), "{message}");
    client.shutdown();
}

#[test]
fn a_question_is_cancelled_and_a_late_answer_does_no_harm() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({ "experimental": { "codchi": { "input": true } } }), home.path());
    client.answer_with(|request| (request["method"] != "codchi/input").then_some(Value::Null));
    let argument = json!({ "name": "TOKEN" });
    let request = client.send_request("workspace/executeCommand", &command("codchi.secret.set", &argument));
    let question = client.wait_for("the question", |message| message["method"] == "codchi/input");
    client.notify("$/cancelRequest", &json!({ "id": request }));
    assert_eq!(client.response(request).unwrap_err()["code"], -32800);

    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "value": "late" } }));
    let list = client.request("workspace/executeCommand", &command("codchi.machine.list", &json!({})));
    assert_eq!(list, Ok(json!([])));
    client.shutdown();
}

#[test]
fn many_open_questions_do_not_block_anything_else() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({ "experimental": { "codchi": { "input": true } } }), home.path());
    client.answer_with(|request| (request["method"] != "codchi/input").then_some(Value::Null));
    for number in 0..40 {
        let argument = json!({ "name": format!("SECRET_{number}") });
        client.send_request("workspace/executeCommand", &command("codchi.secret.set", &argument));
    }
    let list = client.request("workspace/executeCommand", &command("codchi.machine.list", &json!({})));
    assert_eq!(list, Ok(json!([])));
    // The client vanishes with all of them open.
    client.close_input();
    assert_eq!(client.wait_for_end().code(), Some(1));
}

#[test]
fn a_command_that_fails_says_why_and_what_to_do_and_ends_its_progress() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({ "window": { "workDoneProgress": true } }), home.path());
    let module = home.write("project/codchi.nix", MODULE);
    let argument = json!({ "module": module, "name": "app" });
    let error =
        client.request("workspace/executeCommand", &command("codchi.machine.create", &argument)).unwrap_err();
    assert_eq!(error["code"], -32803);
    assert!(error["message"].as_str().unwrap().contains("Help: "), "{error}");

    let created = client
        .wait_for("a place for progress", |message| message["method"] == "window/workDoneProgress/create");
    let token = created["params"]["token"].clone();
    let mut progress = |kind: &str| {
        client.wait_for(kind, |message| {
            message["method"] == "$/progress"
                && message["params"]["token"] == token
                && message["params"]["value"]["kind"] == kind
        })
    };
    assert_eq!(progress("begin")["params"]["value"]["title"], "Creating app");
    progress("end");
    let list = client.request("workspace/executeCommand", &command("codchi.machine.list", &json!({})));
    assert_eq!(list, Ok(json!([])), "nothing of it is left");
    client.shutdown();
}

#[test]
fn the_modules_of_a_machine_are_listed_and_the_person_is_asked_which_is_meant() {
    let home = Home::new();
    let text = "version = 2\nid = \"x\"\ndriver = \"lxd\"\nnixpkgs = \"pin\"\ncreated = 0\nnext-input = 2\n\
                [[modules]]\ninput = \"module-0\"\ngit = \"git+https://example.org/a\"\noutput = \"dev\"\n\
                [[modules]]\ninput = \"module-1\"\npersonal = true\ngit = \"git+https://example.org/me\"\n";
    let definition = home.write(".local/share/codchi/machines/app/machine.toml", text);
    let mut client = Client::start(&home);
    client.initialize(&json!({ "experimental": { "codchi": { "input": true } } }), home.path());
    let app = json!({ "name": "app" });
    let list = client.request("workspace/executeCommand", &command("codchi.module.list", &app)).unwrap();
    let is = |number, source: &str, personal| json!({ "number": number, "source": source, "personal": personal, "local": false, "revision": null });
    let (first, second) = ("git+https://example.org/a#dev", "git+https://example.org/me");
    assert_eq!(list, json!([is(1, first, false), is(2, second, true)]));

    client.answer_with(move |request| {
        (request["method"] == "codchi/input").then(|| {
            assert_eq!(request["params"]["kind"], "pick");
            let labels =
                request["params"]["items"].as_array().unwrap().iter().map(|item| item["label"].clone());
            let labels: Vec<_> = labels.collect();
            assert!(labels.contains(&second.into()) || labels.contains(&"pin".into()), "{labels:?}");
            if labels.contains(&"pin".into()) {
                assert!(labels.contains(&format!("follow:{first}").into()), "{labels:?}");
            }
            json!(null)
        })
    });
    for name in ["codchi.module.remove", "codchi.module.set", "codchi.machine.nixpkgs"] {
        let error = client.request("workspace/executeCommand", &command(name, &app)).unwrap_err();
        assert_eq!(error["data"]["cancelled"], true, "{name}: {error}");
    }
    assert_eq!(std::fs::read_to_string(definition).unwrap(), text);
    let wrong = json!({ "name": "app", "nixpkgs": "pinned" });
    let error =
        client.request("workspace/executeCommand", &command("codchi.machine.nixpkgs", &wrong)).unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("follow:MODULE"), "{error}");
    client.shutdown();
}

#[test]
fn wrong_commands_and_arguments_are_refused() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    for (name, argument) in [
        ("codchi.nothing", json!({})),
        ("codchi.machine.start", json!({})),
        ("codchi.machine.start", json!({ "name": "Not A Name" })),
    ] {
        let error = client.request("workspace/executeCommand", &command(name, &argument)).unwrap_err();
        assert_eq!(error["code"], -32602, "{name} {argument}");
    }
    client.shutdown();
}

#[test]
fn the_client_hears_of_the_machines_and_the_log() {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let changed = client.wait_for("the machines", |message| message["method"] == "codchi/machinesChanged");
    assert_eq!(changed["params"]["machines"], json!([]));
    client.shutdown();
    assert!(home.path().join(".local/state/codchi/logs/codchi.log").is_file());
}

#[test]
fn a_change_on_the_disk_is_seen_where_the_client_watches() {
    let home = Home::new();
    let mut client = Client::start(&home);
    let watched = json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } });
    client.initialize(&watched, home.path());
    client.wait_for("a registration", |message| message["method"] == "client/registerCapability");
    let path = home.path().join("codchi.nix");
    client.open(&path, "{ ... }: { imports = [ ./other.nix ]; codchi.requiredCapabilities = [ ]; }\n");
    assert!(codes(&client.diagnostics(&path, 1)).contains(&"import-not-found"));

    let other = home.write("other.nix", "{ }\n");
    client.notify(
        "workspace/didChangeWatchedFiles",
        &json!({ "changes": [{ "uri": uri(&other), "type": 1 }] }),
    );
    client.wait_for("diagnostics that know of it", |message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["diagnostics"] == json!([])
    });
    client.shutdown();
}

#[test]
fn an_operation_that_waits_for_an_answer_ends_with_its_client() {
    let home = Home::new();
    let mut client = Client::start(&home);
    let capabilities =
        json!({ "window": { "workDoneProgress": true }, "experimental": { "codchi": { "input": true } } });
    client.initialize(&capabilities, home.path());
    client.answer_with(|request| (request["method"] != "codchi/input").then_some(Value::Null));
    let argument = json!({ "name": "app" });
    client.send_request("workspace/executeCommand", &command("codchi.machine.delete", &argument));
    client.wait_for("the question", |message| message["method"] == "codchi/input");
    let began = Instant::now();
    client.close_input();
    assert_eq!(client.wait_for_end().code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
