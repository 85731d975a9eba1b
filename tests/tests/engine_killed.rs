//! The engine's daemon is killed, and started again as by a service manager, in the middle of operations: each is done,
//! finished or undone, and instances go on. Alone in its binary, since the daemon is everybody's. Needs what
//! `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::engine;
use codchi_tests::person::{Person, Stopped};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use std::time::{Duration, Instant};

/// The daemon's process.
fn daemon() -> Pid {
    let number = engine::daemon().file_name().unwrap().to_str().unwrap().parse().unwrap();
    Pid::from_raw(number).unwrap()
}

fn answers() -> bool {
    Command::new(engine::client()).args(["query", "/1.0/instances"]).output().unwrap().status.success()
}

fn wait_until_it_answers() {
    let end = Instant::now() + Duration::from_secs(60);
    while !answers() {
        assert!(Instant::now() < end, "the engine does not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_engine_that_is_killed_in_the_middle_costs_nothing() {
    let person = Person::new("k");
    person.create();
    person.write_module("two");
    let before = person.state();
    person.done(&["rebuild", "NAME"]);
    let after = person.state();
    let back = || {
        person.done(&["rollback", "NAME", "1"]);
        person.done(&["generations", "NAME", "--delete", "2"]);
    };
    back();
    let places = ["Build/done", "Configure/begun", "Configure/done", "Switch/begun", "Switch/done"];
    for (place, waits) in places.into_iter().flat_map(|place| [(place, false), (place, true)]) {
        let stopped = Stopped::at(&person, &["rebuild", "NAME"], &format!("rebuild/{place}"));
        kill_process(daemon(), Signal::KILL).unwrap();
        if waits {
            wait_until_it_answers();
        }
        let output = stopped.go_on();
        wait_until_it_answers();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let what = format!("{place}, {}: {told}", if waits { "back again" } else { "away" });
        assert!(!waits || output.status.success(), "{what}");
        person.done(&["start", "NAME"]);
        let now = person.state();
        if now == after {
            back();
        } else {
            assert!(!output.status.success() && now == before, "{what}\n{}", now.difference(&before));
        }
    }
    person.nothing_hurt();
}
