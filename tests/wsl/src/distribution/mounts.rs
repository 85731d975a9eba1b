//! The file systems of a distribution, as WSL's `/init` mounts them: `LxssStartupCommon` in `config.cpp`.
//!
//! This machine is kept out of it: no device but harmless ones, nothing of the kernel's settings to write, and no privilege that reaches
//! beyond namespaces.

use super::init::Spec;
use anyhow::{Context, Result, ensure};
use rustix::fs::{FileType, Mode, makedev};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::mount::{mount, mount_bind, mount_bind_recursive, mount_change, mount_remount, unmount};
use rustix::thread::CapabilitySet;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

/// Where the old root is until all is mounted.
const OLD: &str = "/dev/.old";

/// Devices that do no harm: name, major and minor number, mode.
const DEVICES: [(&str, u32, u32, u32); 8] = [
    ("null", 1, 3, 0o666),
    ("zero", 1, 5, 0o666),
    ("full", 1, 7, 0o666),
    ("random", 1, 8, 0o666),
    ("urandom", 1, 9, 0o666),
    ("tty", 5, 0, 0o666),
    ("fuse", 10, 229, 0o666),
    ("net/tun", 10, 200, 0o666),
];

/// What no distribution needs, and what would reach this machine.
pub(crate) const FORBIDDEN: CapabilitySet = CapabilitySet::SYS_MODULE
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::SYS_TIME)
    .union(CapabilitySet::SYS_PACCT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::MAC_ADMIN)
    .union(CapabilitySet::MAC_OVERRIDE)
    .union(CapabilitySet::WAKE_ALARM)
    .union(CapabilitySet::BLOCK_SUSPEND);

/// Takes away what is forbidden, for all that this process becomes.
pub(crate) fn forbid() {
    for capability in FORBIDDEN.iter() {
        // What this process lacks itself cannot be taken away, and need not be.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
}

/// Makes the root file system this process's, with all that belongs into it.
///
/// # Errors
/// What could not be mounted. On Windows, too, the distribution does not start then.
pub(crate) fn enter(spec: &Spec) -> Result<()> {
    let root = &spec.root;
    mount_bind(root, root).context("the root file system")?;
    std::env::set_current_dir(root)?;
    let dev = root.join("dev");
    folder(&dev, 0o755)?;
    ensure!(fs::symlink_metadata(&dev)?.is_dir(), "/dev is no folder");
    mount("devtmpfs", &dev, "tmpfs", MountFlags::NOSUID, Some(c"mode=755")).context("/dev")?;
    fs::create_dir(dev.join(".old"))?;
    rustix::process::pivot_root(".", "dev/.old").context("pivot_root")?;
    std::env::set_current_dir("/")?;

    devices()?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    on("/sys", "sysfs", quiet, None)?;
    on("/proc", "proc", quiet, None)?;
    for (link, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(to, Path::new("/dev").join(link))?;
    }
    let terminals = MountFlags::NOATIME | MountFlags::NOSUID | MountFlags::NOEXEC;
    on("/dev/pts", "devpts", terminals, Some(c"gid=5,mode=620,ptmxmode=666,newinstance"))?;
    symlink("pts/ptmx", "/dev/ptmx")?;
    on("/run", "tmpfs", MountFlags::NODEV | MountFlags::STRICTATIME | MountFlags::NOSUID, Some(c"mode=755"))?;
    on("/run/lock", "tmpfs", quiet, None)?;
    on("/run/shm", "tmpfs", MountFlags::NOATIME | MountFlags::NOSUID | MountFlags::NODEV, None)?;
    folder(Path::new("/dev/shm"), 0o755)?;
    mount_bind("/run/shm", "/dev/shm").context("/dev/shm")?;
    on("/run/user", "tmpfs", quiet, Some(c"mode=755"))?;
    folder(Path::new("/run/WSL"), 0o777)?;
    on("/sys/fs/cgroup", "cgroup2", quiet, None)?;
    folder(Path::new("/tmp"), 0o1777)?;
    read_only("/sys")?;
    for settings in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"] {
        if Path::new(settings).exists() {
            mount_bind(settings, settings).with_context(|| settings.to_owned())?;
            read_only(settings)?;
        }
    }

    folder(Path::new(&spec.conf.root), 0o755)?;
    let shared = format!("{}wsl", spec.conf.root);
    folder(Path::new(&shared), 0o755)?;
    mount_bind_recursive(old(&spec.shared), &shared).with_context(|| shared.clone())?;
    for drive in &spec.drives {
        let at = format!("{}{}", spec.conf.root, drive.letter);
        folder(Path::new(&at), 0o777)?;
        mount_bind(old(&drive.source), &at).with_context(|| at.clone())?;
    }
    init_program()?;

    // What is unmounted below a mount that is shared goes in all distributions: so this copy of it is made nobody's first.
    mount_change(OLD, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).context("the old root")?;
    unmount(OLD, UnmountFlags::DETACH).context("the old root")?;
    fs::remove_dir(OLD)?;
    Ok(())
}

fn old(path: &Path) -> std::path::PathBuf {
    Path::new(OLD).join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes a folder where there is nothing.
fn folder(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.with_context(|| path.display().to_string()),
    }
}

fn on(at: &str, kind: &str, flags: MountFlags, options: Option<&std::ffi::CStr>) -> Result<()> {
    folder(Path::new(at), 0o755)?;
    mount(kind, at, kind, flags, options).with_context(|| at.to_owned())
}

fn read_only(at: &str) -> Result<()> {
    let flags = MountFlags::BIND
        | MountFlags::RDONLY
        | MountFlags::NOSUID
        | MountFlags::NODEV
        | MountFlags::NOEXEC
        | MountFlags::NOATIME;
    mount_remount(at, flags, "").with_context(|| format!("{at}, read-only"))
}

fn devices() -> Result<()> {
    let umask = rustix::process::umask(Mode::empty());
    for (name, major, minor, mode) in DEVICES {
        if !Path::new(OLD).join("dev").join(name).exists() {
            continue;
        }
        let at = Path::new("/dev").join(name);
        if let Some(parent) = at.parent() {
            folder(parent, 0o755)?;
        }
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::mknodat(rustix::fs::CWD, &at, FileType::CharacterDevice, mode, makedev(major, minor))
            .with_context(|| at.display().to_string())?;
    }
    rustix::process::umask(umask);
    Ok(())
}

/// `/init` and what leads to it. On Windows that is WSL's own program.
fn init_program() -> Result<()> {
    fs::write("/run/WSL/init", include_str!("init.sh"))?;
    fs::set_permissions("/run/WSL/init", std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    if !Path::new("/init").exists() {
        fs::write("/init", "").context("/init")?;
    }
    mount_bind("/run/WSL/init", "/init").context("/init")?;
    for (folder_path, name) in [("/bin", "wslinfo"), ("/bin", "wslpath"), ("/sbin", "mount.drvfs")] {
        folder(Path::new(folder_path), 0o755)?;
        match symlink("/init", Path::new(folder_path).join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.with_context(|| format!("{folder_path}/{name}"))?,
        }
    }
    Ok(())
}
