//! The language server and `codchi check` from outside: start, a workspace of 1,000 files, keystrokes in a module of 5,000
//! lines, completion, memory, and an evaluation on save where there is a Nix.
//!
//! `cargo xtask bench` runs it on the release build. What is measured here holds the protocol's share as well; the
//! analysis alone is measured by `cargo bench -p codchi-ide`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use codchi_tests::binary::{Home, codchi};
use codchi_tests::lsp::{Client, uri};
use codchi_tests::workspace;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILES: usize = 1_000;
const LINES: usize = 5_000;
const KEYSTROKES: usize = 500;
const LOADS: usize = 10;
const SAVES: usize = 21;

fn main() {
    let only_listed = std::env::args().any(|arg| arg == "--test" || arg == "--list");
    if !only_listed {
        println!("server: {}", codchi().display());
        let (idle, _) = idle_memory();
        println!("{:<52} {idle:.1} MiB", "resident memory, a text open and nothing happening");
        large_workspace();
        check();
        evaluation();
    }
    divan::main();
}

/// From the start of the process to the answer; without its end.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn start_to_initialize_reply(bencher: divan::Bencher<'_, '_>) {
    let home = Home::new();
    bencher.bench_local(|| {
        let mut client = Client::start(&home);
        client.request("initialize", &json!({ "capabilities": {} })).unwrap();
        // Dropped, and so ended, outside of what is measured.
        client
    });
}

fn idle_memory() -> (f64, f64) {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let module = home.path().join("codchi.nix");
    client.open(&module, "{ ... }: { codchi.requiredCapabilities = [ ]; }\n");
    client.diagnostics(&module, 1);
    std::thread::sleep(Duration::from_secs(2));
    let memory = memory(client.child.id());
    client.shutdown();
    memory
}

/// Resident memory now and at its peak, in MiB.
fn memory(process: u32) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    (mib("VmRSS:"), mib("VmHWM:"))
}

fn generated() -> (Home, PathBuf, String) {
    let home = Home::new();
    let files = workspace::files(FILES, LINES);
    workspace::write(&home.path().join("w"), &files);
    let text = files.into_iter().find(|(path, _)| path == workspace::LONG).unwrap().1;
    let long = home.path().join("w").join(workspace::LONG);
    (home, long, text)
}

/// A client in the workspace, in whose long module the first diagnostics have come.
fn opened(home: &Home, long: &Path, text: &str) -> (Client, Duration) {
    let mut client = Client::start(home);
    client
        .request(
            "initialize",
            &json!({
                "capabilities": {},
                "workspaceFolders": [{ "uri": uri(&home.path().join("w")), "name": "w" }],
            }),
        )
        .unwrap();
    let start = Instant::now();
    client.notify("initialized", &json!({}));
    client.open(long, text);
    client.diagnostics(long, 1);
    (client, start.elapsed())
}

fn large_workspace() {
    let (home, long, text) = generated();
    let loads: Vec<Duration> = (0..LOADS)
        .map(|_| {
            let (client, elapsed) = opened(&home, &long, &text);
            client.shutdown();
            elapsed
        })
        .collect();
    tell(&format!("{FILES} files loaded and the long module opened"), loads);

    let (mut client, _) = opened(&home, &long, &text);
    std::thread::sleep(Duration::from_secs(1));
    let keystrokes = workspace::typing(text.clone())
        .take(KEYSTROKES)
        .zip(2..)
        .map(|(typed, version)| {
            let place = json!({ "line": typed.line, "character": typed.character });
            let change = json!([{ "range": { "start": place, "end": place }, "text": typed.text }]);
            let start = Instant::now();
            client.change(&long, version, &change);
            client.diagnostics(&long, version);
            start.elapsed()
        })
        .collect();
    tell(&format!("keystroke in {LINES} lines to its diagnostics"), keystrokes);

    let line = text.lines().position(|line| line.contains("codchi.gpu.enable")).unwrap();
    let place = json!({ "line": line, "character": "  codchi.gpu.".len() });
    let completions = (0..50)
        .map(|_| {
            let start = Instant::now();
            let params = json!({ "textDocument": { "uri": uri(&long) }, "position": place });
            client.request("textDocument/completion", &params).unwrap();
            start.elapsed()
        })
        .collect();
    tell("completion there", completions);
    std::thread::sleep(Duration::from_secs(2));
    let (now, peak) = memory(client.child.id());
    println!("{:<52} {now:.1} MiB, at its peak {peak:.1} MiB", "resident memory after all that");
    client.shutdown();
}

