//! One run of a `nix` process: its streams, its end, and that nothing of it outlives the caller's interest.

use crate::group::{Group, Most};
use crate::log::Log;
use crate::{CancellationToken, NixError, Progress};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between two calls of a progress callback.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long Nix has to stop its builders and release its locks.
const GRACE: Duration = Duration::from_secs(3);
/// How long the streams of a process that has ended may stay open, e.g. in a process that it left behind.
const DRAIN: Duration = Duration::from_secs(2);
/// A process that outlives us, because we were killed, ends after so many times its time on processors; it may use several
/// of them at once.
const PROCESSORS: u64 = 4;

/// Who listens to a run.
pub(crate) struct Listener<'a> {
    pub(crate) progress: &'a mut (dyn FnMut(Progress) + Send),
    pub(crate) log: &'a mut (dyn FnMut(&str) + Send),
}

/// What a run may take, and what it gets on standard input.
#[derive(Default)]
pub(crate) struct Bounds {
    /// Written to standard input, which is empty otherwise.
    pub(crate) input: Vec<u8>,
    /// When it is ended, and after what time that is.
    pub(crate) time: Option<(Instant, Duration)>,
    /// The most bytes on each of its outputs.
    pub(crate) output: Option<u64>,
    /// The most memory that it may map for data, in bytes.
    pub(crate) memory: Option<u64>,
    /// Whether everything else goes first.
    pub(crate) background: bool,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) log: Log,
}

/// Runs `command` to its end and gives what it printed on standard output. `what` names it in errors.
pub(crate) async fn run(
    command: Command,
    what: &str,
    listener: &mut Listener<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, NixError> {
    let ended = run_within(command, what, Bounds::default(), listener, cancel).await?;
    // The status first: some versions print half of their JSON before they fail.
    if ended.status.success() {
        Ok(ended.stdout)
    } else {
        Err(ended.log.into_failure().into_error(&ended.status.to_string()))
    }
}

/// The same within bounds; that it fails is no error here.
pub(crate) async fn run_within(
    mut command: Command,
    what: &str,
    bounds: Bounds,
    listener: &mut Listener<'_>,
    cancel: &CancellationToken,
) -> Result<Ended, NixError> {
    if cancel.is_cancelled() {
        return Err(NixError::Cancelled);
    }
    let failed = |source| NixError::Process { command: what.to_owned(), source };
    let stdin = if bounds.input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    tracing::debug!(command = what, "running");
    let time = bounds.time.map(|(_, time)| (time.as_secs() + 1) * PROCESSORS);
    let most = Most { memory: bounds.memory, time };
    let mut process = Process::spawn(command, most, bounds.background).map_err(failed)?;

    let mut log = Log::default();
    let most = bounds.output.unwrap_or(u64::MAX);
    let finished = tokio::select! {
        finished = process.finish(bounds.input, most, &mut log, listener) => finished,
        () = cancel.cancelled() => {
            process.terminate().await;
            return Err(NixError::Cancelled);
        }
        limit = expired(bounds.time) => {
            process.terminate().await;
            return Err(NixError::TooSlow { limit });
        }
    };
    match finished.map_err(failed)? {
        Some((status, stdout)) => Ok(Ended { status, stdout, log }),
        None => {
            process.terminate().await;
            Err(NixError::TooMuchOutput { limit: most })
        }
    }
}

/// Waits until the time is over; for ever where there is no end.
async fn expired(time: Option<(Instant, Duration)>) -> Duration {
    match time {
        Some((end, limit)) => {
            sleep_until(end).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// A child with all that it starts; ended, builders and all, when dropped.
struct Process {
    child: Option<Child>,
    group: Group,
}

impl Process {
    fn spawn(mut command: Command, most: Most, is_background: bool) -> io::Result<Self> {
        Group::start(&mut command, is_background);
        let child = command.spawn()?;
        let group = Group::of(&child, most, is_background);
        Ok(Self { child: Some(child), group })
    }

    /// Its status and output; `None` where it printed more than `most` bytes.
    async fn finish(
        &mut self,
        input: Vec<u8>,
        most: u64,
        log: &mut Log,
        listener: &mut Listener<'_>,
    ) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
        let gone = || io::Error::other("the process has no output");
        let child = self.child.as_mut().ok_or_else(gone)?;
        let mut stdout = child.stdout.take().ok_or_else(gone)?.take(most);
        let mut stderr = child.stderr.take().ok_or_else(gone)?.take(most);
        let stdin = child.stdin.take();

        let mut output = Vec::new();
        let status = {
            let mut streams = std::pin::pin!(async {
                tokio::try_join!(
                    // A stream that is full is not read on, and then the process would wait for ever.
                    async { until_full(stdout.read_to_end(&mut output).await, stdout.limit()) },
                    async { until_full(follow(&mut stderr, log, listener).await, stderr.limit()) },
                    feed(stdin, input)
                )
            });
            let status = tokio::select! {
                result = &mut streams => match result {
                    Err(error) if error.kind() == FULL => return Ok(None),
                    result => {
                        result?;
                        None
                    }
                },
                status = child.wait() => Some(status?),
            };
            match status {
                None => child.wait().await?,
                Some(status) => {
                    match timeout(DRAIN, streams).await {
                        Ok(Err(error)) if error.kind() == FULL => return Ok(None),
                        Ok(result) => drop(result?),
                        Err(_) => {}
                    }
                    status
                }
            }
        };
        self.child = None;
        Ok(Some((status, output)))
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
        let Some(mut child) = self.child.take() else { return };
        // Without a runtime, the child's own `kill_on_drop` is what is left.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.group.ask(&mut child);
            runtime.spawn(end(child, self.group));
        }
    }
}

/// Asks politely, so that Nix stops its builders, which live in sessions of their own; then does not ask.
async fn end(mut child: Child, group: Group) {
    group.ask(&mut child);
    tokio::select! {
        _ = child.wait() => {}
        () = sleep(GRACE) => {
            group.kill(&mut child);
            let _ = child.wait().await;
        }
    }
}

/// What stands for a stream that reached its limit.
const FULL: io::ErrorKind = io::ErrorKind::FileTooLarge;

fn until_full(read: io::Result<usize>, left: u64) -> io::Result<()> {
    read?;
    if left == 0 { Err(FULL.into()) } else { Ok(()) }
}

/// Writes what the process reads. One that does not read it ends by itself, and says why.
async fn feed(stdin: Option<ChildStdin>, input: Vec<u8>) -> io::Result<()> {
    if let Some(mut stdin) = stdin
        && let Err(error) = stdin.write_all(&input).await
    {
        tracing::debug!(%error, "a process did not read its input");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_ends_by_itself_and_within_its_memory_if_nobody_is_there_to_end_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "read input; ulimit -t; ulimit -d; ulimit -H -t"]);
        let bounds = Bounds {
            input: b"go\n".to_vec(),
            time: Some((Instant::now() + Duration::from_secs(10), Duration::from_secs(10))),
            memory: Some(64 << 20),
            ..Bounds::default()
        };
        let mut listener = Listener { progress: &mut |_| {}, log: &mut |_| {} };
        let ended =
            run_within(command, "sh", bounds, &mut listener, &CancellationToken::new()).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "44\n65536\n44\n");
    }
}
