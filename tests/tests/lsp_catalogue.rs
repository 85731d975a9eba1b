//! The catalogue of a module's nixpkgs, as a session with a real Nix makes it: in the background, once; and with a program
//! that is called `nix` and takes too long.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::binary::Home;
use codchi_tests::lsp::{Client, uri};
use codchi_tests::program;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const MODULE: &str = "{ lib, ... }: {\n  options.mine.x = lib.mkOption { type = lib.types.str; description = \"Mine\"; };\n  \
                      config.codchi.secrets.TOKEN.description = \"a token\";\n}\n";

/// A `nix` that knows a nixpkgs and goes on for ever when it is asked about it.
fn with_slow_nix(home: &Home) {
    let nixpkgs = home.write("nixpkgs/flake.nix", "{ }").parent().unwrap().display().to_string();
    let metadata = json!({ "path": nixpkgs, "locked": { "narHash": "sha256-x" } });
    let pid = home.path().join("pid").display().to_string();
    for (name, script) in [
        (
            "bin/nix",
            format!(
                "case \"$*\" in\n  --version) echo 'nix (Nix) 2.18.1';;\n  \
                 *'flake metadata'*) echo '{metadata}';;\n  *) exit 1;;\nesac\n"
            ),
        ),
        ("bin/nix-instantiate", format!("echo $$ > {pid}\nexec /bin/sleep 300\n")),
    ] {
        program::script(&home.path().join(name), &script);
    }
}

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

#[test]
fn what_takes_its_time_is_shown_and_can_be_cancelled() {
    let home = Home::new();
    with_slow_nix(&home);
    let module = home.write("project/codchi.nix", MODULE);
    let mut client = Client::start(&home);
    client.initialize(&json!({ "window": { "workDoneProgress": true } }), home.path());
    client.open(&module, MODULE);
    let progress = |kind: &'static str| {
        move |message: &Value| message["method"] == "$/progress" && message["params"]["value"]["kind"] == kind
    };
    let begin = client.wait_for("the progress", progress("begin"));
    assert_eq!(begin["params"]["value"]["title"], "Reading the options of nixpkgs");
    let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    client.notify("window/workDoneProgress/cancel", &json!({ "token": begin["params"]["token"] }));
    client.wait_for("its end", progress("end"));
    wait_until("Nix goes on", || !process.exists());
    client.shutdown();
    assert!(kept(&home, "options").is_empty() && kept(&home, "failed").is_empty());
}

#[test]
fn the_end_of_the_session_is_the_end_of_what_nix_does_for_it() {
    let home = Home::new();
    with_slow_nix(&home);
    let module = home.write("project/codchi.nix", MODULE);
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    client.open(&module, MODULE);
    let pid = home.path().join("pid");
    wait_until("Nix is not asked", || std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')));
    let process = Path::new("/proc").join(std::fs::read_to_string(&pid).unwrap().trim());
    client.shutdown();
    wait_until("Nix goes on", || !process.exists());
}
