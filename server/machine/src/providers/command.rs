//! A program that prints a secret's value.
//!
//! It runs without a shell, without standard input, in a process group of its own, so that all it started ends with it.

use crate::ProcessGroup;
use crate::{CancellationToken, MachineName, Secret, access};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use zeroize::Zeroizing;

/// No longer value is taken.
const LARGEST: usize = 1 << 20;
/// So much of what it says is told.
const TOLD: usize = 2000;

/// A program to be run.
pub(super) struct Command<'a> {
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    pub(super) missing: i32,
    pub(super) limit: Duration,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// It was cancelled.
    Cancelled,
    /// Why, as a clause without the value.
    Told(String),
}

impl Command<'_> {
    /// What it prints for a secret; `None` where it says that it has none.
    pub(super) async fn run(
        &self,
        name: &str,
        machine: Option<&MachineName>,
        home: &Path,
        cancel: &CancellationToken,
    ) -> Result<Option<Secret>, Failure> {
        let mut command = tokio::process::Command::new(program(self.program, home));
        for argument in self.arguments {
            if argument.contains("{machine}") && machine.is_none() {
                return Err(told("its command names `{machine}`, and it is asked for no machine"));
            }
            // In one go: a name is not looked through for the other.
            let filled = argument.split("{name}").map(|part| match machine {
                Some(machine) => part.replace("{machine}", machine.as_str()),
                None => part.to_owned(),
            });
            command.arg(filled.collect::<Vec<_>>().join(name));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.current_dir(home).kill_on_drop(true);
        ProcessGroup::start(&mut command);
        let mut child = command.spawn().map_err(|e| told(format!("running `{}`: {e}", self.program)))?;
        let group = ProcessGroup::of(&child);
        let result = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::Cancelled),
            result = tokio::time::timeout(self.limit, output(&mut child)) => match result {
                Ok(result) => result.map_err(|e| told(format!("running `{}`: {e}", self.program))),
                Err(_) => Err(told(format!("`{}` gave no answer within {} s", self.program, self.limit.as_secs()))),
            },
        };
        if result.is_err() {
            group.end();
            // So that none of it is left: it was told to end at once. Where there are no groups, this tells it.
            let _ = child.kill().await;
        } else {
            group.forget();
        }
        self.judge(result?)
    }

    fn judge(&self, Output { status, mut value, said }: Output) -> Result<Option<Secret>, Failure> {
        // Before how it ended, which may be for that reason.
        if value.len() > LARGEST {
            return Err(told(format!("`{}` printed more than {LARGEST} bytes", self.program)));
        }
        if status.code() == Some(self.missing) {
            return Ok(None);
        }
        if !status.success() {
            let said = said.trim();
            let said = if said.is_empty() { "it said nothing" } else { said };
            return Err(told(format!("`{}` failed ({status}): {said}", self.program)));
        }
        if value.last() == Some(&b'\n') {
            value.pop();
        }
        match Secret::new(value.as_slice()) {
            Some(value) if value.expose().is_empty() => {
                Err(told(format!("`{}` ended well and printed no value", self.program)))
            }
            Some(value) => Ok(Some(value)),
            None => Err(told(format!("`{}` printed a NUL byte, which no value can hold", self.program))),
        }
    }
}

fn told(why: impl Into<String>) -> Failure {
    Failure::Told(why.into())
}

/// What a program left.
struct Output {
    status: ExitStatus,
    value: Zeroizing<Vec<u8>>,
    /// The end of its standard error.
    said: String,
}

async fn output(child: &mut Child) -> io::Result<Output> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (value, said, status) = tokio::try_join!(value(out), said(err), child.wait())?;
    Ok(Output { status, value, said })
}

/// Reads a value into a buffer that never grows, so that no copy stays behind. More than the largest value is not read.
async fn value(from: Option<impl AsyncRead + Unpin>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; LARGEST + 1]);
    let mut length = 0;
    if let Some(mut from) = from {
        while length < buffer.len() {
            match from.read(&mut buffer[length..]).await? {
                0 => break,
                read => length += read,
            }
        }
    }
    buffer.truncate(length);
    Ok(buffer)
}

/// Reads all, and keeps the end.
async fn said(from: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let (mut end, mut buffer) = (Vec::new(), [0; 4096]);
    if let Some(mut from) = from {
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            end.extend_from_slice(&buffer[..read]);
            end.drain(..end.len().saturating_sub(TOLD));
        }
    }
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The program as it is run: with a `/` in it a file, relative to the home folder, else one of `PATH`.
fn program(program: &str, home: &Path) -> PathBuf {
    match is_path(program) {
        true => home.join(program.strip_prefix("~/").unwrap_or(program)),
        false => program.into(),
    }
}

/// Whether a program is named by where it is.
fn is_path(name: &str) -> bool {
    name.contains('/') || cfg!(windows) && name.contains('\\')
}

/// Where a program is; `None` where there is none that can be run.
pub(super) fn find(name: &str, home: &Path) -> Option<PathBuf> {
    let can_run = |path: &PathBuf| path.metadata().is_ok_and(|metadata| access::is_executable(&metadata));
    if is_path(name) {
        return Some(program(name, home)).filter(can_run);
    }
    let path = std::env::var_os("PATH")?;
    let of_name =
        |folder: PathBuf| [folder.join(name), folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))];
    std::env::split_paths(&path).flat_map(of_name).find(can_run)
}
