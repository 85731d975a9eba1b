//! Getting around in texts: references, rename, highlights, folding, selection, links, inlay hints and the workspace's
//! symbols.

use super::question::Question;
use super::server::{Server, refused};
use super::workspace::Snapshot;
use codchi_ide::{Analysis, Files as _, Fold, FoldKind, LinkTarget, SymbolKind};
use codchi_module::TextSize;
use std::collections::BTreeMap;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types as lsp;

/// `textDocument/definition` and `textDocument/declaration`, with links for clients that understand them.
pub(super) async fn targets(
    server: &Server,
    params: lsp::GotoDefinitionParams,
    links: bool,
) -> Result<Option<lsp::GotoDefinitionResponse>> {
    let lsp::TextDocumentPositionParams { text_document, position } = params.text_document_position_params;
    let found: Option<Vec<lsp::LocationLink>> = server
        .ask(&text_document.uri, move |question| {
            let found = question.analysis.definition(question.path, question.offset(position));
            found.iter().filter_map(|target| question.converter.target(target)).collect()
        })
        .await?;
    Ok(found.map(|found| {
        if links {
            lsp::GotoDefinitionResponse::Link(found)
        } else {
            let plain = found.into_iter().map(|link| lsp::Location::new(link.target_uri, link.target_range));
            lsp::GotoDefinitionResponse::Array(plain.collect())
        }
    }))
}

/// So many ranges around a place are told: each lies in the JSON of the one in it, and clients read no more than some 120
/// levels of that.
const NESTED: usize = 100;

/// `textDocument/references`.
pub(super) async fn references(
    server: &Server,
    params: lsp::ReferenceParams,
) -> Result<Option<Vec<lsp::Location>>> {
    let lsp::TextDocumentPositionParams { text_document, position } = params.text_document_position;
    let with_definitions = params.context.include_declaration;
    server
        .ask(&text_document.uri, move |question| {
            let found = question.analysis.references(question.path, question.offset(position));
            found
                .iter()
                .filter(|reference| with_definitions || !reference.is_definition)
                .filter_map(|reference| question.converter.location(&reference.path, reference.range))
                .collect()
        })
        .await
}

/// `textDocument/documentHighlight`.
pub(super) async fn highlights(
    server: &Server,
    params: lsp::DocumentHighlightParams,
) -> Result<Option<Vec<lsp::DocumentHighlight>>> {
    let lsp::TextDocumentPositionParams { text_document, position } = params.text_document_position_params;
    server
        .ask(&text_document.uri, move |question| {
            let found = question.analysis.references(question.path, question.offset(position));
            let here = found.iter().filter(|reference| reference.path == question.path);
            here.map(|reference| lsp::DocumentHighlight {
                range: question.converter.range(reference.range),
                kind: Some(if reference.is_definition {
                    lsp::DocumentHighlightKind::WRITE
                } else {
                    lsp::DocumentHighlightKind::READ
                }),
            })
            .collect()
        })
        .await
}

/// `textDocument/prepareRename`.
pub(super) async fn prepare_rename(
    server: &Server,
    params: lsp::TextDocumentPositionParams,
) -> Result<Option<lsp::PrepareRenameResponse>> {
    let lsp::TextDocumentPositionParams { text_document, position } = params;
    let prepared = server
        .ask(&text_document.uri, move |question| {
            let found = question.analysis.prepare_rename(question.path, question.offset(position));
            found.map(|(range, placeholder)| lsp::PrepareRenameResponse::RangeWithPlaceholder {
                range: question.converter.range(range),
                placeholder,
            })
        })
        .await?;
    prepared.transpose().map_err(refused)
}

/// `textDocument/rename`.
pub(super) async fn rename(server: &Server, params: lsp::RenameParams) -> Result<Option<lsp::WorkspaceEdit>> {
    let lsp::TextDocumentPositionParams { text_document, position } = params.text_document_position;
    let new_name = params.new_name;
    let edit = server
        .ask(&text_document.uri, move |question| {
            let edits = question.analysis.rename(question.path, question.offset(position), &new_name)?;
            workspace_edit(question, edits)
        })
        .await?;
    edit.transpose().map_err(refused)
}

