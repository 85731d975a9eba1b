//! Commands in a distribution: streams, exit codes, users, folders, environment.

#![cfg(feature = "lab")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Pc, until};

#[test]
fn streams_are_bytes() {
    let pc = Pc::with_one("");
    let all: Vec<u8> =
        (0..400_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let mut child = pc.command(&["-d", "one", "-e", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let written = all.clone();
    let writer = std::thread::spawn(move || input.write_all(&written).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.stdout, all);
    // Neither is made UTF-16.
    let said = pc
        .command(&["-d", "one", "-e", "sh", "-c", "echo out; echo err >&2"])
        .env_remove("WSL_UTF8")
        .output()
        .unwrap();
    assert_eq!((&*said.stdout, &*said.stderr), (&b"out\n"[..], &b"err\n"[..]));
}

#[test]
fn exit_codes_are_given_on() {
    let pc = Pc::with_one("");
    assert_eq!(pc.sh("exit 3").code, 3);
    // A signal is its number, without the 128 of shells.
    assert_eq!(pc.sh("kill -15 $$").code, 15);
    assert_eq!(pc.sh("kill -9 $$").code, 9);
    // `wsl.exe` takes these two for what its own `/init` says with them.
    pc.sh("exit 67").fails_with("No such user.\r\nError code: Wsl/WSL_E_USER_NOT_FOUND");
    pc.sh("exit 87").fails_with("Wsl/WSL_E_TTY_LIMIT");
    let missing = pc.wsl(&["-d", "one", "-e", "nowhere"]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("execvpe(nowhere) failed: No such file or directory"), "{missing:?}");
}

#[test]
fn users_are_who_they_are() {
    let pc = Pc::with_one("");
    assert_eq!(pc.wsl(&["-d", "one", "-e", "id", "-u"]).succeeds(), "0\n");
    assert_eq!(
        pc.wsl(&["-d", "one", "-u", "me", "-e", "id"]).succeeds().trim(),
        "uid=1234(me) gid=1234(me) groups=1234(me),77(more)"
    );
    pc.wsl(&["-d", "one", "-u", "nobody", "-e", "id"]).fails_with("Wsl/WSL_E_USER_NOT_FOUND");
    let pc = Pc::with_one("[user]\ndefault=me\n");
    assert_eq!(pc.wsl(&["-e", "id", "-un"]).succeeds(), "me\n");
}

#[test]
fn folders_are_translated() {
    let pc = Pc::with_one("");
    assert_eq!(pc.sh("pwd").succeeds(), "/mnt/c/Users/me\n");
    let at = |folder: &str| pc.wsl(&["-d", "one", "--cd", folder, "-e", "sh", "-c", "pwd"]);
    assert_eq!(at("/etc").succeeds(), "/etc\n");
    assert_eq!(at("~").succeeds(), "/root\n");
    fs::create_dir(pc.path("c/Program Files")).unwrap();
    assert_eq!(at(r"C:\Program Files").succeeds(), "/mnt/c/Program Files\n");
    at(r"C:\nothing").fails_with("Wsl/ERROR_FILE_NOT_FOUND");
    at("relative").fails_with("Wsl/E_INVALIDARG");
    let nowhere = at("/nowhere");
    assert!(nowhere.code == 0 && nowhere.err.contains("chdir(/nowhere) failed 2"), "{nowhere:?}");
    assert_eq!(pc.wsl(&["~", "-e", "sh", "-c", "pwd"]).succeeds(), "/root\n");
    let pc = Pc::with_one("[automount]\nroot=/drives\n");
    assert_eq!(pc.sh("pwd").succeeds(), "/drives/c/Users/me\n");
    let pc = Pc::with_one("[automount]\nenabled=false\n");
    assert_eq!(pc.sh("pwd").succeeds(), "/root\n");
}

#[test]
fn there_is_no_login_environment() {
    let pc = Pc::with_one("[network]\nhostname=a-host\n[interop]\nappendWindowsPath=false\n");
    let mut command = pc.command(&["-d", "one", "-u", "me", "-e", "env"]);
    command
        .env("WSLENV", "GIVEN:FOLDER/p:BACK/w")
        .env("GIVEN", "a b")
        .env("FOLDER", r"C:\x")
        .env("BACK", "no")
        .env("OTHER", "no");
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let mut lines: Vec<&str> =
        output.lines().filter(|line| !line.starts_with("WSL_INTEROP=/run/WSL/")).collect();
    lines.sort_unstable();
    let hosttype = format!("HOSTTYPE={}", std::env::consts::ARCH);
    assert_eq!(
        lines,
        [
            "FOLDER=/mnt/c/x",
            "GIVEN=a b",
            "HOME=/home/me",
            &hosttype,
            "LANG=en_US.UTF-8",
            "LOGNAME=me",
            "NAME=DESKTOP-CODCHI",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games:/usr/lib/wsl/lib",
            "SHELL=/bin/sh",
            "TERM=xterm-256color",
            "USER=me",
            "WSLENV=GIVEN:FOLDER/p:BACK/w",
            "WSL_DISTRO_NAME=one",
        ]
    );
    assert_eq!(pc.sh("hostname").succeeds(), "a-host\n");
    assert_eq!(pc.sh("readlink /etc/resolv.conf").succeeds(), "/mnt/wsl/resolv.conf\n");
    assert!(pc.sh("cat /etc/hosts").succeeds().contains("127.0.1.1\ta-host."));
}

#[test]
fn arguments_survive_exec_and_not_a_shell() {
    let pc = Pc::with_one("");
    let said = pc.wsl(&[
        "-d",
        "one",
        "-e",
        "sh",
        "-c",
        r#"for a; do echo "<$a>"; done"#,
        "x",
        "",
        "a b",
        r#"q"q"#,
        r"b\",
        "$HOME",
    ]);
    assert_eq!(said.succeeds(), "<>\n<a b>\n<q\"q>\n<b\\>\n<$HOME>\n");
    // What is written in quotes for Windows comes to the shell with them.
    assert_eq!(pc.wsl(&["-d", "one", "--", "echo", "$HOME"]).succeeds(), "/root\n");
    assert_eq!(pc.wsl(&["-d", "one", "--", "echo $HOME"]).code, 127);
    assert_eq!(pc.wsl_with(echo(&pc, "echo $0"), &["-d", "one"]).succeeds(), "-sh\n");
}

fn echo(pc: &Pc, text: &str) -> Stdio {
    let file = pc.path("input");
    fs::write(&file, text).unwrap();
    fs::File::open(file).unwrap().into()
}

#[test]
fn a_command_has_a_terminal_that_none_of_its_streams_is_on() {
    let pc = Pc::with_one("");
    assert_eq!(pc.sh("tty; test -t 0; echo $?; : > /dev/tty && echo has").succeeds(), "not a tty\n1\nhas\n");
}

#[test]
fn what_goes_on_in_the_background_holds_nobody_up() {
    let pc = Pc::with_one("");
    let since = Instant::now();
    assert_eq!(pc.sh("trap '' HUP; sleep 20 & echo started").succeeds(), "started\n");
    assert!(since.elapsed() < Duration::from_secs(5));
}

#[test]
fn streams_end_with_their_client() {
    let pc = Pc::with_one("");
    let line = "trap '' HUP PIPE; echo up; cat; echo ended > /root/seen; sleep 20";
    let mut client =
        pc.command(&["-d", "one", "-e", "sh", "-c", line]).stdin(Stdio::piped()).spawn().unwrap();
    let _input = client.stdin.take().unwrap();
    let mut up = [0; 3];
    client.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    until(Duration::from_secs(5), || pc.sh("cat /root/seen").out == "ended\n");
}

#[test]
fn files_on_drives_are_the_users() {
    let pc = Pc::with_one("[user]\ndefault=me\n");
    fs::write(pc.path("c/Users/me/file"), "text").unwrap();
    let said = pc.sh("cat file; stat -c %u:%g:%a file; echo new > made").succeeds();
    assert_eq!(fs::read_to_string(pc.path("c/Users/me/made")).unwrap(), "new\n");
    if std::process::Command::new("bindfs").arg("-V").output().is_ok() {
        assert_eq!(said, "text1234:1234:777\n");
    }
}

#[test]
fn this_machine_is_kept_out_of_it() {
    let pc = Pc::with_one("");
    assert_eq!(
        pc.sh("ls /dev")
            .succeeds()
            .split_whitespace()
            .filter(|name| name.starts_with("vd") || name.starts_with("sd"))
            .count(),
        0
    );
    assert_ne!(pc.sh("echo x > /proc/sys/kernel/hostname").code, 0);
    assert_ne!(pc.sh("echo b > /proc/sysrq-trigger").code, 0);
    assert_ne!(pc.sh("echo 1 > /sys/kernel/mm/ksm/run").code, 0);
    // No CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_MKNOD.
    let status = pc.sh("cat /proc/self/status").succeeds();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let effective = u64::from_str_radix(effective, 16).unwrap();
    for forbidden in [16, 17, 22, 25, 27] {
        assert_eq!(effective >> forbidden & 1, 0, "{forbidden}");
    }
}
