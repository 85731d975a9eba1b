//! What is remembered of a system that runs: which start of it this is, and what was mounted for it.

use super::proc;
use anyhow::{Context as _, Result};
use codchi_guest::BootMount;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;

/// A start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    /// The first process, as the distribution numbers it.
    pub(crate) pid: u32,
    /// That process and no other ([`proc::identity`]).
    process: String,
    /// The text that names this start.
    pub(crate) name: String,
    /// What was mounted, in this order.
    pub(crate) mounts: Vec<BootMount>,
}

impl Started {
    /// The start whose first process is `pid`.
    pub(crate) fn of(pid: u32, name: String, mounts: Vec<BootMount>) -> Result<Self> {
        let process = proc::identity(pid)?.with_context(|| format!("process {pid} does not run"))?;
        Ok(Self { pid, process, name, mounts })
    }

    /// What `file` remembers; `None` where that is about one that has ended.
    pub(crate) fn read(file: &str) -> Result<Option<Self>> {
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("reading {file}"))?,
        };
        // One that is not whole was written when the distribution was killed, so it is of no start that runs.
        let Ok(started) = serde_json::from_slice::<Self>(&bytes) else { return Ok(None) };
        Ok(started.runs()?.then_some(started))
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> Result<bool> {
        Ok(proc::identity(self.pid)?.as_ref() == Some(&self.process))
    }

    /// Remembers it in `file`.
    pub(crate) fn write(&self, file: &str) -> Result<()> {
        let new = format!("{file}.new");
        fs::write(&new, serde_json::to_vec(self)?)
            .and_then(|()| fs::rename(&new, file))
            .with_context(|| format!("writing {file}"))
    }
}
