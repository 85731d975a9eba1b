//! Keeping the distribution running, and sharing its volume.

use super::mounts::{RECORD, attach_at};
use super::started::Started;
use super::{lock, put};
use anyhow::{Context as _, Result, bail};
use codchi_guest::{HOME, SHARED, Share, VOLUME};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::mount::{OpenTreeFlags, UnmountFlags, open_tree, unmount};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use uapi::c;

/// The file that whoever stays holds the lock of; its process id is in it.
const HELD: &str = "/codchi/held";
/// How often it is looked whether a volume is used.
const LOOK: Duration = Duration::from_secs(5);
/// The least time between two looks, however short a volume is kept.
const LEAST: Duration = Duration::from_millis(100);
/// How long the end of whoever stays is waited for.
const LET_GO: Duration = Duration::from_secs(1);
/// How long the first process may take to become the system's init. It waits itself for what it needs.
const BOOT: Duration = Duration::from_secs(60);

/// Does what is to be done before the answer; gives the text that names the boot.
pub(crate) fn begin(share: Option<&Share>) -> Result<String> {
    if let Some(Share { name, .. }) = share {
        let _lock = lock::lock()?;
        shared(name).with_context(|| format!("sharing the volume as {SHARED}/{name}"))?;
        // Somebody is about to use it. Whoever stays and is about to leave leaves first: then this one stays.
        let used = used(name)?;
        used.lock_shared()?;
        used.set_modified(SystemTime::now())?;
    }
    // Whose distribution has a volume has no init of its own.
    if Path::new(VOLUME).exists() || !Path::new(HOME).exists() {
        return Ok(String::new());
    }
    booted()
}

/// The name of the boot that has come as far as the system's init. WSL starts sessions beside it.
fn booted() -> Result<String> {
    let end = Instant::now() + BOOT;
    loop {
        if let Some(started) = Started::read(RECORD)? {
            return Ok(started.name);
        }
        if Instant::now() > end {
            bail!("the distribution's init has not begun within {} seconds", BOOT.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Mounts the volume where all distributions see it, unless it is there.
fn shared(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        bail!("it is no name");
    }
    let place = format!("{SHARED}/{name}");
    fs::create_dir_all(&place)?;
    // Nothing, or something else: that of an earlier run of this distribution.
    loop {
        let (there, volume) = (about(&place)?, about(VOLUME)?);
        if there.mounted && there.file == volume.file {
            return Ok(());
        }
        if !there.mounted {
            break;
        }
        unmount(&place, UnmountFlags::DETACH)?;
    }
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    attach_at(open_tree(CWD, VOLUME, flags)?, &put::root("/")?, &place)
}

struct About {
    /// Whether something is mounted there.
    mounted: bool,
    /// Device and inode.
    file: (u32, u32, u64),
}

fn about(path: &str) -> Result<About> {
    let stat = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .with_context(|| format!("looking at {path}"))?;
    Ok(About {
        mounted: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        file: (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino),
    })
}

/// The file that tells whether the volume of this name is used: who keeps a distribution running that does holds a shared lock of it, and it
/// was last changed when somebody did.
fn used(name: &str) -> Result<File> {
    let path = format!("{SHARED}/{name}.used");
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {path}"))
}

/// Keeps the distribution running until it is killed or there is nobody to stay for, unless somebody else does already: one `wsl.exe` is
/// enough.
pub(crate) fn stay(share: Option<&Share>, uses: &[String]) {
    let Ok(mut held) = File::options().create(true).truncate(false).write(true).open(HELD) else {
        return;
    };
    if held.try_lock().is_err() {
        return;
    }
    // Whoever stops the system finds it by this.
    let _ = held.set_len(0).and_then(|()| write!(held, "{}", process::id()));
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        // Where it fails the stream stays what it was, and nothing is written to it.
        let _ = (dup2_stdin(&null), dup2_stdout(&null), dup2_stderr(&null));
    }
    let _used: Vec<File> =
        uses.iter().filter_map(|name| used(name).ok()).inspect(|it| _ = it.lock_shared()).collect();
    if let Some(Share { name, idle }) = share
        && let Ok(leaving) = unused(name, Duration::from_secs(*idle))
    {
        // In this order: who waits for the second finds the first free.
        drop(held);
        drop(leaving);
        return;
    }
    // The terminal hangs up when that `wsl.exe` ends; then this one keeps nothing running any more, and ends, too.
    loop {
        thread::park();
    }
}

/// Waits until nobody uses the volume, and nobody has for so long; until the file is closed nobody begins to.
fn unused(name: &str, idle: Duration) -> Result<File> {
    let used = used(name)?;
    loop {
        thread::sleep(LOOK.min(idle).max(LEAST));
        match used.try_lock() {
            Ok(()) if used.metadata()?.modified()?.elapsed().unwrap_or_default() >= idle => return Ok(used),
            Ok(()) => used.unlock()?,
            Err(TryLockError::WouldBlock) => used.set_modified(SystemTime::now())?,
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Ends whoever stays, since the system is going down: it is nobody's child in there, and systemd would wait for its end in vain.
pub(crate) fn let_go() {
    let Ok(mut held) = File::open(HELD) else { return };
    let end = Instant::now() + LET_GO;
    let mut pid = String::new();
    let of = held.read_to_string(&mut pid).ok().and_then(|_| pid.parse::<c::pid_t>().ok());
    if let Some(pid) = of.filter(|_| held.try_lock().is_err()) {
        let _ = uapi::kill(pid, c::SIGTERM);
        while held.try_lock().is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
