//! How long the language server takes to answer `initialize`, and how much memory it holds when nothing happens.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use codchi_tests::binary::{Home, codchi};
use codchi_tests::lsp::Client;
use serde_json::json;
use std::time::Duration;

fn main() {
    println!("server: {}", codchi().display());
    println!("resident memory, a text open and nothing happening: {:.1} MiB", idle_memory());
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

/// In MiB.
fn idle_memory() -> f64 {
    let home = Home::new();
    let mut client = Client::start(&home);
    client.initialize(&json!({}), home.path());
    let module = home.path().join("codchi.nix");
    client.open(&module, "{ ... }: { codchi.requiredCapabilities = [ ]; }\n");
    client.diagnostics(&module, 1);
    std::thread::sleep(Duration::from_secs(2));
    let status = std::fs::read_to_string(format!("/proc/{}/status", client.child.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    client.shutdown();
    kib / 1024.0
}
