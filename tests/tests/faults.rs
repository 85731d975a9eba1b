//! Nothing is ever lost: the program is killed, and made to fail, at every step boundary of every operation, and each time
//! the next run finishes it or undoes it, and leaves nothing over.
//!
//! The boundaries are not listed here: each operation is run once to hear which fault points it passes
//! (`server/machine/src/fault.rs`). `cargo xtask test faults` tries both at all of them and prints the table; without
//! `CODCHI_TEST_FAULTS` each place has one of both in turn, and those are left out at which a step is only about to begin. Needs what `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::person::{Person, State};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

const SIGKILL: i32 = 9;

/// So many operations are tried side by side; each mostly waits for the engine.
const AT_ONCE: usize = 4;

/// An operation, from a state to another one, and the way back.
struct Case {
    operation: &'static str,
    /// The command line.
    command: &'static [&'static str],
    /// What finishes or undoes an interrupted one; the first that says that there is such a machine. What else they say is
    /// of no interest.
    next: &'static [&'static [&'static str]],
    /// Made once, before the first run.
    prepare: fn(&Person),
    /// From the state after to the one before.
    back: fn(&Person),
}

const CASES: [Case; 8] = [
    Case {
        operation: "create",
        command: &["create", "--name", "NAME", "PROJECT"],
        next: &[&["start", "NAME"]],
        prepare: |person| {
            // What all machines share is there from the first one on.
            person.create();
            person.done(&["delete", "--yes", "NAME"]);
        },
        back: |person| person.done(&["delete", "--yes", "NAME"]),
    },
    Case {
        operation: "rebuild",
        command: &["rebuild", "NAME"],
        next: &[&["start", "NAME"]],
        prepare: |person| {
            person.create();
            person.write_module("two");
        },
        back: |person| {
            person.done(&["rollback", "NAME", "1"]);
            person.done(&["generations", "NAME", "--delete", "2"]);
        },
    },
    Case {
        operation: "rollback",
        command: &["rollback", "NAME"],
        next: &[&["start", "NAME"]],
        prepare: |person| {
            person.create();
            person.write_module("two");
            person.done(&["rebuild", "NAME"]);
        },
        back: |person| person.done(&["rollback", "NAME", "2"]),
    },
    Case {
        operation: "delete",
        command: &["delete", "--yes", "--secrets", "NAME"],
        next: &[&["delete", "--yes", "NAME"]],
        prepare: |person| person.create(),
        back: |person| person.create(),
    },
    Case {
        operation: "rename",
        command: &["rename", "NAME", "NAME-x"],
        next: &[&["start", "NAME"], &["start", "NAME-x"]],
        prepare: |person| person.create(),
        back: |person| person.done(&["rename", "NAME-x", "NAME"]),
    },
    Case {
        operation: "duplicate",
        command: &["duplicate", "NAME", "NAME-x"],
        next: &[&["stop", "NAME-x"]],
        prepare: |person| person.create(),
        back: |person| person.done(&["delete", "--yes", "--secrets", "NAME-x"]),
    },
    Case {
        operation: "export",
        command: &["export", "NAME", "FILE", "--passphrase-file", "PASSPHRASE"],
        next: &[&["start", "NAME"]],
        prepare: |person| person.create(),
        back: |person| person.remove_export(),
    },
    Case {
        operation: "import",
        command: &[
            "import",
            "FILE",
            "--name",
            "NAME-x",
            "--project",
            "PROJECT",
            "--passphrase-file",
            "PASSPHRASE",
        ],
        next: &[&["stop", "NAME-x"]],
        prepare: |person| {
            person.create();
            person.done(&["export", "NAME", "FILE", "--passphrase-file", "PASSPHRASE"]);
        },
        back: |person| person.done(&["delete", "--yes", "--secrets", "NAME-x"]),
    },
];

/// What came of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All is as after the operation.
    Finished,
    /// All is as before it.
    Undone,
}

/// The rows of an operation: for each place what came of a process that was killed there, and of an error there.
type Rows = Vec<(String, Option<Outcome>, Option<Outcome>)>;

