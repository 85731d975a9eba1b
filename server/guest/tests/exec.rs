//! Commands: what a driver promises of them, one sentence a test.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod common;

use codchi_guest::{ExecRequest, Kind, Request};
use common::{Session, exec, on_terminal, run, shell, text};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn input_output_errors_and_exit_code_are_the_commands() {
    let input: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let ended = run(shell("cat; echo oh >&2; exit 7"), &input).unwrap();
    assert_eq!((ended.code, ended.output == input, text(&ended.errors)), (7, true, "oh\n".into()));
}

#[test]
fn a_command_runs_where_and_with_what_it_is_told() {
    let environment = BTreeMap::from([("WHAT".into(), "a 'quoted' $thing\nö".into())]);
    let request =
        ExecRequest { cwd: Some("/tmp".into()), environment, ..shell("pwd; echo \"$WHAT\"; env | wc -l") };
    let ended = run(request, b"").unwrap();
    // PWD is the shell's.
    assert_eq!(text(&ended.output), "/tmp\na 'quoted' $thing\nö\n4\n");
    let ended = run(shell("echo $PATH; pwd"), b"").unwrap();
    assert_eq!(text(&ended.output), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\n");
}

#[test]
fn much_passes_both_ways_at_once() {
    let input: Vec<u8> = (0..40 << 20).map(|index| (index % 251) as u8).collect();
    let ended = run(shell("tee /dev/stderr"), &input).unwrap();
    assert!(ended.output == input && ended.errors == input, "{} {}", ended.output.len(), ended.errors.len());
}

#[test]
fn input_that_nobody_reads_blocks_nothing() {
    let begun = Instant::now();
    assert_eq!(run(shell("exit 3"), &vec![b'x'; 50 << 20]).unwrap().code, 3);
    assert!(begun.elapsed() < 5 * SECOND);
}

#[test]
fn what_is_printed_right_before_the_end_is_not_lost() {
    for _ in 0..100 {
        let ended = run(shell("echo out; echo err >&2; exit 3"), b"in").unwrap();
        assert_eq!((&*ended.output, &*ended.errors, ended.code), (&b"out\n"[..], &b"err\n"[..], 3));
    }
    for _ in 0..50 {
        let ended = run(on_terminal(shell("head -c 20000 /dev/zero | tr '\\0' x; exit 3")), b"").unwrap();
        assert_eq!((ended.output.iter().filter(|byte| **byte == b'x').count(), ended.code), (20_000, 3));
    }
}

#[test]
fn a_command_that_is_not_there_ends_with_127_and_one_that_cannot_be_run_with_126() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("plain"), "").unwrap();
    fs::write(at("bad"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(at("bad"), fs::Permissions::from_mode(0o755)).unwrap();
    // Without a first line that says of what, a script is the shell's.
    fs::write(at("script"), "exit 11\n").unwrap();
    fs::set_permissions(at("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let code = |program: &str| run(exec([program]), b"").unwrap().code;
    assert_eq!(code("/no/such"), 127);
    assert_eq!(code("no-such-program"), 127);
    assert_eq!(code(&at("bad")), 127);
    assert_eq!(code(&at("plain")), 126);
    assert_eq!(code("/tmp"), 126);
    assert_eq!(code(&at("script")), 11);
    // It is looked for where the command's own PATH says.
    let request = ExecRequest { environment: BTreeMap::from([("PATH".into(), at(""))]), ..exec(["plain"]) };
    assert_eq!(run(request, b"").unwrap().code, 126);
}

#[test]
fn a_working_folder_that_is_not_there_is_told() {
    let error = run(ExecRequest { cwd: Some("/no/such".into()), ..shell("true") }, b"").unwrap_err();
    assert!(error.contains("/no/such"), "{error}");
}

#[test]
fn a_request_that_is_none_is_told() {
    let session = Session::here(&Request::Exec(ExecRequest { command: vec![], ..shell("") }));
    assert!(session.end(b"").unwrap_err().contains("no command"));
    assert_eq!(Session::here(&Request::Ping).end(b"").unwrap().0, serde_json::Value::Null);
}

#[test]
fn a_signal_ends_a_command() {
    for request in [shell("echo up; exec sleep 100"), on_terminal(shell("echo up; exec sleep 100"))] {
        let mut session = Session::here(&Request::Exec(request));
        session.until("up");
        session.send(Kind::Signal, &15i32.to_be_bytes());
        assert_eq!(session.end(b"").unwrap().1.code, 128 + 15);
    }
}

#[test]
fn a_signal_passes_input_that_nobody_reads() {
    let mut session = Session::here(&Request::Exec(shell("echo up; exec sleep 100")));
    session.until("up");
    for _ in 0..100 {
        session.send(Kind::Input, &vec![b'x'; 64 << 10]);
    }
    session.send(Kind::Signal, &9i32.to_be_bytes());
    assert_eq!(session.end(b"").unwrap().1.code, 128 + 9);
}

/// Waits until no process has these arguments.
fn wait_until_gone(arguments: &str) {
    let runs = || {
        let all = fs::read_dir("/proc").unwrap();
        all.flatten().any(|entry| {
            fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| text(&line).replace('\0', " ").trim() == arguments)
        })
    };
    let end = Instant::now() + 5 * SECOND;
    while runs() {
        assert!(Instant::now() < end, "`{arguments}` still runs");
        sleep(SECOND / 20);
    }
}

#[test]
fn a_command_that_nobody_wants_any_more_is_killed_with_its_group() {
    let mut session = Session::here(&Request::Exec(shell("sleep 4321 & echo up; sleep 4321")));
    session.until("up");
    session.stdin.take();
    assert!(session.child.wait().is_ok());
    wait_until_gone("sleep 4321");

    // Nor is one whose output cannot be sent.
    let mut session =
        Session::here(&Request::Exec(shell("trap '' PIPE; while :; do echo up || :; sleep 0.0123; done")));
    session.until("up");
    let Session { mut child, stdin, stdout } = session;
    drop(stdout);
    let end = Instant::now() + 5 * SECOND;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it still runs");
        sleep(SECOND / 20);
    }
    drop(stdin);

    // Nor one on a terminal.
    let mut session = Session::here(&Request::Exec(on_terminal(shell("echo up; exec sleep 4322"))));
    session.until("up");
    session.stdin.take();
    wait_until_gone("sleep 4322");
    session.child.wait().unwrap();
}

#[test]
fn that_nobody_is_there_is_seen_behind_much_input() {
    let mut session = Session::here(&Request::Exec(shell("echo up; exec sleep 4323")));
    session.until("up");
    let stdin = session.stdin.take().unwrap();
    rustix::io::ioctl_fionbio(&stdin, true).unwrap();
    let frame = [&codchi_guest::frame::head(Kind::Input, 64 << 10)[..], &[b'x'; 64 << 10]].concat();
    let mut bytes = frame.iter().copied().cycle();
    let (mut piece, mut sent, mut since) = (Vec::new(), 0, Instant::now());
    // Until nothing more is taken.
    while since.elapsed() < SECOND {
        piece.extend(bytes.by_ref().take((64 << 10) - piece.len()));
        if let Ok(written) = rustix::io::write(&stdin, &piece) {
            piece.drain(..written);
            (sent, since) = (sent + written, Instant::now());
        }
    }
    assert!((16 << 20..20 << 20).contains(&sent), "{sent}");
    drop(stdin);
    wait_until_gone("sleep 4323");
    session.child.wait().unwrap();
}

#[test]
fn what_a_command_leaves_behind_goes_on_and_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late");
    let begun = Instant::now();
    let script = format!("(sleep 3; echo late >{}) & echo done", file.display());
    assert_eq!(text(&run(shell(&script), b"").unwrap().output), "done\n");
    assert!(begun.elapsed() < 2 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(run(shell("yes & echo done; exit 4"), b"").unwrap().code, 4);
    let script = "(while :; do echo x; sleep 0.05; done) & echo done; exit 5";
    assert_eq!(run(shell(script), b"").unwrap().code, 5);
    assert!(begun.elapsed() < 6 * SECOND, "{:?}", begun.elapsed());
    sleep(3 * SECOND);
    assert!(file.exists());
}

#[test]
fn a_command_has_a_group_of_its_own_and_on_a_terminal_a_session() {
    // Group and session, and whether they are the shell's own.
    let script = "set -- $(sed 's/.*) //' /proc/$$/stat); [ $3 = $$ ]; echo $?; [ $4 = $$ ]; echo $?";
    assert_eq!(text(&run(shell(script), b"").unwrap().output), "0\n1\n");
    assert_eq!(text(&run(on_terminal(shell(script)), b"").unwrap().output), "0\r\n0\r\n");
}

#[test]
fn a_terminal_has_a_size_that_follows() {
    let script =
        "trap 'stty size' WINCH; stty size; tty; until read line; do :; done; echo \"got $line\"; exit 5";
    let mut session = Session::here(&Request::Exec(on_terminal(shell(script))));
    let seen = session.until("/dev/pts/");
    assert!(seen.contains("31 101"), "{seen}");
    session.send(Kind::Resize, &[0, 77, 0, 22]);
    session.until("22 77");
    session.send(Kind::Input, b"hello\n");
    session.until("got hello");
    assert_eq!(session.end(b"").unwrap().1.code, 5);
}

#[test]
fn keys_and_the_end_of_input_reach_a_terminals_command() {
    let mut session = Session::here(&Request::Exec(on_terminal(shell("echo up; exec sleep 100"))));
    session.until("up");
    session.send(Kind::Input, &[3]);
    assert_eq!(session.end(b"").unwrap().1.code, 128 + 2);

    let ended = run(on_terminal(shell("cat; echo over")), b"line\n").unwrap();
    assert_eq!((ended.code, text(&ended.output).ends_with("over\r\n"), ended.errors.len()), (0, true, 0));
}

#[test]
fn another_user_has_no_groups_of_ours() {
    if !rustix::process::getuid().is_root() {
        // Whoever is not root cannot become somebody else; `cargo xtask test` runs this as root.
        return;
    }
    let request = ExecRequest { uid: 1234, gid: 567, ..shell("id -u; id -G; stat -c %u /proc/$$") };
    assert_eq!(text(&run(request, b"").unwrap().output), "1234\n567\n1234\n");
    let request = ExecRequest { uid: 1234, gid: 567, ..on_terminal(shell("id -G; echo to-tty >$(tty)")) };
    assert_eq!(text(&run(request, b"").unwrap().output), "567\r\nto-tty\r\n");
    assert_eq!(text(&run(shell("id -G"), b"").unwrap().output), "0\n");
}
