//! A computer with Windows that has WSL, as far as tests need one: a folder that stands for it, with the `wsl.exe` of tests/wsl.

use crate::process::{cargo, output, quietly};
use crate::{apt, guest, package};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the computer's folder to its `wsl.exe`.
const COMPUTER: &str = "CODCHI_TEST_WSL";

/// Where in its folder the root file systems of distributions are.
const DISKS: &str = "disks";

/// What it needs of this one: `bindfs` shows files of a drive as WSL does, as those of one user.
const NEEDED: [apt::Program; 3] = [
    apt::Program("bindfs", "bindfs"),
    apt::Program("unshare", "util-linux"),
    apt::Program("bsdtar", "libarchive-tools"),
];

/// Makes the computer in `lab` unless it is there, and builds what runs on it; gives the environment in which codchi and its tests
/// find it. Folders that they make for themselves are on its drive.
pub(crate) fn up(lab: &Path) -> Result<BTreeMap<&'static str, String>> {
    apt::programs(&NEEDED)?;
    let computer = lab.join("wsl");
    let system = computer.join("c/Windows/System32");
    let temporary = computer.join("c/tmp");
    for folder in [&system, &temporary] {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o1777))?;
    disks_in_memory(&computer)?;
    let mut build = cargo(["build", "--quiet", "--bin", "wsl", "--workspace", "--features", super::FEATURES]);
    quietly(&mut build).context("building the wsl.exe of tests/wsl")?;
    let program = system.join("wsl.exe");
    // The one that is there may run.
    let new = system.join("wsl.new");
    fs::copy(package::target_folder().join("debug/wsl"), &new)?;
    fs::rename(new, &program)?;
    let shown = |path: &Path| path.display().to_string();
    Ok(BTreeMap::from([
        (COMPUTER, shown(&computer)),
        ("CODCHI_WSL_EXE", shown(&program)),
        ("CODCHI_WSL_DRIVES", shown(&computer)),
        ("CODCHI_GUEST", shown(&guest::build()?)),
        ("TMPDIR", shown(&temporary)),
    ]))
}

/// Has the disks of distributions in memory, a gigabyte or two: each test copies a store of ten thousand files and removes it again.
fn disks_in_memory(computer: &Path) -> Result<()> {
    let disks = computer.join(DISKS);
    fs::create_dir_all(&disks)?;
    if !is_mounted(&disks) {
        quietly(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "codchi-lab"]).arg(&disks))?;
    }
    Ok(())
}

fn is_mounted(folder: &Path) -> bool {
    quietly(Command::new("mountpoint").arg("--quiet").arg(folder)).is_ok()
}

/// Ends all that runs on the computer in `lab`, and removes it; that there is none is fine.
pub(crate) fn down(lab: &Path) -> Result<()> {
    let computer = lab.join("wsl");
    let program: PathBuf = computer.join("c/Windows/System32/wsl.exe");
    if !computer.exists() {
        return Ok(());
    }
    if program.exists() {
        output(Command::new(&program).arg("--codchi-test-down").env(COMPUTER, &computer))?;
    }
    let disks = computer.join(DISKS);
    if is_mounted(&disks) {
        quietly(Command::new("umount").arg(&disks))?;
    }
    fs::remove_dir_all(&computer).with_context(|| format!("removing {}", computer.display()))?;
    // The lab itself where nothing else is in it.
    let _ = fs::remove_dir(lab);
    Ok(())
}