/// The edits of several files, each of the version that it was made for.
fn workspace_edit(
    question: &Question<'_>,
    edits: BTreeMap<std::path::PathBuf, Vec<codchi_ide::Edit>>,
) -> std::result::Result<lsp::WorkspaceEdit, String> {
    let mut documents = Vec::new();
    for (path, edits) in edits {
        let of_file = |edit: codchi_ide::Edit| {
            let lsp::Location { uri, range } = question.converter.location(&path, edit.range)?;
            Some((uri, lsp::TextEdit { range, new_text: edit.new_text }))
        };
        let edits: Option<Vec<_>> = edits.into_iter().map(of_file).collect();
        let edits = edits.ok_or_else(|| format!("{} cannot be read any more", path.display()))?;
        let Some((uri, _)) = edits.first() else { continue };
        let version = question.files.open_file(&path).map(|file| file.version);
        documents.push(lsp::TextDocumentEdit {
            text_document: lsp::OptionalVersionedTextDocumentIdentifier { uri: uri.clone(), version },
            edits: edits.into_iter().map(|(_, edit)| lsp::OneOf::Left(edit)).collect(),
        });
    }
    Ok(lsp::WorkspaceEdit {
        document_changes: Some(lsp::DocumentChanges::Edits(documents)),
        ..lsp::WorkspaceEdit::default()
    })
}

/// `textDocument/foldingRange`.
pub(super) async fn folds(
    server: &Server,
    params: lsp::FoldingRangeParams,
) -> Result<Option<Vec<lsp::FoldingRange>>> {
    server
        .ask(&params.text_document.uri, |question| {
            let found = question.analysis.folds(question.path);
            found.iter().filter_map(|fold| folding_range(question, fold)).collect()
        })
        .await
}

/// By lines: the line that closes a bracket stays to be seen.
fn folding_range(question: &Question<'_>, fold: &Fold) -> Option<lsp::FoldingRange> {
    let range = question.converter.range(fold.range);
    let (kind, closing) = match fold.kind {
        FoldKind::Code => (None, 1),
        FoldKind::Comment => (Some(lsp::FoldingRangeKind::Comment), 0),
    };
    let (start_line, end_line) = (range.start.line, range.end.line.checked_sub(closing)?);
    (start_line < end_line).then(|| lsp::FoldingRange {
        start_line,
        end_line,
        kind,
        ..lsp::FoldingRange::default()
    })
}

/// `textDocument/selectionRange`.
pub(super) async fn selections(
    server: &Server,
    params: lsp::SelectionRangeParams,
) -> Result<Option<Vec<lsp::SelectionRange>>> {
    let positions = params.positions;
    server
        .ask(&params.text_document.uri, move |question| {
            positions
                .into_iter()
                .map(|position| {
                    let ranges = question.analysis.selection(question.path, question.offset(position));
                    let outwards = ranges.into_iter().take(NESTED).rev().fold(None, |parent, range| {
                        let range = question.converter.range(range);
                        Some(Box::new(lsp::SelectionRange { range, parent }))
                    });
                    let nothing =
                        lsp::SelectionRange { range: lsp::Range::new(position, position), parent: None };
                    outwards.map_or(nothing, |selection| *selection)
                })
                .collect()
        })
        .await
}

/// `textDocument/documentLink`.
pub(super) async fn links(
    server: &Server,
    params: lsp::DocumentLinkParams,
) -> Result<Option<Vec<lsp::DocumentLink>>> {
    server
        .ask(&params.text_document.uri, |question| {
            let found = question.analysis.links(question.path);
            found
                .into_iter()
                .filter_map(|link| {
                    let target = match link.target {
                        LinkTarget::File(path) => lsp::Url::from_file_path(path).ok()?,
                        LinkTarget::Page(url) => url.parse().ok()?,
                    };
                    let range = question.converter.range(link.range);
                    Some(lsp::DocumentLink { range, target: Some(target), tooltip: None, data: None })
                })
                .collect()
        })
        .await
}

