//! Commands in an instance.

use super::read_until;
use codchi_driver::{DriverError, Exec, Process, PtySize, Stdio};
use codchi_tests::instance::{Machine, SECOND, shell};
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn a_command_gets_its_input_and_gives_output_errors_and_exit_code() {
    let machine = Machine::running().await;
    let input: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let output = machine.driver.run(&machine.name, &shell("cat; echo oh >&2; exit 7"), &input).await.unwrap();
    assert_eq!(output.status.code, 7);
    assert!(output.stdout == input, "the input comes back as it was");
    assert_eq!(output.stderr, b"oh\n");
}

#[tokio::test]
async fn a_command_runs_as_who_and_where_it_is_told() {
    let machine = Machine::running().await;
    let exec = Exec {
        uid: 1000,
        gid: 100,
        cwd: Some("/tmp".into()),
        environment: BTreeMap::from([("WHAT".into(), "a 'quoted' $thing".into())]),
        ..shell("id -u; id -g; pwd; echo \"$WHAT\"")
    };
    let output = machine.driver.run(&machine.name, &exec, b"").await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1000\n100\n/tmp\na 'quoted' $thing\n");
}

#[tokio::test]
async fn much_data_passes_both_ways_at_once() {
    const SIZE: usize = 10 << 20;
    let machine = Machine::running().await;
    let Process { mut stdin, mut stdout, mut stderr, exit, .. } = machine.exec(&shell("cat")).await;
    let input: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
    let feed = async {
        stdin.write_all(&input).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let all =
        async { tokio::join!(feed, stdout.read_to_end(&mut output), stderr.read_to_end(&mut errors), exit) };
    let ((), _, _, status) = timeout(60 * SECOND, all).await.expect("no deadlock");
    assert!(status.unwrap().success());
    assert!(output == input, "{} bytes came back", output.len());
    assert!(errors.is_empty());
}

#[tokio::test]
async fn output_past_the_limit_neither_blocks_nor_fails() {
    let machine = Machine::running().await;
    let exec = shell("yes | head -c 10000000");
    let output = machine.driver.run(&machine.name, &exec, b"");
    let output = timeout(60 * SECOND, output).await.expect("no deadlock").unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), 1 << 20);
}

#[tokio::test]
async fn input_that_nobody_reads_blocks_nothing() {
    let machine = Machine::running().await;
    let (exec, input) = (shell("exit 3"), vec![b'x'; 10 << 20]);
    let output = machine.driver.run(&machine.name, &exec, &input);
    assert_eq!(timeout(30 * SECOND, output).await.expect("no deadlock").unwrap().status.code, 3);
}

#[tokio::test]
async fn output_that_nobody_takes_blocks_nothing() {
    let machine = Machine::running().await;
    let Process { stdin: _stdin, stdout, stderr, exit, .. } =
        machine.exec(&shell("yes | head -c 10000000")).await;
    drop((stdout, stderr));
    assert!(timeout(30 * SECOND, exit).await.expect("no deadlock").unwrap().success());
}

#[tokio::test]
async fn output_may_be_read_after_the_end() {
    let machine = Machine::running().await;
    let mut process = machine.exec(&shell("echo late")).await;
    let status = timeout(10 * SECOND, &mut process.exit).await.expect("it ends").unwrap();
    assert!(status.success());
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "late\n");
}

#[tokio::test]
async fn what_a_command_prints_right_before_its_end_is_not_lost() {
    let machine = Machine::running().await;
    for _ in 0..100 {
        let output = machine.driver.run(&machine.name, &shell("echo out; echo err >&2; exit 3"), b"in").await;
        let output = output.unwrap();
        assert_eq!((&*output.stdout, &*output.stderr, output.status.code), (&b"out\n"[..], &b"err\n"[..], 3));
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_ends_with_127() {
    let machine = Machine::running().await;
    let output = machine.driver.run(&machine.name, &Exec::root(["/no/such/command"]), b"").await.unwrap();
    assert_eq!(output.status.code, 127);
}

#[tokio::test]
async fn a_signal_ends_a_command() {
    let machine = Machine::running().await;
    let mut process = machine.exec(&shell("echo up; exec sleep 100")).await;
    read_until(&mut process, "up").await;
    process.control.signal(15);
    let status = timeout(10 * SECOND, process.exit).await.expect("it ends").unwrap();
    assert_eq!(status.code, 128 + 15);
}

#[tokio::test]
async fn a_dropped_command_is_killed() {
    let machine = Machine::running().await;
    let mut process = machine.exec(&shell("echo up; exec sleep 4321")).await;
    read_until(&mut process, "up").await;
    let count = "ps | grep -c '[s]leep 4321' || true";
    assert_eq!(machine.sh(count).await, "1");
    drop(process);
    let end = Instant::now() + 5 * SECOND;
    while machine.sh(count).await != "0" {
        assert!(Instant::now() < end, "it still runs");
        tokio::time::sleep(SECOND / 10).await;
    }
}

#[tokio::test]
async fn a_terminal_has_a_size_that_follows() {
    let machine = Machine::running().await;
    let stdio = Stdio::Pty(PtySize { columns: 101, rows: 31 });
    // The pause: LXD 5.0 loses what a terminal's command prints right before its end, now and then.
    let script = "trap 'stty size' WINCH; stty size; until read line; do :; done; echo \"got $line\"; sleep 0.5; exit 5";
    let mut process = machine.exec(&Exec { stdio, ..shell(script) }).await;
    read_until(&mut process, "31 101").await;
    process.control.resize(PtySize { columns: 77, rows: 22 });
    read_until(&mut process, "22 77").await;
    process.stdin.write_all(b"hello\n").await.unwrap();
    read_until(&mut process, "got hello").await;
    let status = timeout(10 * SECOND, &mut process.exit).await.expect("it ends").unwrap();
    assert_eq!(status.code, 5);
    let mut rest = Vec::new();
    process.stderr.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "a terminal has one output");
}

#[tokio::test]
async fn keys_and_the_end_of_input_reach_a_terminals_command() {
    let machine = Machine::running().await;
    let stdio = Stdio::Pty(PtySize { columns: 80, rows: 24 });
    let mut process = machine.exec(&Exec { stdio, ..shell("echo up; exec sleep 100") }).await;
    read_until(&mut process, "up").await;
    // The shell loses an interrupt that comes while it becomes the other program: a person would press the keys again.
    let interrupted = async {
        loop {
            process.stdin.write_all(&[3]).await.unwrap();
            if let Ok(status) = timeout(2 * SECOND, &mut process.exit).await {
                return status.unwrap();
            }
        }
    };
    let status = timeout(10 * SECOND, interrupted).await.expect("it ends");
    assert_eq!(status.code, 128 + 2);

    let mut process = machine.exec(&Exec { stdio, ..shell("cat; echo over; sleep 0.5") }).await;
    process.stdin.shutdown().await.unwrap();
    read_until(&mut process, "over").await;
    assert!(timeout(10 * SECOND, process.exit).await.expect("it ends").unwrap().success());
}

#[tokio::test]
async fn a_command_in_a_stopped_instance_is_told_that_it_does_not_run() {
    let machine = Machine::stopped().await;
    let error = machine.driver.exec(&machine.name, &shell("true")).await.err().unwrap();
    assert!(matches!(error, DriverError::NotRunning { .. }), "{error:?}");
}
