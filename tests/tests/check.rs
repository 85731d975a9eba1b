//! `codchi check`: what it prints in each format, and how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::workspace;
use expect_test::expect;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;

const WRONG: &str = r#"{ ... }: {
  codchi.requiredCapabilites = [ ];
}
"#;

const SECRET: &str = r#"{ ... }: {
  codchi.secrets.TOKEN.description = "The token of the registry";
}
"#;

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(home: &Home, arguments: &[&str]) -> Ran {
    run_with(home, arguments, b"")
}

fn run_with(home: &Home, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = home.codchi();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who does not read it may have ended.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn it_prints_the_source_and_fails_where_there_are_errors() {
    let home = Home::new();
    home.write("project/codchi.nix", WRONG);
    let ran = run(&home, &["check", "project"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stderr, "");
    expect![[r#"
        error[unknown-option]: There is no option `codchi.requiredCapabilites`. Did you mean `codchi.requiredCapabilities`?
         --> project/codchi.nix:2:10
          |
        2 |   codchi.requiredCapabilites = [ ];
          |          ^^^^^^^^^^^^^^^^^^^

        1 error, 0 warnings in 1 file
    "#]]
    .assert_eq(&ran.stdout);
}

#[test]
fn it_succeeds_where_there_are_only_warnings() {
    let home = Home::new();
    home.write("codchi.nix", SECRET);
    let ran = run(&home, &["check", "codchi.nix"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("warning[secret-not-set]"), "{}", ran.stdout);
    assert!(run_with(&home, &["secret", "set", "TOKEN"], b"x").code == 0);
    assert_eq!(run(&home, &["check", "codchi.nix"]).stdout, "0 errors, 0 warnings in 1 file\n");
}

#[test]
fn what_is_denied_fails_and_what_is_allowed_is_silent() {
    let home = Home::new();
    home.write("codchi.nix", SECRET);
    for denied in ["secret-not-set", "warnings"] {
        let ran = run(&home, &["check", "--deny", denied, "."]);
        assert_eq!(ran.code, 1, "{denied}");
        assert!(ran.stdout.contains("error[secret-not-set]"), "{}", ran.stdout);
    }
    let ran = run(&home, &["check", "--deny", "warnings", "--allow", "secret-not-set", "."]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "0 errors, 0 warnings in 1 file\n"));
    let ran = run(&home, &["check", "--deny", "secret-not-sett", "."]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("secret-not-set,"), "{}", ran.stderr);
}

#[test]
fn json_counts_from_one_in_characters() {
    let home = Home::new();
    let path = home.write("codchi.nix", &WRONG.replace("  codchi", "/* 𝄞 */ codchi"));
    let ran = run(&home, &["check", "--format", "json", "."]);
    assert_eq!(ran.code, 1);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found[0]["path"], path.display().to_string());
    assert_eq!((&found[0]["code"], &found[0]["severity"]), (&"unknown-option".into(), &"error".into()));
    assert_eq!(found[0]["range"]["start"], json!({ "line": 2, "column": 16 }));
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_checked() {
    let home = Home::new();
    home.write("codchi.nix", WRONG);
    std::fs::write(home.path().join("binary.nix"), [0xff, 0xfe, 0]).unwrap();
    std::fs::write(home.path().join("huge.nix"), vec![b' '; 10 << 20]).unwrap();
    let ran = run(&home, &["check", ".", "nowhere"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stdout.ends_with("1 error, 0 warnings in 1 file\n"), "{}", ran.stdout);
    expect![[r#"
        error: reading binary.nix failed: it is not UTF-8 text
        error: reading huge.nix failed: it is larger than 4 MiB, which no module is
        error: reading nowhere failed: No such file or directory (os error 2)
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn links_in_a_circle_and_imports_in_a_circle_end() {
    let home = Home::new();
    home.write("a/codchi.nix", "{ imports = [ ./b.nix ]; codchi.gpu.enable = true; }");
    home.write("a/b.nix", "{ imports = [ ./codchi.nix ./loop.nix ]; }");
    std::os::unix::fs::symlink("loop.nix", home.path().join("a/loop.nix")).unwrap();
    std::os::unix::fs::symlink("..", home.path().join("a/up")).unwrap();
    let ran = run(&home, &["check", "a"]);
    assert!(ran.stdout.ends_with("in 2 files\n"), "{}", ran.stdout);
}

#[test]
fn standard_input_stands_for_the_file_that_it_is_the_text_of() {
    let home = Home::new();
    home.write("p/b.nix", "{ }");
    let text = br"{ imports = [ ./b.nix ./c.nix ]; codchi.gpu.enable = true; }";
    let ran = run_with(&home, &["check", "--format", "github", "-", "--stdin-path", "p/codchi.nix"], text);
    assert_eq!(ran.code, 1);
    expect![[r#"
        ::error file=p/codchi.nix,line=1,endLine=1,col=23,endColumn=30,title=codchi%3A import-not-found::There is no `./c.nix`: `HOME/p/c.nix` does not exist. Create it, or correct the path.
    "#]]
    .assert_eq(&ran.stdout.replace(&home.path().display().to_string(), "HOME"));
    // A text that lies nowhere imports nothing that could be looked for.
    let ran = run_with(&home, &["check", "-"], text);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "0 errors, 0 warnings in 1 file\n"));
    let ran = run_with(&home, &["check", "-"], WRONG.as_bytes());
    assert!(ran.code == 1 && ran.stdout.contains("--> <stdin>:2:10"), "{}", ran.stdout);
}

#[test]
fn sarif_is_valid_and_names_places_from_the_root() {
    let home = Home::new();
    home.write("a b/codchi.nix", &WRONG.replace("  codchi", "/* 𝄞 */ codchi"));
    home.write("codchi.nix", SECRET);
    std::fs::write(home.path().join("binary.nix"), [0xff, 0xfe, 0]).unwrap();
    let ran = run(&home, &["check", "--format", "sarif", "."]);
    assert_eq!(ran.code, 2);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut schema: Value = serde_json::from_str(include_str!("../schemas/sarif-2.1.0.json")).unwrap();
    // A pattern of the published schema has a bracket too many; its erratum is this one.
    for part in ["run", "toolComponent"] {
        schema["definitions"][part]["properties"]["language"]["pattern"] =
            "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$".into();
    }
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("sarif.json", schema).unwrap();
    let sarif = compiler.compile("sarif.json", &mut schemas).unwrap();
    schemas.validate(&log, sarif).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(schemas.validate(&json!({ "version": "2.1.0" }), sarif).is_err(), "the schema is looked at");

    let run = &log["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"unknown-option".into(), &"error".into()));
    let rule = result["ruleIndex"].as_u64().unwrap() as usize;
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], "unknown-option");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"], json!({ "uri": "a%20b/codchi.nix", "uriBaseId": "%SRCROOT%" }));
    assert_eq!(place["region"], json!({ "startLine": 2, "startColumn": 17, "endLine": 2, "endColumn": 36 }));
}

#[test]
fn a_fingerprint_stays_when_lines_are_added_above() {
    let home = Home::new();
    let prints = |text: &str| {
        home.write("codchi.nix", text);
        let log: Value =
            serde_json::from_str(&run(&home, &["check", "--format", "sarif", "."]).stdout).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["partialFingerprints"].clone()).collect::<Vec<_>>()
    };
    let twice = "{ codchi.a = 1; }\n// { codchi.a = 2; }\n";
    let before = prints(twice);
    assert_eq!(before.len(), 2);
    assert_ne!(before[0], before[1]);
    assert_eq!(before, prints(&format!("# A comment.\n\n{twice}")));
}

#[test]
fn a_credential_in_the_source_is_not_printed_in_any_format() {
    let home = Home::new();
    let token = ["gh", "p_", "x7Kq2LmZ9RtVb4NcWs8YdJf3HgTp6QaUe1Xo"].concat();
    let text =
        format!("{{ codchi.gpu.enable = true; services.x.token = \"{token}\"; codchi.gpu.enabled = 1; }}\n");
    home.write("codchi.nix", &text);
    for format in ["human", "json", "sarif", "github"] {
        for allowed in [&[][..], &["--allow", "secret-in-store"]] {
            let arguments = [&["check", "--format", format, "."][..], allowed].concat();
            let ran = run(&home, &arguments);
            assert!(!ran.stdout.contains(&token) && !ran.stderr.contains(&token), "{format} {}", ran.stdout);
            assert!(ran.stdout.contains("unknown-option"), "{}", ran.stdout);
            let is_told = format != "sarif" && ran.stdout.contains("secret-in-store");
            assert!(is_told == (allowed.is_empty() && format != "sarif"), "{format} {}", ran.stdout);
        }
    }
}

#[test]
fn levels_of_the_configuration_count() {
    let home = Home::new();
    home.write("codchi.nix", SECRET);
    home.write(".config/codchi/config.toml", "[diagnostics]\nsecret-not-set = \"error\"\n");
    let ran = run(&home, &["check", "codchi.nix"]);
    assert!(ran.code == 1 && ran.stdout.contains("error[secret-not-set]"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_large_workspace_gives_the_same_report_each_time() {
    let home = Home::new();
    workspace::write(home.path(), &workspace::files(300, 500));
    let reports: Vec<String> =
        (0..3).map(|_| run(&home, &["check", "--format", "json", "."]).stdout).collect();
    assert!(reports[0].contains("capability-unknown"), "{}", reports[0]);
    assert!(reports.iter().all(|report| *report == reports[0]));
}

#[test]
fn a_secret_that_no_file_of_the_project_mentions_is_unused() {
    let home = Home::new();
    let module = "{ codchi.secrets.API_TOKEN = { description = \"a\"; required = false; }; }\n";
    let path = home.write("project/nix/codchi.nix", module);
    home.write("project/.git/HEAD", "ref: refs/heads/main");
    home.write("project/src/main.py", "print('hello')");
    let unused = |arguments: &[&str], input: &str| {
        let ran = run_with(&home, &[&["check"], arguments].concat(), input.as_bytes());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
        ran.stdout.contains("help[secret-unused]")
    };
    let file = path.to_str().unwrap();
    let stdin = ["--stdin-path", file, "-"];
    for arguments in [&["project"], &["project/nix"], &[file], &stdin as &[&str]] {
        assert!(unused(arguments, module), "{arguments:?}");
    }
    assert!(!unused(&["-"], module), "a text that lies nowhere is of no project");
    assert!(!unused(&["--allow", "secret-unused", "project"], ""));
    home.write("project/src/main.py", "settings.api_token");
    for arguments in [&["project"], &["project/nix"], &[file], &stdin as &[&str]] {
        assert!(!unused(arguments, module), "{arguments:?}");
    }
}
