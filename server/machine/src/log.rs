//! One log file per operation, and the way every event of an operation takes: to the front and into that file.

use crate::files::{io_error, make_folder, remove_file, remove_folder};
use crate::{
    Answer, CancellationToken, Event, Front, LogLevel, MachineError, MachineName, Operation, Paths, Question,
    Secret, Step, StepState,
};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many logs of a machine are kept.
const KEPT: usize = 20;

/// Tells the front and the log file what happens. No secret that it was told about gets into either.
pub(crate) struct Reporter<'a> {
    front: &'a dyn Front,
    file: Mutex<File>,
    begun: Instant,
    secrets: Mutex<Vec<Secret>>,
    /// The step that looks whether it has something to do.
    looking: Mutex<Option<(usize, Step)>>,
}

impl<'a> Reporter<'a> {
    /// Begins the log file of an operation and removes the oldest ones.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn new(
        paths: &Paths,
        name: &MachineName,
        operation: Operation,
        front: &'a dyn Front,
    ) -> Result<Self, MachineError> {
        let folder = folder(paths, name);
        make_folder(&folder)?;
        let logs = logs(paths, name);
        let number = logs.last().map_or(1, |(number, _)| number + 1);
        let path = folder.join(format!("{number:06}-{operation}.log"));
        let file = File::create(&path).map_err(|e| io_error("Writing", &path, e))?;
        for (_, old) in logs.iter().rev().skip(KEPT - 1) {
            remove_file(old)?;
        }
        let reporter = Self {
            front,
            file: Mutex::new(file),
            begun: Instant::now(),
            secrets: Mutex::default(),
            looking: Mutex::default(),
        };
        reporter.write(&format!("codchi {}: {operation} {name}", env!("CARGO_PKG_VERSION")));
        Ok(reporter)
    }

    /// Who asked for the operation.
    pub(crate) fn front(&self) -> &'a dyn Front {
        self.front
    }

    /// Keeps the text of `secrets` out of all that is reported from now on.
    pub(crate) fn conceal(&self, secrets: impl IntoIterator<Item = Secret>) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).extend(secrets);
    }

    /// The operation begins.
    pub(crate) fn began(&self, machine: &MachineName, operation: Operation, steps: Vec<Step>) {
        self.front.event(Event::Began { machine: machine.clone(), operation, steps });
    }

    /// A step looks whether it has something to do: nobody hears of it before it [works](Self::works).
    pub(crate) fn looks(&self, index: usize, step: Step) {
        *self.looking() = Some((index, step));
    }

    /// The step that looked has something to do.
    pub(crate) fn works(&self) {
        // Let go of before the step is told, which looks at it, too.
        let looked = self.looking().take();
        if let Some((index, step)) = looked {
            self.step(index, step, StepState::Running);
        }
    }

    fn looking(&self) -> MutexGuard<'_, Option<(usize, Step)>> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step changes its state.
    pub(crate) fn step(&self, index: usize, step: Step, state: StepState) {
        if state == StepState::Skipped {
            *self.looking() = None;
        } else {
            self.works();
        }
        match state {
            StepState::Running => self.write(step.title()),
            StepState::Done => {}
            StepState::Skipped => self.write(&format!("{}: nothing to do", step.title())),
            StepState::Failed => self.write("  failed"),
            StepState::Undone => self.write(&format!("{}: undone", step.title())),
        }
        self.front.event(Event::Step { index, state });
    }

    /// The step under way tells how far it is.
    pub(crate) fn progress(&self, message: String, percent: Option<u8>) {
        self.works();
        self.front.event(Event::Progress { message, percent });
    }

    /// A line for the log.
    pub(crate) fn info(&self, line: &str) {
        self.line(LogLevel::Info, line);
    }

    /// A line for the person.
    pub(crate) fn warning(&self, line: &str) {
        self.line(LogLevel::Warning, line);
    }

    /// The list of machines, or what is known about one, has changed.
    pub(crate) fn changed(&self) {
        self.front.event(Event::MachinesChanged);
    }

    /// Writes how the operation ended.
    pub(crate) fn ended(&self, result: &Result<(), MachineError>) {
        match result {
            Ok(()) => self.write("done"),
            Err(error) => {
                self.write(&error.to_string());
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    self.write(&format!("  because: {error}"));
                    cause = error.source();
                }
                if let Some(hint) = error.hint() {
                    self.write(&format!("  {hint}"));
                }
            }
        }
    }

    /// Asks the person; a closed question, or `cancel`, is [`MachineError::Cancelled`].
    ///
    /// # Errors
    /// [`MachineError::Cancelled`].
    pub(crate) async fn ask(
        &self,
        question: Question,
        cancel: &CancellationToken,
    ) -> Result<Answer, MachineError> {
        self.works();
        let answer = tokio::select! {
            answer = self.front.ask(question) => answer,
            () = cancel.cancelled() => Answer::Cancelled,
        };
        if answer == Answer::Cancelled { Err(MachineError::Cancelled) } else { Ok(answer) }
    }

    fn line(&self, level: LogLevel, line: &str) {
        self.works();
        let line = self.concealed(line);
        self.write(&match level {
            LogLevel::Info => format!("  {line}"),
            LogLevel::Warning => format!("  warning: {line}"),
        });
        self.front.event(Event::Log { level, line });
    }

    fn write(&self, line: &str) {
        let line = self.concealed(line);
        let seconds = self.begun.elapsed().as_secs_f32();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not fail the operation for the sake of its log.
        if let Err(e) = writeln!(file, "[{seconds:9.3}] {line}") {
            tracing::warn!("writing an operation's log failed: {e}");
        }
    }

    /// `line` without the text of secrets.
    pub(crate) fn concealed(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for secret in self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // Lines of a value are looked for one by one: a log is read line by line. Very short ones would only
            // make holes in words.
            for part in String::from_utf8_lossy(secret.expose()).lines().filter(|part| part.len() >= 4) {
                if line.contains(part) {
                    line = line.replace(part, "…");
                }
            }
        }
        line
    }
}

