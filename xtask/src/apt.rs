//! What a fresh Debian or Ubuntu machine lacks.

use crate::process::{output, quietly, which};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// A program that is needed, and the Debian package that has it.
#[derive(Clone, Copy)]
pub(crate) struct Program(pub(crate) &'static str, pub(crate) &'static str);

/// Makes sure that each program is on PATH: installs packages for those that are not, saying so.
pub(crate) fn programs(needed: &[Program]) -> Result<()> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|Program(program, _)| which(program).is_none())
        .map(|Program(_, package)| *package)
        .collect();
    install(&missing)?;
    for Program(program, package) in needed {
        if which(program).is_none() {
            bail!("`{program}` is still not on PATH after installing the package {package}");
        }
    }
    Ok(())
}

/// Makes sure that Debian packages are installed: installs those that are not, saying so.
pub(crate) fn packages(needed: &[&str]) -> Result<()> {
    let installed = |package: &&str| {
        output(Command::new("dpkg-query").args(["-W", "-f=${Status}", package]))
            .is_ok_and(|status| status.ends_with("ok installed"))
    };
    install(&needed.iter().copied().filter(|package| !installed(package)).collect::<Vec<_>>())
}

fn install(packages: &[&str]) -> Result<()> {
    // Two callers at once would fail on apt's own lock.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    if packages.is_empty() {
        return Ok(());
    }
    if which("apt-get").is_none() {
        bail!(
            "these are missing and this is no Debian or Ubuntu, so please install them yourself: {}",
            packages.join(" ")
        );
    }
    crate::say(format!("Installing {} (apt)", packages.join(" ")));
    // Daemons in these packages (LXD's, say) are not to be started: what is needed of them is started by hand.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let _policy = if root()? && !policy.exists() { Some(Policy::forbid_starts(policy)?) } else { None };
    quietly(&mut apt(&["update", "-q"])?).context("fetching the list of packages")?;
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(packages);
    quietly(&mut apt(&arguments)?).with_context(|| format!("installing {}", packages.join(" ")))
}

/// A `policy-rc.d` that is there as long as this value.
struct Policy<'a>(&'a Path);

impl<'a> Policy<'a> {
    fn forbid_starts(path: &'a Path) -> Result<Self> {
        fs::write(path, "#!/bin/sh\nexit 101\n")?;
        let policy = Self(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(policy)
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.0) {
            eprintln!("xtask: cannot remove {}: {error}", self.0.display());
        }
    }
}

fn root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

fn apt(arguments: &[&str]) -> Result<Command> {
    let mut command = if root()? {
        Command::new("apt-get")
    } else if which("sudo").is_some() {
        let mut command = Command::new("sudo");
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    } else {
        bail!(
            "installing packages needs root or sudo; please run `apt-get {}` yourself",
            arguments.join(" ")
        );
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    Ok(command)
}
