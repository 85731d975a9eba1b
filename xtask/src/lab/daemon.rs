//! A real LXD or Incus, started by hand: no systemd, nothing of it left on the host afterwards.
//!
//! The daemon lives in namespaces of its own:
//! - *mount*: what it mounts neither shows on the host nor outlives it; what the host mounts later is still seen inside;
//! - *network*: nothing leaves the machine (both fetch lists at start), and no port is opened on it;
//! - *pid*: when its first process ends, by whatever means, every instance, monitor and helper ends with it.
//!
//! All state is below the *lab*, a folder of the caller's choice: several labs may run side by side, and each engine in
//! one. Needs root and a Debian; what is missing is installed.

use super::engine::{Engine, Running};
use super::incus;
use crate::process::output;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Pid 1 of the daemon's namespaces.
const INIT: &str = include_str!("daemon-init.sh");
/// See the file's own first lines.
const SHIM: &str = include_str!("idmap-shim.c");
/// The size of the storage pool's sparse file.
const POOL_SIZE: &str = "16GiB";
/// `sockaddr_un` holds 107 characters; the daemon's longest socket path adds this many to its folder's.
const SOCKET_ROOM: usize = 107 - "/devlxd/sock".len();

/// An engine's place in a lab.
struct Lab {
    running: Running,
    /// Scratch: pid file, lock, logs, the shim.
    run: PathBuf,
}

impl Lab {
    fn new(lab: &Path, engine: Engine) -> Result<Self> {
        let lab = std::path::absolute(lab)?;
        let folder = engine.words().folder;
        let (dir, conf) = (lab.join(folder), lab.join(format!("{folder}-conf")));
        let run = lab.join(format!("{folder}-run"));
        let programs = incus::programs_in(&run);
        Ok(Self { running: Running { engine, dir, conf, programs }, run })
    }

    fn name(&self) -> &'static str {
        self.running.engine.words().name
    }

    /// One of the daemon's own commands.
    fn admin(&self, arguments: &[&str]) -> Command {
        let words = self.running.engine.words().admin;
        let mut command = self.running.command(words[0]);
        command.args(&words[1..]).args(arguments);
        command
    }

    fn pid_file(&self) -> PathBuf {
        self.run.join("daemon.pid")
    }

    /// Held while a lab goes up or down; freed when dropped.
    fn lock(&self) -> Result<File> {
        let lock = File::create(self.run.join("lock"))?;
        lock.lock().context("cannot lock the lab")?;
        Ok(lock)
    }

    /// The daemon that this lab started, if it still runs.
    fn daemon(&self) -> Option<Daemon> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let daemon = Daemon { pid: pid.parse().ok()?, started: started.parse().ok()? };
        daemon.alive().then_some(daemon)
    }
}

/// The outermost process of a daemon. The start time tells it from a later process with the same number.
#[derive(Clone, Copy)]
struct Daemon {
    pid: u32,
    started: u64,
}

impl Daemon {
    fn of(pid: u32) -> Option<Self> {
        // The command's name, which may hold anything, ends at the last parenthesis: state is the first field after
        // it and the start time the 20th.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        if *fields.first()? == "Z" {
            return None;
        }
        Some(Self { pid, started: fields.get(19)?.parse().ok()? })
    }

    fn alive(self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Waits until it is gone, at most for `limit`.
    fn ended_within(self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.alive() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Kills it, and with it its pid namespace.
    fn kill(self) -> Result<()> {
        output(Command::new("kill").arg("-KILL").arg(self.pid.to_string()))?;
        ensure!(self.ended_within(Duration::from_secs(10)), "process {} cannot be killed", self.pid);
        Ok(())
    }
}

/// Starts `engine` in `lab` unless it runs there already, with a storage pool and a default profile that has a root disk
/// and no network. Installs what is missing, or unpacks it below `cache`. A daemon that does not come up is taken down
/// again.
pub(crate) fn up(lab: &Path, engine: Engine, cache: &Path) -> Result<Running> {
    let uid = output(Command::new("id").arg("-u"))?;
    ensure!(uid.trim() == "0", "starting {} by hand needs root", engine.words().name);
    let mut lab = Lab::new(lab, engine)?;
    ensure!(
        lab.running.dir.as_os_str().len() <= SOCKET_ROOM,
        "{} is too long a path for a socket: choose another folder",
        lab.running.dir.display()
    );
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&lab.run)?;
    fs::create_dir_all(&lab.running.conf)?;
    reachable_for_everyone(&lab.run)?;
    let _lock = lab.lock()?;

    let programs = engine.install(cache, if has_btrfs() { &["btrfs-progs"] } else { &[] })?;
    if let Some(programs) = programs
        && lab.running.programs.is_none()
    {
        lab.running.programs = Some(incus::within_reach(&programs, &lab.run)?);
    }
    if lab.daemon().is_none() {
        start(&lab)?;
    }
    if let Err(error) = wait_ready(&lab).and_then(|()| configure(&lab)) {
        if let Some(daemon) = lab.daemon() {
            daemon.kill()?;
        }
        return Err(error);
    }
    Ok(lab.running)
}

