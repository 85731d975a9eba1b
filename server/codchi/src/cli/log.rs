//! `codchi log`.

use super::output;
use super::status::one;
use crate::context::Context;
use anyhow::Context as _;
use codchi_machine::{MachineError, MachineName};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(crate) struct Log {
    /// The machine
    name: MachineName,
    /// Go on as it grows, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

impl Log {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines();
        // Also of a machine that could not be created, or was deleted: that log is the one that is needed.
        let Some(path) = machines.log(&self.name) else {
            one(machines.status().await?, &self.name)?;
            let message = format!("There is no log of {} yet.", self.name);
            return Err(MachineError::User { message, hint: None }.into());
        };
        print(&path, self.follow).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a file, and what comes to it. A log that another operation begins anew is printed from its start.
async fn print(path: &Path, follow: bool) -> anyhow::Result<()> {
    let open = || std::fs::File::open(path).with_context(|| format!("reading {} failed", path.display()));
    let mut file = open()?;
    let mut printed = 0;
    loop {
        let mut text = Vec::new();
        (&file).take(1 << 20).read_to_end(&mut text)?;
        printed += text.len() as u64;
        let mut stdout = std::io::stdout().lock();
        output::told(stdout.write_all(&text).and_then(|()| stdout.flush()))?;
        drop(stdout);
        if !text.is_empty() {
            continue;
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
        let replaced = open().ok().filter(|new| !same(new, &file));
        let shrunk = file.metadata().is_ok_and(|metadata| metadata.len() < printed);
        if let Some(new) = replaced {
            (file, printed) = (new, 0);
        } else if shrunk {
            (file, printed) = (open()?, 0);
        }
    }
}

fn same(a: &std::fs::File, b: &std::fs::File) -> bool {
    let id = |file: &std::fs::File| file.try_clone().and_then(same_file::Handle::from_file).ok();
    id(a) == id(b)
}
