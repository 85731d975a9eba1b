//! The program of Windows, in Wine: what it does where there is no WSL.
//!
//! `CODCHI_WINDOWS_EXE` is the program, with all that it needs beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::lsp::Client;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

const MODULE: &str = r"{ ... }: {
  codchi.requiredCapabilites = [ ];
  imports = [ ./there.nix ./sub/missing.nix ];
}
";

/// A Windows of its own, which is kept for the next run: to make one takes a while.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wine");
        std::fs::create_dir_all(&prefix).unwrap();
        for data in profiles(&prefix) {
            let _ = std::fs::remove_dir_all(data);
        }
        // One at a time may make it.
        assert!(wine(&prefix).arg("--version").output().unwrap().status.success());
        prefix
    })
}

/// Where codchi keeps what it knows in `prefix`, by whoever ran it.
fn profiles(prefix: &Path) -> Vec<PathBuf> {
    let people = std::fs::read_dir(prefix.join("drive_c/users")).into_iter().flatten().flatten();
    people.map(|person| person.path().join("AppData/Local/codchi")).filter(|data| data.is_dir()).collect()
}

/// Wine with the program, in `prefix`.
fn wine(prefix: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it out of the way.
    let folders = std::env::split_paths(&path).chain(["/usr/lib/wine".into()]);
    let programs = folders.flat_map(|folder| [folder.join("wine64"), folder.join("wine")]);
    let mut command =
        Command::new(programs.into_iter().find(|file| file.is_file()).expect("Wine is installed"));
    command.arg(std::env::var_os("CODCHI_WINDOWS_EXE").expect("CODCHI_WINDOWS_EXE is set"));
    command.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env("CODCHI_LOG", "debug");
    // Nobody is asked whether more of Wine shall be installed.
    command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
    command
}

/// A folder on the drive of that Windows, with a module in it.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("a project ").tempdir_in(prefix().join("drive_c")).unwrap();
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
        let mut command = wine(prefix());
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
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
    let [data] = &profiles(prefix())[..] else { panic!("one person has run it") };
    assert!(data.join("data/vault.age").is_file());
    assert!(!data.join("data/vault.key").exists());
    let vault = std::fs::read(data.join("data/vault.age")).unwrap();
    assert!(!vault.windows(VALUE.len()).any(|it| it == VALUE.as_bytes()), "the value is readable");
    assert_eq!(project.run(&["secret", "rm", "TOKEN"], b"").code, 0);
}

#[test]
fn an_editor_is_answered_and_changes_on_the_disk_are_seen() {
    let project = Project::new();
    let mut client = Client::start_with(wine(prefix()));
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
