//! The instance that shares its distribution with a volume: a root file system of its own, namespaces for mounts, processes, names and
//! shared memory, and everything else the distribution's.

mod archive;
pub(crate) mod init;
mod remove;

use super::started::Started;
use super::{PATH, lock, proc, put};
use anyhow::{Context as _, Result, anyhow, bail};
use codchi_guest::{Boot, INSTANCE, InstanceState, Target};
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use uapi::c;

/// Which start of it runs.
pub(crate) const RECORD: &str = "/run/codchi-instance.json";
/// What this program is started with to become its first process.
pub(crate) const INIT_ARGUMENT: &str = "instance-init";
/// How long its processes may take to die.
const DYING: Duration = Duration::from_secs(10);

/// The start that runs.
pub(crate) fn running() -> Result<Option<Started>> {
    Started::read(RECORD)
}

/// The same, which must be there.
pub(crate) fn required() -> Result<Started> {
    running()?.context("the instance does not run")
}

/// How it is.
pub(crate) fn state() -> Result<InstanceState> {
    Ok(InstanceState {
        exists: Path::new(INSTANCE).exists(),
        running: running()?.map(|started| started.name),
    })
}

/// The root file system of `target`, with what is mounted in it.
pub(crate) fn root(target: Target) -> Result<OwnedFd> {
    match (target, running()?) {
        (Target::Distribution, _) => put::root("/"),
        (Target::Instance, Some(started)) => put::root(&format!("/proc/{}/root", started.pid)),
        (Target::Instance, None) => put::root(INSTANCE),
    }
}

/// The instance, while nobody else changes it.
pub(crate) struct Kept(#[allow(dead_code, reason = "it is held")] File);

impl Kept {
    /// Waits until nobody else does.
    pub(crate) fn lock() -> Result<Self> {
        lock::lock().map(Self)
    }

    /// Lays its root file system down.
    pub(crate) fn create(&self, mut archive: impl Read) -> Result<()> {
        if Path::new(INSTANCE).exists() {
            bail!("there is an instance already");
        }
        // It is there as a whole or not at all.
        let new = format!("{INSTANCE}.new");
        remove::folder(&new)?;
        archive::unpack(&mut archive, Path::new(&new))
            // Who sends it does so to its end, which is after the archive's.
            .and_then(|()| Ok(io::copy(&mut archive, &mut io::sink())?))
            .and_then(|_| Ok(fs::rename(&new, INSTANCE)?))
            .or_else(|error| remove::folder(&new).and(Err(error)))
            .context("laying down the instance's root file system")
    }

    /// Starts it where it does not run; gives the text that names the start.
    pub(crate) fn start(&self, boot: &Boot) -> Result<String> {
        if let Some(started) = running()? {
            return Ok(started.name);
        }
        if !Path::new(INSTANCE).exists() {
            bail!("there is no instance");
        }
        let started = start(boot).context("starting the instance")?;
        started.write(RECORD)?;
        Ok(started.name)
    }

    /// Kills it with all that runs in it, where it runs.
    pub(crate) fn kill(&self) -> Result<()> {
        let Some(started) = running()? else { return Ok(()) };
        let end = Instant::now() + DYING;
        while started.runs()? {
            // All others of its process namespace end with the first one.
            let killed = uapi::kill(c::pid_t::try_from(started.pid)?, c::SIGKILL);
            if started.runs()? {
                killed.context("killing the instance")?;
            }
            if Instant::now() > end {
                bail!("the instance does not end");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Ends and removes it.
    pub(crate) fn delete(&self) -> Result<()> {
        self.kill()?;
        remove::folder(INSTANCE).context("removing the instance's root file system")
    }
}

fn start(boot: &Boot) -> Result<Started> {
    let name = proc::random()?;
    let mut child = first_process()?;
    let (Some(mut input), Some(mut errors)) = (child.stdin.take(), child.stderr.take()) else {
        bail!("it has no streams");
    };
    // Where it does not read it has said why.
    let _ = input.write_all(&serde_json::to_vec(boot)?);
    drop(input);
    let mut error = String::new();
    // This ends when it becomes the init.
    errors.read_to_string(&mut error)?;
    if !error.is_empty() {
        // It ends by itself.
        let _ = child.wait();
        bail!("{}", error.trim_end());
    }
    match Started::of(child.id(), name, boot.mounts.clone()) {
        Ok(started) => Ok(started),
        Err(_) => bail!("its init, {}, has ended at once ({})", boot.init, child.wait()?),
    }
}

/// This program once more, as first process of a process namespace.
fn first_process() -> Result<Child> {
    // On a thread, since that makes no other threads any more.
    let spawn = || {
        uapi::unshare(c::CLONE_NEWPID)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg(INIT_ARGUMENT).env_clear().env("PATH", PATH).env("container", "wsl").current_dir("/");
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
    };
    thread::scope(|scope| scope.spawn(spawn).join()).map_err(|_| anyhow!("the thread that starts it died"))?
}
