//! A Nix that today's nixpkgs accepts, beside the one that the distribution has: both must work.
//!
//! It is Debian 13's, unpacked with the libraries it needs into a folder of its own; nothing is installed.

use super::debian::Release;
use crate::apt::{self, Program};
use crate::process::{output, quietly};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release it is taken from.
const SUITE: &str = "trixie";

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
    let release = Release::new(&folder, SUITE)?;
    let mut packages = release.apt_get();
    quietly(packages.args(["install", "--yes", "--quiet", "--download-only", "nix-bin"]))
        .context("fetching nix-bin and what it needs")?;
    release.unpack(&root)?;
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
    fs::write(complete, "")?;
    Ok(bin)
}
