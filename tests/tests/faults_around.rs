//! What can go wrong around an operation: another process on the same machine, a full disk, damaged files, a clock that
//! jumps. `faults` has those of the program itself. Needs what `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::person::{Person, Stopped, images};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn of_two_processes_on_one_machine_the_second_is_told_who_is_at_work() {
    let person = Person::new("a-two");
    person.create();
    let before = person.state();
    let first = Stopped::at(&person, &["rebuild", "NAME"], "rebuild/Evaluate/begun");
    let pid = first.id();
    for second in [
        &["rebuild", "NAME"][..],
        &["stop", "NAME"],
        &["rename", "NAME", "NAME-x"],
        &["duplicate", "NAME", "NAME-x"],
        &["export", "NAME", "FILE"],
        &["delete", "--yes", "NAME"],
    ] {
        let output = person.codchi_with(second, "");
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{second:?}: {told}");
        assert!(told.contains("rebuild") && told.contains(&pid.to_string()), "{second:?}: {told}");
    }
    let status = person.codchi_with(&["status", "--json"], "");
    assert!(String::from_utf8_lossy(&status.stdout).contains("\"busy\""));
    assert!(first.go_on().status.success());
    person.done(&["rollback", "NAME", "1"]);
    person.done(&["generations", "NAME", "--keep", "1"]);
    let now = person.state();
    assert!(now == before, "{}", now.difference(&before));
}

#[test]
fn who_cancels_gets_all_of_it_or_nothing() {
    let person = Person::new("a-cancel");
    person.create();
    let before = person.state();
    let cancelled = |arguments: &[&str], place: &str| {
        let stopped = Stopped::at(&person, arguments, place);
        stopped.interrupt();
        let output = stopped.go_on();
        assert_eq!(output.status.code(), Some(130), "{place}: {}", told(&output));
        assert!(!person.is_interrupted(), "{place}: the journal is left: {}", told(&output));
    };
    cancelled(&["export", "NAME", "FILE"], "export/WriteExport/begun");
    cancelled(&["rename", "NAME", "NAME-x"], "rename/RenameInstance/done");
    let now = person.state();
    assert!(now == before, "{}", now.difference(&before));
    // From here on there is no way back.
    cancelled(&["rename", "NAME", "NAME-x"], "rename/moved");
    person.done(&["rename", "NAME-x", "NAME"]);
    let now = person.state();
    assert!(now == before, "{}", now.difference(&before));
    person.nothing_hurt();
}