/// The log of the last operation on `name`; `None` where there was none.
pub(crate) fn last(paths: &Paths, name: &MachineName) -> Option<PathBuf> {
    logs(paths, name).pop().map(|(_, path)| path)
}

/// Makes the logs of a machine those of its new name. Logs of a machine that had that name before and is gone go.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn moved(paths: &Paths, from: &MachineName, to: &MachineName) -> Result<(), MachineError> {
    let (from, to) = (folder(paths, from), folder(paths, to));
    if !from.exists() {
        return Ok(());
    }
    remove_folder(&to)?;
    std::fs::rename(&from, &to).map_err(|e| io_error("Moving", &from, e))
}

fn folder(paths: &Paths, name: &MachineName) -> PathBuf {
    paths.state.join("logs").join(name.as_str())
}

/// All logs of `name` with their numbers, oldest first.
fn logs(paths: &Paths, name: &MachineName) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder(paths, name)) else { return Vec::new() };
    let mut logs: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()?;
            Some((number, path))
        })
        .collect();
    logs.sort();
    logs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Ears, paths};

    #[test]
    fn a_secret_reaches_neither_log_nor_front() {
        let data = tempfile::tempdir().unwrap();
        let (paths, ears) = (paths(data.path()), Ears::default());
        let name: MachineName = "a".parse().unwrap();
        let reporter = Reporter::new(&paths, &name, Operation::Create, &ears).unwrap();
        reporter.conceal([Secret::new(b"hunter22\nsecond line".to_vec()).unwrap()]);
        reporter.info("password hunter22!");
        reporter.warning("has a second line");
        let text = std::fs::read_to_string(last(&paths, &name).unwrap()).unwrap();
        assert!(text.contains("password …!") && text.contains("has a …"), "{text}");
        assert!(!format!("{:?}", ears.events()).contains("hunter22"));
    }

    #[test]
    fn the_last_twenty_logs_are_kept() {
        let data = tempfile::tempdir().unwrap();
        let (paths, ears) = (paths(data.path()), Ears::default());
        let name: MachineName = "a".parse().unwrap();
        for _ in 0..25 {
            Reporter::new(&paths, &name, Operation::Stop, &ears).unwrap();
        }
        let logs = logs(&paths, &name);
        assert_eq!((logs.len(), logs[0].0, logs[19].0), (20, 6, 25));
    }
}
