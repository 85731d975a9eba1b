//! User secrets from the command line into units of a running machine, on a real engine. Needs what `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::lsp::Client;
use codchi_tests::person::Person;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// With a unit that has a variable and one that reads a file. Each writes down what it was started with.
const MODULE: &str = r#"{ ... }: {
  codchi.secrets.TOKEN = { description = "A token"; pattern = ".{4,}"; units = [ "reader" ]; };
  codchi.secrets.file.KEY = { description = "A key"; units = [ "filer" ]; };
  SHORT
  systemd.services.reader = {
    wantedBy = [ "multi-user.target" ];
    script = "printf %s \"$CODCHI_TOKEN\" > /run/reader; exec sleep 3600";
  };
  systemd.services.filer = {
    wantedBy = [ "multi-user.target" ];
    script = "cat /run/codchi/secrets/KEY > /run/filer; exec sleep 3600";
  };
}
"#;

struct World(Person);

impl World {
    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.0.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command prints; it must succeed.
    fn told(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.run(arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "codchi {}: {said}", arguments.join(" "));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What a command says that is refused.
    fn refused(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.run(arguments, input);
        assert!(!output.status.success(), "codchi {} is not refused", arguments.join(" "));
        String::from_utf8(output.stderr).unwrap()
    }

    fn shell(&self, script: &str) -> Vec<u8> {
        self.run(&["exec", "--root", "NAME", "--", "sh", "-c", script], b"").stdout
    }

    /// Waits until a unit was started with `value`.
    fn unit_has(&self, file: &str, value: &[u8]) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let now = self.shell(&format!("cat {file}"));
            if now == value {
                return;
            }
            let shown = String::from_utf8_lossy(&now).chars().take(80).collect::<String>();
            assert!(Instant::now() < end, "{file} still holds {} bytes: {shown}", now.len());
        }
    }

    fn write_module(&self, with: &str) {
        fs::write(self.0.project().join("codchi.nix"), MODULE.replace("SHORT", with)).unwrap();
    }

    fn listed(&self, name: &str) -> Value {
        let text = self.told(&["secret", "ls", "NAME", "--json"], b"");
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        all.into_iter().find(|secret| secret["name"] == name).unwrap_or_default()
    }
}

#[test]
fn secrets_reach_units_are_rotated_forgotten_and_come_back() {
    let world = World(Person::new("sec"));
    let short = "codchi.secrets.SHORT = { description = \"Some text\"; required = false; };";
    world.write_module(short);
    let nasty = "it's \"a\" $HOME `id` \\n ü\nsecond line\n\n";
    world.told(&["secret", "set", "TOKEN"], b"first");
    let key: Vec<u8> = (1..=255).cycle().take(1 << 20).collect();
    fs::write(world.0.path("key"), &key).unwrap();
    let key_file = world.0.path("key").display().to_string();
    world.told(&["secret", "set", "KEY", "--machine", "NAME", "--from-file", &key_file], b"");
    world.told(&["create", "--name", "NAME", "PROJECT"], b"");
    world.unit_has("/run/reader", b"first");
    world.unit_has("/run/filer", &key);

    // One's own value for this machine; the other unit is left alone.
    let filer = world.shell("systemctl show -P MainPID filer");
    let told = world.told(&["secret", "set", "TOKEN", "--machine", "NAME"], nasty.as_bytes());
    assert!(told.contains(&format!("Delivered to {}.", world.0.name)), "{told}");
    world.unit_has("/run/reader", nasty.as_bytes());
    assert_eq!(world.shell("systemctl show -P MainPID filer"), filer);
    let token = world.listed("TOKEN");
    assert_eq!(
        (&token["own"], &token["stale"], &token["units"]),
        (&json!(true), &json!(false), &json!(["reader"]))
    );
    assert_eq!(token["declaredBy"], json!([world.0.project()]));
    // What is for all machines is hidden by that.
    assert_eq!(world.told(&["secret", "set", "TOKEN"], b"for all"), "TOKEN is set.");

    // Refused: nothing is changed.
    let long = vec![b'x'; 200 << 10];
    for (input, why) in
        [(&b"abc"[..], ".{4,}"), (b"", "empty"), (&long, "128 KiB"), (b"\xff\xfe\xfd\xfc", "UTF-8")]
    {
        let said = world.refused(&["secret", "set", "TOKEN", "--machine", "NAME"], input);
        assert!(said.contains(why) && !said.contains("abc"), "{said}");
    }
    assert!(
        world
            .refused(&["secret", "rotate", "TOKEN", "--machine", "NAME"], nasty.as_bytes())
            .contains("old one")
    );
    let failing = [
        "secret",
        "rotate",
        "TOKEN",
        "--machine",
        "NAME",
        "--from-command",
        "echo sesame; echo locked >&2; exit 2",
    ];
    let said = world.refused(&failing, b"");
    assert!(said.contains("locked") && !said.contains("sesame"), "{said}");
    world.unit_has("/run/reader", nasty.as_bytes());

    world.told(
        &["secret", "rotate", "TOKEN", "--machine", "NAME", "--from-command", "printf 'from a command'"],
        b"",
    );
    world.unit_has("/run/reader", b"from a command");
    world.told(&["secret", "rm", "TOKEN", "--machine", "NAME"], b"");
    world.unit_has("/run/reader", b"for all");

    // What no variable can hold breaks no shell and is a file all the same; any bytes are in both.
    world.told(&["secret", "set", "SHORT", "--machine", "NAME"], &key);
    assert_eq!(world.shell("su -l codchi -c 'echo \"[$CODCHI_SHORT]\"'"), b"[]\n");
    assert_eq!(world.shell("cat /run/codchi/secrets/SHORT"), key);
    world.told(&["secret", "set", "SHORT", "--machine", "NAME"], &key[..300]);
    assert_eq!(world.told_bytes("printf %s \"$CODCHI_SHORT\""), &key[..300]);
    let said = world.refused(&["secret", "export", "--machine", "NAME"], b"");
    assert!(said.contains("KEY, SHORT"), "{said}");

    // Declared no more it is gone from the machine and stays in the vault.
    world.told(&["secret", "set", "SHORT", "--machine", "NAME"], nasty.as_bytes());
    world.write_module("");
    world.told(&["rebuild", "NAME"], b"");
    assert_eq!(world.told_bytes("printf %s \"$CODCHI_SHORT\""), b"");
    world.write_module(short);
    world.told(&["rebuild", "NAME"], b"");
    assert_eq!(world.told_bytes("printf %s \"$CODCHI_SHORT\""), nasty.as_bytes());
    world.told(&["delete", "--yes", "--secrets", "NAME"], b"");
}

