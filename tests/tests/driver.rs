//! The driver against a real engine: what it promises in [`codchi_driver::Driver`], one sentence a test.
//!
//! Each test has instances of its own ([`codchi_tests::instance`]) and deletes them, so the tests may run side by side, and
//! beside others on the same engine.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::{
    Device, Driver, DriverError, EventKind, Exec, FileKind, FileSpec, Lxd, Process, PtySize, RunState, Stdio,
};
use codchi_tests::instance::{INIT, Machine, SECOND, STUBBORN_INIT, client, engine, file, shell};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

async fn read_until(process: &mut Process, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut bytes = [0; 4096];
        let read = timeout(10 * SECOND, process.stdout.read(&mut bytes)).await;
        let read =
            read.unwrap_or_else(|_| panic!("no `{text}` in {:?}", String::from_utf8_lossy(&seen))).unwrap();
        assert_ne!(read, 0, "the output ends without `{text}`: {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn the_engine_says_who_it_is() {
    let server = engine().await.server().await.unwrap();
    assert!(!server.version.is_empty());
    assert!(!server.pools.is_empty());
    assert!(server.socket.exists());
}

#[tokio::test]
async fn an_instance_whose_start_was_cancelled_at_any_moment_can_be_deleted() {
    for milliseconds in [1, 5, 20, 60, 120, 180, 240] {
        let machine = Machine::stopped().await;
        let Machine { driver, name, .. } = &machine;
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), driver.start(name)).await;
        driver.delete(name).await.unwrap_or_else(|error| panic!("after {milliseconds} ms: {error}"));
        assert_eq!(machine.state().await, None, "after {milliseconds} ms");
    }
}