fn check() {
    let (home, ..) = generated();
    let checks = (0..LOADS)
        .map(|_| {
            let start = Instant::now();
            home.codchi().args(["check", "--format", "json", "w"]).output().unwrap();
            start.elapsed()
        })
        .collect();
    tell(&format!("codchi check of {FILES} files"), checks);
}

/// From a save to the diagnostics of the evaluation, and how much of that is not Nix's own time.
fn evaluation() {
    let path = std::env::var_os("PATH").unwrap();
    let Some(nix) = std::env::split_paths(&path).find(|folder| folder.join("nix").is_file()) else {
        println!("{:<52} not measured: there is no Nix on PATH", "evaluation on save");
        return;
    };
    let home = Home::new();
    let module = home.write("w/codchi.nix", "{ }\n");
    let mut command = home.codchi();
    for name in ["STORE", "STATE", "LOG", "CONF"] {
        command.env(format!("NIX_{name}_DIR"), home.path().join("nix").join(name));
    }
    let nixpkgs = Path::new(env!("CARGO_MANIFEST_DIR")).join("nixpkgs");
    command
        .env("PATH", nix)
        .env("NIX_CONFIG", "sandbox = false\nbuild-users-group =\nsubstituters =\n")
        .env("CODCHI_NIXPKGS", format!("path:{}", nixpkgs.display()));
    let mut client = Client::start_with(command);
    client.initialize_with(&json!({
        "capabilities": {},
        "initializationOptions": { "evaluation": "lenient" },
        "workspaceFolders": [{ "uri": uri(&home.path().join("w")), "name": "w" }],
    }));
    client.open(&module, "{ }\n");
    std::thread::sleep(Duration::from_secs(2));
    let (mut all, mut ours) = (Vec::new(), Vec::new());
    for n in 0..SAVES {
        let text = format!("{{ ... }}:\n{{\n  codchi.initScript = throw \"Save {n} is broken\";\n}}\n");
        client.change(&module, i32::try_from(n).unwrap() + 2, &json!([{ "text": text }]));
        std::fs::write(&module, &text).unwrap();
        let wanted = format!("Save {n} is broken");
        let start = Instant::now();
        client.notify("textDocument/didSave", &json!({ "textDocument": { "uri": uri(&module) } }));
        client.wait_for("what the evaluation says", |message| {
            message["method"] == "textDocument/publishDiagnostics" && message.to_string().contains(&wanted)
        });
        let elapsed = start.elapsed();
        let nix = nix_took(&home);
        // The first one also finds Nix and takes nixpkgs to the store.
        if n > 0 {
            all.push(elapsed);
            ours.push(elapsed.saturating_sub(nix));
        }
    }
    client.shutdown();
    tell("save to what the evaluation says", all);
    tell("  of which is not Nix's own time", ours);
}

/// What Nix itself took for the last evaluation, as the log has it.
fn nix_took(home: &Home) -> Duration {
    let logs = std::fs::read_dir(home.path().join(".local/state/codchi/logs")).unwrap().flatten();
    let text: String = logs.filter_map(|log| std::fs::read_to_string(log.path()).ok()).collect();
    let (_, last) = text.rsplit_once("Nix took ").unwrap();
    Duration::from_millis(last.split_once(' ').unwrap().0.parse().unwrap())
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!("{what:<52} median {:.1?}, 95th percentile {:.1?}", at(50), at(95));
}
