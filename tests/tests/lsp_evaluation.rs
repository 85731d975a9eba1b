//! Evaluation in an editor's session and by `codchi check --eval`: with a real Nix, and with programs that are called `nix`
//! and do not do what Nix does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use codchi_tests::program;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A project, and a `nix` that is no Nix: `answer` is what a shell does when it is to evaluate a module. Other questions,
/// about the options of nixpkgs, fail.
fn with_fake(answer: &str) -> Home {
    let home = Home::new();
    let nixpkgs = home.write("nixpkgs/flake.nix", "{ }").parent().unwrap().display().to_string();
    let calls = home.path().join("calls").display().to_string();
    let metadata = json!({ "path": nixpkgs, "locked": { "narHash": "sha256-x" } });
    let script = format!(
        "case \"$*\" in\n  --version) echo 'nix (Nix) 2.18.1';;\n  \
         *'flake metadata'*) echo '{metadata}';;\n  *restrict-eval*) read -r text\n case \"$text\" in *inspect.nix*) echo \"$*\" >> {calls}\n{answer};; *) exit 1;; esac;;\n  *) exit 1;;\nesac\n"
    );
    for name in ["bin/nix", "bin/nix-instantiate"] {
        program::script(&home.path().join(name), &script);
    }
    home
}

/// One that sleeps, in two processes, and for how long: nobody else sleeps so.
fn with_sleeper(test: u32) -> (Home, String) {
    let seconds = format!("{}{test}", 1_000_000 + std::process::id());
    (with_fake(&format!("/bin/sleep {seconds} & /bin/sleep {seconds}")), seconds)
}

/// How often it was asked to evaluate.
fn calls(home: &Home) -> usize {
    std::fs::read_to_string(home.path().join("calls")).map_or(0, |calls| calls.lines().count())
}

fn start(mut client: Client, folder: &Path, options: &Value) -> Client {
    client.initialize_with(&json!({
        "capabilities": {},
        "initializationOptions": options,
        "workspaceFolders": [{ "uri": uri(folder), "name": "workspace" }],
    }));
    client
}

fn has(code: &'static str) -> impl Fn(&[Value]) -> bool {
    move |diagnostics| diagnostics.iter().any(|diagnostic| diagnostic["code"] == code)
}

fn save(client: &mut Client, path: &Path) {
    client.notify("textDocument/didSave", &json!({ "textDocument": { "uri": uri(path) } }));
}

fn whole(text: &str) -> Value {
    json!([{ "text": text }])
}

/// Waits for a line of the log with `text` in it.
fn logged(client: &mut Client, text: &str) -> String {
    let message = client.wait_for(&format!("`{text}` in the log"), |message| is_log(message, text));
    message["params"]["message"].as_str().unwrap().to_owned()
}

fn is_log(message: &Value, text: &str) -> bool {
    message["method"] == "window/logMessage"
        && message["params"]["message"].as_str().is_some_and(|line| line.contains(text))
}

const MODULE: &str = "{ ... }: {\n  codchi.gpu.enable = true;\n}\n";

#[test]
fn a_nix_that_hangs_is_ended_and_told_of_once() {
    let (home, sleep) = with_sleeper(1);
    let file = home.write("p/codchi.nix", MODULE);
    let mut client = start(Client::start(&home), file.parent().unwrap(), &Value::Null);
    client.open(&file, MODULE);
    assert_eq!(client.diagnostics(&file, 1), Vec::<Value>::new(), "what the text says does not wait for it");
    logged(&mut client, "took longer than");
    let before = calls(&home);
    for _ in 0..3 {
        save(&mut client, &file);
    }
    let later = client.messages(Duration::from_millis(500));
    assert!(!later.iter().any(|message| is_log(message, "took longer than")), "{later:#?}");
    assert_eq!(calls(&home), before, "nothing has changed");
    assert_eq!(sleepers(&sleep), 0, "nothing of it is left");
    client.shutdown();
}

#[test]
fn a_newer_evaluation_and_the_end_of_the_session_end_the_processes_of_the_older() {
    let (home, sleep) = with_sleeper(2);
    let file = home.write("p/codchi.nix", MODULE);
    let mut client = start(Client::start(&home), file.parent().unwrap(), &Value::Null);
    client.open(&file, MODULE);
    wait("the first", || calls(&home) == 1 && sleepers(&sleep) == 2);
    client.change(&file, 2, &whole("{ ... }: {\n  codchi.gpu.enable = false;\n}\n"));
    save(&mut client, &file);
    wait("the second alone", || calls(&home) == 2 && sleepers(&sleep) == 2);
    client.shutdown();
    wait("the end of all", || sleepers(&sleep) == 0);
}

