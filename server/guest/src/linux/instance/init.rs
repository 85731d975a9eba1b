//! The instance's first process: mounts what it has, moves there and becomes its init.

use super::super::mounts::{self, attach_at};
use super::super::proc::OwnThread;
use super::super::put;
use anyhow::{Context as _, Result};
use codchi_guest::{Boot, INSTANCE};
use rustix::fs::{CWD, Mode};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
    unmount,
};
use rustix::process::{fchdir, pivot_root, setsid, umask};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::convert::Infallible;
use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use uapi::c;

/// Becomes the init of the [`Boot`] that comes as input. Where that fails it says why as its errors, which end without a word
/// where it succeeds.
pub(crate) fn run() -> ExitCode {
    // A copy, which ends when another program takes this one's place.
    let Ok(errors) = io::stderr().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Err(error) = begin();
    // There is nobody else to tell.
    let _ = writeln!(File::from(errors), "{error:#}");
    ExitCode::FAILURE
}

fn begin() -> Result<Infallible> {
    let boot: Boot = serde_json::from_reader(io::stdin().lock()).context("reading what it starts with")?;
    uapi::unshare(c::CLONE_NEWNS | c::CLONE_NEWIPC | c::CLONE_NEWUTS).context("making its namespaces")?;
    // What the distribution mounts later comes here, and nothing of here goes there.
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM)
        .context("leaving the mounts")?;
    let root = own_root().context("mounting its root file system")?;
    umask(Mode::WGRP | Mode::WOTH);
    for (path, tree) in system()? {
        attach_at(tree, &root, path).with_context(|| format!("mounting {path}"))?;
    }
    mounts::attach(&mounts::take_up(&boot.mounts)?, &root)?;

    become_root(&root).context("moving to its root file system")?;
    mounts::protect(&boot.mounts, &OwnThread::open()?)?;
    setsid()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").context("opening /dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Err(Command::new(&boot.init).exec()).with_context(|| format!("becoming {}", boot.init))
}

/// Its root file system as a mount of its own, which alone can become a root.
fn own_root() -> Result<OwnedFd> {
    let tree = open_tree(CWD, INSTANCE, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    move_mount(&tree, "", CWD, INSTANCE, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    put::root(INSTANCE)
}

/// What every system has mounted.
fn system() -> Result<Vec<(&'static str, OwnedFd)>> {
    let nothing_special = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let shared = |path: &'static str| {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok::<_, anyhow::Error>((
            path,
            open_tree(CWD, path, flags).with_context(|| format!("taking up {path} to mount it"))?,
        ))
    };
    Ok(vec![
        ("/proc", new("proc", None, nothing_special | MountAttrFlags::MOUNT_ATTR_NOEXEC)?),
        shared("/sys")?,
        shared("/dev")?,
        ("/run", new("tmpfs", Some("755"), nothing_special)?),
    ])
}

/// A new file system of this kind.
fn new(kind: &str, mode: Option<&str>, attributes: MountAttrFlags) -> Result<OwnedFd> {
    let make = || {
        let system = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        if let Some(mode) = mode {
            fsconfig_set_string(&system, "mode", mode)?;
        }
        fsconfig_create(&system)?;
        fsmount(&system, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().with_context(|| format!("making a {kind}"))
}

/// Makes `root` the root of all here, and lets go of the distribution's.
fn become_root(root: &OwnedFd) -> Result<()> {
    fchdir(root)?;
    // The old root then lies on the new one (pivot_root(2)).
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(env::set_current_dir("/")?)
}
