//! Going where the systems of a distribution are: into the namespaces of their first processes.

use super::proc::OwnThread;
use super::started::Started;
use anyhow::{Context as _, Result, anyhow, bail};
use codchi_guest::PROGRAM;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, chroot, fchdir, pidfd_open};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
};
use std::fs::{self, File};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::thread;

/// Moves this process, of one thread yet, to where the distribution's first process is.
///
/// WSL starts programs in other mount namespaces where they are called with other rights on Windows than the distribution was started
/// with, so what such a program mounts would not be the system's.
pub(crate) fn distribution() -> Result<()> {
    // A test's program is nobody's.
    if fs::read_link("/proc/self/exe").ok().as_deref() != Some(PROGRAM.as_ref()) {
        return Ok(());
    }
    let namespace = |process: &str| {
        let path = format!("/proc/{process}/ns/mnt");
        let metadata = fs::metadata(&path).with_context(|| format!("reading {path}"))?;
        Ok::<_, anyhow::Error>((metadata.dev(), metadata.ino()))
    };
    if namespace("self")? == namespace("1")? {
        return Ok(());
    }
    let go = || {
        let root = root_of(1)?;
        let mounts = File::open("/proc/1/ns/mnt")?;
        move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        become_root(&root)
    };
    go().context("going to where process 1 is")
}

/// Runs `work` in the system that `started` is about, on a thread that alone is moved there: new processes of it are in the system's
/// process namespace, too. `work` is given that thread.
pub(crate) fn within<T: Send>(
    started: &Started,
    work: impl FnOnce(&OwnThread) -> Result<T> + Send,
) -> Result<T> {
    let inside = || {
        // There it has no name in `/proc`.
        let thread = OwnThread::open()?;
        enter(started).context("going into the instance")?;
        work(&thread)
    };
    thread::scope(|scope| scope.spawn(inside).join())
        .map_err(|_| anyhow!("the thread in the instance died"))?
}

fn enter(started: &Started) -> Result<()> {
    let pid = i32::try_from(started.pid).ok().and_then(Pid::from_raw).context("no process has this id")?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let root = root_of(started.pid)?;
    // Only now, when both are open, can they not become another's any more.
    if !started.runs()? {
        bail!("it has ended");
    }
    // Root and working folder are the whole process's unless a thread has its own.
    uapi::unshare(uapi::c::CLONE_FS)?;
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
    move_into_thread_name_spaces(process.as_fd(), all)?;
    Ok(become_root(&root)?)
}

fn root_of(pid: u32) -> rustix::io::Result<OwnedFd> {
    openat(
        CWD,
        format!("/proc/{pid}/root"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// The root of a mount namespace need not be that of who lives in it.
fn become_root(root: &OwnedFd) -> std::io::Result<()> {
    fchdir(root)?;
    chroot(".")?;
    Ok(())
}
