//! Ending all that runs for a computer, whatever state it is in.

use super::cgroup::Cgroup;
use super::process::{Handle, KEEPER, VM};
use crate::computer::Computer;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// Ends everything and forgets what ran.
///
/// # Errors
/// That `run` cannot be read or taken away.
pub(crate) fn all(computer: &Computer) -> Result<()> {
    let run = computer.folder.join("run");
    if !run.exists() {
        return Ok(());
    }
    let mut folders: Vec<_> = fs::read_dir(&run)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // The virtual machine last.
    folders.sort_by_key(|folder| folder.ends_with("vm"));
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        kill(folder, if folder.ends_with("vm") { VM } else { KEEPER });
        if let Ok(path) = fs::read_to_string(folder.join("cgroup")) {
            Cgroup::at(Path::new(&path)).remove();
        }
    }
    Ok(fs::remove_dir_all(&run)?)
}

/// Kills the process whose number is in `folder`, if it is this program with this `verb`.
fn kill(folder: &Path, verb: &str) {
    let Some(pid) = fs::read_to_string(folder.join("pid")).ok().and_then(|pid| pid.parse::<i32>().ok())
    else {
        return;
    };
    // Opened first, so that it is the process that is looked at.
    let Some(handle) = Handle::of(pid) else { return };
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if line.split(|byte| *byte == 0).any(|argument| argument == verb.as_bytes()) {
        handle.kill();
    }
}
