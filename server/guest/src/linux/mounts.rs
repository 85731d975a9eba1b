//! What is mounted for a system.
//!
//! A mount is first taken up where its source is, and then attached where the system is, which may be another mount namespace and
//! another root. Mount points are opened and not named, so that no link leads out of the root on the way.

use super::proc::{Mounted, OwnThread};
use super::put::open_in;
use anyhow::{Context as _, Result, bail};
use codchi_guest::BootMount;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount_remount, move_mount, open_tree};
use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// What was mounted for the distribution's own system. Not in `/run`, which an init mounts anew.
pub(crate) const RECORD: &str = "/codchi/mounts.json";

/// How long a source may take to appear: that of a volume does when its distribution shares it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mount that is taken up and attached nowhere.
pub(crate) struct Tree<'a> {
    mount: &'a BootMount,
    tree: OwnedFd,
}

/// Takes up what is at the mounts' sources.
pub(crate) fn take_up<'a>(mounts: impl IntoIterator<Item = &'a BootMount>) -> Result<Vec<Tree<'a>>> {
    let end = Instant::now() + PATIENCE;
    let tree = |mount: &'a BootMount| Ok(Tree { mount, tree: source(&mount.source, end)? });
    mounts.into_iter().map(tree).collect()
}

fn source(path: &str, end: Instant) -> Result<OwnedFd> {
    if !path.starts_with('/') {
        bail!("`{path}` is no absolute path");
    }
    wait_for(Path::new(path), end);
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags).with_context(|| format!("taking up {path} to mount it"))
}

/// Waits until something is at `path`, but no longer than to `end`.
pub(crate) fn wait_for(path: &Path, end: Instant) {
    while !path.exists() && Instant::now() < end {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Attaches what was taken up to the root file system `root`, in the mount namespace of the calling thread.
pub(crate) fn attach(trees: &[Tree<'_>], root: &OwnedFd) -> Result<()> {
    for Tree { mount, tree } in trees {
        attach_at(tree, root, &mount.path)
            .with_context(|| format!("mounting {} at {}", mount.source, mount.path))?;
    }
    Ok(())
}

/// Attaches a tree of mounts at `path` in `root`, which is made where it is not there.
pub(crate) fn attach_at(tree: impl AsFd, root: &OwnedFd, path: &str) -> Result<()> {
    let path = Path::new(path);
    if !path.is_absolute() || path.file_name().is_none() {
        bail!("that is no place to mount something at");
    }
    let point = mount_point(root, path, is_folder(&tree)?)?;
    let named_by_nothing = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", point, "", named_by_nothing)?)
}

fn is_folder(file: impl AsFd) -> Result<bool> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode) == FileType::Directory)
}

/// The folder or file at `path` in `root`; makes it, and the folders that it is in.
fn mount_point(root: &OwnedFd, path: &Path, folder: bool) -> Result<OwnedFd> {
    let shown = path.display();
    match open_in(root, path, OFlags::empty()) {
        Ok(point) if is_folder(&point)? == folder => return Ok(point),
        Ok(_) if folder => bail!("{shown} is there and no folder"),
        Ok(_) => bail!("{shown} is a folder"),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error).with_context(|| format!("opening {shown}")),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("{shown} cannot be made")
    };
    let parent = mount_point(root, parent, true)?;
    let made = if folder {
        mkdirat(&parent, name, Mode::from_raw_mode(0o755))
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
    };
    match made {
        Ok(()) => {}
        Err(Errno::EXIST) => bail!("{shown} is a link that leads nowhere"),
        Err(error) => return Err(error).with_context(|| format!("making {shown}")),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&parent, name, flags, Mode::empty()).with_context(|| format!("opening {shown}"))
}

/// Makes those of the mounts read-only that shall be, with what is mounted below them. The calling thread's root is the system's.
pub(crate) fn protect<'a>(mounts: impl IntoIterator<Item = &'a BootMount>, thread: &OwnThread) -> Result<()> {
    for mount in mounts.into_iter().filter(|mount| mount.read_only) {
        let protect = || {
            let path = fs::canonicalize(&mount.path)?;
            let mounts = with_all_below(thread.mounts()?, &path);
            if mounts.is_empty() {
                bail!("nothing is mounted there");
            }
            for mounted in mounts {
                mount_remount(
                    &mounted.path,
                    flags(&mounted.options) | MountFlags::BIND | MountFlags::RDONLY,
                    "",
                )?;
            }
            Ok::<_, anyhow::Error>(())
        };
        protect().with_context(|| format!("making {} read-only", mount.path))?;
    }
    Ok(())
}

/// The mount that is on top at `path`, and those on it.
fn with_all_below(mut mounts: Vec<Mounted>, path: &Path) -> Vec<Mounted> {
    let covered: HashSet<u64> =
        mounts.iter().filter(|mounted| mounted.path == path).map(|mounted| mounted.parent).collect();
    let top = mounts.iter().find(|mounted| mounted.path == path && !covered.contains(&mounted.id));
    let mut ids: HashSet<u64> = top.map(|mounted| mounted.id).into_iter().collect();
    loop {
        let before = ids.len();
        ids.extend(
            mounts
                .iter()
                .filter(|mounted| ids.contains(&mounted.parent))
                .map(|mounted| mounted.id)
                .collect::<Vec<_>>(),
        );
        if ids.len() == before {
            break;
        }
    }
    mounts.retain(|mounted| ids.contains(&mounted.id));
    mounts
}

/// The flags that a mount has: a remount without them would take them away.
fn flags(options: &[String]) -> MountFlags {
    options.iter().fold(MountFlags::empty(), |flags, option| {
        flags
            | match option.as_str() {
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                _ => MountFlags::empty(),
            }
    })
}
