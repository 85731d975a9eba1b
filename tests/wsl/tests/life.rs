//! How distributions begin and end, and what they share.

#![cfg(feature = "lab")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};
use support::{Pc, until};

#[test]
fn mounts_below_the_shared_folder_are_seen_in_all() {
    let pc = Pc::with_one("");
    pc.import("two", "");
    let two = |line: &str| pc.wsl(&["-d", "two", "--exec", "sh", "-c", line]);
    two("true").succeeds();
    pc.sh("mkdir /vol /mnt/wsl/vol && echo text > /vol/file && mount --bind /vol /mnt/wsl/vol").succeeds();
    assert_eq!(two("cat /mnt/wsl/vol/file").succeeds(), "text\n");
    // One that starts later sees it too.
    pc.import("three", "");
    assert_eq!(pc.wsl(&["-d", "three", "--exec", "cat", "/mnt/wsl/vol/file"]).succeeds(), "text\n");
    // It ends, and others keep it.
    pc.wsl(&["--terminate", "three"]).succeeds();
    assert_eq!(two("cat /mnt/wsl/vol/file; echo more > /mnt/wsl/vol/file").succeeds(), "text\n");
    assert_eq!(pc.sh("cat /vol/file").succeeds(), "more\n");
    // The disk stays attached without the distribution that it is of.
    pc.wsl(&["--terminate", "one"]).succeeds();
    assert_eq!(two("cat /mnt/wsl/vol/file").succeeds(), "more\n");
    assert_eq!(pc.sh("cat /mnt/wsl/vol/file /vol/file").succeeds(), "more\nmore\n");
    pc.wsl(&["--unregister", "one"]).succeeds();
    assert_eq!(two("ls /mnt/wsl/vol").succeeds(), "");
}

#[test]
fn a_disk_is_detached_where_that_is_wanted() {
    let pc = Pc::with_one("");
    pc.configure(r#"{"detachOnStop": true}"#);
    pc.import("two", "");
    let two = |line: &str| pc.wsl(&["-d", "two", "--exec", "sh", "-c", line]);
    two("true").succeeds();
    pc.sh("mkdir /vol /mnt/wsl/vol && echo text > /vol/file && mount --bind /vol /mnt/wsl/vol").succeeds();
    assert_eq!(two("cat /mnt/wsl/vol/file").succeeds(), "text\n");
    pc.wsl(&["--terminate", "one"]).succeeds();
    assert_eq!(two("ls /mnt/wsl/vol").succeeds(), "");
}

#[test]
fn what_is_unmounted_goes_in_all() {
    let pc = Pc::with_one("");
    pc.import("two", "");
    pc.sh("mkdir /mnt/wsl/m && mount -t tmpfs none /mnt/wsl/m && touch /mnt/wsl/m/x").succeeds();
    assert_eq!(pc.wsl(&["-d", "two", "--exec", "ls", "/mnt/wsl/m"]).succeeds(), "x\n");
    pc.wsl(&["-d", "two", "--exec", "umount", "/mnt/wsl/m"]).succeeds();
    assert_eq!(pc.sh("ls /mnt/wsl/m").succeeds(), "");
}

#[test]
fn one_without_clients_ends() {
    let pc = Pc::with_one("");
    pc.configure(r#"{"instanceIdleTimeout": 700, "vmIdleTimeout": 500}"#);
    pc.sh("trap '' HUP; sleep 60 & echo > /mnt/wsl/file").succeeds();
    assert_eq!(pc.running(), ["one"]);
    let mut client = pc.command(&["-d", "one", "--exec", "sleep", "60"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(pc.running(), ["one"], "a client holds it");
    client.kill().unwrap();
    client.wait().unwrap();
    let since = Instant::now();
    until(Duration::from_secs(10), || pc.running().is_empty());
    assert!(since.elapsed() > Duration::from_millis(300));
    // The virtual machine, and all on the shared tmpfs, goes after it.
    std::thread::sleep(Duration::from_millis(1000));
    assert_ne!(pc.sh("cat /mnt/wsl/file").code, 0);
}

#[test]
fn termination_ends_all_at_once() {
    let pc = Pc::with_one("");
    let mut client = pc.command(&["-d", "one", "--exec", "sleep", "60"]).spawn().unwrap();
    until(Duration::from_secs(5), || pc.running() == ["one"]);
    std::thread::sleep(Duration::from_millis(200));
    pc.wsl(&["--terminate", "one"]).succeeds();
    assert_eq!(client.wait().unwrap().code(), Some(1));
    assert!(pc.running().is_empty());
    assert!(!pc.path("shutdown.log").exists());
    pc.sh("true").succeeds();
    assert_eq!(pc.wsl(&["--shutdown"]).succeeds(), "");
    assert!(pc.running().is_empty() && pc.path("shutdown.log").exists());
}

#[test]
fn many_start_one_together() {
    let pc = Pc::with_one("[boot]\ncommand = echo x >> /root/boots\n");
    let clients: Vec<_> =
        (0..8).map(|_| pc.command(&["-d", "one", "--exec", "true"]).spawn().unwrap()).collect();
    for mut client in clients {
        assert!(client.wait().unwrap().success());
    }
    until(Duration::from_secs(5), || pc.sh("cat /root/boots").out == "x\n");
}

#[test]
fn one_ends_under_its_command() {
    let pc = Pc::with_one("");
    pc.configure(r#"{"faults": {"exec": {"endAfter": 300, "times": 1}}}"#);
    let since = Instant::now();
    assert_eq!(pc.sh("echo up; sleep 30").code, 1);
    assert!(since.elapsed() < Duration::from_secs(10));
    pc.sh("true").succeeds();
}

#[test]
fn an_init_that_is_not_there_yet_is_none() {
    let pc = Pc::with_one("[boot]\nsystemd=true\ninitTimeout=5000\n");
    let since = Instant::now();
    pc.sh("true").succeeds();
    assert!(since.elapsed() < Duration::from_secs(2), "there is no /sbin/init to wait for");
}