#[test]
fn an_image_that_a_killed_export_or_import_has_left_goes_with_the_next_operation() {
    let person = Person::new("a-image");
    person.create();
    // Enough to take a while.
    person.done(&["exec", "NAME", "--", "sh", "-c", "head -c 300M /dev/urandom > ~/big"]);
    let own = || -> BTreeSet<String> {
        let name = format!("codchi-{}", person.name);
        images().into_iter().filter(|(_, of)| of.starts_with(&name)).map(|(image, _)| image).collect()
    };
    let kill_in_the_middle = |arguments: &[&str]| {
        let mut command = person.command(arguments);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(120);
        while own().is_empty() {
            if Instant::now() > end || child.try_wait().unwrap().is_some() {
                panic!("no image is seen: {}", told(&child.wait_with_output().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!own().is_empty(), "it was not killed in the middle");
    };
    kill_in_the_middle(&["export", "NAME", "FILE"]);
    person.done(&["start", "NAME"]);
    assert_eq!(own(), BTreeSet::new());
    assert!(!person.path(".export.codchi.part").exists() && !person.path("export.codchi").exists());

    person.done(&["export", "NAME", "FILE", "--passphrase-file", "PASSPHRASE"]);
    kill_in_the_middle(&[
        "import",
        "FILE",
        "--name",
        "NAME-x",
        "--project",
        "PROJECT",
        "--passphrase-file",
        "PASSPHRASE",
    ]);
    person.done(&["delete", "--yes", "NAME-x"]);
    assert_eq!(own(), BTreeSet::new());
    person.nothing_hurt();
}

/// A small file system at a folder, for as long as this lives.
struct Small(PathBuf);

impl Small {
    fn at(folder: &Path, size: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let options = format!("size={size},mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "codchi-test"]).arg(folder);
        assert!(mount.status().unwrap().success());
        Self(folder.to_owned())
    }

    /// Leaves so many bytes free, until the file is removed.
    fn fill(&self, free: u64) -> PathBuf {
        let of = rustix::fs::statvfs(&self.0).unwrap();
        let file = self.0.join("filler");
        let size = (of.f_bavail * of.f_frsize).saturating_sub(free);
        fs::write(&file, vec![0; usize::try_from(size).unwrap()]).unwrap();
        file
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_is_told_and_nothing_is_half_done() {
    let person = Person::new("a-full");
    let small = Small::at(&person.path(".local/share/codchi"), "8m");
    person.create();
    let before = person.state();
    person.write_module("two");
    person.done(&["rebuild", "NAME"]);
    let after = person.state();
    let back = || {
        person.done(&["rollback", "NAME", "1"]);
        person.done(&["generations", "NAME", "--delete", "2"]);
    };
    back();
    // From no room at all to nearly enough, in pages.
    for pages in [0, 1, 2, 3, 4, 8, 16, 64] {
        let filler = small.fill(pages * 4096);
        let output = person.codchi_with(&["rebuild", "NAME"], "");
        fs::remove_file(filler).unwrap();
        let what = format!("{pages} pages free: {}", told(&output));
        assert!(pages > 0 || !output.status.success(), "the disk was not full");
        if !output.status.success() {
            assert!(what.to_lowercase().contains("no space left"), "{what}");
        }
        person.done(&["start", "NAME"]);
        let now = person.state();
        if now == after {
            back();
        } else {
            assert!(now == before, "{what}\nneither undone:\n{}nor finished", now.difference(&before));
        }
    }
    let filler = small.fill(0);
    person.done(&["delete", "--yes", "NAME"]);
    fs::remove_file(filler).unwrap();
    assert!(!person.state().has("instance"), "an instance is left");
}

#[test]
fn a_damaged_file_is_named_and_costs_nothing() {
    let person = Person::new("a-damaged");
    person.create();
    let before = person.state();
    let folder = person.path(".local/share/codchi/machines").join(&person.name);
    for file in ["machine.toml", "generations.json", "runtime.json", "journal.json"] {
        let path = folder.join(file);
        let whole = fs::read(&path).ok();
        for damage in ["", "{", "\0\0\0\0", "version = 2\nid = 7\n", "{\"operation\":\"fly\",\"begun\":[]}"] {
            fs::write(&path, damage).unwrap();
            let status = person.codchi_with(&["status"], "");
            let shown = format!("{}{}", String::from_utf8_lossy(&status.stdout), told(&status));
            assert!(status.status.success() && shown.contains(file), "{file} {damage:?}: {shown}");
            // What is only a note about the running instance is no reason to fail.
            if file != "runtime.json" {
                let rebuild = person.codchi_with(&["rebuild", "NAME"], "");
                assert_eq!(rebuild.status.code(), Some(1), "{file} {damage:?}");
                assert!(told(&rebuild).contains(file), "{file} {damage:?}: {}", told(&rebuild));
            }
            match &whole {
                Some(whole) => fs::write(&path, whole).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let now = person.state();
            assert!(now == before, "{file} {damage:?}:\n{}", now.difference(&before));
        }
    }
    person.done(&["start", "NAME"]);
    fs::write(folder.join("machine.toml"), "garbage").unwrap();
    fs::write(folder.join("generations.json"), "garbage").unwrap();
    person.done(&["delete", "--yes", "NAME"]);
    assert!(!person.state().has("instance"), "an instance is left");
}

#[test]
fn a_clock_that_jumps_loses_no_generation() {
    let person = Person::new("a-clock");
    person.create();
    let at = |time: &str, arguments: &[&str]| {
        let inner = person.command(arguments);
        let mut command = Command::new("faketime");
        command.args(["--exclude-monotonic", time]).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.current_dir(person.path("")).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{time}: {}", told(&output));
    };
    for (greeting, time) in [("two", "+4 years"), ("three", "-4 years"), ("four", "+0 days")] {
        person.write_module(greeting);
        at(time, &["rebuild", "NAME"]);
    }
    let numbers = || {
        let output = person.codchi_with(&["generations", "NAME", "--json"], "");
        let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        list.iter().map(|one| (one["number"].as_u64().unwrap(), one["current"] == true)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(), [(1, false), (2, false), (3, false), (4, true)]);
    person.done(&["rollback", "NAME"]);
    assert_eq!(numbers()[2], (3, true));
    // The current one stays whatever its date says, and one from the future is not old.
    person.done(&["stop", "NAME"]);
    person.done(&["generations", "NAME", "--older-than", "4w"]);
    assert_eq!(numbers(), [(1, false), (2, false), (3, true), (4, false)]);
    person.done(&["start", "NAME"]);
}

#[test]
fn what_cannot_be_copied_or_named_so_says_why_and_changes_nothing() {
    let person = Person::new("a-names");
    person.create();
    person.done(&["duplicate", "NAME", "NAME-x"]);
    person.done(&["export", "NAME-x", "FILE"]);
    let export = person.path("export.codchi");
    let whole = fs::read(&export).unwrap();
    fs::write(person.path("cut"), &whole[..whole.len() / 2]).unwrap();
    let before = person.state();
    let cases: [(&[&str], &str); 9] = [
        (&["rename", "NAME", "NAME-x"], "already is a machine"),
        (&["duplicate", "NAME", "NAME-x"], "already is a machine"),
        (&["import", "FILE", "--project", "PROJECT"], "already is a machine"),
        // The file alone does not choose which folder of this computer is mounted.
        (&["import", "FILE", "--name", "NAME-y"], "nobody can be asked whether that is right"),
        (&["export", "NAME", "FILE"], "is there already"),
        (&["import", "cut", "--name", "NAME-y"], "damaged or not whole"),
        (&["import", "passphrase", "--name", "NAME-y"], "no exported code machine"),
        (&["import", "nothing", "--name", "NAME-y"], "nothing failed"),
        (&["rename", "NAME-y", "NAME-z"], "There is no machine"),
    ];
    for (arguments, expected) in cases {
        let output = person.codchi_with(arguments, "");
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains(expected) && !told.contains("panicked"), "{arguments:?}: {told}");
        let now = person.state();
        assert!(now == before, "{arguments:?}: {told}\n{}", now.difference(&before));
    }
    assert_eq!(fs::read(&export).unwrap(), whole, "the export is another one");
}
