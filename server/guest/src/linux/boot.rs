//! The distribution's first process: makes it what the driver has said, and becomes its own init.

use super::mounts::{self, wait_for};
use super::proc::{self, OwnThread};
use super::put;
use super::started::Started;
use anyhow::{Context as _, Result};
use codchi_guest::{BOOT, BOOT_ERROR, BOOTED, Boot, HOME, PENDING, PutRequest};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How long the drive with what is said to the boot may take to appear.
const PATIENCE: Duration = Duration::from_secs(10);

/// Boots. It only returns where that fails: then the distribution ends with this process, and why is in the driver's folder.
pub(crate) fn run() -> ExitCode {
    let home = home();
    let error = match home.as_deref().map(boot) {
        Ok(Err(error)) => error,
        Err(error) => anyhow::anyhow!("{error:#}"),
    };
    let text = format!("{error:#}");
    eprintln!("codchi-guest: {text}");
    // The kernel's log is where WSL's own messages are. One write is one message there.
    let _ = fs::write("/dev/kmsg", format!("codchi-guest: {text}\n"));
    if let Ok(home) = home {
        let _ = fs::write(home.join(BOOT_ERROR), &text);
    }
    ExitCode::FAILURE
}

/// The folder in which what is said to this boot lies.
fn home() -> Result<PathBuf> {
    let text = fs::read_to_string(HOME).with_context(|| format!("reading {HOME}"))?;
    Ok(PathBuf::from(text.trim_end_matches(['\r', '\n'])))
}

fn boot(home: &Path) -> Result<Infallible> {
    wait_for(home, Instant::now() + PATIENCE);
    remove(&home.join(BOOT_ERROR))?;
    lay_down(&home.join(PENDING))?;
    let file = home.join(BOOT);
    let boot: Boot = fs::read(&file)
        .map_err(anyhow::Error::from)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .with_context(|| format!("reading {}", file.display()))?;
    let name = proc::random()?;
    fs::write(home.join(BOOTED), &name).with_context(|| format!("writing to {}", home.display()))?;

    mounts::attach(&mounts::take_up(&boot.mounts)?, &put::root("/")?)?;
    mounts::protect(&boot.mounts, &OwnThread::open()?)?;
    Started::of(1, name, boot.mounts)?.write(mounts::RECORD)?;
    Err(Command::new(&boot.init).exec()).with_context(|| format!("becoming {}", boot.init))
}

/// Lays down what is in the folder `pending`.
fn lay_down(pending: &Path) -> Result<()> {
    let mut names = match fs::read_dir(pending) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>, _>>())
            .with_context(|| format!("reading {}", pending.display()))?,
    };
    names.retain(|name| !name.as_encoded_bytes().contains(&b'.'));
    names.sort();
    let root = put::root("/")?;
    for name in names {
        let path = pending.join(name);
        let lay = || {
            let mut file = BufReader::new(File::open(&path)?);
            let mut line = Vec::new();
            file.read_until(b'\n', &mut line)?;
            let entry: PutRequest = serde_json::from_slice(&line).context("its first line")?;
            put::into(&root, &entry, file)
        };
        lay().with_context(|| format!("doing what {} says", path.display()))?;
        remove(&path)?;
    }
    Ok(())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("removing {}", file.display())),
    }
}
