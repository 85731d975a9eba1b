//! One run of a `nix` process: its streams, its end, and that nothing of it outlives the caller's interest.

use crate::log::Log;
use crate::{CancellationToken, Limits, NixError, Progress};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit, setpriority_process};
use std::fs::File;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between two calls of a progress callback.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long Nix has to stop its builders and release its locks.
const GRACE: Duration = Duration::from_secs(3);
/// How long the streams of a process that has ended may stay open, e.g. in a process that it left behind.
const DRAIN: Duration = Duration::from_secs(2);
/// How willingly a process of the background lets others go first.
const NICE: i32 = 10;

/// Who listens to a run.
pub(crate) struct Listener<'a> {
    pub(crate) progress: &'a mut (dyn FnMut(Progress) + Send),
    pub(crate) log: &'a mut (dyn FnMut(&str) + Send),
}

/// Runs `command` to its end and gives what it printed on standard output. `what` names it in errors.
pub(crate) async fn run(
    mut command: Command,
    what: &str,
    listener: &mut Listener<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, NixError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    run_prepared(command, what, None, listener, cancel).await
}

/// Runs `command` in the background of everything else, to its end or the end of what it may take: `input` is its standard
/// input, and what it prints goes to `output`, so that it need not fit into memory.
pub(crate) async fn run_limited(
    mut command: Command,
    what: &str,
    (input, output): (File, File),
    limits: &Limits,
    cancel: &CancellationToken,
) -> Result<(), NixError> {
    command.stdin(input).stdout(output);
    let mut listener = Listener { progress: &mut |_| {}, log: &mut |_| {} };
    let run = run_prepared(command, what, Some(limits), &mut listener, cancel);
    match timeout(limits.time, run).await {
        Ok(result) => result.map(drop),
        // Dropped, the process ends.
        Err(_) => {
            let why = format!("it took longer than {} s and was stopped", limits.time.as_secs());
            let source = io::Error::new(io::ErrorKind::TimedOut, why);
            Err(NixError::Process { command: what.to_owned(), source })
        }
    }
}

async fn run_prepared(
    mut command: Command,
    what: &str,
    limits: Option<&Limits>,
    listener: &mut Listener<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, NixError> {
    if cancel.is_cancelled() {
        return Err(NixError::Cancelled);
    }
    let failed = |source| NixError::Process { command: what.to_owned(), source };
    command.stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    tracing::debug!(command = what, "running");
    let mut process = Process::spawn(command).map_err(failed)?;
    if let Some(limits) = limits {
        process.limit(limits);
    }

    let mut log = Log::default();
    let finished = tokio::select! {
        finished = process.finish(&mut log, listener) => finished,
        () = cancel.cancelled() => {
            process.terminate().await;
            return Err(NixError::Cancelled);
        }
    };
    let (status, stdout) = finished.map_err(failed)?;
    // The status first: some versions print half of their JSON before they fail.
    if status.success() { Ok(stdout) } else { Err(log.into_failure().into_error(&status.to_string())) }
}

/// A child in a process group of its own; ended, builders and all, when dropped.
struct Process {
    child: Option<Child>,
    group: Option<Pid>,
}

impl Process {
    fn spawn(mut command: Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child: Some(child), group })
    }

    /// Sets what it may take. Where that cannot be, the time still ends it.
    fn limit(&self, limits: &Limits) {
        let set = |resource, most| {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            if let Err(error) = prlimit(self.group, resource, limit) {
                tracing::debug!("{resource:?} of a process cannot be limited: {error}");
            }
        };
        // The leader's id is that of its group.
        if self.group.is_some() {
            set(Resource::As, limits.memory);
            set(Resource::Fsize, limits.output);
            let _ = setpriority_process(self.group, NICE);
        }
    }

    async fn finish(
        &mut self,
        log: &mut Log,
        listener: &mut Listener<'_>,
    ) -> io::Result<(ExitStatus, Vec<u8>)> {
        let gone = || io::Error::other("the process has no output");
        let child = self.child.as_mut().ok_or_else(gone)?;
        let stdout = child.stdout.take();
        let stderr = child.stderr.take().ok_or_else(gone)?;

        let mut output = Vec::new();
        let status = {
            let read = async {
                match stdout {
                    Some(mut stdout) => stdout.read_to_end(&mut output).await,
                    None => Ok(0),
                }
            };
            let mut streams = std::pin::pin!(async { tokio::try_join!(read, follow(stderr, log, listener)) });
            let status = tokio::select! {
                result = &mut streams => {
                    result?;
                    None
                }
                status = child.wait() => Some(status?),
            };
            match status {
                None => child.wait().await?,
                Some(status) => {
                    if let Ok(result) = timeout(DRAIN, streams).await {
                        result?;
                    }
                    status
                }
            }
        };
        self.child = None;
        Ok((status, output))
    }

    /// Ends the process and waits for it.
    async fn terminate(&mut self) {
        if let Some(child) = self.child.take() {
            end(child, self.group).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else { return };
        // Without a runtime, the child's own `kill_on_drop` is what is left.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            signal(self.group, Signal::TERM);
            runtime.spawn(end(child, self.group));
        }
    }
}

/// Asks politely, so that Nix stops its builders, which live in sessions of their own; then does not ask.
async fn end(mut child: Child, group: Option<Pid>) {
    signal(group, Signal::TERM);
    tokio::select! {
        _ = child.wait() => {}
        () = sleep(GRACE) => {
            signal(group, Signal::KILL);
            let _ = child.wait().await;
        }
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It fails only where the group is gone already.
        let _ = kill_process_group(group, signal);
    }
}

/// Reads the log to its end, and tells `listener` what changes, not too often and never too late.
async fn follow(
    stderr: impl tokio::io::AsyncRead + Unpin,
    log: &mut Log,
    listener: &mut Listener<'_>,
) -> io::Result<usize> {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut told = Progress::default();
    let mut next = Instant::now();
    let mut pending = false;
    loop {
        tokio::select! {
            // Cancelled reads leave what they have in `line`, and the next one goes on.
            read = reader.read_until(b'\n', &mut line) => {
                let end = read? == 0;
                if !line.is_empty() {
                    log.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']), listener.log);
                    line.clear();
                    pending = true;
                }
                if end {
                    tell(log, &mut told, listener);
                    return Ok(0);
                }
                if Instant::now() < next {
                    continue;
                }
            }
            () = sleep_until(next), if pending => {}
        }
        tell(log, &mut told, listener);
        pending = false;
        next = Instant::now() + PROGRESS_INTERVAL;
    }
}

fn tell(log: &Log, told: &mut Progress, listener: &mut Listener<'_>) {
    let progress = log.progress();
    if progress != *told {
        told.clone_from(&progress);
        (listener.progress)(progress);
    }
}