impl World {
    /// What a script prints in the user's session.
    fn told_bytes(&self, script: &str) -> Vec<u8> {
        self.run(&["exec", "NAME", "--", "sh", "-c", script], b"").stdout
    }

    fn client(&self) -> Client {
        let mut client = Client::start_with(self.0.command(&[]));
        client.initialize(&json!({ "experimental": { "codchi": { "input": true } } }), &self.0.project());
        client.answer_with(|request| (request["method"] != "codchi/input").then_some(Value::Null));
        client
    }
}

fn command(command: &str, argument: &Value) -> Value {
    json!({ "command": command, "arguments": [argument] })
}

#[test]
fn two_editors_that_ask_at_once_ask_one_question() {
    let world = World(Person::new("ask"));
    let (mut first, mut second) = (world.client(), world.client());
    let set = command("codchi.secret.set", &json!({ "name": "TOKEN" }));
    let is_question = |message: &Value| message["method"] == "codchi/input";
    let answer = |client: &mut Client, question: &Value, answer: Value| {
        client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }));
    };
    let quiet = Duration::from_millis(400);

    let asked = first.send_request("workspace/executeCommand", &set);
    let question = first.wait_for("the question", is_question);
    let waits = second.send_request("workspace/executeCommand", &set);
    assert!(!second.messages(quiet).iter().any(is_question), "it asks, too");
    answer(&mut first, &question, json!({ "value": "said once" }));
    assert_eq!(first.response(asked).unwrap()["set"], true);
    assert_eq!(second.response(waits).unwrap()["set"], true);
    assert!(!second.messages(Duration::ZERO).iter().any(is_question), "it asks afterwards");

    // Dismissed in one, it is asked in the other; and who only waits can be cancelled.
    let asked = first.send_request("workspace/executeCommand", &set);
    let question = first.wait_for("the question", is_question);
    let cancelled = second.send_request("workspace/executeCommand", &set);
    assert!(!second.messages(quiet).iter().any(is_question), "it asks, too");
    second.notify("$/cancelRequest", &json!({ "id": cancelled }));
    assert_eq!(second.response(cancelled).unwrap_err()["code"], -32800);
    let waits = second.send_request("workspace/executeCommand", &set);
    assert!(!second.messages(quiet).iter().any(is_question), "it asks, too");
    answer(&mut first, &question, Value::Null);
    assert_eq!(first.response(asked).unwrap(), json!({ "set": false }));
    let question = second.wait_for("the question", is_question);
    answer(&mut second, &question, json!({ "value": "said then" }));
    assert_eq!(second.response(waits).unwrap()["set"], true);
    assert_eq!(world.told(&["secret", "export"], b""), "CODCHI_TOKEN='said then'");
    first.shutdown();
    second.shutdown();
}
