//! The engine that the environment names, beside the driver: its own client, its folder, its daemon, and what others do with it.

use codchi_driver::{Driver, InstanceName, MARK_KEY, WslOptions};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// LXD.
    Lxd,
    /// Incus.
    Incus,
    /// WSL: the `wsl.exe` of tests/wsl.
    Wsl,
}

/// Which engine the environment names.
///
/// # Panics
/// Where it names none.
#[must_use]
pub fn kind() -> Kind {
    let named = |names: &[&str]| names.iter().any(|name| std::env::var_os(name).is_some());
    if named(&["CODCHI_WSL_EXE"]) {
        Kind::Wsl
    } else if named(&["INCUS_DIR", "INCUS_SOCKET"]) {
        Kind::Incus
    } else if named(&["LXD_DIR", "LXD_SOCKET"]) {
        Kind::Lxd
    } else {
        panic!("these tests need an engine that the environment names: `cargo xtask test` brings one")
    }
}

/// Whether files of a project have owners: on Windows' drives all are everybody's.
#[must_use]
pub fn keeps_owners() -> bool {
    kind() != Kind::Wsl
}

/// Whether this computer sees the store that machines live in, so that systems can be compared and files of modules be told from others.
#[must_use]
pub fn shows_store() -> bool {
    kind() != Kind::Wsl
}

/// The driver for it.
///
/// # Panics
/// Where it does not answer.
pub async fn connect() -> Arc<dyn Driver> {
    let folder = if kind() == Kind::Wsl { distributions() } else { PathBuf::new() };
    connect_in(folder).await
}

/// The same, with WSL's distributions in a folder of one's own.
///
/// # Panics
/// Where it does not answer.
pub async fn connect_in(distributions: PathBuf) -> Arc<dyn Driver> {
    let guest = std::env::var_os("CODCHI_GUEST").unwrap_or_default().into();
    let wsl = WslOptions { folder: distributions, guest, patience: WslOptions::PATIENCE };
    codchi_driver::connect(None, wsl).await.expect("the engine that the environment names answers")
}

/// Where the driver's tests have their distributions.
fn distributions() -> PathBuf {
    drive().join("codchi-test")
}

/// The name of a distribution's disk.
pub(crate) const DISK: &str = "ext4.vhdx";

/// Drive C: of the computer that the `wsl.exe` of tests/wsl stands for.
pub(crate) fn drive() -> PathBuf {
    computer().join("c")
}

/// That computer.
fn computer() -> PathBuf {
    std::env::var_os("CODCHI_WSL_DRIVES").expect("the lab sets it").into()
}

/// A path on drive C: as Windows writes it.
///
/// # Panics
/// Where it is not there.
pub(crate) fn on_windows(path: &Path) -> String {
    format!("C:\\{}", on_drive(path).replace('/', "\\"))
}

/// The same as a distribution sees it.
///
/// # Panics
/// Where it is not there.
pub(crate) fn in_distributions(path: &Path) -> String {
    format!("/mnt/c/{}", on_drive(path))
}

fn on_drive(path: &Path) -> String {
    path.strip_prefix(drive()).expect("it is on drive C:").display().to_string()
}

/// The root file system of the distribution in `folder`: its disk is a line of text that names it.
///
/// # Panics
/// Where there is none.
pub(crate) fn disk(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(folder.join(DISK)).unwrap();
    computer().join("disks").join(text.split_whitespace().next_back().expect("it names a disk"))
}

/// Unregisters WSL's distributions that lie in a folder of `distributions`, running or not; on other engines there are none.
///
/// # Panics
/// Where one cannot be.
pub fn forget_in(distributions: &Path) {
    if kind() != Kind::Wsl {
        return;
    }
    for name in ask_client(&["--list", "--quiet", "--all"]).lines().map(str::trim) {
        if !name.is_empty() && distributions.join(name).exists() {
            ask_client(&["--unregister", name]);
        }
    }
}

/// The engine's own client.
#[must_use]
pub fn client() -> &'static str {
    match kind() {
        Kind::Lxd => "lxc",
        Kind::Incus => "incus",
        Kind::Wsl => "wsl.exe",
    }
}