/// The next `codchi/evaluationChanged`, its module's path as `MODULE`.
fn status(client: &mut Client, module: &Path) -> Value {
    let message = client.wait_for("the status", |message| message["method"] == "codchi/evaluationChanged");
    let text = message["params"].to_string();
    serde_json::from_str(&text.replace(module.to_str().unwrap(), "MODULE")).unwrap()
}

#[test]
fn how_evaluations_are_is_told_to_who_shows_it() {
    let home = with_fake("exec /bin/sleep 1000");
    let file = home.write("p/codchi.nix", MODULE);
    let folder = file.parent().unwrap();
    let mut client = Client::start(&home);
    client.initialize_with(&json!({
        "capabilities": { "experimental": { "codchi": { "evaluation": true } } },
        "initializationOptions": { "trusted": false },
        "workspaceFolders": [{ "uri": uri(folder), "name": "workspace" }],
    }));
    let configure = |client: &mut Client, settings: Value| {
        let settings = json!({ "settings": { "codchi": settings } });
        client.notify("workspace/didChangeConfiguration", &settings);
    };
    assert_eq!(status(&mut client, folder), json!({ "off": "untrusted", "modules": [] }));
    configure(&mut client, json!({ "evaluation": "off" }));
    assert_eq!(status(&mut client, folder), json!({ "off": "setting", "modules": [] }));
    client.open(&file, MODULE);
    configure(&mut client, json!({}));
    let evaluating = json!({ "off": null, "modules": [{ "module": "MODULE", "state": "evaluating" }] });
    let mut now = status(&mut client, folder);
    if now == json!({ "off": null, "modules": [] }) {
        now = status(&mut client, folder);
    }
    assert_eq!(now, evaluating);
    // It is ended after its time.
    let failed = status(&mut client, folder);
    let module = &failed["modules"][0];
    assert_eq!(module["state"], "failed", "{failed:#}");
    assert!(module["why"].as_str().unwrap().contains("took longer than"), "{failed:#}");
    client.notify("textDocument/didClose", &json!({ "textDocument": { "uri": uri(&file) } }));
    assert_eq!(status(&mut client, folder), json!({ "off": null, "modules": [] }));
    client.shutdown();
}

#[test]
fn what_is_locked_anew_is_evaluated_anew() {
    let home = with_fake("exit 1");
    home.write("p/flake.nix", "{ }");
    let file = home.write("p/codchi.nix", MODULE);
    let mut client = start(Client::start(&home), file.parent().unwrap(), &Value::Null);
    client.open(&file, MODULE);
    wait("the first", || calls(&home) == 1);
    home.write("p/flake.lock", "{ }");
    wait("the second", || calls(&home) == 2);
    client.shutdown();
}

#[test]
fn a_nix_that_prints_garbage_is_told_of_once() {
    let home = with_fake("printf '\\377\\000{[garbage'; echo '@nix {' >&2");
    let file = home.write("p/codchi.nix", MODULE);
    let mut client = start(Client::start(&home), file.parent().unwrap(), &Value::Null);
    client.open(&file, MODULE);
    logged(&mut client, "is not evaluated");
    save(&mut client, &file);
    let later = client.messages(Duration::from_millis(500));
    assert!(!later.iter().any(|message| is_log(message, "is not evaluated")), "{later:#?}");
    client.shutdown();
}

#[test]
fn without_nix_the_text_is_checked_and_that_is_said_once_in_the_log() {
    let home = Home::new();
    let text = "{ ... }: {\n  codchi.gpu.enabel = true;\n}\n";
    let files = ["p/codchi.nix", "q/codchi.nix"].map(|path| home.write(path, text));
    let mut client = start(Client::start(&home), home.path(), &Value::Null);
    for file in &files {
        client.open(file, text);
    }
    for file in &files {
        assert!(has("unknown-option")(&client.diagnostics(file, 1)));
    }
    let line = logged(&mut client, "Nix was not found");
    assert!(line.contains("Install Nix"), "{line}");
    save(&mut client, &files[0]);
    let later = client.messages(Duration::from_millis(700));
    let again: Vec<_> = later
        .iter()
        .filter(|message| message["params"]["type"] != 4)
        .filter(|message| is_log(message, "Nix was not found") || message["method"] == "window/showMessage")
        .collect();
    assert!(again.is_empty(), "{again:#?}");
    client.shutdown();
}

#[test]
fn nothing_is_evaluated_where_that_is_off_or_the_workspace_is_not_trusted() {
    for options in [
        json!({ "evaluation": "off" }),
        json!({ "trusted": false }),
        json!({ "trusted": false, "evaluation": "sometimes" }),
    ] {
        let home = with_fake("echo");
        let file = home.write("p/codchi.nix", MODULE);
        let mut client = start(Client::start(&home), file.parent().unwrap(), &options);
        client.open(&file, MODULE);
        client.diagnostics(&file, 1);
        save(&mut client, &file);
        client.messages(Duration::from_millis(500));
        assert_eq!(calls(&home), 0, "{options}");
        // Trust is granted.
        client.notify("workspace/didChangeConfiguration", &json!({ "settings": { "codchi": {} } }));
        wait("an evaluation", || calls(&home) > 0);
        client.shutdown();
    }
}

