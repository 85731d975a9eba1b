//! The program of Windows, in Wine: what it does where there is no WSL, and in `machine` where there is the one of tests/wsl.
//!
//! `CODCHI_WINDOWS_EXE` is the program, with all that it needs beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod machine;
mod wine;

use codchi_tests::lsp::Client;
use serde_json::{Value, json};
use std::sync::OnceLock;
use tempfile::TempDir;
use wine::{Ran, Windows};

const MODULE: &str = r"{ ... }: {
  codchi.requiredCapabilites = [ ];
  imports = [ ./there.nix ./sub/missing.nix ];
}
";

/// Where there is no WSL.
fn windows() -> &'static Windows {
    static WINDOWS: OnceLock<Windows> = OnceLock::new();
    WINDOWS.get_or_init(|| Windows::of("wine"))
}

/// A folder on the drive of that Windows, with a module in it.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("a project ").tempdir_in(windows().drive()).unwrap();
        std::fs::write(folder.path().join("codchi.nix"), MODULE).unwrap();
        std::fs::write(folder.path().join("there.nix"), "{ }\n").unwrap();
        Self { folder }
    }

    fn name(&self) -> &str {
        self.folder.path().file_name().unwrap().to_str().unwrap()
    }

    /// As VS Code writes it.
    fn uri(&self, file: &str) -> String {
        format!("file:///c%3A/{}/{file}", self.name().replace(' ', "%20"))
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = windows().codchi();
        command.args(arguments).current_dir(self.folder.path());
        Ran::of(command, input)
    }
}

#[test]
fn it_says_who_it_is_and_what_is_amiss_here() {
    let project = Project::new();
    let version = project.run(&["--version"], b"");
    assert!(version.code == 0 && version.stdout.starts_with("codchi "), "{version:?}");
    assert_eq!(project.run(&["--help"], b"").code, 0);
    assert_eq!(project.run(&["no-such-command"], b"").code, 2);
    let doctor = project.run(&["doctor"], b"");
    assert!(doctor.code == 1 && doctor.stdout.contains("wsl --install"), "{doctor:?}");
    assert!(!doctor.stdout.contains("apt") && !doctor.stdout.contains("snap"), "{doctor:?}");
    let machines = project.run(&["status", "--json"], b"");
    assert_eq!((machines.code, machines.stdout.trim()), (0, "[]"), "{machines:?}");
    let missing = project.run(&["exec", "nope", "--", "true"], b"");
    assert!(missing.code == 1 && missing.stderr.contains("There is no machine `nope`"), "{missing:?}");
}

#[test]
fn modules_are_checked_and_named_as_windows_does() {
    let project = Project::new();
    let text = project.run(&["check", "."], b"");
    assert!(text.code == 1 && text.stdout.contains("codchi.nix:2:"), "{text:?}");
    let json =
        project.run(&["check", "--format", "json", &format!(r"C:\{}\codchi.nix", project.name())], b"");
    let findings: Value = serde_json::from_str(&json.stdout).unwrap();
    let missing = findings.as_array().unwrap().iter().find(|it| it["code"] == "import-not-found").unwrap();
    assert_eq!(missing["path"], format!(r"C:\{}\codchi.nix", project.name()));
    assert!(
        missing["message"].as_str().unwrap().contains(&format!(r"C:\{}\sub\missing.nix", project.name())),
        "{missing}"
    );
}

#[test]
fn a_secret_is_kept_in_the_vault_and_its_key_by_windows() {
    const VALUE: &str = "correct horse battery";
    let project = Project::new();
    let set = project.run(&["secret", "set", "TOKEN"], VALUE.as_bytes());
    assert_eq!(set.code, 0, "{set:?}");
    let listed = project.run(&["secret", "ls"], b"");
    assert!(listed.code == 0 && listed.stdout.contains("TOKEN"), "{listed:?}");
    let status = project.run(&["vault", "status"], b"");
    assert!(status.stdout.contains("in the keyring"), "{status:?}");
    let data = windows().profile().join("Local/codchi/data");
    assert!(data.join("vault.age").is_file());
    assert!(!data.join("vault.key").exists());
    let vault = std::fs::read(data.join("vault.age")).unwrap();
    assert!(!vault.windows(VALUE.len()).any(|it| it == VALUE.as_bytes()), "the value is readable");
    assert_eq!(project.run(&["secret", "rm", "TOKEN"], b"").code, 0);
}

#[test]
fn an_editor_is_answered_and_changes_on_the_disk_are_seen() {
    let project = Project::new();
    let mut client = Client::start_with(windows().codchi());
    client.initialize_with(&json!({
        "processId": null,
        "capabilities": {},
        "workspaceFolders": [{ "uri": project.uri("").trim_end_matches('/'), "name": "p" }],
    }));
    let uri = project.uri("codchi.nix");
    let document = json!({ "uri": uri });
    client.notify(
        "textDocument/didOpen",
        &json!({ "textDocument": { "uri": uri, "languageId": "nix", "version": 1, "text": MODULE } }),
    );
    let codes = |message: &Value| -> Option<Vec<String>> {
        let is_ours = message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == uri.as_str();
        let all = message["params"]["diagnostics"].as_array().filter(|_| is_ours)?;
        Some(all.iter().map(|one| one["code"].as_str().unwrap_or_default().to_owned()).collect())
    };
    client.wait_for("both mistakes", |message| {
        codes(message).is_some_and(|codes| codes == ["unknown-option", "import-not-found"])
    });
    let links = client.request("textDocument/documentLink", &json!({ "textDocument": document })).unwrap();
    let target = links[0]["target"].as_str().unwrap();
    assert_eq!(target, format!("file:///C:/{}/there.nix", project.name().replace(' ', "%20")));

    std::fs::create_dir(project.folder.path().join("sub")).unwrap();
    std::fs::write(project.folder.path().join("sub/missing.nix"), "{ }\n").unwrap();
    client.wait_for("the file that was missing", |message| {
        codes(message).is_some_and(|codes| codes == ["unknown-option"])
    });

    client.request("shutdown", &Value::Null).unwrap();
    client.notify("exit", &Value::Null);
    assert!(client.child.wait().unwrap().success());
}
