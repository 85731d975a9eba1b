//! Importing, exporting and unregistering.

#![cfg(feature = "lab")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;
use support::{Pc, until};

#[test]
fn names_and_folders_are_checked() {
    let pc = Pc::with_one("");
    let import = |name: &str, folder: &str| {
        pc.wsl_with(File::open("/dev/null").unwrap().into(), &["--import", name, folder, "-"])
    };
    import("ONE", r"C:\x").fails_with("Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS");
    import("two", r"c:\One\").fails_with("Wsl/Service/RegisterDistro/ERROR_FILE_EXISTS");
    import("a b", r"C:\x").fails_with(
        "No distribution can be called \"a b\".\r\nError code: Wsl/Service/RegisterDistro/E_INVALIDARG",
    );
    import("legacy", r"C:\x").fails_with("Wsl/Service/RegisterDistro/E_INVALIDARG");
    import("two", r"C:\no\parent").fails_with("Wsl/ERROR_PATH_NOT_FOUND");
    import("two", r"C:\x").fails_with("Wsl/Service/RegisterDistro/WSL_E_NOT_A_LINUX_DISTRO");
    pc.wsl(&["--import", "two", r"C:\x", r"C:\missing.tar"]).fails_with("Wsl/ERROR_FILE_NOT_FOUND");
    assert!(!pc.path("c/x").exists());
    assert_eq!(pc.wsl(&["-l", "-q"]).succeeds(), "one\r\n");
}

#[test]
fn a_disk_gets_full() {
    let pc = Pc::with_one("");
    pc.wsl(&["--export", "one", r"C:\one.tar"]).succeeds();
    pc.configure(r#"{"faults": {"import": {"diskFull": true, "times": 1}}}"#);
    let import = || pc.wsl(&["--import", "two", r"C:\two", r"C:\one.tar"]);
    import()
        .fails_with("The disk has no room left. \r\nError code: Wsl/Service/RegisterDistro/ERROR_DISK_FULL");
    assert!(!pc.path("c/two").exists());
    assert_eq!(fs::read_dir(pc.path("disks")).unwrap().count(), 1);
    import().succeeds();
}

#[test]
fn what_is_truncated_is_not_imported() {
    let pc = Pc::with_one("");
    pc.wsl(&["--export", "one", r"C:\one.tar"]).succeeds();
    let whole = fs::read(pc.path("c/one.tar")).unwrap();
    fs::write(pc.path("c/half.tar"), &whole[..whole.len() / 2 + 100]).unwrap();
    let said = pc.wsl(&["--import", "two", r"C:\two", r"C:\half.tar"]);
    said.fails_with("Wsl/Service/RegisterDistro/WSL_E_IMPORT_FAILED");
    assert!(!said.err.is_empty());
}

#[test]
fn an_export_is_what_was_imported() {
    let pc = Pc::with_one("");
    pc.sh("echo hello > /root/file; chmod 640 /root/file 2>/dev/null; rm /root/nothing 2>/dev/null; true")
        .succeeds();
    for (format, file) in [("tar", "a.tar"), ("tar.gz", "a.tar.gz"), ("vhd", "a.vhdx")] {
        pc.wsl(&["--export", "one", &format!(r"C:\{file}"), "--format", format]).succeeds();
        assert!(pc.running().is_empty(), "an export ends the distribution");
        let name = format!("from-{}", format.replace('.', "-"));
        let (folder, file) = (format!(r"C:\{name}"), format!(r"C:\{file}"));
        let mut arguments = vec!["--import", &name, &folder, &file];
        arguments.extend((format == "vhd").then_some("--vhd"));
        pc.wsl(&arguments).succeeds();
        assert_eq!(pc.wsl(&["-d", &name, "--exec", "cat", "/root/file"]).succeeds(), "hello\n");
        pc.wsl(&["--terminate", &name]).succeeds();
    }
    let piped = pc.command(&["--export", "one", "-"]).output().unwrap();
    assert!(piped.status.success() && piped.stdout.len() > 100_000);
    pc.wsl(&["--export", "nothing", r"C:\n.tar"]).fails_with("WSL_E_DISTRO_NOT_FOUND");
    assert!(!pc.path("c/n.tar").exists());
    pc.wsl(&["--import", "x", r"C:\x", r"C:\a.vhdx"]).fails_with("import it with --vhd");
}

#[test]
fn what_is_unregistered_leaves_no_file() {
    let pc = Pc::with_one("");
    pc.import("two", "");
    assert!(pc.path("c/one/ext4.vhdx").is_file());
    fs::write(pc.path("c/two/mine"), "").unwrap();
    pc.sh("true").succeeds();
    assert_eq!(pc.wsl(&["--unregister", "one"]).succeeds(), "It was done. \r\n");
    pc.wsl(&["--unregister", "two"]).succeeds();
    assert!(!pc.path("c/one").exists());
    assert!(pc.path("c/two/mine").exists() && !pc.path("c/two/ext4.vhdx").exists());
    assert_eq!(fs::read_dir(pc.path("disks")).unwrap().count(), 0);
}

#[test]
fn an_import_goes_on_without_its_client() {
    let pc = Pc::with_one("");
    pc.wsl(&["--export", "one", r"C:\one.tar"]).succeeds();
    let mut import = pc.command(&["--import", "two", r"C:\two", "-"]);
    let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = import.stdin.take().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(pc.wsl(&["-l", "-v"]).out.contains("  two     Installing      2\r\n"));
    pc.wsl(&["-d", "two", "--exec", "true"]).fails_with("WSL_E_DISTRO_NOT_FOUND");
    import.kill().unwrap();
    import.wait().unwrap();
    std::io::Write::write_all(&mut input, &fs::read(pc.path("c/one.tar")).unwrap()).unwrap();
    drop(input);
    until(Duration::from_secs(5), || pc.wsl(&["-d", "two", "--exec", "true"]).code == 0);
}

#[test]
fn a_disk_that_is_gone_is_told() {
    let pc = Pc::with_one("");
    fs::remove_file(pc.path("c/one/ext4.vhdx")).unwrap();
    pc.sh("true").fails_with(r"The disk 'C:\one\ext4.vhdx' was not attached");
}
