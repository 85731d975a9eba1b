//! A binary tarball of Nix, laid out as nixos.org's are: what a store instance is made of where nothing can be fetched.
//!
//! It holds the current Nix with its libraries as two paths of a store, and the unpacked Debian as a third, which the stand-in
//! for nixpkgs takes for granted.

use super::current_nix;
use crate::process::{output, quietly};
use crate::say;
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs of Nix, which are one by many names.
const NAMES: [&str; 11] = [
    "build",
    "channel",
    "collect-garbage",
    "copy-closure",
    "daemon",
    "env",
    "hash",
    "instantiate",
    "prefetch-url",
    "shell",
    "store",
];

/// Makes it below `cache`, unless it is there; `debian` is the unpacked Debian's path in the store. Gives the tarball.
pub(super) fn prepare(cache: &Path, debian: &str) -> Result<PathBuf> {
    let bin = current_nix::prepare(cache)?;
    let folder = cache.join("store-nix");
    let tarball = folder.join("nix-current-x86_64-linux.tar");
    let note = folder.join("made-of");
    let made_of = format!("{}\n{debian}\n", bin.display());
    if tarball.exists() && fs::read_to_string(&note).is_ok_and(|text| text == made_of) {
        return Ok(tarball);
    }
    say("Packing a Nix for store instances");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let top = folder.join("nix-current-x86_64-linux");
    fs::create_dir_all(top.join("store"))?;
    let (libc, nix) = add_to_store(&bin, &folder)?;
    let mut registration = String::new();
    for (path, needs) in [(libc.as_str(), None), (&nix, Some(&libc)), (debian, None)] {
        let hash = output(store().args(["--query", "--hash", path]))?;
        let size = output(store().args(["--query", "--size", path]))?;
        let needs: Vec<&str> = needs.into_iter().map(String::as_str).collect();
        registration.push_str(&format!("{path}\n{hash}{size}\n{}\n", needs.len()));
        needs.iter().for_each(|path| registration.push_str(&format!("{path}\n")));
        quietly(Command::new("cp").arg("--archive").arg(path).arg(top.join("store")))?;
    }
    fs::write(top.join(".reginfo"), registration)?;
    quietly(
        Command::new("tar")
            .args(["--create", "--owner=0", "--group=0", "--sort=name", "--file"])
            .arg(&tarball)
            .arg("--directory")
            .arg(&folder)
            .arg("nix-current-x86_64-linux"),
    )?;
    fs::remove_dir_all(&top)?;
    fs::write(note, made_of)?;
    Ok(tarball)
}

/// Adds the Nix in `bin` to the store; gives the paths of its C library's loader and of itself.
fn add_to_store(bin: &Path, folder: &Path) -> Result<(String, String)> {
    let usr = bin.parent().context("the folder of programs has a parent")?;
    let loader = usr.join("lib64/ld-linux-x86-64.so.2");
    let libraries = output(Command::new(&loader).arg("--list").arg(bin.join("nix")))?;
    let libc = folder.join("libc");
    fs::create_dir_all(&libc)?;
    fs::copy(&loader, libc.join("ld-linux-x86-64.so.2"))?;
    let libc = add(&libc)?;

    let nix = folder.join("nix-current");
    fs::create_dir_all(nix.join("bin"))?;
    fs::create_dir_all(nix.join("lib"))?;
    // Lines are `NAME => PATH (ADDRESS)`.
    let paths = libraries.lines().filter_map(|line| line.split_once("=> ")?.1.split(' ').next());
    for path in paths.map(Path::new) {
        let name = path.file_name().context("a library has a name")?;
        fs::copy(path, nix.join("lib").join(name))?;
    }
    fs::copy(bin.join("nix"), nix.join("bin/nix"))?;
    quietly(
        Command::new("patchelf")
            .args(["--set-interpreter", &format!("{libc}/ld-linux-x86-64.so.2")])
            .args(["--force-rpath", "--set-rpath", "$ORIGIN/../lib"])
            .arg(nix.join("bin/nix")),
    )?;
    for name in NAMES {
        symlink("nix", nix.join(format!("bin/nix-{name}")))?;
    }
    let added = add(&nix)?;
    fs::remove_dir_all(&nix)?;
    fs::remove_dir_all(folder.join("libc"))?;
    Ok((libc, added))
}

fn add(folder: &Path) -> Result<String> {
    let added = output(store().args(["--add-fixed", "--recursive", "sha256"]).arg(folder))?;
    Ok(added.trim().to_owned())
}

fn store() -> Command {
    let mut command = Command::new("nix-store");
    command.env("NIX_CONFIG", super::nix_config(true));
    command
}
