//! Operations on machines that are under way: several at once, each of which goes on only while its client lives.
//!
//! An operation runs in a task of its own, so that cancelling its request, which drops the request's handler, lets it
//! undo what it did.

use super::front::{EditorFront, create_progress};
use super::session::Session;
use codchi_machine::CancellationToken;
use dashmap::DashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tower_lsp::Client;
use tower_lsp::lsp_types::notification::Progress;
use tower_lsp::lsp_types::{
    ProgressParams, ProgressParamsValue, ProgressToken, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressEnd,
};

/// Work in the background that takes no longer is not shown.
const UNSEEN: Duration = Duration::from_secs(1);

/// Operations on machines that are under way.
#[derive(Default)]
pub(crate) struct Operations {
    all: CancellationToken,
    tracker: TaskTracker,
    last_progress: AtomicU64,
    by_progress: DashMap<ProgressToken, CancellationToken>,
}

impl Operations {
    /// Runs `work` to its end and gives its result; `None` where it panicked. Cancelled with the future that this
    /// gives, by its progress, and by the session's end; then `work` goes on in the background until it is undone.
    pub(crate) async fn run<T, F>(
        self: &std::sync::Arc<Self>,
        client: &Client,
        session: &Session,
        title: String,
        token: Option<ProgressToken>,
        work: impl FnOnce(EditorFront, CancellationToken) -> F + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let cancel = self.all.child_token();
        let _cancelled_when_dropped = cancel.clone().drop_guard();
        let (operations, client, session) = (self.clone(), client.clone(), session.clone());
        let task = tokio::spawn(async move {
            let token = match token {
                Some(token) => Some(token),
                None if session.progress => {
                    let number = operations.last_progress.fetch_add(1, Ordering::Relaxed);
                    create_progress(&client, number).await
                }
                None => None,
            };
            if let Some(token) = &token {
                operations.by_progress.insert(token.clone(), cancel.clone());
            }
            let (front, reporter) = EditorFront::new(&client, &session, title, token.clone(), cancel.clone());
            // Only this is waited for at the session's end: what a client that is gone is told is never sent. In a task of
            // its own, so that a panic ends the progress like any other failure.
            let result = operations.tracker.spawn(work(front, cancel)).await;
            reporter.finish().await;
            if let Some(token) = &token {
                operations.by_progress.remove(token);
            }
            result.ok()
        });
        task.await.ok().flatten()
    }

    /// Waits for `work` in the background of everything else. It is shown if it takes its time; `cancel` is what a person
    /// cancels then.
    pub(crate) async fn show<T>(
        &self,
        client: &Client,
        session: &Session,
        title: &str,
        cancel: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        if !session.progress {
            return work.await;
        }
        let place = async {
            tokio::time::sleep(UNSEEN).await;
            create_progress(client, self.last_progress.fetch_add(1, Ordering::Relaxed)).await
        };
        let token = tokio::select! {
            result = &mut work => return result,
            token = place => token,
        };
        let Some(token) = token else { return work.await };
        let tell = async |value| {
            let value = ProgressParamsValue::WorkDone(value);
            client.send_notification::<Progress>(ProgressParams { token: token.clone(), value }).await;
        };
        self.by_progress.insert(token.clone(), cancel.clone());
        tell(WorkDoneProgress::Begin(WorkDoneProgressBegin {
            title: title.to_owned(),
            cancellable: Some(true),
            message: None,
            percentage: None,
        }))
        .await;
        let result = work.await;
        self.by_progress.remove(&token);
        tell(WorkDoneProgress::End(WorkDoneProgressEnd { message: None })).await;
        result
    }

    /// Cancelled at the session's end.
    pub(crate) fn session(&self) -> CancellationToken {
        self.all.child_token()
    }

    /// The person cancelled a progress.
    pub(crate) fn cancel(&self, token: &ProgressToken) {
        if let Some(cancel) = self.by_progress.get(token) {
            cancel.cancel();
        }
    }

    /// Waits until all are cancelled.
    pub(crate) async fn cancelled(&self) {
        self.all.cancelled().await;
    }

    /// Cancels all of them: the client is gone.
    pub(crate) fn cancel_all(&self) {
        self.all.cancel();
        self.tracker.close();
    }

    /// Waits until all are done or undone.
    pub(crate) async fn wait(&self) {
        self.tracker.wait().await;
    }
}
