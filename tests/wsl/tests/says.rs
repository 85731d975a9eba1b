//! What `wsl.exe` says: encodings, languages, lists, errors and their tokens, faults.

#![cfg(feature = "lab")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};
use support::Pc;

#[test]
fn text_is_utf16_unless_told_otherwise() {
    let pc = Pc::default();
    let plain = pc.command(&["--version"]).env_remove("WSL_UTF8").output().unwrap().stdout;
    let told = pc.command(&["--version"]).output().unwrap().stdout;
    for not_quite in ["0", "true", ""] {
        assert_eq!(pc.command(&["--version"]).env("WSL_UTF8", not_quite).output().unwrap().stdout, plain);
    }
    let units: Vec<u16> = plain.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16(&units).unwrap();
    assert!(text.starts_with("WSL version: 2.6.1.0\r\nKernel version: "), "{text:?}");
    assert_eq!(text.as_bytes(), told);
}

#[test]
fn languages_change_the_text_and_the_label_but_no_token() {
    for (locale, text, label) in [
        ("en-US", "No distribution has", "Error code: "),
        ("de-DE", "Keine Distribution heißt", "Fehlercode: "),
        ("ja-JP", "その名前の", "エラー コード: "),
        ("zh-CN", "没有叫这个名字", "错误代码: "),
    ] {
        let pc = Pc::with(&format!(r#"{{"locale": "{locale}"}}"#));
        let said = pc.wsl(&["-d", "nothing", "--exec", "true"]);
        said.fails_with(&format!("{label}Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n"));
        assert!(said.out.starts_with(text) && said.err.is_empty(), "{said:?}");
    }
}

#[test]
fn lists_have_their_formats() {
    let pc = Pc::default();
    for empty in [&["-l"][..], &["-l", "-v"], &["--list", "--all"]] {
        let said = pc.wsl(empty);
        assert_eq!(said.code, 255);
        assert!(
            said.out.contains("No distribution is installed") && !said.out.contains("Error code"),
            "{said:?}"
        );
    }
    assert_eq!(pc.wsl(&["-l", "-q"]).succeeds(), "");
    assert_eq!(pc.wsl(&["-l", "-q", "--running"]).succeeds(), "");
    assert_eq!(pc.wsl(&["-l", "--running"]).out, "No distribution runs.\r\n");

    pc.import("one", "");
    pc.import("another-name", "");
    let verbose = pc.wsl(&["-l", "-v"]).succeeds();
    assert_eq!(
        verbose,
        "  NAME            STATE           VERSION\r\n* one             Stopped         2\r\n  another-name    Stopped         2\r\n"
    );
    assert_eq!(pc.wsl(&["--list", "--verbose"]).succeeds(), verbose);
    assert_eq!(pc.wsl(&["-l", "-q"]).succeeds(), "one\r\nanother-name\r\n");
    assert_eq!(pc.wsl(&["-l"]).succeeds(), "The distributions:\r\none (Default)\r\nanother-name\r\n");
    pc.wsl(&["--set-default", "ANOTHER-name"]).succeeds();
    assert!(pc.wsl(&["-l", "-q"]).succeeds().starts_with("another-name\r\n"));
    assert!(
        pc.wsl(&["--status"])
            .succeeds()
            .starts_with("Default distribution: another-name\r\nDefault version: 2\r\n")
    );
    assert_eq!(pc.wsl(&["-lqv"]).code, 255);
    assert!(pc.wsl(&["-l", "-qv"]).out.contains("Usage: wsl.exe"));
}

#[test]
fn wrong_command_lines_are_told() {
    let pc = Pc::default();
    assert!(pc.wsl(&["--help"]).out.contains("Usage: wsl.exe"));
    let unknown = pc.wsl(&["--nonsense"]);
    assert_eq!(
        unknown.out,
        "Nobody knows the argument --nonsense\r\n'wsl.exe --help' lists those that there are.\r\n"
    );
    assert_eq!(unknown.code, 255);
    assert_eq!(pc.wsl(&["--terminate"]).out, "Something has to follow the argument --terminate.\r\n");
    pc.wsl(&["--import", "x"]).fails_with("Wsl/E_INVALIDARG");
    pc.wsl(&["-l", "--strange"]).fails_with("Wsl/E_INVALIDARG");
    pc.wsl(&["--exec"]).fails_with("Wsl/E_INVALIDARG");
    pc.wsl(&["--exec", "true"]).fails_with("No distribution is installed");
    pc.wsl(&["--unregister", "x"]).fails_with("Wsl/Service/WSL_E_DISTRO_NOT_FOUND");
}

#[test]
fn computers_without_what_wsl_needs_say_so() {
    let pc = Pc::with(r#"{"optionalComponent": false}"#);
    pc.wsl(&["-l", "-v"]).fails_with("Wsl/WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED");
    let pc = Pc::with(r#"{"version": "inbox"}"#);
    assert_eq!(pc.wsl(&["--version"]).code, 255);
    let pc = Pc::with(r#"{"installed": false}"#);
    assert_eq!(pc.wsl(&["-l", "-q"]).code, 1);

    let pc = Pc::with_one("");
    pc.configure(r#"{"virtualization": false}"#);
    pc.sh("true").fails_with("Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED");
    std::fs::write(pc.path("c/x.tar"), "").unwrap();
    pc.wsl(&["--import", "two", r"C:\two", r"C:\x.tar"])
        .fails_with("Wsl/Service/RegisterDistro/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED");
    assert!(!pc.path("c/two").exists());
}

#[test]
fn sparse_disks_are_refused() {
    let pc = Pc::with_one("");
    pc.wsl(&["--manage", "one", "--set-sparse", "true"]).fails_with("Wsl/Service/E_INVALIDARG");
    pc.wsl(&["--manage", "one", "--set-sparse", "true", "--allow-unsafe"]).succeeds();
    pc.wsl(&["--manage", "one", "--set-sparse", "maybe"]).fails_with("Wsl/E_INVALIDARG");
}

#[test]
fn faults_happen() {
    let pc = Pc::with(
        r#"{"faults": {
            "list": {"garbage": true}, "version": {"hang": true},
            "status": {"fail": "Wsl/Service/0x80041002", "times": 1}, "terminate": {"delay": 300}
        }}"#,
    );
    let garbage = pc.command(&["-l"]).output().unwrap();
    assert!(garbage.status.success() && garbage.stdout.len() % 2 == 1);
    pc.wsl(&["--status"]).fails_with("Error: 0x80041002\r\nError code: Wsl/Service/0x80041002");
    pc.wsl(&["--status"]).succeeds();
    let since = Instant::now();
    pc.wsl(&["--terminate", "x"]).fails_with("WSL_E_DISTRO_NOT_FOUND");
    assert!(since.elapsed() >= Duration::from_millis(300));
    let mut hangs = pc.command(&["--version"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(hangs.try_wait().unwrap().is_none());
    hangs.kill().unwrap();
    hangs.wait().unwrap();
}

#[test]
fn a_distribution_vanishes() {
    let pc = Pc::with_one("");
    pc.import("two", "");
    pc.configure(r#"{"faults": {"exec": {"vanish": true, "only": "one"}}}"#);
    pc.wsl(&["-d", "two", "--exec", "true"]).succeeds();
    pc.sh("true").fails_with("WSL_E_DISTRO_NOT_FOUND");
    assert_eq!(pc.wsl(&["-l", "-q"]).succeeds(), "two\r\n");
}