/// Stops what [`up`] started of `engine` in `lab`, and removes its state; nothing running is fine. Fails where anything
/// is left behind on the host.
pub(crate) fn down(lab: &Path, engine: Engine) -> Result<()> {
    let lab = Lab::new(lab, engine)?;
    if !lab.run.exists() {
        return Ok(());
    }
    let lock = lab.lock()?;
    if let Some(daemon) = lab.daemon() {
        let asked = output(&mut lab.admin(&["shutdown", "--timeout", "10"]));
        if asked.is_err() || !daemon.ended_within(Duration::from_secs(10)) {
            eprintln!("{} does not shut down by itself: killing process {}", lab.name(), daemon.pid);
            daemon.kill()?;
        }
    }
    remove_if_there(&lab.pid_file())?;
    remove_cgroups()?;
    nothing_left(&lab)?;
    for folder in [&lab.running.dir, &lab.running.conf, &lab.run] {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
    }
    // The lab itself where nothing else is in it.
    let _ = fs::remove_dir(lab.run.parent().unwrap_or(&lab.run));
    drop(lock);
    Ok(())
}

/// An instance's root user is some other user outside, who must get through to the storage pool.
fn reachable_for_everyone(folder: &Path) -> Result<()> {
    for folder in folder.ancestors() {
        let mode = fs::metadata(folder)?.permissions().mode();
        ensure!(
            mode & 0o001 != 0,
            "{} may not be entered by other users, and instances would not start: choose another folder for the lab",
            folder.display()
        );
    }
    Ok(())
}

/// Whether this host can have a storage pool of btrfs, which makes instances far faster than plain folders do.
fn has_btrfs() -> bool {
    let known = fs::read_to_string("/proc/filesystems")
        .is_ok_and(|text| text.lines().any(|line| line.split_whitespace().any(|word| word == "btrfs")));
    known && Path::new("/dev/loop-control").exists()
}

fn start(lab: &Lab) -> Result<()> {
    let shim = if lab.running.engine == Engine::Lxd { Some(build_shim(lab)?) } else { None };
    let init = lab.run.join("init");
    write_executable(&init, INIT)?;
    let log = lab.run.join("daemon.log");
    let printed = File::create(lab.run.join("out.log"))?;

    let child = lab
        .running
        .command("setsid")
        .args(["unshare", "--mount", "--propagation", "slave", "--net", "--pid", "--fork", "--mount-proc"])
        .arg("--kill-child=KILL")
        .arg(&init)
        .env("DAEMON", lab.running.engine.words().daemon)
        .env("RUN", &lab.run)
        .env("LOG", &log)
        .env("SHIM", shim.unwrap_or_default())
        .env("OWNERS", owners(lab)?)
        .stdout(printed.try_clone()?)
        .stderr(printed)
        .spawn()
        .with_context(|| format!("cannot start {}", lab.name()))?;
    let Some(daemon) = Daemon::of(child.id()) else {
        bail!("{} ended at once:\n{}", lab.name(), failure(lab))
    };
    fs::write(lab.pid_file(), format!("{} {}\n", daemon.pid, daemon.started))?;
    Ok(())
}

