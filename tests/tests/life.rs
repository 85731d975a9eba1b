//! A machine's life at the command line, from its creation of three modules to its next life on another computer. Needs what
//! `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::person::Person;
use std::fs;
use std::path::Path;
use std::process::Command;

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgsign=false"]);
    assert!(git.args(arguments).current_dir(folder).status().unwrap().success(), "git {arguments:?}");
}

/// A module that writes `text` where all are looked for.
fn module(name: &str, text: &str) -> String {
    format!("{{ environment.etc.\"made-{name}\".text = \"{text} \"; }}\n")
}

/// A module in a git repository.
fn commit(folder: &Path, text: &str) {
    fs::create_dir_all(folder).unwrap();
    if !folder.join(".git").exists() {
        git(folder, &["init", "-q", "-b", "main"]);
    }
    fs::write(folder.join("codchi.nix"), module("tool", text)).unwrap();
    git(folder, &["add", "."]);
    git(folder, &["commit", "-q", "-m", text]);
}

/// What a command prints; it must succeed.
fn printed(person: &Person, arguments: &[&str]) -> String {
    let output = person.command(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "codchi {}: {told}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the modules have made in the machine.
fn made(person: &Person) -> String {
    printed(person, &["exec", "NAME", "--", "sh", "-c", "cat /etc/greeting /etc/made-*"])
}

/// The generation that the machine is, and its system.
fn current(person: &Person) -> (u64, String) {
    let list: Vec<serde_json::Value> =
        serde_json::from_str(&printed(person, &["generations", "NAME", "--json"])).unwrap();
    let current = list.iter().find(|one| one["current"] == true).unwrap();
    (current["number"].as_u64().unwrap(), current["toplevel"].as_str().unwrap().to_owned())
}

#[test]
fn a_machine_lives_breaks_goes_back_and_moves() {
    let person = Person::new("life");
    let (tool, me) = (person.path("tool"), person.path("me.nix"));
    commit(&tool, "tool-1");
    fs::write(&me, module("me", "me")).unwrap();
    person.configure(&format!("personal-modules = [\"{}\"]\n[ssh]\nconfig = false\n", me.display()));
    person.set_secret();
    let source = format!("git+file://{}?ref=main", tool.display());
    person.done(&["create", "--name", "NAME", "PROJECT", &source]);
    assert_eq!(made(&person), "oneme tool-1");
    person.done(&["exec", "NAME", "--", "sh", "-c", "echo 'what I made' > ~/kept"]);

    // A rebuild takes what has changed here, and newer revisions only where somebody asks.
    commit(&tool, "tool-2");
    person.write_module("two");
    let preview = printed(&person, &["rebuild", "NAME", "--dry-run"]);
    assert!(preview.contains("etc") || preview.contains("system"), "{preview}");
    assert_eq!(made(&person), "oneme tool-1");
    person.done(&["rebuild", "NAME"]);
    assert_eq!(made(&person), "twome tool-1");
    let updated = printed(&person, &["update", "NAME"]);
    assert!(updated.contains("tool"), "{updated}");
    person.done(&["rebuild", "NAME"]);
    assert_eq!(made(&person), "twome tool-2");
    let before = current(&person);

    // One that fails goes back by itself, and says why and where.
    let broken = "{ systemd.services.broken = {\n  wantedBy = [ \"multi-user.target\" ];\n  serviceConfig.Type = \
                  \"oneshot\";\n  script = \"echo the reason; exit 1\";\n}; codchi.secrets.TOKEN.description = \"A token\"; }\n";
    fs::write(person.project().join("codchi.nix"), broken).unwrap();
    let failed = person.command(&["rebuild", "NAME"]).output().unwrap();
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{told}");
    assert!(told.contains("broken.service") && told.contains("the reason"), "{told}");
    assert_eq!((current(&person), made(&person).as_str()), (before.clone(), "twome tool-2"));

    person.done(&["rollback", "NAME", "1"]);
    assert_eq!(made(&person), "oneme tool-1");
    person.done(&["rollback", "NAME", &before.0.to_string()]);
    person.write_module("two");

    // A copy is a machine of its own.
    person.done(&["duplicate", "NAME", "NAME-x"]);
    // All machines are updated side by side, and told in the order of their names.
    commit(&tool, "tool-3");
    let updated = printed(&person, &["update"]);
    let places: Vec<_> = [&person.name, &format!("{}-x", person.name)]
        .iter()
        .map(|name| updated.lines().position(|line| line.starts_with(name.as_str())))
        .collect();
    assert!(places[0].is_some() && places[0] < places[1], "{updated}");
    person.done(&["exec", "NAME-x", "--", "sh", "-c", "echo other > ~/kept"]);
    person.done(&["delete", "--yes", "--secrets", "NAME-x"]);
    person.nothing_hurt();

    // Gone here, and there again elsewhere, where neither project nor personal module are where they were.
    person.done(&["rebuild", "NAME"]);
    let (_, exported) = current(&person);
    person.done(&["export", "NAME", "FILE", "--passphrase-file", "PASSPHRASE"]);
    person.done(&["delete", "--yes", "--secrets", "NAME"]);
    let other = Person::new("life");
    fs::rename(person.project(), person.path("elsewhere")).unwrap();
    fs::rename(&me, person.path("me-elsewhere.nix")).unwrap();
    other.write_module("two");
    let file = person.path("export.codchi").display().to_string();
    let import = ["import", file.as_str(), "--passphrase-file", "PASSPHRASE"];
    let nowhere = other.command(&import).output().unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("--project"), "{nowhere:?}");
    person.nothing_hurt();
    other.done(&[&import[..], &["--project", "PROJECT"]].concat());
    other.done(&["start", "NAME"]);
    assert_eq!(made(&other), "twome tool-3");
    other.nothing_hurt();
    let token = printed(&other, &["exec", "NAME", "--", "sh", "-c", "test -n \"$CODCHI_TOKEN\" && echo set"]);
    assert_eq!(token, "set");
    // The same lock, the same system.
    assert_eq!(current(&other), (1, exported));
    other.done(&["delete", "--yes", "NAME"]);
    let imported = fs::read_dir(other.path(".local/share/codchi/imported")).into_iter().flatten().count();
    assert_eq!(imported, 0, "modules of the file are left");
}
