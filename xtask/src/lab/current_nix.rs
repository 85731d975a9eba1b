//! A Nix that today's nixpkgs accepts, beside the one that the distribution has: both must work.
//!
//! It is Debian 13's, unpacked with the libraries it needs into a folder of its own; nothing is installed.

use crate::apt::{self, Program};
use crate::process::{output, quietly};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release it is taken from.
const SUITE: &str = "trixie";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Unpacks it below `cache`, unless it is there; gives the folder to put on `PATH`.
pub(crate) fn prepare(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(format!("nix-{SUITE}"));
    let root = folder.join("root");
    let bin = root.join("usr/bin");
    let complete = folder.join(".complete");
    if complete.exists() {
        return Ok(bin);
    }
    apt::programs(&[Program("patchelf", "patchelf")])?;
    crate::say(format!("Unpacking the Nix of Debian {SUITE} (apt)"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for below in ["lists/partial", "archives/partial", "root"] {
        fs::create_dir_all(folder.join(below))?;
    }
    fs::write(folder.join("sources.list"), format!("deb [signed-by={KEYS}] {} {SUITE} main\n", mirror()?))?;
    // An empty list of installed packages: all that Nix depends on is fetched, the C library too.
    fs::write(folder.join("status"), "")?;
    quietly(apt_get(&folder).args(["update", "--quiet"])).context("fetching the list of packages")?;
    quietly(apt_get(&folder).args(["install", "--yes", "--quiet", "--download-only", "nix-bin"]))
        .context("fetching nix-bin and what it needs")?;
    for archive in fs::read_dir(folder.join("archives"))? {
        let archive = archive?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            quietly(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&root))?;
        }
    }
    // The old kind of search path holds for the libraries' own libraries as well.
    quietly(
        Command::new("patchelf")
            .arg("--set-interpreter")
            .arg(root.join("usr/lib64/ld-linux-x86-64.so.2"))
            .args(["--force-rpath", "--set-rpath"])
            .arg(root.join("usr/lib/x86_64-linux-gnu"))
            .arg(bin.join("nix")),
    )?;
    output(Command::new(bin.join("nix")).arg("--version")).context("trying it")?;
    fs::remove_dir_all(folder.join("archives"))?;
    fs::write(complete, "")?;
    Ok(bin)
}

/// `apt-get` that sees only `folder`.
fn apt_get(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let options = [
        ("Dir::Etc::SourceList", folder.join("sources.list")),
        ("Dir::Etc::SourceParts", "/dev/null".into()),
        ("Dir::State::Lists", folder.join("lists")),
        ("Dir::State::status", folder.join("status")),
        ("Dir::Cache", folder.to_owned()),
        ("Dir::Cache::archives", folder.join("archives")),
        ("APT::Install-Recommends", "false".into()),
        ("APT::Sandbox::User", "root".into()),
    ];
    for (name, value) in options {
        command.arg("-o").arg(format!("{name}={}", value.display()));
    }
    command
}

/// The Debian mirror that this machine uses.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d")?.flatten().map(|entry| entry.path()));
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| {
            let words = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .flat_map(str::split_whitespace);
            words
                .map(|word| word.trim_end_matches('/'))
                .find(|word| word.ends_with("/debian"))
                .map(str::to_owned)
        })
        .context("no Debian mirror is configured in /etc/apt")
}
