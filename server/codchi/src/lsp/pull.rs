//! Diagnostics that the client asks for: of one text, and of the whole workspace.
//!
//! A result's id is made of what it says, so that what says the same is not sent again, whatever it was worked out from.

use super::convert::Converter;
use super::publish::MOST;
use super::server::Server;
use super::shared::Shared;
use super::workspace::{Snapshot, path};
use codchi_ide::{Analysis, Files as _, World};
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::*;

/// How long the whole workspace is left alone after a change: it takes longer than a keystroke.
const PAUSE: Duration = Duration::from_secs(1);

/// So many other texts are answered for together with one.
const RELATED: usize = 4;

/// `textDocument/diagnostic`.
pub(super) async fn document(
    server: &Server,
    params: DocumentDiagnosticParams,
) -> Result<DocumentDiagnosticReportResult> {
    let shared = server.shared().clone();
    shared.indexing.settled().await;
    let Some(path) = path(&params.text_document.uri) else { return Ok(empty()) };
    let turn = shared.workspace.turn(&path).await;
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let (files, world) = (shared.workspace.snapshot(), shared.world());
        let full = report(&shared, &files, &world, &path).unwrap_or_default();
        let related = shared.session().related_documents.then(|| related(&shared, &files, &world, &path));
        let related_documents = related.filter(|related| !related.is_empty());
        if full.result_id.is_some() && full.result_id == params.previous_result_id {
            let unchanged =
                UnchangedDocumentDiagnosticReport { result_id: full.result_id.unwrap_or_default() };
            let report = RelatedUnchangedDocumentDiagnosticReport {
                related_documents,
                unchanged_document_diagnostic_report: unchanged,
            };
            return DocumentDiagnosticReport::Unchanged(report).into();
        }
        let report =
            RelatedFullDocumentDiagnosticReport { related_documents, full_document_diagnostic_report: full };
        DocumentDiagnosticReport::Full(report).into()
    });
    work.await.map_err(|_| Error::internal_error())
}

fn empty() -> DocumentDiagnosticReportResult {
    DocumentDiagnosticReport::Full(RelatedFullDocumentDiagnosticReport::default()).into()
}

/// What is wrong in a file; `None` where it is not there.
fn report(
    shared: &Shared,
    files: &Snapshot,
    world: &World,
    path: &Path,
) -> Option<FullDocumentDiagnosticReport> {
    let document = files.document(path)?;
    let session = shared.session();
    let converter = Converter {
        files,
        lines: document.lines(),
        encoding: session.encoding,
        snippets: session.snippets,
        documentation: session.documentation.as_ref(),
    };
    let found = Analysis::new(files, world).diagnostics(path);
    let items: Vec<Diagnostic> =
        found.iter().take(MOST).map(|diagnostic| converter.diagnostic(diagnostic)).collect();
    Some(FullDocumentDiagnosticReport { result_id: Some(id(&items)), items })
}

fn id(items: &[Diagnostic]) -> String {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(items).unwrap_or_default().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What is wrong in the other open texts that the file leads to, or that lead to it: these are parsed already.
fn related(
    shared: &Shared,
    files: &Snapshot,
    world: &World,
    path: &Path,
) -> HashMap<Url, DocumentDiagnosticReportKind> {
    let graph = files.graph();
    let above = graph.upwards(path);
    let others: BTreeSet<&PathBuf> = files.open_paths().filter(|other| *other != path).collect();
    let others = others
        .into_iter()
        .filter(|other| above.contains(other.as_path()) || graph.upwards(other).contains(path));
    others
        .take(RELATED)
        .filter_map(|other| {
            let uri = files.open_file(other)?.uri.clone();
            Some((uri, DocumentDiagnosticReportKind::Full(report(shared, files, world, other)?)))
        })
        .collect()
}

/// `workspace/diagnostic`. The first one is answered at once; later ones when something is new, as clients ask again and
/// again.
pub(super) async fn workspace(
    server: &Server,
    params: WorkspaceDiagnosticParams,
) -> Result<WorkspaceDiagnosticReportResult> {
    let shared = server.shared().clone();
    let mut changes = shared.generation.subscribe();
    let known: HashMap<Url, String> =
        params.previous_result_ids.into_iter().map(|known| (known.uri, known.value)).collect();
    loop {
        changes.borrow_and_update();
        shared.indexing.settled().await;
        let (worker, before) = (shared.clone(), known.clone());
        let work = tokio::task::spawn_blocking(move || reports(&worker, &before));
        let items = work.await.map_err(|_| Error::internal_error())?;
        let is_first = !shared.answered_workspace.swap(true, Ordering::Relaxed);
        let is_new = |item: &WorkspaceDocumentDiagnosticReport| {
            matches!(item, WorkspaceDocumentDiagnosticReport::Full(_))
        };
        if is_first || items.iter().any(is_new) {
            return Ok(WorkspaceDiagnosticReport { items }.into());
        }
        if changes.changed().await.is_err() {
            return Ok(WorkspaceDiagnosticReport { items }.into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is wrong in all files of the workspace. Files of which nothing is said, now or before, are left out.
fn reports(shared: &Shared, known: &HashMap<Url, String>) -> Vec<WorkspaceDocumentDiagnosticReport> {
    let (files, world) = (shared.workspace.snapshot(), shared.world());
    let open = files.open_paths().cloned();
    let paths: BTreeSet<PathBuf> = files.nix_files().into_iter().chain(open).collect();
    let mut items = Vec::new();
    let mut gone: BTreeSet<&Url> = known.keys().collect();
    for path in paths {
        let (uri, version) = match files.open_file(&path) {
            Some(file) => (file.uri.clone(), Some(i64::from(file.version))),
            None => match Url::from_file_path(&path) {
                Ok(uri) => (uri, None),
                Err(()) => continue,
            },
        };
        let Some(full) = report(shared, &files, &world, &path) else { continue };
        gone.remove(&uri);
        match (known.get(&uri), full.result_id.clone()) {
            (Some(before), Some(now)) if *before == now => {
                items.push(WorkspaceDocumentDiagnosticReport::Unchanged(
                    WorkspaceUnchangedDocumentDiagnosticReport {
                        uri,
                        version,
                        unchanged_document_diagnostic_report: UnchangedDocumentDiagnosticReport {
                            result_id: now,
                        },
                    },
                ));
            }
            (None, _) if full.items.is_empty() => {}
            _ => items.push(WorkspaceDocumentDiagnosticReport::Full(WorkspaceFullDocumentDiagnosticReport {
                uri,
                version,
                full_document_diagnostic_report: full,
            })),
        }
    }
    // Files that are no longer there have nothing wrong; without an id, so that the client forgets them.
    let empty = || FullDocumentDiagnosticReport::default();
    items.extend(gone.into_iter().map(|uri| {
        WorkspaceDocumentDiagnosticReport::Full(WorkspaceFullDocumentDiagnosticReport {
            uri: uri.clone(),
            version: None,
            full_document_diagnostic_report: empty(),
        })
    }));
    items
}
