use super::*;
use codchi_ide::{MachineModule, MachineState};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

fn paths(home: &Path) -> Paths {
    let at = |name: &str| home.join(name);
    Paths {
        data: at("data"),
        config: at("config"),
        state: at("state"),
        cache: at("cache"),
        home: home.into(),
    }
}

fn machine(name: &str, path: &Path, output: Option<&str>) -> Machine {
    Machine {
        name: name.into(),
        state: MachineState::Stopped,
        modules: vec![MachineModule { path: path.into(), output: output.map(Into::into) }],
        secrets: [].into(),
        generation: 1,
        drift: Vec::new(),
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn lock(rev: &str) -> String {
    json!({
        "nodes": {
            "root": { "inputs": { "nixpkgs": "n" } },
            "n": { "locked": { "type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": rev } },
        },
        "root": "root",
        "version": 7,
    })
    .to_string()
}

/// The revision that is locked for a module.
fn revision_of(home: &Path, key: &ModuleKey, machines: &[Machine]) -> Option<String> {
    locks(&paths(home), key, machines).iter().find_map(|lock| locked(lock)).map(|locked| revision(&locked))
}

#[test]
fn a_machine_of_the_module_says_which_nixpkgs_then_the_flake_it_is_a_part_of() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let key = |path: &str, output: Option<&str>| (at(path), output.map(str::to_owned));
    write(&at("p/.git/HEAD"), "");
    write(&at("p/flake.nix"), "{ }");
    write(&at("p/flake.lock"), &lock("flake"));
    write(&at("p/sub/a.nix"), "{ }");
    write(&at("p/repository/.git"), "");
    write(&at("data/machines/m/flake/flake.lock"), &lock("machine"));
    let machines = [machine("other", &at("p"), Some("x")), machine("m", &at("p"), Some("dev"))];
    let revision = |key: &ModuleKey| revision_of(home.path(), key, &machines);

    assert_eq!(revision(&key("p", Some("dev"))).as_deref(), Some("machine"));
    assert_eq!(revision(&key("p", None)).as_deref(), Some("flake"));
    assert_eq!(
        revision(&key("p", Some("x"))).as_deref(),
        Some("flake"),
        "its machine has locked nothing yet"
    );
    assert_eq!(revision(&key("p/sub/a.nix", None)).as_deref(), Some("flake"));
    assert_eq!(revision(&key("p/repository", None)), None, "another repository is no part of the flake");
}

#[test]
fn a_module_that_nothing_is_locked_for_has_the_nixpkgs_that_machines_share() {
    let home = tempfile::tempdir().unwrap();
    let (paths, url) = (paths(home.path()), "github:NixOS/nixpkgs/nixos-unstable");
    assert_eq!(wanted(Vec::new(), &paths, url.into()), Wanted::Url(url.into()));
    let flake = "# Written by codchi: the nixpkgs that the machines of this computer share.\n{\n  inputs.nixpkgs.url = \
                 \"github:NixOS/nixpkgs/nixos-unstable\";\n  outputs = _: { };\n}\n";
    write(&paths.data.join("nixpkgs/flake.nix"), flake);
    write(&paths.data.join("nixpkgs/flake.lock"), &lock("shared"));
    let revision_of = |locks, url: &str| match wanted(locks, &paths, url.into()) {
        Wanted::Locked(locked) => revision(&locked),
        Wanted::Url(url) => url,
    };
    assert_eq!(revision_of(Vec::new(), url), "shared");
    assert_eq!(revision_of(Vec::new(), "path:/other"), "path:/other", "it is of another URL");
    let own = home.path().join("own/flake.lock");
    write(&own, &lock("own"));
    assert_eq!(revision_of(vec![home.path().join("none/flake.lock"), own], url), "own");
}

#[test]
fn a_lock_that_cannot_be_read_says_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("p");
    write(&folder.join("flake.nix"), "{ }");
    for text in ["", "{", "[]", "\u{0}", "{\"nodes\":{},\"root\":\"root\"}"] {
        write(&folder.join("flake.lock"), text);
        assert_eq!(revision_of(home.path(), &(folder.clone(), None), &[]), None, "{text}");
    }
}

fn pin(path: &Path) -> Answer {
    Ok(Arc::new(Pin { path: path.into(), revision: "r".into() }))
}

fn failure() -> Answer {
    Err(PinError::Fetch { wanted: "it".into(), source: Arc::new(NixError::NotInstalled) })
}

#[tokio::test]
async fn what_many_ask_for_is_fetched_once_and_goes_on_when_they_no_longer_wait() {
    let home = tempfile::tempdir().unwrap();
    let pins = Pins::new(paths(home.path()));
    let fetches = Arc::new(AtomicUsize::new(0));
    let path = home.path().to_owned();
    let (open, gate) = tokio::sync::watch::channel(false);
    let ask = || {
        let (fetches, path, mut gate) = (fetches.clone(), path.clone(), gate.clone());
        pins.fetching(Wanted::Url("u".into()), |_, _| async move {
            fetches.fetch_add(1, Ordering::Relaxed);
            gate.wait_for(|open| *open).await.unwrap();
            pin(&path)
        })
    };
    let (first, second) = (ask(), ask());
    drop(first);
    open.send(true).unwrap();
    assert_eq!(second.await.unwrap().path, path);
    assert_eq!(ask().await.unwrap().path, path);
    assert_eq!(fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_end_of_all_ends_what_is_being_fetched() {
    let home = tempfile::tempdir().unwrap();
    let pins = Pins::new(paths(home.path()));
    let fetching = pins.fetching(Wanted::Url("u".into()), |_, cancel| async move {
        cancel.cancelled().await;
        Err(PinError::Cancelled)
    });
    drop(pins);
    assert!(matches!(fetching.await, Err(PinError::Cancelled)));
}

#[test]
fn answers_hold_for_as_long_as_they_are_likely_to_be_right() {
    let home = tempfile::tempdir().unwrap();
    let (url, locked) = (Wanted::Url("u".into()), Wanted::Locked(json!({})));
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let there = pin(home.path());
    assert!(holds(&url, Some(&there), minutes(59)) && !holds(&url, Some(&there), minutes(61)));
    assert!(holds(&locked, Some(&there), minutes(1_000)), "what is locked does not change");
    assert!(!holds(&locked, Some(&pin(&home.path().join("collected"))), minutes(0)));
    assert!(holds(&url, Some(&failure()), minutes(4)) && !holds(&url, Some(&failure()), minutes(6)));
    assert!(!holds(&url, Some(&Err(PinError::Cancelled)), minutes(0)));
}

#[test]
fn a_locked_nixpkgs_is_named_as_a_person_knows_it() {
    let locked =
        json!({ "type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": "abc", "narHash": "x" });
    assert_eq!(Wanted::Locked(locked).named(), "`github NixOS nixpkgs abc`");
}
