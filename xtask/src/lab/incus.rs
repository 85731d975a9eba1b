//! Incus, which Debian 12 has in its backports only: unpacked into a folder of its own; of it nothing is installed.

use super::debian::Release;
use crate::apt::{self, Program};
use crate::process::{output, quietly};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release it is taken from.
const SUITE: &str = "bookworm-backports";
/// What is unpacked.
const PACKAGES: [&str; 4] = ["incus-base", "incus-client", "libcowsql0", "libraft0"];
/// What it needs besides, which is the same in every release.
pub(super) const NEEDED: &[&str] = &[
    "attr",
    "iproute2",
    "liblxc1",
    "liblxc-common",
    "lxcfs",
    "rsync",
    "squashfs-tools",
    "uidmap",
    "xz-utils",
];

/// Unpacks it below `cache`, unless it is there; gives the folder with client and daemon.
pub(crate) fn prepare(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(format!("incus-{SUITE}"));
    let root = folder.join("root");
    let bin = root.join("usr/bin");
    let complete = folder.join(".complete");
    if complete.exists() {
        return Ok(bin);
    }
    crate::say(format!("Unpacking the Incus of Debian {SUITE} (apt)"));
    let release = Release::new(&folder, SUITE)?;
    let mut packages = release.apt_get();
    quietly(packages.current_dir(folder.join("archives")).arg("download").args(PACKAGES))
        .context("fetching Incus")?;
    release.unpack(&root)?;
    symlink("../libexec/incus/incusd", bin.join("incusd"))?;
    fs::write(complete, "")?;
    Ok(bin)
}

/// Copies what [`prepare`] gave into `folder`, with the way to its libraries: the daemon runs parts of itself as users of
/// instances, who must get through to both. Gives what is there then.
pub(super) fn within_reach(programs: &Path, folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("programs");
    let usr = programs.parent().context("the programs are in no folder")?;
    quietly(Command::new("cp").args(["--recursive", "--no-dereference"]).arg(usr).arg(&copy))?;
    apt::programs(&[Program("patchelf", "patchelf")])?;
    // An absolute path: one from where the program is does not count where a user gains rights.
    quietly(
        Command::new("patchelf")
            .args(["--force-rpath", "--set-rpath"])
            .arg(copy.join("lib/x86_64-linux-gnu"))
            .arg(copy.join("libexec/incus/incusd")),
    )?;
    let bin = copy.join("bin");
    output(Command::new(bin.join("incusd")).arg("--version")).context("trying Incus")?;
    Ok(bin)
}

/// What [`within_reach`] has put into `folder`.
pub(super) fn programs_in(folder: &Path) -> Option<PathBuf> {
    let bin = folder.join("programs/bin");
    bin.exists().then_some(bin)
}
