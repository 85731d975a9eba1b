//! `codchi check` on what no project should hold: everything is told once, and the rest is checked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::nasty;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nothing takes longer, however busy the computer.
const PATIENCE: Duration = Duration::from_secs(60);

fn check(home: &Home, arguments: &[&str], input: Stdio) -> (i32, String, String) {
    let begin = Instant::now();
    let Output { status, stdout, stderr } =
        home.codchi().arg("check").args(arguments).stdin(input).output().unwrap();
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    println!("{arguments:?} took {:?}", begin.elapsed());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    // None where a signal ended it.
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn what_cannot_be_read_is_told_once_each_and_circles_end() {
    let home = Home::new();
    nasty::traps(&home.path().join("w"));
    let (code, stdout, stderr) =
        check(&home, &["w", "w/fifo.nix", "w/loop.nix", "w/zero.nix"], Stdio::null());
    assert_eq!(code, 2, "{stdout}{stderr}");
    for (name, why) in [
        ("binary.nix", "it is not UTF-8 text"),
        ("utf-16.nix", "it is not UTF-8 text"),
        ("latin-\u{fffd}.nix", "it is not UTF-8 text"),
        ("large.nix", "it is larger than 4 MiB"),
        ("fifo.nix", "it is no file"),
        ("zero.nix", "it is no file"),
        ("loop.nix", "Too many levels of symbolic links"),
    ] {
        let told: Vec<&str> = stderr.lines().filter(|line| line.contains(&format!("w/{name} "))).collect();
        assert!(told.len() == 1 && told[0].contains(why), "{name}: {stderr}");
    }
    assert_eq!(stderr.lines().count(), 7, "{stderr}");
}

#[test]
fn nesting_of_any_kind_is_read_or_told_once() {
    let home = Home::new();
    for levels in [200, 20_000] {
        for (name, text) in nasty::nested(levels) {
            home.write(&format!("w-{levels}/{}.nix", name.replace(' ', "-")), &text);
        }
        let (code, stdout, stderr) =
            check(&home, &["--format", "github", &format!("w-{levels}")], Stdio::null());
        assert_eq!(stderr, "");
        let is_error = levels > 200;
        assert_eq!(code, i32::from(is_error), "{stdout:.2000}");
        assert!(stdout.lines().count() <= nasty::nested(1).len(), "{stdout:.2000}");
        assert_eq!(stdout.contains("deeper than codchi can read"), is_error);
    }
}

#[test]
fn standard_input_without_an_end_is_not_read_to_it() {
    let home = Home::new();
    let (code, _, stderr) = check(&home, &["-"], std::fs::File::open("/dev/zero").unwrap().into());
    assert_eq!(code, 2);
    assert!(stderr.contains("reading standard input failed: it is larger than 4 MiB"), "{stderr}");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_at_some_moment() {
    let home = Home::new();
    let path = home.write("w/codchi.nix", "{ codchi.gpu.enable = true; }");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also where this fails: the scope waits for the other thread.
        let _over = SetWhenDropped(&is_over);
        scope.spawn(|| {
            let mut number = 0_usize;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                let text = "{ codchi.gpu.enable = true; } ".repeat(number % 50);
                let _ = std::fs::write(&path, text);
                if number.is_multiple_of(7) {
                    let _ = std::fs::remove_file(&path);
                }
            }
        });
        for _ in 0..15 {
            let (code, stdout, stderr) = check(&home, &["w"], Stdio::null());
            assert!((0..=2).contains(&code) && stderr.lines().count() <= 1, "{stdout}{stderr}");
        }
    });
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_folder_that_cannot_be_listed_is_told_and_the_rest_is_checked() {
    let home = Home::new();
    home.write("w/codchi.nix", "{ codchi.gpu.enabled = true; }");
    // Its path is longer than any that the system takes, which holds for root too.
    let name = "n".repeat(250);
    let mut script = format!("cd '{}'\n", home.path().join("w").display());
    for _ in 0..16 {
        script.push_str(&format!("mkdir {name} && cd {name}\n"));
    }
    script.push_str(&format!("mkdir {name}\n"));
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let (code, stdout, stderr) = check(&home, &["w"], Stdio::null());
    assert_eq!(code, 2, "{stdout}{stderr}");
    assert!(stdout.contains("unknown-option"), "{stdout}");
    assert!(stderr.lines().count() == 1 && stderr.contains("File name too long"), "{stderr}");
}

#[test]
fn a_folder_of_fifty_thousand_files_is_told_to_be_too_much() {
    let home = Home::new();
    let folder = home.path().join("w");
    std::fs::create_dir(&folder).unwrap();
    // Of one content, which some disks take minutes to free so many times.
    let first = home.write("w/first.nix", "{ }");
    for number in 1..50_000 {
        std::fs::hard_link(&first, folder.join(format!("{number:05}.nix"))).unwrap();
    }
    let (code, stdout, stderr) = check(&home, &["w"], Stdio::null());
    assert_eq!(code, 2, "{stderr}");
    assert!(stdout.ends_with("in 10000 files\n"), "{stdout:.500}");
    assert!(stderr.lines().count() == 1 && stderr.contains("more than 10000 Nix files"), "{stderr}");
}
