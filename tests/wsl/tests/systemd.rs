//! A distribution whose first process is a real systemd. `CODCHI_TEST_WSL_DEBIAN` names an archive of its root file system, such as
//! `debootstrap --variant=minbase --include=systemd-sysv,dbus,login,libpam-systemd` makes; without it nothing is tested.

#![cfg(feature = "lab")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::time::{Duration, Instant};
use support::{Pc, until};

/// A computer with distributions of these names.
fn computer(names: &[&str]) -> Option<Pc> {
    let Some(archive) = std::env::var_os("CODCHI_TEST_WSL_DEBIAN") else {
        eprintln!("skipped: CODCHI_TEST_WSL_DEBIAN names no archive");
        return None;
    };
    let pc = Pc::default();
    for name in names {
        pc.wsl_with(File::open(&archive).unwrap().into(), &["--import", name, &format!(r"C:\{name}"), "-"])
            .succeeds();
        // Without `systemd=true` it is a distribution like any other.
        pc.wsl(&["-d", name, "--exec", "sh", "-c", "printf '[boot]\\nsystemd=true\\n' > /etc/wsl.conf"])
            .succeeds();
        pc.wsl(&["--terminate", name]).succeeds();
    }
    Some(pc)
}

#[test]
fn it_boots_and_ends_as_often_as_wanted() {
    let Some(pc) = computer(&["a", "b"]) else { return };
    let state = |name: &str| pc.wsl(&["-d", name, "--exec", "systemctl", "is-system-running"]).out;
    for _ in 0..2 {
        assert_eq!([state("a"), state("b")], ["running\n", "running\n"]);
        assert_eq!(pc.wsl(&["-d", "a", "--exec", "cat", "/proc/1/comm"]).out, "systemd\n");
        pc.wsl(&["-d", "a", "--exec", "systemctl", "poweroff"]).succeeds();
        until(Duration::from_secs(10), || pc.running() == ["b"]);
    }
    // The guard of the shared folder keeps the other's mounts.
    pc.wsl(&["-d", "b", "--exec", "sh", "-c", "mkdir /v /mnt/wsl/v; touch /v/x; mount --bind /v /mnt/wsl/v"])
        .succeeds();
    assert_eq!(pc.wsl(&["-d", "a", "--exec", "ls", "/mnt/wsl/v"]).succeeds(), "x\n");
    let since = Instant::now();
    pc.wsl(&["--terminate", "a"]).succeeds();
    assert!(since.elapsed() < Duration::from_secs(8), "it was powered off, not waited for");
    assert_eq!(pc.wsl(&["-d", "b", "--exec", "ls", "/mnt/wsl/v"]).succeeds(), "x\n");
    let session = pc.wsl(&["-d", "b", "--exec", "sh", "-c", "systemctl --user is-system-running"]);
    assert!(matches!(session.out.trim(), "running" | "degraded"), "{session:?}");
}

#[test]
fn a_boot_that_does_not_get_there_is_waited_for_in_vain() {
    let Some(pc) = computer(&["a"]) else { return };
    let line = "printf '[boot]\\nsystemd=true\\ninitTimeout=1500\\n' > /etc/wsl.conf; mv /usr/bin/systemctl /usr/bin/systemctl-";
    pc.wsl(&["-d", "a", "--exec", "sh", "-c", line]).succeeds();
    pc.wsl(&["--terminate", "a"]).succeeds();
    let since = Instant::now();
    let said = pc.wsl(&["-d", "a", "--exec", "true"]);
    assert_eq!(said.code, 0, "it goes on in any case");
    // Once for the boot and once for the user's session.
    assert!(since.elapsed() > Duration::from_millis(2900), "{:?}", since.elapsed());
    assert!(said.err.contains("no session for 'root'"), "{said:?}");
    let since = Instant::now();
    pc.wsl(&["-d", "a", "--exec", "true"]).succeeds();
    assert!(since.elapsed() < Duration::from_millis(1000), "only the first time");
}
