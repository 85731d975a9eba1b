//! The editor as the one who asked for an operation: events become progress and log lines, questions go to the person.

use super::client::{Item, Person, Reply, send};
use super::session::Session;
use async_trait::async_trait;
use codchi_machine::{
    Answer, CancellationToken, Event, Front, LogLevel, Operation, Question, Secret, Step, StepState,
};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower_lsp::Client;
use tower_lsp::lsp_types::notification::Progress;
use tower_lsp::lsp_types::request::WorkDoneProgressCreate;
use tower_lsp::lsp_types::{
    MessageType, ProgressParams, ProgressParamsValue, ProgressToken, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressCreateParams, WorkDoneProgressEnd, WorkDoneProgressReport,
};

/// How long a client may take to make a place for our own progress.
const CREATE: Duration = Duration::from_secs(5);

/// The editor as the one who asked for an operation.
pub(crate) struct EditorFront {
    person: Person,
    events: mpsc::UnboundedSender<Event>,
    cancel: CancellationToken,
}

/// Shows one operation's progress until its front is gone.
pub(crate) struct Reporter(JoinHandle<()>);

impl EditorFront {
    /// A front whose events go to the client under `token`; only as log lines where there is none.
    pub(crate) fn new(
        client: &Client,
        session: &Session,
        title: String,
        token: Option<ProgressToken>,
        cancel: CancellationToken,
    ) -> (Self, Reporter) {
        let (events, receiver) = mpsc::unbounded_channel();
        let shown = Shown { client: client.clone(), token, steps: Vec::new(), index: 0, percent: 0 };
        let reporter = Reporter(tokio::spawn(shown.run(title, receiver)));
        (Self { person: Person::new(client, session), events, cancel }, reporter)
    }

    /// The person, for questions that are no [`Question`].
    pub(crate) fn person(&self) -> &Person {
        &self.person
    }
}

impl Reporter {
    /// Waits until everything is told. The front must be gone by then.
    pub(crate) async fn finish(self) {
        let _ = self.0.await;
    }
}

/// Makes a place for our own progress at a client that takes such; gives its token.
pub(crate) async fn create_progress(client: &Client, number: u64) -> Option<ProgressToken> {
    let token = ProgressToken::String(format!("codchi-{number}"));
    let created =
        send::<WorkDoneProgressCreate>(client, WorkDoneProgressCreateParams { token: token.clone() });
    match tokio::time::timeout(CREATE, created).await {
        Ok(Ok(())) => Some(token),
        _ => None,
    }
}

/// The person, for a question outside of an operation: what happens is told nobody.
#[async_trait]
impl Front for Person {
    fn event(&self, _: Event) {}

    async fn ask(&self, question: Question) -> Answer {
        ask(self, question).await
    }
}

#[async_trait]
impl Front for EditorFront {
    fn event(&self, event: Event) {
        // The reporter lives as long as the front.
        let _ = self.events.send(event);
    }

    async fn ask(&self, question: Question) -> Answer {
        tokio::select! {
            () = self.cancel.cancelled() => Answer::Cancelled,
            answer = ask(&self.person, question) => answer,
        }
    }
}

async fn ask(person: &Person, question: Question) -> Answer {
    match question {
        Question::Secret { machine, name, description, pattern, multiline } => {
            let title = format!("{name} for the code machine {machine}");
            match person.secret(title, description, pattern, multiline).await {
                // A value with a NUL byte is no secret; the person is asked by the operation again, or closes it.
                Reply::Given(value) => Secret::new(value).map_or(Answer::Cancelled, Answer::Secret),
                Reply::Closed => Answer::Cancelled,
                Reply::CannotAsk => Answer::CannotAsk,
            }
        }
        Question::Passphrase { prompt, detail } => match person.secret(prompt, detail, None, false).await {
            Reply::Given(value) => Secret::new(value).map_or(Answer::Cancelled, Answer::Secret),
            Reply::Closed => Answer::Cancelled,
            Reply::CannotAsk => Answer::CannotAsk,
        },
        Question::Choice { prompt, choices } => {
            let items = choices
                .into_iter()
                .map(|choice| Item { label: choice.label, detail: choice.detail })
                .collect();
            match person.pick(prompt, items).await {
                Reply::Given(index) => Answer::Chosen(index),
                Reply::Closed => Answer::Cancelled,
                Reply::CannotAsk => Answer::CannotAsk,
            }
        }
        Question::Confirm { prompt, detail, yes, no } => {
            match person.confirm(prompt, detail, yes, no).await {
                Reply::Given(true) => Answer::Yes,
                Reply::Given(false) => Answer::No,
                Reply::Closed => Answer::Cancelled,
                Reply::CannotAsk => Answer::CannotAsk,
            }
        }
    }
}

