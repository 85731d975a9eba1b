//! The cgroup of a distribution: below this process's own in the unified hierarchy, wherever that is mounted.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of what the name of each begins with, after which comes who it is of.
const NAME: &str = "codchi-test-wsl-";
/// Within it: what no service manager of the distribution has started.
const SESSIONS: &str = "wsl-sessions";

/// A cgroup. It stays when this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// The one named after `name`, which may not be there yet.
    ///
    /// # Errors
    /// That this process has none in a unified hierarchy.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own =
            own.lines().find_map(|line| line.strip_prefix("0::")).context("no unified cgroup hierarchy")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let below = mounts.lines().find_map(|line| {
            let (place, source) = line.split_once(" - ")?;
            let mut fields = place.split(' ').skip(3);
            let (root, at) = (fields.next()?, fields.next()?);
            source
                .starts_with("cgroup2 ")
                .then(|| Path::new(at).join(own.strip_prefix(root).unwrap_or(own).trim_start_matches('/')))
        });
        let below = below.context("the unified cgroup hierarchy is not mounted")?;
        Ok(Self(below.join(format!("{NAME}{name}"))))
    }

    /// Makes it.
    ///
    /// # Errors
    /// That this process may not.
    pub(crate) fn make(&self) -> Result<()> {
        fs::create_dir_all(self.0.join(SESSIONS)).with_context(|| self.0.display().to_string())
    }

    /// The one at `path`.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Moves this process into it.
    ///
    /// # Errors
    /// That it may not.
    pub(crate) fn enter(&self) -> Result<()> {
        fs::write(self.0.join("cgroup.procs"), "0").with_context(|| self.0.display().to_string())
    }

    /// Moves this process to where sessions are.
    ///
    /// # Errors
    /// That it may not.
    pub(crate) fn enter_sessions(&self) -> Result<()> {
        let sessions = Self(self.0.join(SESSIONS));
        // A service manager may have taken it away while it was empty.
        let _ = fs::create_dir(&sessions.0);
        sessions.enter()
    }

    /// Kills all that is in it and takes it away.
    pub(crate) fn remove(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        while self.0.exists() && Instant::now() < until {
            let _ = fs::write(self.0.join("cgroup.kill"), "1");
            if remove_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Takes `folder` away, innermost cgroups first.
fn remove_all(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_all(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
