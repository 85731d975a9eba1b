//! The internal-json log (`--log-format internal-json`), line by line, as counts a person can follow, lines for a log
//! file, and the error that a failed run ends with.

use crate::elsewhere::outside;
use crate::failure::{Entry as Message, Failure};
use crate::{ansi, store_name};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What Nix is doing now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Derivations built so far, and expected in all.
    pub built: Activity,
    /// Store paths copied or downloaded so far, and expected in all.
    pub copied: Activity,
    /// Bytes downloaded so far, and expected in all.
    pub downloaded_bytes: Activity,
    /// What is under way, e.g. `building hello-2.12`; empty between two things.
    pub current: String,
}

/// How far a kind of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Finished.
    pub done: u64,
    /// Expected in all; grows while Nix finds out.
    pub expected: u64,
}

/// Kinds of activity and of result, as numbered in Nix's `logging.hh`.
mod kind {
    pub(super) const COPY_PATH: u64 = 100;
    pub(super) const FILE_TRANSFER: u64 = 101;
    pub(super) const COPY_PATHS: u64 = 103;
    pub(super) const BUILDS: u64 = 104;
    pub(super) const BUILD: u64 = 105;
    pub(super) const SUBSTITUTE: u64 = 108;
    pub(super) const FETCH_TREE: u64 = 112;

    pub(super) const RESULT_BUILD_LOG_LINE: u64 = 101;
    pub(super) const RESULT_SET_PHASE: u64 = 104;
    pub(super) const RESULT_PROGRESS: u64 = 105;
    pub(super) const RESULT_SET_EXPECTED: u64 = 106;
    pub(super) const RESULT_POST_BUILD_LOG_LINE: u64 = 107;
}

/// Messages above this level (`lvlInfo`) are details that nobody reads.
const INFO: u64 = 3;

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Entry {
    Start {
        id: u64,
        #[serde(default)]
        level: u64,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        text: String,
        #[serde(default)]
        fields: Vec<Value>,
    },
    Stop {
        id: u64,
    },
    Result {
        id: u64,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        fields: Vec<Value>,
    },
    Msg(Message),
    #[serde(other)]
    Other,
}

/// An activity that has started and not stopped.
struct Running {
    kind: u64,
    /// What a person reads; empty for those that are only counters.
    title: String,
    /// For a build: the derivation's path.
    derivation: String,
    phase: String,
    done: u64,
    expected: u64,
    /// What it said to expect of other kinds.
    announced: BTreeMap<u64, u64>,
}

/// Reads a log. One per run of `nix`.
#[derive(Default)]
pub(crate) struct Log {
    // Ids grow, so the last is the one that started last.
    running: BTreeMap<u64, Running>,
    /// By kind: what stopped activities had done.
    finished: BTreeMap<u64, u64>,
    /// By kind: what running activities announced.
    announced: BTreeMap<u64, u64>,
    /// Files that Nix evaluated; it names them only where it is told to (`-v`).
    files: BTreeSet<PathBuf>,
    failure: Failure,
}

impl Log {
    /// Takes one line of standard error. `sink` gets the lines that belong into a log file.
    pub(crate) fn line(&mut self, line: &str, sink: &mut dyn FnMut(&str)) {
        let Some(json) = line.strip_prefix("@nix ") else {
            let line = ansi::strip(line);
            self.failure.plain_line(&line);
            sink(&line);
            return;
        };
        match serde_json::from_str(json) {
            Ok(entry) => self.entry(entry, sink),
            Err(error) => tracing::debug!(%error, "an entry of the Nix log was not understood"),
        }
    }

    fn entry(&mut self, entry: Entry, sink: &mut dyn FnMut(&str)) {
        match entry {
            Entry::Start { id, level, kind, text, fields } => {
                let text = ansi::strip(&text);
                if level <= INFO && !text.is_empty() {
                    sink(&text);
                }
                let path = fields.first().and_then(Value::as_str).unwrap_or_default().to_owned();
                let title = match kind {
                    kind::BUILD => format!("building {}", store_name(&path)),
                    kind::SUBSTITUTE => format!("fetching {}", store_name(&path)),
                    kind::COPY_PATH => format!("copying {}", store_name(&path)),
                    kind::FILE_TRANSFER => format!("downloading {path}"),
                    kind::FETCH_TREE => text,
                    _ if level <= INFO => text,
                    _ => String::new(),
                };
                let derivation = if kind == kind::BUILD { path } else { String::new() };
                self.running.insert(
                    id,
                    Running {
                        kind,
                        title,
                        derivation,
                        phase: String::new(),
                        done: 0,
                        expected: 0,
                        announced: BTreeMap::new(),
                    },
                );
            }
            Entry::Stop { id } => {
                if let Some(activity) = self.running.remove(&id) {
                    *self.finished.entry(activity.kind).or_default() += activity.done;
                    for (kind, count) in activity.announced {
                        let all = self.announced.entry(kind).or_default();
                        *all = all.saturating_sub(count);
                    }
                }
            }
            Entry::Result { id, kind, fields } => self.result(id, kind, &fields, sink),
            Entry::Msg(message) => {
                if let Some(file) = evaluated_file(&message.msg) {
                    self.files.insert(file);
                    return;
                }
                if message.level <= INFO {
                    ansi::strip(&message.msg).lines().for_each(|line| sink(line.trim_end()));
                }
                self.failure.entry(message);
            }
            Entry::Other => {}
        }
    }