/// What the client shows.
struct Shown {
    client: Client,
    token: Option<ProgressToken>,
    steps: Vec<Step>,
    index: usize,
    /// Never goes back: LSP does not allow it.
    percent: u32,
}

impl Shown {
    async fn run(mut self, title: String, mut events: mpsc::UnboundedReceiver<Event>) {
        let begin =
            WorkDoneProgressBegin { title, cancellable: Some(true), message: None, percentage: Some(0) };
        self.send(WorkDoneProgress::Begin(begin)).await;
        while let Some(event) = events.recv().await {
            self.event(event).await;
        }
        self.send(WorkDoneProgress::End(WorkDoneProgressEnd { message: None })).await;
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Began { steps, .. } => {
                self.steps = steps;
                self.index = 0;
            }
            Event::Step { index, state } => {
                self.index = index;
                let Some(step) = self.steps.get(index) else { return };
                let title = step.title();
                match state {
                    StepState::Running => self.report(title.into(), 0).await,
                    StepState::Done | StepState::Skipped => {}
                    StepState::Failed => self.report(format!("{title}: failed"), 0).await,
                    StepState::Undone => self.report(format!("Undoing: {title}"), 0).await,
                }
            }
            Event::Progress { message, percent } => {
                let title = self.steps.get(self.index).map(Step::title).unwrap_or_default();
                self.report(format!("{title}: {message}"), percent.unwrap_or(0)).await;
            }
            Event::Log { level: LogLevel::Info, line } => {
                self.client.log_message(MessageType::LOG, line).await;
            }
            Event::Log { level: LogLevel::Warning, line } => {
                self.client.show_message(MessageType::WARNING, line).await;
            }
            // The watch on the state folder tells of it, whoever's work it was.
            Event::MachinesChanged => {}
        }
    }

    async fn report(&mut self, message: String, percent: u8) {
        self.percent = self.percent.max(overall(&self.steps, self.index, percent));
        let report = WorkDoneProgressReport {
            cancellable: Some(true),
            message: Some(message),
            percentage: Some(self.percent),
        };
        self.send(WorkDoneProgress::Report(report)).await;
    }

    async fn send(&self, value: WorkDoneProgress) {
        let Some(token) = self.token.clone() else { return };
        let value = ProgressParamsValue::WorkDone(value);
        self.client.send_notification::<Progress>(ProgressParams { token, value }).await;
    }
}

/// How far the whole is, in percent, when the step at `index` is at `percent`.
pub(crate) fn overall(steps: &[Step], index: usize, percent: u8) -> u32 {
    // Nearly all of the time is the build's.
    let weight = |step: &Step| if *step == Step::Build { 20 } else { 1 };
    let all: u32 = steps.iter().map(weight).sum();
    let before: u32 = steps.iter().take(index).map(weight).sum();
    let now = steps.get(index).map_or(0, weight) * u32::from(percent.min(100)) / 100;
    ((before + now) * 100).checked_div(all).unwrap_or(0)
}

/// An operation as the title of its progress: `Creating hello`.
pub(crate) fn title(operation: Operation, machine: &str) -> String {
    let verb = match operation {
        Operation::Create => "Creating",
        Operation::Rebuild => "Rebuilding",
        Operation::Rollback => "Rolling back",
        Operation::Update => "Updating",
        Operation::Start => "Starting",
        Operation::Deliver => "Delivering secrets to",
        Operation::Stop => "Stopping",
        Operation::Delete => "Deleting",
        Operation::Rename => "Renaming",
        Operation::Duplicate => "Duplicating",
        Operation::Export => "Exporting",
        Operation::Import => "Importing",
    };
    format!("{verb} {machine}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_the_whole_is_the_build() {
        let steps = [Step::Lock, Step::Evaluate, Step::Build, Step::StartInstance, Step::Deliver];
        assert_eq!(overall(&steps, 0, 0), 0);
        assert_eq!(overall(&steps, 2, 50), 50);
        assert_eq!(overall(&steps, 5, 0), 100);
        assert_eq!(overall(&[], 0, 100), 0);
    }
}