#[tokio::test]
async fn an_instance_lives_from_create_to_delete() {
    let machine = Machine::planned(INIT).await;
    let Machine { driver, name, .. } = &machine;
    assert_eq!(machine.state().await, None);

    driver.create(name, &machine.spec()).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    let all = driver.instances().await.unwrap();
    let ours = all.iter().find(|instance| instance.name == *name).unwrap();
    assert_eq!(ours.labels["user.codchi.machine"], "test");

    machine.boot().await;
    assert_eq!(machine.state().await, Some(RunState::Running));
    assert_eq!(machine.sh("readlink /sbin/init").await, "/nix/init");
    driver.start(name).await.expect("what runs may be started");

    driver.stop(name, 20 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    driver.stop(name, SECOND).await.expect("what is stopped may be stopped");

    machine.boot().await;
    driver.delete(name).await.expect("what runs may be deleted");
    assert_eq!(machine.state().await, None);
    driver.delete(name).await.expect("what is gone may be deleted");
}

#[tokio::test]
async fn every_start_has_a_name_of_its_own() {
    let machine = Machine::running().await;
    let started = async || machine.driver.instance(&machine.name).await.unwrap().unwrap().started;
    let first = started().await;
    assert_eq!(first, started().await);
    machine.driver.stop(&machine.name, 20 * SECOND).await.unwrap();
    machine.driver.start(&machine.name).await.unwrap();
    assert_ne!(first, started().await);
}

#[tokio::test]
async fn a_stop_right_after_a_start_is_not_lost() {
    let machine = Machine::stopped().await;
    machine.driver.start(&machine.name).await.unwrap();
    let begun = Instant::now();
    machine.driver.stop(&machine.name, 60 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    assert!(begun.elapsed() < 20 * SECOND, "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_init_that_does_not_listen_is_killed_after_the_grace() {
    let machine = Machine::planned(STUBBORN_INIT).await;
    machine.driver.create(&machine.name, &machine.spec()).await.unwrap();
    machine.boot().await;
    let begun = Instant::now();
    machine.driver.stop(&machine.name, 3 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    let took = begun.elapsed();
    assert!((3 * SECOND..15 * SECOND).contains(&took), "took {took:?}");
}

#[tokio::test]
async fn a_frozen_instance_is_woken_by_start_and_ended_by_stop() {
    let machine = Machine::running().await;
    client(&["pause", machine.name.as_str()]);
    assert_eq!(machine.state().await, Some(RunState::Changing));
    machine.driver.start(&machine.name).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Running));
    client(&["pause", machine.name.as_str()]);
    machine.driver.stop(&machine.name, 20 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
}

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

/// A way to the engine on which the first websockets take longer than the engine waits for them.
async fn slow_way(folder: &std::path::Path) -> std::path::PathBuf {
    let dir = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
    let engine = dir("LXD_SOCKET").or_else(|| dir("INCUS_SOCKET")).unwrap_or_else(|| {
        dir("LXD_DIR").or_else(|| dir("INCUS_DIR")).expect("an engine").join("unix.socket")
    });
    let socket = folder.join("slow.socket");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        let began = Instant::now();
        while let Ok((mut client, _)) = listener.accept().await {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let len = client.read(&mut head).await.unwrap();
                if String::from_utf8_lossy(&head[..len]).contains("/websocket?secret=")
                    && began.elapsed() < 3 * SECOND
                {
                    tokio::time::sleep(6 * SECOND).await;
                }
                let mut server = tokio::net::UnixStream::connect(engine).await.unwrap();
                server.write_all(&head[..len]).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    socket
}

#[tokio::test]
async fn a_command_whose_streams_came_too_late_for_the_engine_is_run_all_the_same() {
    let machine = Machine::running().await;
    let folder = tempfile::tempdir().unwrap();
    let slow = Lxd::connect_to(&slow_way(folder.path()).await).await.unwrap();
    let output = slow.run(&machine.name, &shell("echo once >>/tmp-once; cat /tmp-once"), b"").await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "once\n", "it ran, and it ran once: {code} {told}");
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
    process.stdin.write_all(&[3]).await.unwrap();
    let status = timeout(10 * SECOND, process.exit).await.expect("it ends").unwrap();
    assert_eq!(status.code, 128 + 2);

    let mut process = machine.exec(&Exec { stdio, ..shell("cat; echo over; sleep 0.5") }).await;
    process.stdin.shutdown().await.unwrap();
    read_until(&mut process, "over").await;
    assert!(timeout(10 * SECOND, process.exit).await.expect("it ends").unwrap().success());
}

#[tokio::test]
async fn files_folders_and_links_are_put_into_a_stopped_and_a_running_instance() {
    let machine = Machine::stopped().await;
    let put = async |suffix: &str| {
        let folder = format!("/opt/{suffix}");
        let script = FileSpec {
            uid: 1000,
            gid: 100,
            mode: 0o750,
            ..file(&format!("{folder}/a file & more"), FileKind::File(b"#!/bin/sh\n\0\xff".as_slice().into()))
        };
        let folder = FileSpec { mode: 0o711, ..file(&folder, FileKind::Folder) };
        let link = file(&format!("{}/link", folder.path), FileKind::Symlink("a file & more".into()));
        for file in [&folder, &script, &link] {
            machine.driver.put_file(&machine.name, file).await.unwrap();
        }
    };
    put("before").await;
    machine.boot().await;
    put("after").await;
    for suffix in ["before", "after"] {
        let stat = format!(
            "cd /opt/{suffix} && stat -c '%a %u %g %s' . 'a file & more' && readlink link && cat link | od -An -tx1"
        );
        let seen = machine.sh(&stat).await;
        let lines: Vec<&str> = seen.lines().map(str::trim).collect();
        assert!(lines[0].starts_with("711 0 0 "), "{seen}");
        assert_eq!(lines[1..], ["750 1000 100 12", "a file & more", "23 21 2f 62 69 6e 2f 73 68 0a 00 ff"]);
    }
}

#[tokio::test]
async fn what_is_in_a_files_place_is_replaced() {
    let machine = Machine::running().await;
    machine
        .sh("echo long, old contents >/opt/file; ln -s /opt/victim /opt/link; echo safe >/opt/victim")
        .await;
    let new = || FileKind::File(b"new".as_slice().into());
    for path in ["/opt/file", "/opt/link"] {
        let spec = FileSpec { uid: 1000, mode: 0o600, ..file(path, new()) };
        machine.driver.put_file(&machine.name, &spec).await.unwrap();
        assert_eq!(
            machine.sh(&format!("cat {path}; stat -c ' %a %u %F' {path}")).await,
            "new 600 1000 regular file"
        );
    }
    assert_eq!(machine.sh("cat /opt/victim").await, "safe");
    machine.driver.put_file(&machine.name, &file("/opt/file", FileKind::Symlink("a".into()))).await.unwrap();
    machine.driver.put_file(&machine.name, &file("/opt/file", FileKind::Symlink("b".into()))).await.unwrap();
    assert_eq!(machine.sh("readlink /opt/file").await, "b");
}

#[tokio::test]
async fn a_file_in_a_folder_that_is_not_there_is_an_error_that_names_it() {
    let machine = Machine::running().await;
    let secret = FileKind::File(b"hunter2".as_slice().into());
    let error = machine.driver.put_file(&machine.name, &file("/no/such", secret)).await.unwrap_err();
    assert!(matches!(&error, DriverError::Engine { .. }), "{error:?}");
    assert!(error.to_string().contains("/no/such"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_changed_specification_adds_changes_and_removes_and_keeps_what_others_set() {
    let machine = Machine::running().await;
    let Machine { driver, name, store } = &machine;
    client(&["config", "set", name.as_str(), "user.mine=kept"]);
    fs::write(store.path().join("second-init"), "").unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("here"), "").unwrap();
    let mut wider = machine.spec();
    wider.labels.insert("user.codchi.generation".into(), "2".into());
    wider.config.insert("security.nesting".into(), "true".into());
    let disk = Device::Disk {
        source: folder.path().into(),
        path: "/mnt/work".into(),
        read_only: false,
        shift: false,
    };
    wider.devices.insert("work".into(), disk);
    wider.init = "/nix/second-init".into();
    driver.reconfigure(name, &wider).await.unwrap();
    assert_eq!(machine.sh("ls /mnt/work; readlink /sbin/init").await, "here\n/nix/second-init");
    let get = |key: &str| client(&["config", "get", name.as_str(), key]).trim().to_owned();
    assert_eq!((get("security.nesting"), get("user.codchi.generation")), ("true".into(), "2".into()));

    driver.reconfigure(name, &machine.spec()).await.unwrap();
    assert_eq!(machine.sh("ls /mnt/work 2>/dev/null; readlink /sbin/init").await, "/nix/init");
    assert_eq!((get("security.nesting"), get("user.codchi.generation")), (String::new(), String::new()));
    assert_eq!(get("user.mine"), "kept");
    assert_eq!(machine.state().await, Some(RunState::Running));
}

#[tokio::test]
async fn changes_at_the_same_time_do_not_lose_each_other() {
    let machine = Machine::stopped().await;
    let change = async |number: u32| {
        let mut spec = machine.spec();
        spec.labels.insert("user.codchi.number".into(), number.to_string());
        machine.driver.reconfigure(&machine.name, &spec).await
    };
    let (a, b, c) = tokio::join!(change(1), change(2), change(3));
    for result in [a, b, c] {
        result.unwrap();
    }
    let labels = machine.driver.instance(&machine.name).await.unwrap().unwrap().labels;
    assert!(["1", "2", "3"].contains(&labels["user.codchi.number"].as_str()), "{labels:?}");
}

#[tokio::test]
async fn a_foreign_instance_is_never_touched() {
    let machine = Machine::stopped().await;
    let Machine { driver, name, .. } = &machine;
    client(&["config", "unset", name.as_str(), codchi_driver::MARK_KEY]);

    let spec = machine.spec();
    let path = file("/opt/file", FileKind::Folder);
    let errors = [
        driver.create(name, &spec).await.unwrap_err(),
        driver.reconfigure(name, &spec).await.unwrap_err(),
        driver.start(name).await.unwrap_err(),
        driver.stop(name, SECOND).await.unwrap_err(),
        driver.delete(name).await.unwrap_err(),
        driver.put_file(name, &path).await.unwrap_err(),
        driver.exec(name, &shell("true")).await.err().unwrap(),
        driver.instance(name).await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(&error, DriverError::NameTaken { name: taken } if taken == name.as_str()),
            "{error:?}"
        );
    }
    assert!(driver.instances().await.unwrap().iter().all(|instance| instance.name != *name));
    // So that it can be deleted.
    client(&["config", "set", name.as_str(), &format!("{}={{}}", codchi_driver::MARK_KEY)]);
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_not_found() {
    let machine = Machine::planned(INIT).await;
    let Machine { driver, name, .. } = &machine;
    let errors = [
        driver.reconfigure(name, &machine.spec()).await.unwrap_err(),
        driver.start(name).await.unwrap_err(),
        driver.stop(name, SECOND).await.unwrap_err(),
        driver.put_file(name, &file("/opt/file", FileKind::Folder)).await.unwrap_err(),
        driver.exec(name, &shell("true")).await.err().unwrap(),
    ];
    for error in errors {
        assert!(
            matches!(&error, DriverError::NotFound { name: missing } if missing == name.as_str()),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_command_in_a_stopped_instance_is_told_that_it_does_not_run() {
    let machine = Machine::stopped().await;
    let error = machine.driver.exec(&machine.name, &shell("true")).await.err().unwrap();
    assert!(matches!(error, DriverError::NotRunning { .. }), "{error:?}");
}

#[tokio::test]
async fn a_create_that_fails_leaves_nothing() {
    let machine = Machine::planned(INIT).await;
    let mut spec = machine.spec();
    let missing =
        Device::Disk { source: "/no/such".into(), path: "/x".into(), read_only: true, shift: false };
    spec.devices.insert("missing".into(), missing);
    let error = machine.driver.create(&machine.name, &spec).await.unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    assert_eq!(machine.state().await, None);
}

#[tokio::test]
async fn a_create_that_nobody_waits_for_leaves_nothing() {
    let machine = Machine::planned(INIT).await;
    for delay in [0, 5, 20, 60] {
        let spec = machine.spec();
        let create = machine.driver.create(&machine.name, &spec);
        let finished = timeout(Duration::from_millis(delay), create).await.is_ok();
        let end = Instant::now() + 10 * SECOND;
        tokio::time::sleep(SECOND).await;
        while !finished && machine.state().await.is_some() {
            assert!(Instant::now() < end, "dropped after {delay} ms, the instance stays");
            tokio::time::sleep(SECOND / 10).await;
        }
        machine.driver.delete(&machine.name).await.unwrap();
    }
}

#[tokio::test]
async fn many_are_created_at_once() {
    let machines = [
        Machine::planned(INIT).await,
        Machine::planned(INIT).await,
        Machine::planned(INIT).await,
        Machine::planned(INIT).await,
    ];
    let create = async |machine: &Machine| machine.driver.create(&machine.name, &machine.spec()).await;
    let [a, b, c, d] = &machines;
    let (a, b, c, d) = tokio::join!(create(a), create(b), create(c), create(d));
    for result in [a, b, c, d] {
        result.unwrap();
    }
    let one = &machines[0];
    let again = one.driver.create(&one.name, &one.spec()).await.unwrap_err();
    assert!(matches!(again, DriverError::NameTaken { .. }), "{again:?}");
}

#[tokio::test]
async fn what_happens_to_an_instance_is_told() {
    let machine = Machine::planned(INIT).await;
    let Machine { driver, name, .. } = &machine;
    let foreign = format!("{name}-other");
    let mut events = driver.events().await.unwrap();

    client(&["init", "--empty", &foreign]);
    client(&["delete", &foreign]);
    driver.create(name, &machine.spec()).await.unwrap();
    driver.start(name).await.unwrap();
    machine.boot().await;
    driver.stop(name, 20 * SECOND).await.unwrap();
    driver.delete(name).await.unwrap();

    // Read late: an event waits for whoever reads it.
    let mut kinds = Vec::new();
    while kinds.last() != Some(&EventKind::Deleted) {
        let event = timeout(10 * SECOND, events.next()).await.expect("an event comes").unwrap().unwrap();
        assert_ne!(event.name.as_str(), foreign);
        // Other tests run beside this one.
        if event.name == *name && event.kind != EventKind::Updated {
            kinds.push(event.kind);
        }
    }
    assert_eq!(kinds, [EventKind::Created, EventKind::Started, EventKind::Stopped, EventKind::Deleted]);
}

#[tokio::test]
async fn nothing_of_a_commands_input_is_in_the_configuration() {
    let machine = Machine::running().await;
    machine.driver.run(&machine.name, &shell("cat >/run/secret"), b"hunter2").await.unwrap();
    let put = file("/opt/secret", FileKind::File(b"hunter2".as_slice().into()));
    machine.driver.put_file(&machine.name, &put).await.unwrap();
    assert!(!client(&["config", "show", "--expanded", machine.name.as_str()]).contains("hunter2"));
}