impl Case {
    fn run(&self) -> Rows {
        let person = Person::new(&format!("f-{}", self.operation));
        (self.prepare)(&person);
        let before = person.state();
        let places = person.places(self.command);
        let after = person.state();
        assert!(!places.is_empty() && before != after, "{}: nothing happens", self.operation);
        (self.back)(&person);
        person.is(&before, &format!("{}, taken back", self.operation));

        let mut rows = Rows::new();
        // That the journal names a step of which nothing is done is a moment; where all is tried, so is that.
        let all = std::env::var_os("CODCHI_TEST_FAULTS").is_some();
        let tried = places.iter().filter(|place| all || !place.ends_with("/begun"));
        for (number, place) in tried.enumerate() {
            let killed = all || number % 2 == 0;
            let killed = killed.then(|| self.killed(&person, place, &before, &after));
            let failed = (all || killed.is_none()).then(|| self.failed(&person, place, &before, &after));
            rows.push((place.clone(), killed, failed));
        }
        // Killed in the middle of an undoing, too.
        let last = places.iter().rfind(|place| place.ends_with("/done")).expect("it has steps");
        if self.operation != "delete" {
            let undone = person.places_of_failing(self.command, last);
            // Some are finished instead.
            if person.state() != before {
                (self.back)(&person);
            }
            for place in undone.into_iter().step_by(if all { 1 } else { 2 }) {
                let outcome = self.killed(&person, &format!("{last},kill:{place}"), &before, &after);
                rows.push((place, Some(outcome), None));
            }
        }
        person.nothing_hurt();
        rows
    }

    /// The next run's turn.
    fn recover(&self, person: &Person) {
        for next in self.next {
            if !person.says_unknown(next) {
                break;
            }
        }
    }

    /// Killed at `place`; then it is the next run's turn, and then the operation's again.
    fn killed(&self, person: &Person, place: &str, before: &State, after: &State) -> Outcome {
        let what = format!("{}: killed at {place}", self.operation);
        let fault = match place.split_once(',') {
            Some((fail, kill)) => format!("fail:{fail},{kill}"),
            None => format!("kill:{place}"),
        };
        let killed = person.codchi_with(self.command, &fault);
        assert_eq!(killed.status.signal(), Some(SIGKILL), "{what}: {killed:?}");
        self.recover(person);
        let outcome = person.is_one_of(before, after, &what);
        if outcome == Outcome::Undone {
            person.done(self.command);
            person.is(after, &format!("{what}, and done again"));
        }
        (self.back)(person);
        person.is(before, &format!("{what}, and taken back"));
        outcome
    }

    /// An error at `place`, after which the machine is as before, or as after, at once.
    fn failed(&self, person: &Person, place: &str, before: &State, after: &State) -> Outcome {
        let what = format!("{}: an error at {place}", self.operation);
        let failed = person.codchi_with(self.command, &format!("fail:{place}"));
        assert_eq!(failed.status.code(), Some(1), "{what}: {failed:?}");
        let text = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(text.contains("told to fail"), "{what}: {text}");
        // What cannot be undone either, since that place is passed again, is left to the next run.
        if person.is_interrupted() {
            self.recover(person);
        }
        let outcome = person.is_one_of(before, after, &what);
        if outcome == Outcome::Finished {
            (self.back)(person);
            person.is(before, &format!("{what}, and taken back"));
        }
        outcome
    }
}

trait Is {
    fn is(&self, state: &State, what: &str);
    fn is_one_of(&self, before: &State, after: &State, what: &str) -> Outcome;
}

impl Is for Person {
    fn is(&self, state: &State, what: &str) {
        let now = self.state();
        assert!(now == *state, "{what}:\n{}", now.difference(state));
    }

    fn is_one_of(&self, before: &State, after: &State, what: &str) -> Outcome {
        let now = self.state();
        if now == *before {
            return Outcome::Undone;
        }
        assert!(
            now == *after,
            "{what}: neither undone:\n{}nor finished:\n{}",
            now.difference(before),
            now.difference(after)
        );
        Outcome::Finished
    }
}

#[test]
fn every_operation_that_dies_or_fails_anywhere_is_finished_or_undone() {
    let images = codchi_tests::person::images();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((case.operation, case.run()));
        }
        done
    };
    let rows: BTreeMap<&str, Rows> = std::thread::scope(|scope| {
        let working: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        working.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut table = format!("\n{:<40} {:<10} {:<10}\n", "PLACE", "KILLED", "ERROR");
    let told = |outcome: &Option<Outcome>| {
        outcome.map_or("-".into(), |outcome| format!("{outcome:?}").to_lowercase())
    };
    for (place, killed, failed) in CASES.iter().flat_map(|case| &rows[case.operation]) {
        let _ = writeln!(table, "{place:<40} {:<10} {:<10}", told(killed), told(failed));
    }
    println!("{table}");
    assert_eq!(codchi_tests::person::images(), images, "images are left, or lost");
}
