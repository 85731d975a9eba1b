//! The lab's engine, beside its interface: its own client, its folder and its daemon.

use std::fs;
use std::path::{Path, PathBuf};

/// The engine's own client.
#[must_use]
pub fn client() -> &'static str {
    if std::env::var_os("INCUS_DIR").is_some() { "incus" } else { "lxc" }
}

/// The engine's folder, as its variable says.
///
/// # Panics
/// Where there is no lab.
#[must_use]
pub fn folder() -> PathBuf {
    ["LXD_DIR", "INCUS_DIR"].iter().find_map(std::env::var_os).expect("the lab sets it").into()
}

/// The folder in /proc of the daemon: the one that keeps its log where the lab does.
///
/// # Panics
/// Where it does not run.
#[must_use]
pub fn daemon() -> PathBuf {
    let lab = folder().parent().expect("it is below the lab's").display().to_string();
    let is_daemon = |process: &Path| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let words: Vec<String> =
            words.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into()).collect();
        let of_lab = words.windows(2).any(|pair| pair[0] == "--logfile" && pair[1].starts_with(&lab));
        of_lab && !words[0].ends_with("sh")
    };
    let mut processes = fs::read_dir("/proc").expect("it can be read").flatten().map(|entry| entry.path());
    processes.find(|process| is_daemon(process)).expect("the daemon runs")
}