#[test]
fn check_without_nix_says_what_to_do_and_checks_the_rest() {
    let home = Home::new();
    home.write("p/codchi.nix", "{ ... }: {\n  codchi.gpu.enabel = true;\n}\n");
    let output = home.codchi().args(["check", "--eval", "p"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("Nix was not found") && stderr.contains("Help: Install Nix"), "{stderr}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("unknown-option"));

    let output = home.codchi().args(["check", "--eval", "--format", "sarif", "p"]).output().unwrap();
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

fn wait(what: &str, until: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !until() {
        assert!(std::time::Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many processes sleep for so long.
fn sleepers(seconds: &str) -> usize {
    let command = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).ok();
    let commands = std::fs::read_dir("/proc").unwrap().flatten().filter_map(command);
    commands.filter(|command| command.starts_with("/bin/sleep") && command.contains(seconds)).count()
}

#[cfg(feature = "lab")]
mod real {
    use super::*;
    use std::path::PathBuf;

    /// The next diagnostics of a file for which `wanted` holds.
    fn diagnostics(
        client: &mut Client,
        path: &Path,
        what: &str,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let uri = uri(path);
        let message = client.wait_for(what, |message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == uri.as_str()
                && wanted(message["params"]["diagnostics"].as_array().unwrap())
        });
        message["params"]["diagnostics"].as_array().unwrap().clone()
    }

    codchi_tests::with_each_nix! {
        |folder| &Lab::new(&folder);
        an_error_appears_on_save_and_goes_when_it_is_put_right
        what_is_not_saved_is_evaluated_as_it_is_in_the_editor
        a_file_that_a_module_reads_is_looked_at_anew_when_it_is_saved
        a_file_that_a_module_reads_is_evaluated_as_it_is_in_the_editor
        a_secret_that_only_an_evaluation_sees_is_asked_for
        a_module_with_errors_was_evaluated
        check_says_what_the_evaluation_says
    }

    /// A home with a Nix whose store lies in it, and the stand-in for nixpkgs.
    struct Lab {
        home: Home,
        nix: PathBuf,
    }

    impl Lab {
        fn new(nix: &Path) -> Self {
            Self { home: Home::new(), nix: nix.into() }
        }

        fn codchi(&self) -> std::process::Command {
            let mut command = self.home.codchi();
            for name in ["STORE", "STATE", "LOG", "CONF"] {
                command.env(format!("NIX_{name}_DIR"), self.home.path().join("nix").join(name));
            }
            let nixpkgs = Path::new(env!("CARGO_MANIFEST_DIR")).join("nixpkgs");
            command
                .env("PATH", &self.nix)
                .env("NIX_CONFIG", "sandbox = false\nbuild-users-group =\nsubstituters =\n")
                .env("CODCHI_NIXPKGS", format!("path:{}", nixpkgs.display()));
            command
        }

        fn client(&self, folder: &Path) -> Client {
            start(Client::start_with(self.codchi()), folder, &json!({ "evaluation": "lenient" }))
        }
    }

    const BROKEN: &str = "{ ... }:\n{\n  codchi.initScript = throw \"it is broken\";\n}\n";

    fn an_error_appears_on_save_and_goes_when_it_is_put_right(lab: &Lab) {
        let file = lab.home.write("p/codchi.nix", MODULE);
        let mut client = lab.client(file.parent().unwrap());
        client.open(&file, MODULE);
        client.diagnostics(&file, 1);
        client.change(&file, 2, &whole(BROKEN));
        std::fs::write(&file, BROKEN).unwrap();
        save(&mut client, &file);
        let found = diagnostics(&mut client, &file, "the error", has("evaluation"));
        assert!(found[0]["message"].as_str().unwrap().contains("t is broken"), "{found:#?}");
        assert_eq!(found[0]["range"]["start"]["line"], 2);

        client.change(&file, 3, &whole(MODULE));
        std::fs::write(&file, MODULE).unwrap();
        save(&mut client, &file);
        diagnostics(&mut client, &file, "its end", |found| !has("evaluation")(found));
        client.messages(Duration::from_millis(500)).iter().for_each(|message| {
            assert!(!message["params"]["diagnostics"].to_string().contains("t is broken"), "{message:#}");
        });
        client.shutdown();
    }

    fn what_is_not_saved_is_evaluated_as_it_is_in_the_editor(lab: &Lab) {
        let root = "{ ... }:\n{\n  imports = [ ./söb ];\n}\n";
        let root_file = lab.home.write("my \"p\"/codchi.nix", root);
        lab.home.write("my \"p\"/message.txt", "from a file beside it");
        let file = lab.home.write("my \"p\"/söb/default.nix", MODULE);
        let mut client = lab.client(root_file.parent().unwrap());
        let unsaved = "{ ... }:\n{\n\n  codchi.initScript = throw (builtins.readFile ../message.txt);\n}\n";
        client.open(&file, unsaved);
        let found = diagnostics(&mut client, &file, "the error", has("evaluation"));
        assert!(found[0]["message"].as_str().unwrap().contains("rom a file beside it"), "{found:#?}");
        assert_eq!(found[0]["range"]["start"]["line"], 3);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), MODULE);
        client.shutdown();
    }

    fn a_file_that_a_module_reads_is_looked_at_anew_when_it_is_saved(lab: &Lab) {
        let text =
            "{ ... }:\nlet settings = import ./settings.nix;\nin { codchi.initScript = settings.script; }\n";
        let file = lab.home.write("p/codchi.nix", text);
        let settings = lab.home.write("p/settings.nix", "{ script = \"true\"; }");
        let mut client = lab.client(file.parent().unwrap());
        client.open(&file, text);
        client.diagnostics(&file, 1);
        client.open(&settings, "{ script = \"true\"; }");
        let broken = "{ script = throw \"it is broken\"; }";
        client.change(&settings, 2, &whole(broken));
        std::fs::write(&settings, broken).unwrap();
        save(&mut client, &settings);
        let found = diagnostics(&mut client, &settings, "the error", has("evaluation"));
        assert!(found[0]["message"].as_str().unwrap().contains("t is broken"), "{found:#?}");
        client.shutdown();
    }

    fn a_file_that_a_module_reads_is_evaluated_as_it_is_in_the_editor(lab: &Lab) {
        let text =
            "{ ... }:\nlet settings = import ./lib { };\nin { codchi.initScript = settings.script; }\n";
        let file = lab.home.write("p/codchi.nix", text);
        lab.home.write("p/lib/default.nix", "_: import ../settings.nix");
        let saved = "{ script = \"true\"; }";
        let settings = lab.home.write("p/settings.nix", saved);
        let mut client = lab.client(file.parent().unwrap());
        client.open(&file, text);
        client.open(&settings, "{\n  script = throw \"it is broken\";\n}");
        let found = diagnostics(&mut client, &settings, "the error", has("evaluation"));
        assert!(found[0]["message"].as_str().unwrap().contains("t is broken"), "{found:#?}");
        assert_eq!(found[0]["range"]["start"]["line"], 1);
        assert_eq!(std::fs::read_to_string(&settings).unwrap(), saved);
        client.shutdown();
    }

    fn a_module_with_errors_was_evaluated(lab: &Lab) {
        let file = lab.home.write("p/codchi.nix", BROKEN);
        let folder = file.parent().unwrap();
        let mut client = Client::start_with(lab.codchi());
        client.initialize_with(&json!({
            "capabilities": { "experimental": { "codchi": { "evaluation": true } } },
            "initializationOptions": { "evaluation": "lenient" },
            "workspaceFolders": [{ "uri": uri(folder), "name": "workspace" }],
        }));
        client.open(&file, BROKEN);
        for state in ["evaluating", "evaluated"] {
            let expected = json!({ "off": null, "modules": [{ "module": "MODULE", "state": state }] });
            assert_eq!(status(&mut client, folder), expected);
        }
        client.shutdown();
    }

    fn a_secret_that_only_an_evaluation_sees_is_asked_for(lab: &Lab) {
        let text = "{ lib, ... }:\n{\n  codchi.secrets = lib.mkIf (1 < 2) {\n    TOKEN.description = \"d\";\n  };\n}\n";
        let file = lab.home.write("p/codchi.nix", text);
        let mut client = lab.client(file.parent().unwrap());
        client.open(&file, text);
        let found = diagnostics(&mut client, &file, "the secret", has("secret-not-set"));
        assert!(found[0]["message"].as_str().unwrap().contains("TOKEN"), "{found:#?}");
        client.shutdown();
    }

    fn check_says_what_the_evaluation_says(lab: &Lab) {
        lab.home.write("p/codchi.nix", BROKEN);
        lab.home.write("q/codchi.nix", MODULE);
        let output = lab.codchi().args(["check", "--eval", "p", "q"]).output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
        assert!(stdout.contains("error[evaluation]") && stdout.contains("t is broken"), "{stdout}");

        // Standard input stands for the file.
        let mut command = lab.codchi();
        command.args(["check", "--eval", "--stdin-path", "p/codchi.nix", "-"]);
        let fixed = std::fs::File::open(lab.home.path().join("q/codchi.nix")).unwrap();
        let output = command.stdin(fixed).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
