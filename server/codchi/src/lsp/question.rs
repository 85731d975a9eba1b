//! Questions about one text, as it is at the moment.

use super::convert::Converter;
use super::position::offset;
use super::server::Server;
use super::workspace::{Snapshot, path};
use codchi_ide::{Analysis, Files as _};
use codchi_module::{Document, TextSize};
use std::path::Path;
use std::sync::Arc;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{Position, Url};

/// A question about one text.
pub(super) struct Question<'a> {
    pub(super) path: &'a Path,
    pub(super) document: &'a Document,
    pub(super) analysis: Analysis<'a>,
    pub(super) converter: Converter<'a>,
    pub(super) files: &'a Snapshot,
}

impl Question<'_> {
    pub(super) fn offset(&self, position: Position) -> TextSize {
        let (text, lines) = (self.document.text(), self.document.lines());
        TextSize::try_from(offset(text, lines, position, self.converter.encoding)).unwrap_or_default()
    }
}

impl Server {
    /// Answers a question about one text, as it is now, on a thread that may block; `None` for one that is not there.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        uri: &Url,
        question: impl FnOnce(&Question<'_>) -> T + Send + 'static,
    ) -> Result<Option<T>> {
        let Some(path) = path(uri) else { return Ok(None) };
        let shared = self.shared().clone();
        let (files, world) = (shared.workspace.snapshot(), shared.world());
        let turn = shared.workspace.turn(&path).await;
        // Gone when the client has cancelled the question.
        let asked = Arc::new(());
        let is_asked = Arc::downgrade(&asked);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            is_asked.upgrade()?;
            let document = files.document(&path)?;
            let session = shared.session();
            let converter = Converter {
                files: &files,
                lines: document.lines(),
                encoding: session.encoding,
                snippets: session.snippets,
                documentation: session.documentation.as_ref(),
            };
            let analysis = Analysis::new(&files, &world);
            Some(question(&Question { path: &path, document: &document, analysis, converter, files: &files }))
        });
        let answer = work.await.map_err(|error| {
            tracing::error!("a question about {uri} failed: {error}");
            Error::internal_error()
        });
        drop(asked);
        answer
    }
}
