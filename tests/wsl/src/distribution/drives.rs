//! The drives of Windows as a distribution sees them: all files are someone's, whoever made them on Windows.

use super::conf::Conf;
use super::rooted::Root;
use super::users;
use crate::computer::Computer;
use crate::registry::Distribution;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A drive.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drive {
    pub(crate) letter: char,
    /// What is mounted.
    pub(crate) source: PathBuf,
}

/// Makes the drives ready to be mounted, in the virtual machine's mount namespace, where this process must be. The processes end with
/// their distribution.
///
/// # Errors
/// That folders cannot be made.
pub(crate) fn ready(
    computer: &Computer,
    of: &Distribution,
    conf: &Conf,
    root: &Root,
) -> Result<(Vec<Drive>, Vec<Child>)> {
    if !conf.automount {
        return Ok((Vec::new(), Vec::new()));
    }
    let owner = conf.default_user.as_ref().and_then(|name| users::find(root, |user| user.name == *name));
    let owner = owner.or_else(|| users::find(root, |user| user.uid == of.default_uid));
    let number = |name: &str, default: u32| {
        conf.mount_option(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let uid = number("uid", owner.as_ref().map_or(of.default_uid, |user| user.uid));
    let gid = number("gid", owner.as_ref().map_or(0, |user| user.gid));
    let with_metadata = conf.options.split(',').any(|option| option.trim() == "metadata");
    let mut processes = Vec::new();
    let mut drives = Vec::new();
    for (letter, folder) in computer.drives() {
        let at = computer.run(&of.short())?.join("drives").join(letter.to_string());
        let modes = (!with_metadata).then(|| modes(conf));
        let process = show(&folder, &at, uid, gid, modes.as_deref())?;
        let source = if process.is_some() { at } else { folder };
        processes.extend(process);
        drives.push(Drive { letter, source });
    }
    Ok((drives, processes))
}

/// The modes of files and folders, as `bindfs` takes them: all that `umask`, `fmask` and `dmask` leave.
fn modes(conf: &Conf) -> String {
    let mask = |name: &str| conf.mount_option(name).and_then(|value| u32::from_str_radix(value, 8).ok());
    let both = mask("umask").unwrap_or(0);
    let (files, folders) = (0o777 & !mask("fmask").unwrap_or(both), 0o777 & !mask("dmask").unwrap_or(both));
    let letters = |shift: u32| -> String {
        [('r', 4), ('w', 2), ('x', 1)]
            .iter()
            .filter(|(_, bit)| folders >> shift & bit != 0)
            .map(|(letter, _)| *letter)
            .collect()
    };
    format!("{files:04o},ud={},gd={},od={}", letters(6), letters(3), letters(0))
}

/// Shows `folder` at `at` with all files owned by `uid` and `gid`, and with these modes: without them, files have modes of their own, which
/// can be changed, as WSL keeps them in the files' metadata. `None` where `bindfs` is missing or does not work: then the files have
/// their own owners.
fn show(folder: &Path, at: &Path, uid: u32, gid: u32, modes: Option<&str>) -> Result<Option<Child>> {
    fs::create_dir_all(at)?;
    let mut command = Command::new("bindfs");
    command.args(["-f", &format!("--force-user={uid}"), &format!("--force-group={gid}")]);
    command.args(["--chown-ignore", "--chgrp-ignore"]);
    if let Some(modes) = modes {
        command.arg(format!("--perms={modes}")).arg("--chmod-ignore");
    }
    command.args(["-o", "allow_other"]).arg(folder).arg(at);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return Ok(None) };
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until && child.try_wait()?.is_none() {
        let device = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_dev);
        if device(at).ok() != device(folder).ok() {
            return Ok(Some(child));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    Ok(None)
}