/// `textDocument/inlayHint`.
pub(super) async fn inlay_hints(
    server: &Server,
    params: lsp::InlayHintParams,
) -> Result<Option<Vec<lsp::InlayHint>>> {
    let range = params.range;
    server
        .ask(&params.text_document.uri, move |question| {
            let found = question.analysis.inlay_hints(question.path, question.text_range(range));
            found
                .into_iter()
                .map(|hint| lsp::InlayHint {
                    position: question.converter.position(hint.offset),
                    label: lsp::InlayHintLabel::String(hint.label),
                    kind: None,
                    text_edits: None,
                    tooltip: Some(lsp::InlayHintTooltip::String(hint.tooltip)),
                    padding_left: Some(true),
                    padding_right: None,
                    data: None,
                })
                .collect()
        })
        .await
}

/// `workspace/symbol`.
pub(super) async fn symbols(
    server: &Server,
    params: lsp::WorkspaceSymbolParams,
) -> Result<Option<Vec<lsp::SymbolInformation>>> {
    let shared = server.shared();
    let (files, world, encoding) = (shared.workspace.snapshot(), shared.world(), shared.session().encoding);
    let work = tokio::task::spawn_blocking(move || {
        let found = Analysis::new(&files, &world).workspace_symbols(&params.query);
        found.into_iter().filter_map(|symbol| information(&files, symbol, encoding)).collect()
    });
    work.await.map(Some).map_err(|error| {
        tracing::error!("the workspace's symbols could not be looked for: {error}");
        Error::internal_error()
    })
}

// The field `deprecated` must be named, and is itself deprecated in favour of `tags`.
#[expect(deprecated, reason = "the type has no other way to be made")]
fn information(
    files: &Snapshot,
    symbol: codchi_ide::WorkspaceSymbol,
    encoding: super::position::Encoding,
) -> Option<lsp::SymbolInformation> {
    let uri = match files.open_file(&symbol.path) {
        Some(file) => file.uri.clone(),
        None => lsp::Url::from_file_path(&symbol.path).ok()?,
    };
    let document = files.document(&symbol.path)?;
    let range = super::position::range(document.lines(), symbol.range, encoding);
    Some(lsp::SymbolInformation {
        name: symbol.name,
        kind: match symbol.kind {
            SymbolKind::Set => lsp::SymbolKind::NAMESPACE,
            SymbolKind::Value => lsp::SymbolKind::PROPERTY,
            SymbolKind::Secret => lsp::SymbolKind::KEY,
        },
        tags: None,
        deprecated: None,
        location: lsp::Location { uri, range },
        container_name: Some(symbol.container).filter(|container| !container.is_empty()),
    })
}

/// What the client is told of these features.
pub(super) fn announce(capabilities: &mut lsp::ServerCapabilities) {
    capabilities.references_provider = Some(lsp::OneOf::Left(true));
    capabilities.document_highlight_provider = Some(lsp::OneOf::Left(true));
    capabilities.rename_provider = Some(lsp::OneOf::Right(lsp::RenameOptions {
        prepare_provider: Some(true),
        work_done_progress_options: lsp::WorkDoneProgressOptions::default(),
    }));
    capabilities.folding_range_provider = Some(lsp::FoldingRangeProviderCapability::Simple(true));
    capabilities.selection_range_provider = Some(lsp::SelectionRangeProviderCapability::Simple(true));
    capabilities.document_link_provider = Some(lsp::DocumentLinkOptions {
        resolve_provider: Some(false),
        work_done_progress_options: lsp::WorkDoneProgressOptions::default(),
    });
    capabilities.inlay_hint_provider = Some(lsp::OneOf::Left(true));
    capabilities.workspace_symbol_provider = Some(lsp::OneOf::Left(true));
}

impl Question<'_> {
    pub(super) fn text_range(&self, range: lsp::Range) -> codchi_module::TextRange {
        let (text, lines) = (self.document.text(), self.document.lines());
        super::position::text_range(text, lines, range, self.converter.encoding)
    }
}

impl super::convert::Converter<'_> {
    fn position(&self, offset: TextSize) -> lsp::Position {
        super::position::position(self.lines, offset, self.encoding)
    }

    fn location(&self, path: &std::path::Path, range: codchi_module::TextRange) -> Option<lsp::Location> {
        let (uri, range) = self.place(path, range)?;
        Some(lsp::Location { uri, range })
    }
}