/// What the engine's own client prints, in the test's environment; it must succeed.
///
/// # Panics
/// Where it does not.
pub fn ask_client(arguments: &[&str]) -> String {
    run_client(arguments, b"")
}

fn run_client(arguments: &[&str], input: &[u8]) -> String {
    let program = if kind() == Kind::Wsl {
        std::env::var_os("CODCHI_WSL_EXE").expect("it is what makes it this engine")
    } else {
        client().into()
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("WSL_UTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may not want it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said} {}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Makes an instance of ours somebody else's, or ours again.
///
/// # Panics
/// Where that cannot be.
pub fn set_mark(name: &InstanceName, ours: bool) {
    let instance = name.as_str();
    match (kind(), ours) {
        (Kind::Wsl, _) => {
            let folder = distributions().join(instance);
            let (mark, hidden) = (folder.join("instance.json"), folder.join("their.json"));
            let (from, to) = if ours { (hidden, mark) } else { (mark, hidden) };
            fs::rename(from, to).unwrap();
        }
        (_, true) => drop(ask_client(&["config", "set", instance, &format!("{MARK_KEY}={{}}")])),
        (_, false) => drop(ask_client(&["config", "unset", instance, MARK_KEY])),
    }
}

/// An instance that somebody else makes; deleted when dropped.
pub struct Theirs(String);

impl Theirs {
    /// Of this name.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn instance(name: &str) -> Self {
        if kind() == Kind::Wsl {
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, "etc/", [].as_slice()).unwrap();
            let bytes = archive.into_inner().unwrap();
            fs::create_dir_all(drive().join("theirs")).unwrap();
            run_client(&["--import", name, &format!("C:\\theirs\\{name}"), "-", "--version", "2"], &bytes);
        } else {
            ask_client(&["init", "--empty", name]);
        }
        Self(name.into())
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let verb = if kind() == Kind::Wsl { "--unregister" } else { "delete" };
        ask_client(&[verb, &self.0]);
    }
}

/// All that the engine, or the driver beside it, keeps about an instance on this computer.
///
/// # Panics
/// Where it cannot be read.
#[must_use]
pub fn configuration(name: &InstanceName) -> String {
    if kind() != Kind::Wsl {
        return ask_client(&["config", "show", "--expanded", name.as_str()]);
    }
    let files = fs::read_dir(distributions().join(name.as_str())).unwrap().flatten();
    let text = files.filter(|file| file.path().is_file()).map(|file| fs::read(file.path()).unwrap());
    text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// What the engine has of an instance beside the instance itself, or is doing with it; empty where that is nothing.
///
/// # Panics
/// Where it does not say.
#[must_use]
pub fn left_of(name: &InstanceName) -> Vec<String> {
    let instance = name.as_str();
    if kind() == Kind::Wsl {
        let known = ask_client(&["--list", "--quiet", "--all"]);
        let known = known.lines().filter(|line| line.trim() == instance).map(str::to_owned);
        let folder = distributions().join(instance);
        return known.chain(folder.exists().then(|| folder.display().to_string())).collect();
    }
    let mut left = images_of(name);
    let operations = ask_client(&["query", "/1.0/operations?recursion=1"]);
    if operations.contains(&format!("/{instance}\"")) && operations.contains("\"Running\"") {
        left.push(operations);
    }
    left
}

/// The images of LXD or Incus that have something to do with an instance; none of WSL's.
///
/// # Panics
/// Where the engine does not say.
#[must_use]
pub fn images_of(name: &InstanceName) -> Vec<String> {
    if kind() == Kind::Wsl {
        return Vec::new();
    }
    let images: serde_json::Value =
        serde_json::from_str(&ask_client(&["query", "/1.0/images?recursion=1"])).unwrap();
    let images = images.as_array().unwrap().iter();
    let description = |image: &serde_json::Value| {
        image["properties"]["description"].as_str().unwrap_or_default().to_owned()
    };
    images.map(description).filter(|text| text.split(' ').any(|word| word == name.as_str())).collect()
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
