//! The terminal as the one who asked for an operation: a line with what is under way, and questions.
//!
//! All of it is on standard error; standard output is for results.

use super::prompt::{self, Reply};
use super::{output, terminal};
use async_trait::async_trait;
use codchi_machine::{Answer, CancellationToken, Event, Front, LogLevel, Question, Step, StepState};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize as _;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often progress is told where there is no terminal to show it on.
const PLAIN: Duration = Duration::from_secs(10);

/// How often the line on a terminal moves.
const TICK: Duration = Duration::from_millis(100);

/// The terminal as the one who asked for an operation.
pub(crate) struct TerminalFront {
    /// Whether yes is the answer to every question of yes or no.
    yes: bool,
    /// Whether log lines are shown.
    verbose: bool,
    cancel: CancellationToken,
    bar: Option<ProgressBar>,
    shown: Mutex<Shown>,
}

/// What is under way.
#[derive(Default)]
struct Shown {
    steps: Vec<Step>,
    index: usize,
    told: Option<Instant>,
}

impl TerminalFront {
    pub(crate) fn new(yes: bool, verbose: bool, cancel: CancellationToken) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { yes, verbose, cancel, bar, shown: Mutex::default() }
    }

    /// The line above what is under way.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| {
                let _ = output::error(text);
            }),
            None => {
                let _ = output::error(text);
            }
        }
    }

    fn step(&self, shown: &Shown, state: StepState) {
        let Some(step) = shown.steps.get(shown.index) else { return };
        let title = step.title();
        match (state, &self.bar) {
            (StepState::Running, Some(bar)) => {
                bar.set_message(format!("[{}/{}] {title}", shown.index + 1, shown.steps.len()));
            }
            (StepState::Running, None) => self.line(&format!("{title} …")),
            (StepState::Done, Some(_)) => self.line(&format!("{} {title}", "✓".green())),
            (StepState::Done, None) | (StepState::Skipped, _) => {}
            (StepState::Failed, _) => self.line(&format!("{} {title}: failed", "✗".red())),
            (StepState::Undone, _) => self.line(&format!("{} {title}: undone", "↶".yellow())),
        }
    }
}

#[async_trait]
impl Front for TerminalFront {
    fn event(&self, event: Event) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Began { steps, .. } => *shown = Shown { steps, ..Shown::default() },
            Event::Step { index, state } => {
                shown.index = index;
                shown.told = None;
                self.step(&shown, state);
            }
            Event::Progress { message, .. } => {
                let title = shown.steps.get(shown.index).map(Step::title).unwrap_or_default();
                if let Some(bar) = &self.bar {
                    let (number, all) = (shown.index + 1, shown.steps.len());
                    bar.set_message(format!("[{number}/{all}] {title}: {message}"));
                } else if shown.told.is_none_or(|told| told.elapsed() >= PLAIN) {
                    shown.told = Some(Instant::now());
                    self.line(&format!("{title}: {message}"));
                }
            }
            Event::Log { level: LogLevel::Warning, line } => {
                self.line(&format!("{} {line}", "warning:".yellow().bold()));
            }
            Event::Log { level: LogLevel::Info, line } if self.verbose => self.line(&line),
            Event::Log { .. } | Event::MachinesChanged => {}
        }
    }
    async fn ask(&self, question: Question) -> Answer {
        if self.yes && matches!(question, Question::Confirm { .. }) {
            return Answer::Yes;
        }
        if !terminal::can_ask() {
            return Answer::CannotAsk;
        }
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let answer = tokio::select! {
            () = self.cancel.cancelled() => Answer::Cancelled,
            answer = ask(question) => answer,
        };
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        answer
    }
}

impl Drop for TerminalFront {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn ask(question: Question) -> Answer {
    match question {
        Question::Secret { machine, name, description, pattern, multiline } => {
            let prompt = format!("{name} for {machine} ({description})");
            match prompt::secret(prompt, pattern, multiline).await {
                Reply::Given(secret) => Answer::Secret(secret),
                Reply::Closed => Answer::Cancelled,
                Reply::CannotAsk => Answer::CannotAsk,
            }
        }
        Question::Passphrase { prompt, detail } => {
            match prompt::secret(format!("{detail}\n{prompt}"), None, false).await {
                Reply::Given(secret) => Answer::Secret(secret),
                Reply::Closed => Answer::Cancelled,
                Reply::CannotAsk => Answer::CannotAsk,
            }
        }
        Question::Choice { prompt, choices } => match prompt::choose(prompt, choices).await {
            Reply::Given(index) => Answer::Chosen(index),
            Reply::Closed => Answer::Cancelled,
            Reply::CannotAsk => Answer::CannotAsk,
        },
        Question::Confirm { prompt, detail, .. } => match prompt::confirm(prompt, detail).await {
            Reply::Given(true) => Answer::Yes,
            Reply::Given(false) => Answer::No,
            Reply::Closed => Answer::Cancelled,
            Reply::CannotAsk => Answer::CannotAsk,
        },
    }
}
