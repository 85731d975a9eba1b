//! The stand-in for nixpkgs (`tests/nixpkgs`): unpacks a Debian, adds it to the Nix store and makes the flake that
//! names it.
//!
//! Nothing here knows what the stand-in does with it. The unpacked Debian is kept between runs; the flake is a copy of
//! `tests/nixpkgs`, made anew each time, so that what is tested is what is in the repository.

use crate::apt::{self, Program};
use crate::process::{output, quietly};
use crate::say;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the machines of the stand-in are made of. `busybox-static` is what its derivations are built with.
const PACKAGES: &[&str] = &[
    "bash-completion",
    "busybox-static",
    "ca-certificates",
    "curl",
    "dbus",
    "direnv",
    "git",
    "iproute2",
    "less",
    "libnss-myhostname",
    "libnss-resolve",
    "libpam-systemd",
    "openssh-client",
    "openssh-server",
    "openssh-sftp-server",
    "procps",
    "pulseaudio-utils",
    "rsync",
    "socat",
    "sudo",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "wget",
    "xsel",
];

/// What of the unpacked Debian is made anew in each machine, or is of no use in one: devices cannot even be in a store.
const DROPPED: &[&str] = &[
    "dev",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "etc/systemd/system",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/lib/dbus/machine-id",
    "var/lock",
    "var/log",
    "var/run",
];

/// Unpacks Debian into `cache` where that has not been done, adds it to the store where it is missing there, and makes
/// a copy of `repo`'s `tests/nixpkgs` in its `target/` that names it. Gives that copy's folder, to be used as the
/// flake `path:FOLDER` in the place of nixpkgs.
///
/// # Errors
/// Where `debootstrap` or `nix` cannot be installed or fail; a half-unpacked Debian is not kept.
pub(super) fn prepare(cache: &Path, repo: &Path) -> Result<PathBuf> {
    apt::programs(&[Program("nix", "nix-bin"), Program("debootstrap", "debootstrap")])?;
    let hash = add_to_store(&unpack(cache)?)?;
    let flake = repo.join("target/nixpkgs");
    remove(&flake)?;
    copy(&repo.join("tests/nixpkgs"), &flake)?;
    write(&flake.join("debian.json"), &format!("{{ \"hash\": \"{hash}\" }}\n"))?;
    Ok(flake)
}

/// The path of the unpacked Debian in the store, once it was [`prepare`]d.
///
/// # Errors
/// Where it was not.
pub(super) fn debian(cache: &Path) -> Result<String> {
    let text = fs::read_to_string(cache.join("debian/store")).context("looking for the unpacked Debian")?;
    text.split_once(' ').map(|(path, _)| path.to_owned()).context("nothing is noted of the unpacked Debian")
}

/// The folder that holds the unpacked Debian as `debian`, the name that it has in the store.
fn unpack(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("debian");
    let recipe = format!("{}\n\n{}\n", PACKAGES.join("\n"), DROPPED.join("\n"));
    let note = folder.join("recipe");
    if fs::read_to_string(&note).is_ok_and(|made_of| made_of == recipe) {
        return Ok(folder);
    }
    say("Unpacking a small Debian for the machines of tests (debootstrap: about a minute; it is kept)");
    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let debian = folder.join("debian");
    quietly(
        Command::new("debootstrap")
            .args(["--variant=minbase", &format!("--include={}", PACKAGES.join(",")), "bookworm"])
            .arg(&debian),
    )?;
    trim(&debian)?;
    // Written last: a folder without it is half a Debian.
    write(&note, &recipe)?;
    Ok(folder)
}

fn trim(root: &Path) -> Result<()> {
    for path in DROPPED {
        remove(&root.join(path))?;
    }
    // Keys that are the same in all machines are no keys.
    let ssh = root.join("etc/ssh");
    for entry in fs::read_dir(&ssh).with_context(|| format!("reading {}", ssh.display()))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_")) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Adds the unpacked Debian in `folder` to the store and gives its hash.
fn add_to_store(folder: &Path) -> Result<String> {
    // Taking the hash reads every file, so it is noted.
    let note = folder.join("store");
    if let Ok(text) = fs::read_to_string(&note)
        && let Some((path, hash)) = text.trim().split_once(' ')
        && quietly(nix("nix-store").args(["--check-validity", path])).is_ok()
    {
        return Ok(hash.to_owned());
    }
    let debian = folder.join("debian");
    let added = output(nix("nix-store").args(["--add-fixed", "--recursive", "sha256"]).arg(&debian))?;
    let taken = output(nix("nix").args(["hash", "path"]).arg(&debian))?;
    let (path, hash) = (added.trim(), taken.trim());
    // A root keeps it from being collected; the store drops the root when the link is gone.
    quietly(nix("nix-store").args(["--realise", path, "--add-root"]).arg(folder.join("root")))?;
    write(&note, &format!("{path} {hash}\n"))?;
    Ok(hash.to_owned())
}

fn nix(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("NIX_CONFIG", super::nix_config(true));
    command
}

/// Removes a file, link or folder; one that is not there is no error.
fn remove(path: &Path) -> Result<()> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.with_context(|| format!("removing {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Copies a folder of plain files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("writing {}", target.display()))?;
        }
    }
    Ok(())
}