    fn result(&mut self, id: u64, kind: u64, fields: &[Value], sink: &mut dyn FnMut(&str)) {
        let Some(activity) = self.running.get_mut(&id) else { return };
        let text = || fields.first().and_then(Value::as_str).map(ansi::strip);
        let number = |index: usize| fields.get(index).and_then(Value::as_u64).unwrap_or(0);
        match kind {
            kind::RESULT_BUILD_LOG_LINE | kind::RESULT_POST_BUILD_LOG_LINE => {
                if let Some(line) = text() {
                    sink(&format!("{}> {line}", store_name(&activity.derivation)));
                    self.failure.build_line(&activity.derivation, line);
                }
            }
            kind::RESULT_SET_PHASE => activity.phase = text().unwrap_or_default(),
            kind::RESULT_PROGRESS => (activity.done, activity.expected) = (number(0), number(1)),
            kind::RESULT_SET_EXPECTED => {
                let (of, count) = (number(0), number(1));
                let before = activity.announced.insert(of, count).unwrap_or(0);
                let all = self.announced.entry(of).or_default();
                *all = all.saturating_sub(before) + count;
            }
            _ => {}
        }
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        let current =
            self.running.values().rev().find(|a| !a.title.is_empty()).map(|a| {
                if a.phase.is_empty() { a.title.clone() } else { format!("{} ({})", a.title, a.phase) }
            });
        Progress {
            built: self.count(kind::BUILDS),
            copied: self.count(kind::COPY_PATHS),
            downloaded_bytes: self.count(kind::FILE_TRANSFER),
            current: current.unwrap_or_default(),
        }
    }

    fn count(&self, kind: u64) -> Activity {
        let finished = self.finished.get(&kind).copied().unwrap_or(0);
        let (mut done, mut expected) = (finished, finished);
        for activity in self.running.values().filter(|a| a.kind == kind) {
            done += activity.done;
            expected += activity.expected;
        }
        Activity { done, expected: expected.max(self.announced.get(&kind).copied().unwrap_or(0)).max(done) }
    }

    /// The files that Nix evaluated.
    pub(crate) fn take_files(&mut self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.files)
    }

    /// What went wrong, after a run that failed.
    pub(crate) fn into_failure(self) -> Failure {
        self.failure
    }
}

/// The file of `evaluating file '/a/b.nix'`.
fn evaluated_file(message: &str) -> Option<PathBuf> {
    let message = ansi::strip(message);
    let file = message.strip_prefix("evaluating file '")?.strip_suffix('\'')?;
    Some(outside(file).into_owned()).filter(|file| file.has_root())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a log and gives the lines for the log file.
    fn feed(log: &mut Log, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in text.trim().lines() {
            log.line(line.trim(), &mut |line| lines.push(line.to_owned()));
        }
        lines
    }

    const STORE: &str = "/nix/store/02q40ps9xpqnzw27gri4c9swwrn9n2i2";

    #[test]
    fn a_build_is_counted_and_named_and_its_output_logged() {
        let mut log = Log::default();
        let lines = feed(
            &mut log,
            &format!(
                r#"
                @nix {{"action":"start","id":1,"level":0,"text":"","type":102}}
                @nix {{"action":"start","id":2,"level":0,"text":"","type":104}}
                @nix {{"action":"result","fields":[0,2,0,0],"id":2,"type":105}}
                @nix {{"action":"start","fields":["{STORE}-dep-1.0.drv","",1,1],"id":3,"level":3,"text":"building '{STORE}-dep-1.0.drv'","type":105}}
                @nix {{"action":"result","fields":["unpackPhase"],"id":3,"type":104}}
                @nix {{"action":"result","fields":["\u001b[32mhello\u001b[0m"],"id":3,"type":101}}
                @nix {{"action":"msg","level":4,"msg":"evaluating file '/a'"}}
                @nix {{"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m dirty"}}
                "#
            ),
        );
        assert_eq!(
            lines,
            [format!("building '{STORE}-dep-1.0.drv'"), "dep-1.0> hello".into(), "warning: dirty".into()]
        );
        let progress = log.progress();
        assert_eq!(progress.built, Activity { done: 0, expected: 2 });
        assert_eq!(progress.current, "building dep-1.0 (unpackPhase)");

        feed(
            &mut log,
            r#"@nix {"action":"result","fields":[1,2,0,0],"id":2,"type":105}
               @nix {"action":"stop","id":3}"#,
        );
        assert_eq!(
            log.progress(),
            Progress { built: Activity { done: 1, expected: 2 }, ..Default::default() }
        );
    }

    #[test]
    fn downloads_count_what_is_announced_what_runs_and_what_is_done() {
        let mut log = Log::default();
        feed(
            &mut log,
            r#"@nix {"action":"start","id":1,"level":0,"text":"","type":102}
               @nix {"action":"result","fields":[101,1000],"id":1,"type":106}
               @nix {"action":"start","fields":["https://cache/a.nar"],"id":2,"level":4,"text":"downloading","type":101}
               @nix {"action":"result","fields":[400,600],"id":2,"type":105}"#,
        );
        let progress = log.progress();
        assert_eq!(progress.downloaded_bytes, Activity { done: 400, expected: 1000 });
        assert_eq!(progress.current, "downloading https://cache/a.nar");
        feed(&mut log, r#"@nix {"action":"stop","id":2}"#);
        assert_eq!(log.progress().downloaded_bytes, Activity { done: 400, expected: 1000 });
        feed(&mut log, r#"@nix {"action":"stop","id":1}"#);
        assert_eq!(log.progress().downloaded_bytes, Activity { done: 400, expected: 400 });
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let mut log = Log::default();
        let lines = feed(
            &mut log,
            r#"@nix {"action":"something new"}
               @nix {broken
               @nix {"action":"result","id":77,"type":105,"fields":["x"]}
               plain text"#,
        );
        assert_eq!(lines, ["plain text"]);
        assert_eq!(log.progress(), Progress::default());
    }
}
