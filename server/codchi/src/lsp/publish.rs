//! Diagnostics, pushed for every open text whenever it or anything it depends on changes.

use super::client::send;
use super::convert::Converter;
use super::shared::Shared;
use super::workspace::OpenFile;
use codchi_ide::Analysis;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tower_lsp::Client;
use tower_lsp::lsp_types::request::WorkspaceDiagnosticRefresh;
use tower_lsp::lsp_types::{Diagnostic, Url};

/// How long the texts that did not change themselves wait for a pause in typing.
const PAUSE: Duration = Duration::from_millis(150);

/// So many diagnostics of one text are told at most: editors show no more, and get them anew at each keystroke.
pub(super) const MOST: usize = 1000;

/// What the publisher is told.
#[derive(Debug)]
pub(crate) enum Changed {
    /// This open text.
    Text(PathBuf),
    /// It was closed.
    Closed(PathBuf, Url),
    /// Something that all may depend on: files on the disk, the host, the machines.
    Everything,
    /// What an evaluation found. A person waits for it, and nobody types: it is told at once.
    Evaluated,
}

/// Pushes diagnostics until the channel's other end is gone. Only the latest version of a text is looked at, however
/// many changes came while an earlier one was.
pub(crate) async fn run(shared: Arc<Shared>, client: Client, mut changes: mpsc::UnboundedReceiver<Changed>) {
    // Nothing changes before the client has said what it does.
    let Some(first_change) = changes.recv().await else { return };
    if shared.session().pulls {
        return refresh(&shared, &client, first_change, changes).await;
    }
    let mut publisher = Publisher { shared, client, published: HashMap::new() };
    // Texts that changed, and texts that may depend on something that did.
    let (mut first, mut later) = (BTreeSet::new(), BTreeSet::new());
    let mut waiting = Some(first_change);
    let mut at_once = false;
    loop {
        let change = if waiting.is_some() {
            waiting.take()
        } else if !first.is_empty() || (at_once && !later.is_empty()) {
            changes.try_recv().ok()
        } else if !later.is_empty() {
            match tokio::time::timeout(PAUSE, changes.recv()).await {
                Ok(None) => return,
                Ok(change) => change,
                Err(_pause) => None,
            }
        } else {
            match changes.recv().await {
                Some(change) => Some(change),
                None => return,
            }
        };
        match change {
            Some(Changed::Text(path)) => {
                first.insert(path);
            }
            Some(Changed::Closed(path, uri)) => {
                first.remove(&path);
                later.remove(&path);
                publisher.forget(&path, uri).await;
            }
            Some(Changed::Everything) => later.extend(publisher.open_paths()),
            Some(Changed::Evaluated) => {
                later.extend(publisher.open_paths());
                at_once = true;
            }
            None => {
                if let Some(path) = first.pop_first() {
                    later.remove(&path);
                    publisher.publish(&path, true).await;
                    later.extend(publisher.open_paths().into_iter().filter(|other| *other != path));
                } else {
                    // A pause: the rest in one go, unless typing goes on.
                    at_once = false;
                    while let Some(path) = later.pop_first() {
                        publisher.publish(&path, false).await;
                        if !changes.is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }
}

/// Asks a client that pulls to do so whenever something changed that it does not know of.
async fn refresh(
    shared: &Shared,
    client: &Client,
    first: Changed,
    mut changes: mpsc::UnboundedReceiver<Changed>,
) {
    let mut change = Some(first);
    loop {
        let next = match change.take() {
            Some(change) => Some(change),
            None => changes.recv().await,
        };
        let Some(next) = next else { return };
        if !shared.session().refreshes_diagnostics
            || !matches!(next, Changed::Everything | Changed::Evaluated)
        {
            continue;
        }
        if !matches!(next, Changed::Evaluated) {
            tokio::time::sleep(PAUSE).await;
        }
        while changes.try_recv().is_ok() {}
        // Spawned, as a client may answer when it likes.
        let client = client.clone();
        tokio::spawn(async move { send::<WorkspaceDiagnosticRefresh>(&client, ()).await });
    }
}

struct Publisher {
    shared: Arc<Shared>,
    client: Client,
    published: HashMap<PathBuf, Vec<Diagnostic>>,
}

impl Publisher {
    fn open_paths(&self) -> Vec<PathBuf> {
        self.shared.workspace.snapshot().open_paths().cloned().collect()
    }

    /// Works out and pushes the diagnostics of one text; where not `always`, only if they are new.
    async fn publish(&mut self, path: &PathBuf, always: bool) {
        let Some((file, diagnostics)) = self.diagnostics(path.clone()).await else { return };
        // A newer version has its own turn: its change is in the channel.
        let current = self.shared.workspace.snapshot();
        if current.open_file(path).is_none_or(|now| !Arc::ptr_eq(now, &file)) {
            return;
        }
        if !always && self.published.get(path).is_some_and(|before| *before == diagnostics) {
            return;
        }
        self.published.insert(path.clone(), diagnostics.clone());
        self.client.publish_diagnostics(file.uri.clone(), diagnostics, Some(file.version)).await;
    }

    async fn forget(&mut self, path: &PathBuf, uri: Url) {
        self.published.remove(path);
        self.client.publish_diagnostics(uri, Vec::new(), None).await;
    }

    async fn diagnostics(&self, path: PathBuf) -> Option<(Arc<OpenFile>, Vec<Diagnostic>)> {
        let shared = self.shared.clone();
        // What is said without knowing what leads to the file may be wrong.
        shared.indexing.settled().await;
        let work = tokio::task::spawn_blocking(move || {
            let files = shared.workspace.snapshot();
            let file = files.open_file(&path)?.clone();
            let world = shared.world();
            let mut found = Analysis::new(&files, &world).diagnostics(&path);
            found.truncate(MOST);
            let document = file.document();
            let converter = Converter {
                files: &files,
                lines: document.lines(),
                encoding: shared.session().encoding,
                snippets: shared.session().snippets,
                documentation: shared.session().documentation.as_ref(),
            };
            let diagnostics = found.iter().map(|diagnostic| converter.diagnostic(diagnostic)).collect();
            Some((file, diagnostics))
        });
        // A panic in the analysis is logged by the hook; the text keeps what it had.
        work.await.ok().flatten()
    }
}
