//! The vault and the providers beside it on the command line, where there is no driver.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::program;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const VALUE: &str = "hunter2-hunter2-hunter2";

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `codchi`, with `variables` and this on its standard input.
fn run_with(home: &Home, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ran {
    let mut command: Command = home.codchi();
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran =
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(VALUE), "{arguments:?} tells the value");
    ran
}

fn run(home: &Home, arguments: &[&str]) -> Ran {
    run_with(home, arguments, &[], "")
}

fn set(home: &Home, name: &str) {
    let ran = run_with(home, &["secret", "set", name], &[], VALUE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

fn data(home: &Home, name: &str) -> PathBuf {
    home.path().join(".local/share/codchi").join(name)
}

fn status(home: &Home) -> Value {
    serde_json::from_str(&run(home, &["vault", "status", "--json"]).stdout).unwrap()
}

#[test]
fn what_was_set_by_mistake_or_damaged_can_be_had_again() {
    let home = Home::new();
    assert_eq!(status(&home)["state"]["type"], "none");
    assert!(run(&home, &["vault", "restore", "--yes"]).stderr.contains("no backup"));
    set(&home, "A");
    set(&home, "B");
    let told = run(&home, &["vault", "status"]).stdout;
    for line in ["contents  2 values", "vault.age (format 2)", "vault.age.bak (1 value)", "vault.key"] {
        assert!(told.contains(line), "{told}");
    }
    // There is nobody to ask, and nothing to repair.
    let ran = run(&home, &["vault", "restore"]);
    assert!(ran.code == 1 && ran.stderr.contains("codchi vault restore --yes"), "{}", ran.stderr);
    assert!(run(&home, &["vault", "repair", "--yes"]).stderr.contains("nothing to repair"));
    assert_eq!(run(&home, &["vault", "restore", "--yes"]).code, 0);
    assert_eq!(status(&home)["state"]["values"], 1);
    assert_eq!(run(&home, &["vault", "restore", "--yes"]).code, 0);
    assert_eq!(status(&home)["state"]["values"], 2);

    std::fs::write(data(&home, "vault.age"), "nonsense").unwrap();
    for arguments in
        [&["secret", "ls"][..], &["vault", "status"], &["vault", "repair"], &["vault", "restore", "--yes"]]
    {
        let ran = run(&home, arguments);
        let said = ran.stdout + &ran.stderr;
        assert!(ran.code == 1 && said.contains("codchi vault repair"), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read(data(&home, "vault.age")).unwrap(), b"nonsense");
    let ran = run(&home, &["vault", "repair", "--yes"]);
    assert!(ran.stdout.contains("vault.age.damaged-1") && ran.stdout.contains("1 value"), "{}", ran.stdout);
    assert!(run(&home, &["secret", "ls"]).stdout.contains('A'));
    home.assert_nowhere(VALUE);
}

#[test]
fn a_passphrase_is_asked_for_or_read_from_a_file_and_never_a_reason_to_say_that_a_secret_is_not_set() {
    let home = Home::new();
    set(&home, "TOKEN");
    let passphrase = home.write("passphrase", "correct horse\n").display().to_string();
    let wrong = home.write("wrong", "battery staple\n").display().to_string();
    home.write("codchi.nix", "{ codchi.secrets.OTHER.description = \"Another\"; }");
    assert!(run(&home, &["check", "."]).stdout.contains("secret-not-set"));
    let ran = run(&home, &["vault", "passphrase", "--passphrase-file", &passphrase]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        std::fs::read(data(&home, "vault.key")).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt ")
    );

    assert_eq!(status(&home)["state"]["by"], "passphrase");
    let ran = run(&home, &["check", "."]);
    assert!(ran.code == 0 && !ran.stdout.contains("secret-not-set"), "{}{}", ran.stdout, ran.stderr);
    let ran = run(&home, &["doctor"]);
    assert!(ran.stdout.contains("locked: its key is protected by a passphrase"), "{}", ran.stdout);
    let vault = std::fs::read(data(&home, "vault.age")).unwrap();
    for arguments in [&["secret", "ls"][..], &["secret", "set", "X"], &["vault", "passphrase", "--remove"]] {
        let ran = run(&home, arguments);
        assert!(ran.code == 1 && ran.stderr.contains("CODCHI_VAULT_PASSPHRASE_FILE"), "{}", ran.stderr);
        let ran = run_with(&home, arguments, &[("CODCHI_VAULT_PASSPHRASE_FILE", &wrong)], "x");
        assert!(ran.code == 1 && ran.stderr.contains("does not open"), "{}", ran.stderr);
    }
    assert_eq!(std::fs::read(data(&home, "vault.age")).unwrap(), vault);

    let variables = [("CODCHI_VAULT_PASSPHRASE_FILE", passphrase.as_str())];
    assert!(run_with(&home, &["secret", "ls"], &variables, "").stdout.contains("TOKEN"));
    let ran = run_with(&home, &["vault", "passphrase", "--remove"], &variables, "");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(run(&home, &["secret", "ls"]).stdout.contains("TOKEN"));
    assert!(run(&home, &["vault", "passphrase", "--remove"]).stderr.contains("has no passphrase"));
}

#[test]
fn providers_are_told_and_asked_without_a_value_being_told_and_diagnostics_know_what_they_may_have() {
    let home = Home::new();
    let config = |text: &str| home.write(".config/codchi/config.toml", text);
    home.write(
        "codchi.nix",
        "{ codchi.secrets.TOKEN.description = \"A\"; codchi.secrets.OTHER.description = \"B\"; }",
    );
    let unset = |variables: &[(&str, &str)]| {
        let found = run_with(&home, &["check", "--format", "json", "."], variables, "").stdout;
        let found: Vec<Value> = serde_json::from_str(&found).unwrap();
        found.iter().filter(|found| found["code"] == "secret-not-set").count()
    };
    assert!(run(&home, &["vault", "providers", "test", "TOKEN"]).stderr.contains("docs/secrets.md"));
    assert_eq!(unset(&[]), 2);
    home.write("work.env", &format!("APP_TOKEN={VALUE}\n"));
    config(
        "[[secret-provider]]\nkind = \"environment\"\n[[secret-provider]]\nkind = \"dotenv\"\nfile = \"work.env\"\nprefix = \"APP_\"\n",
    );
    assert_eq!(unset(&[]), 1);
    assert_eq!(unset(&[("CODCHI_SECRET_OTHER", VALUE)]), 0);
    let ran = run_with(
        &home,
        &["vault", "providers", "test", "TOKEN", "--json"],
        &[("CODCHI_SECRET_OTHER", VALUE)],
        "",
    );
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&said[0]["answer"]["type"], &said[1]["answer"]["type"]), (&"none".into(), &"has".into()));

    let asks = "test \"$1\" = TOKEN || { echo 'not signed in' >&2; exit 2; }\necho x";
    program::script(&home.path().join("bin/ask"), asks);
    config("[[secret-provider]]\nkind = \"command\"\ncommand = [\"bin/ask\", \"{name}\"]\n");
    assert_eq!(unset(&[]), 0, "what a program has is not known");
    assert!(run(&home, &["vault", "status"]).stdout.contains("ask (command): "));
    assert_eq!(run(&home, &["vault", "providers", "test", "TOKEN"]).stdout, "ask: has a value\n");
    let ran = run(&home, &["vault", "providers", "test", "OTHER"]);
    assert!(ran.code == 1 && ran.stdout.contains("not signed in"), "{}", ran.stdout);

    config("[[secret-provider]]\nkind = \"keychain\"\n");
    let ran = run(&home, &["vault", "status"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("config.toml") && ran.stderr.contains("keychain"),
        "{}",
        ran.stderr
    );
}
