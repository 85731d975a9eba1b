//! The catalogue of a module's nixpkgs, as a session with a real Nix makes it: in the background, once.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const MODULE: &str = "{ lib, ... }: {\n  options.mine.x = lib.mkOption { type = lib.types.str; description = \"Mine\"; };\n  \
                      config.codchi.secrets.TOKEN.description = \"a token\";\n}\n";

/// A server whose Nix has a store below its home, and whose nixpkgs is the stand-in.
fn start(home: &Home, options: &Value) -> Client {
    let mut command = home.codchi();
    let nixpkgs = Path::new(env!("CARGO_MANIFEST_DIR")).join("nixpkgs");
    for name in ["STORE", "STATE", "LOG", "CONF"] {
        command.env(format!("NIX_{name}_DIR"), home.path().join("nix").join(name));
    }
    command
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("NIX_CONFIG", "sandbox = false\nbuild-users-group =\nsubstituters =\n")
        .env("CODCHI_NIXPKGS", format!("path:{}", nixpkgs.display()));
    let mut client = Client::start_with(command);
    client.initialize_with(&json!({
        "capabilities": {},
        "initializationOptions": options,
        "workspaceFolders": [{ "uri": uri(home.path()), "name": "workspace" }],
    }));
    client
}

/// The files of the cache whose names begin so, and when they were written.
fn kept(home: &Home, name: &str) -> BTreeMap<PathBuf, SystemTime> {
    let all = home.path().join(".cache/codchi/catalogues");
    let below = |folder: PathBuf| {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    let files = below(all).into_iter().flat_map(below).flat_map(below);
    files
        .filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(name))
        .filter_map(|file| Some((file.clone(), file.metadata().ok()?.modified().ok()?)))
        .collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn opening_a_module_makes_the_catalogue_of_its_nixpkgs_and_of_its_own_options_once() {
    let home = Home::new();
    let module = home.write("project/codchi.nix", MODULE);
    let mut client = start(&home, &json!({}));
    client.open(&module, MODULE);
    wait_until("no catalogue is made", || {
        kept(&home, "options").len() == 2 && kept(&home, "packages-").len() == 1
    });
    client.shutdown();

    let (before, used) = (kept(&home, "options"), kept(&home, "used"));
    let mut client = start(&home, &json!({}));
    client.open(&module, MODULE);
    wait_until("what is there is not used", || {
        kept(&home, "used").iter().filter(|(file, when)| used[*file] != **when).count() == 2
    });
    client.shutdown();
    assert_eq!(kept(&home, "options"), before, "it was made again");
}

#[test]
fn nothing_is_evaluated_for_a_person_who_does_not_trust_the_workspace() {
    let home = Home::new();
    let module = home.write("project/codchi.nix", MODULE);
    let mut client = start(&home, &json!({ "trusted": false }));
    client.open(&module, MODULE);
    client.diagnostics(&module, 1);
    std::thread::sleep(Duration::from_secs(3));
    assert!(!home.path().join(".cache/codchi/catalogues/1").exists());
    client.notify("workspace/didChangeConfiguration", &json!({ "settings": { "codchi": {} } }));
    wait_until("no catalogue is made once there is trust", || !kept(&home, "options").is_empty());
    client.shutdown();
}
