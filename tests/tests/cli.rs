//! The built command line where there is no driver, no Nix and no terminal.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use serde_json::Value;
use std::io::Write as _;
use std::process::{Output, Stdio};

const WRONG: &str = r#"{ ... }: {
  codchi.requiredCapabilites = [ ];
}
"#;

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn run(home: &Home, arguments: &[&str]) -> Ran {
    home.codchi().args(arguments).stdin(Stdio::null()).output().unwrap().into()
}

fn run_with(home: &Home, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = home.codchi();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_wrong_command_line_has_its_own_exit_code() {
    let home = Home::new();
    for arguments in [
        &["chekc"][..],
        &[],
        &["start"],
        &["start", "Not A Name"],
        &["check", "--format", "x", "."],
        &["module", "add", "a"],
        &["module", "add", "a", "/no/such/folder"],
        &["nixpkgs", "a", "pinned"],
        &["update", "--module", "1"],
        &["update", "a", "--module", "1", "--nixpkgs"],
    ] {
        let ran = run(&home, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
    }
    let ran = run(&home, &["deny", "a", "ssh-agnt"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("ssh-agent") && ran.stderr.contains("kvm"),
        "{}",
        ran.stderr
    );
    assert_eq!(run(&home, &["--help"]).code, 0);
    assert_eq!(run(&home, &["--version"]).code, 0);
}

#[test]
fn generations_and_previews_of_what_is_not_there_are_told_and_wrong_words_are_refused() {
    let home = Home::new();
    for arguments in [
        &["generations", "nope"][..],
        &["generations", "nope", "--keep", "1"],
        &["rollback", "nope"],
        &["rebuild", "nope", "--dry-run"],
    ] {
        let ran = run(&home, arguments);
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stderr.contains("There is no machine `nope`"), "{arguments:?}: {}", ran.stderr);
    }
    for arguments in [
        &["generations", "a", "--keep", "1", "--older-than", "2d"][..],
        &["generations", "a", "--older-than", "30"],
        &["generations", "a", "--delete"],
        &["rebuild", "a", "--json"],
        &["rebuild", "a", "--build"],
        &["rollback", "a", "first"],
    ] {
        let ran = run(&home, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn the_doctor_says_what_is_missing_and_what_to_do() {
    let home = Home::new();
    let ran = run(&home, &["doctor"]);
    assert_eq!(ran.code, 1, "no machine works without a driver");
    assert!(ran.stdout.contains("✗ driver"), "{}", ran.stdout);

    let ran = run(&home, &["doctor", "--json"]);
    let checks: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let check = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!((&check("driver")["ok"], &check("driver")["required"]), (&false.into(), &true.into()));
    assert!(check("driver")["remedy"].is_string());
    assert_eq!(check("vault")["ok"], true);
    for offer in ["gpu", "kvm", "ssh-agent", "ca-certificates", "git-credentials", "tokens"] {
        assert!(check(offer)["message"].is_string() && check(offer)["evidence"].is_array());
    }
}

#[test]
fn status_works_without_a_driver_and_without_machines() {
    let home = Home::new();
    let ran = run(&home, &["status"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.contains("codchi create"), "{}", ran.stdout);
    assert_eq!(run(&home, &["ls", "--json"]).stdout, "[]\n");
}

#[test]
fn a_machine_that_does_not_exist_is_an_error_with_a_next_step() {
    let home = Home::new();
    for arguments in [
        &["status", "nope"][..],
        &["start", "nope"],
        &["exec", "nope", "true"],
        &["log", "nope"],
        &["ssh-proxy", "nope"],
        &["open", "nope"],
        &["rebuild", "nope"],
        &["rebuild", "--update", "nope"],
        &["update", "nope"],
        &["module", "ls", "nope"],
        &["module", "add", "nope", "."],
        &["module", "set", "nope", "1", "."],
        &["module", "rm", "nope", "1"],
        &["nixpkgs", "nope"],
        &["nixpkgs", "nope", "pin"],
    ] {
        let ran = run(&home, arguments);
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(
            ran.stderr.contains("error: ") && ran.stderr.contains("Help: "),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}

#[test]
fn without_machines_there_is_nothing_to_update() {
    let home = Home::new();
    let ran = run(&home, &["update"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "There is nothing to update.\n"), "{}", ran.stderr);
}

#[test]
fn what_a_machine_is_made_of_is_shown_where_it_was_written_by_an_older_version() {
    let home = Home::new();
    let text = r#"
version = 1
id = "x"
driver = "lxd"
nixpkgs = "github:NixOS/nixpkgs/nixos-unstable"
created = 1700000000
[[modules]]
folder = "/gone/app"
[[modules]]
git = "git+https://example.org/a"
output = "dev"
"#;
    home.write(".local/share/codchi/machines/old/machine.toml", text);
    let lock = r#"{"nodes":{"a":{"flake":true,"locked":{"type":"git","rev":"0123456789","lastModified":1762128000}},
        "root":{"inputs":{"module-1":"a"}}},"root":"root","version":7}"#;
    home.write(".local/share/codchi/machines/old/flake/flake.lock", lock);
    let ran = run(&home, &["module", "ls", "old"]);
    assert!(
        ran.stdout.contains("1  /gone/app                      as it is"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(ran.stdout.contains("2  git+https://example.org/a#dev  2025-11-03 0123456"), "{}", ran.stdout);
    let ran = run(&home, &["nixpkgs", "old"]);
    assert_eq!(ran.stdout, "github:NixOS/nixpkgs/nixos-unstable (not locked yet)\n", "{}", ran.stderr);
    let listed: Value = serde_json::from_str(&run(&home, &["module", "ls", "--json", "old"]).stdout).unwrap();
    assert_eq!((&listed[1]["revision"]["commit"], &listed[1]["number"]), (&"0123456789".into(), &2.into()));
    let status: Value = serde_json::from_str(&run(&home, &["status", "--json", "old"]).stdout).unwrap();
    assert_eq!(status["nixpkgs"], "github:NixOS/nixpkgs/nixos-unstable");
}

#[test]
fn create_without_nix_or_a_driver_leaves_nothing() {
    let home = Home::new();
    home.write("project/codchi.nix", "{ }\n");
    let ran = run(&home, &["create", "project", "--name", "app"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("Help: "), "{}", ran.stderr);
    assert_eq!(run(&home, &["status", "--json"]).stdout, "[]\n");
}

#[test]
fn delete_wants_a_yes_where_nobody_can_be_asked() {
    let home = Home::new();
    let ran = run(&home, &["delete", "app"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("codchi delete app --yes"), "{}", ran.stderr);
}

#[test]
fn secrets_are_set_listed_and_forgotten_and_never_shown() {
    let home = Home::new();
    let value = b"it's a \"test\" $ecret\n";
    let set = run_with(&home, &["secret", "set", "TOKEN", "--machine", "app"], value);
    assert_eq!((set.code, set.stderr.as_str()), (0, ""));
    assert_eq!(run_with(&home, &["secret", "set", "KEY"], b"two\nlines\n").code, 0);

    let listed: Value = serde_json::from_str(&run(&home, &["secret", "ls", "--json"]).stdout).unwrap();
    assert_eq!(
        listed,
        serde_json::json!([{ "name": "KEY", "machine": null }, { "name": "TOKEN", "machine": "app" }])
    );
    home.assert_nowhere("$ecret");

    assert_eq!(run(&home, &["secret", "rm", "KEY"]).code, 0);
    assert_eq!(run(&home, &["secret", "rm", "KEY"]).code, 1);
    assert_eq!(run_with(&home, &["secret", "set", "NUL"], b"a\0b").code, 1);
}

#[test]
fn a_file_of_secrets_is_taken_as_a_whole_and_written_as_it_was() {
    let home = Home::new();
    let file = home.write("in.env", "TOKEN='it'\nexport CODCHI_KEY=\"it's $x \\n\"\n");
    let file = file.to_str().unwrap();
    let ran = run(&home, &["secret", "import", file]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "Set: KEY, TOKEN.\n"), "{}", ran.stderr);
    let more = run_with(&home, &["secret", "import", "-"], b"TOKEN=other\nNEW=sesame\n");
    assert_eq!(more.code, 0, "{}", more.stderr);
    assert!(more.stdout.contains("Set: NEW.") && more.stdout.contains("them): TOKEN."), "{}", more.stdout);
    let bad = run_with(&home, &["secret", "import", "-", "--force"], b"NEW=2\nsesame\n");
    assert!(
        bad.code == 1 && bad.stderr.contains("line 2") && !bad.stderr.contains("sesame"),
        "{}",
        bad.stderr
    );

    let exported = "CODCHI_KEY=\"it's \\$x \n\"\nCODCHI_NEW=sesame\nCODCHI_TOKEN=it\n";
    assert_eq!(run(&home, &["secret", "export"]).stdout, exported);
    let out = home.path().join("out.env");
    let export = ["secret", "export", "--file", out.to_str().unwrap()];
    assert_eq!(run(&home, &export).code, 0);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions());
    assert_eq!((std::fs::read_to_string(&out).unwrap().as_str(), mode & 0o777), (exported, 0o600));
    let again = run(&home, &export);
    assert!(again.code == 1 && again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(run(&home, &[&export[..], &["--force"]].concat()).code, 0);
    for name in ["KEY", "NEW", "TOKEN"] {
        assert_eq!(run(&home, &["secret", "rm", name]).code, 0);
    }
    assert_eq!(run(&home, &["secret", "import", out.to_str().unwrap()]).code, 0);
    assert_eq!(run(&home, &["secret", "export"]).stdout, exported);
    for (arguments, input) in [
        (["secret", "set", "A"], &b""[..]),
        (["secret", "set", "../A"], b"x"),
        (["secret", "rotate", "A"], b"x"),
    ] {
        assert_eq!(run_with(&home, &arguments, input).code, 1, "{arguments:?}");
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&home, &["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("ssh-proxy"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut command = home.codchi();
    command.args(["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_place() {
    let home = Home::new();
    home.write(".config/codchi/config.toml", "drivr = \"lxd\"\n");
    let ran = run(&home, &["status"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("config.toml") && ran.stderr.contains("drivr"), "{}", ran.stderr);
    assert_eq!(run(&home, &["completions", "bash"]).code, 0, "what needs no configuration works");
}

#[test]
fn there_is_no_colour_where_there_is_no_terminal() {
    let home = Home::new();
    home.write("codchi.nix", WRONG);
    for arguments in [&["check", "."][..], &["doctor"], &["status", "nope"]] {
        let ran = run(&home, arguments);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn a_damaged_vault_is_left_alone_and_says_what_to_do() {
    let home = Home::new();
    assert_eq!(run_with(&home, &["secret", "set", "TOKEN"], b"x").code, 0);
    let vault = home.path().join(".local/share/codchi/vault.age");
    assert!(vault.is_file());
    std::fs::write(&vault, "garbage").unwrap();
    let ran = run_with(&home, &["secret", "set", "OTHER"], b"y");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("cannot be read") && ran.stderr.contains("Help: `codchi vault repair`"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read(&vault).unwrap(), b"garbage");
}

#[test]
fn the_log_of_a_machine_that_was_not_created_can_be_read() {
    let home = Home::new();
    home.write(".local/state/codchi/logs/gone/000001-create.log", "the reason\n");
    let ran = run(&home, &["log", "gone"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "the reason\n"), "{}", ran.stderr);
}