/// The users whose folders instances may share one to one: root, the usual first user, who called `sudo`, and who owns
/// the lab's parent folder.
fn owners(lab: &Lab) -> Result<String> {
    let mut owners = BTreeSet::from([0, 1000, fs::metadata(&lab.run)?.uid()]);
    owners.extend(std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse::<u32>().ok()));
    Ok(owners.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

fn build_shim(lab: &Lab) -> Result<PathBuf> {
    let shim = lab.run.join("idmap-shim.so");
    if shim.exists() {
        return Ok(shim);
    }
    let source = lab.run.join("idmap-shim.c");
    let unfinished = lab.run.join("idmap-shim.so.new");
    fs::write(&source, SHIM)?;
    output(
        Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&unfinished).arg(&source).arg("-ldl"),
    )?;
    fs::rename(&unfinished, &shim)?;
    Ok(shim)
}

fn wait_ready(lab: &Lab) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while output(&mut lab.admin(&["waitready", "--timeout=1"])).is_err() {
        ensure!(lab.daemon().is_some(), "{} ended while starting:\n{}", lab.name(), failure(lab));
        ensure!(Instant::now() < end, "{} is not ready after a minute:\n{}", lab.name(), failure(lab));
    }
    Ok(())
}

/// A storage pool, and the default profile's root disk on it. Never `init --auto`: it probes private networks.
fn configure(lab: &Lab) -> Result<()> {
    let name = lab.running.engine.words().client;
    let client = |arguments: &[&str]| output(lab.running.command(name).arg("--quiet").args(arguments));
    if client(&["storage", "show", "default"]).is_err() {
        if has_btrfs() {
            client(&["storage", "create", "default", "btrfs", &format!("size={POOL_SIZE}")])?;
        } else {
            eprintln!(
                "No btrfs or no loop devices here: instances are kept as plain folders, which is slower"
            );
            client(&["storage", "create", "default", "dir"])?;
        }
    }
    if client(&["profile", "device", "get", "default", "root", "pool"]).is_err() {
        client(&["profile", "device", "add", "default", "root", "disk", "path=/", "pool=default"])?;
    }
    Ok(())
}

/// Removes the control groups of instances that are gone: LXC leaves one empty group behind, and a killed daemon those
/// of its instances.
fn remove_cgroups() -> Result<()> {
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        let mut unused = lxc_cgroups(Path::new("/sys/fs/cgroup"), 3)?;
        unused.retain(|group| empty(group));
        // Another lab may be about to use one that is empty at this moment: those are young.
        unused.retain(|group| !older_than_a_second(group) || fs::remove_dir(group).is_err());
        if unused.is_empty() || Instant::now() > end {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The groups of LXC at most `depth` levels below `folder` with all groups in them, children before their parents.
fn lxc_cgroups(folder: &Path, depth: u32) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // A group may go away while we look.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let of_lxc = path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"lxc."));
        if entry.file_type()?.is_dir() && (of_lxc || depth > 0) {
            found.extend(lxc_cgroups(&path, depth.saturating_sub(1))?);
            if of_lxc {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn empty(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|processes| processes.is_empty())
}

fn older_than_a_second(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_secs(1)))
}

/// Fails where a mount or a loop device of this lab is left on the host.
fn nothing_left(lab: &Lab) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let dir = format!("{}/", lab.running.dir.display());
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let loops =
            output(Command::new("losetup").args(["--list", "--noheadings", "--output", "BACK-FILE"]))?;
        let left: Vec<&str> =
            mounts.lines().chain(loops.lines()).filter(|line| line.contains(&dir)).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{} left this behind:\n{}", lab.name(), left.join("\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn failure(lab: &Lab) -> String {
    ["out.log", "daemon.log"].map(|file| tail(&lab.run.join(file))).concat()
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn write_executable(path: &Path, text: &str) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
