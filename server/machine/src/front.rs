//! What a front hears and what it is asked while an operation runs.

use crate::{MachineName, Operation, Secret, Step};
use async_trait::async_trait;

/// The one who asked for an operation: an editor or a terminal.
#[async_trait]
pub trait Front: Send + Sync {
    /// Something happened. Must not block.
    fn event(&self, event: Event);

    /// Asks the person. [`Answer::Cancelled`] cancels the operation; [`Answer::CannotAsk`] makes it fail with an
    /// error that names what to run instead.
    async fn ask(&self, question: Question) -> Answer;
}

/// What happens during an operation. The same events feed an editor's progress, a progress bar and the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// An operation begins.
    Began {
        /// On which machine.
        machine: MachineName,
        /// What is done.
        operation: Operation,
        /// The plan.
        steps: Vec<Step>,
    },
    /// A step changes its state.
    Step {
        /// Its index in the plan.
        index: usize,
        /// Its new state.
        state: StepState,
    },
    /// The step under way tells how far it is.
    Progress {
        /// What is under way, e.g. `3 of 17 built, now hello-2.12`.
        message: String,
        /// Between 0 and 100, where it is known.
        percent: Option<u8>,
    },
    /// A line for the log.
    Log {
        /// How important.
        level: LogLevel,
        /// The line; never holds a secret.
        line: String,
    },
    /// The list of machines, or what is known about one, has changed.
    MachinesChanged,
}

/// A step's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StepState {
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// It failed.
    Failed,
    /// It was undone because a later one failed or the operation was cancelled.
    Undone,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// For the log file.
    Info,
    /// For the person.
    Warning,
}

/// A question to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A secret's value.
    Secret {
        /// For which machine.
        machine: MachineName,
        /// The secret's name.
        name: String,
        /// Its description.
        description: String,
        /// A regular expression for the whole value.
        pattern: Option<String>,
        /// Whether it may have several lines.
        multiline: bool,
    },
    /// A passphrase that codchi was given before; answered with [`Answer::Secret`].
    Passphrase {
        /// Of what.
        prompt: String,
        /// More about it; may be empty.
        detail: String,
    },
    /// One of several.
    Choice {
        /// The question.
        prompt: String,
        /// What can be chosen.
        choices: Vec<Choice>,
    },
    /// Yes or no.
    Confirm {
        /// The question.
        prompt: String,
        /// More about it; may be empty.
        detail: String,
        /// What the button for yes says.
        yes: String,
        /// What the button for no says, where to decline is not to cancel.
        no: Option<String>,
    },
}

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Choice {
    /// What is shown.
    pub label: String,
    /// More about it; may be empty.
    pub detail: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Secret`] and [`Question::Passphrase`].
    Secret(Secret),
    /// To [`Question::Choice`]: the index.
    Chosen(usize),
    /// To [`Question::Confirm`].
    Yes,
    /// To [`Question::Confirm`].
    No,
    /// The person closed the question.
    Cancelled,
    /// This front cannot ask (no terminal, an editor without `codchi/input`).
    CannotAsk,
}
