//! `textDocument/codeAction`: the analysis' actions as LSP has them.

use super::commands::name;
use super::convert::{Converter, code, command};
use super::server::Server;
use super::session::Session;
use codchi_ide::{Action, ActionKind, Command, FileChange, TextRange};
use serde_json::json;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types as lsp;

/// The kinds of our actions.
pub(super) const KINDS: [lsp::CodeActionKind; 3] = [
    lsp::CodeActionKind::QUICKFIX,
    lsp::CodeActionKind::REFACTOR_EXTRACT,
    lsp::CodeActionKind::REFACTOR_REWRITE,
];

/// The text that actions are asked for.
struct About<'a> {
    uri: &'a lsp::Url,
    version: Option<i32>,
    /// The client's own diagnostics, for what an action fixes.
    known: &'a [lsp::Diagnostic],
    session: &'a Session,
}

/// `textDocument/codeAction`.
pub(super) async fn actions(
    server: &Server,
    uri: lsp::Url,
    range: lsp::Range,
    context: lsp::CodeActionContext,
) -> Result<Option<lsp::CodeActionResponse>> {
    let (about, shared) = (uri.clone(), server.shared().clone());
    server
        .ask(&about, move |question| {
            let version = question.files.open_file(question.path).map(|file| file.version);
            let about = About { uri: &uri, version, known: &context.diagnostics, session: shared.session() };
            let range = question.text_range(range);
            let found = question.analysis.actions(question.path, range);
            found
                .into_iter()
                .filter(|action| !is_unasked(&context, range, action))
                .filter_map(|action| question.converter.action(action, &about))
                .filter(|action| wanted(context.only.as_deref(), action.kind.as_ref()))
                .map(lsp::CodeActionOrCommand::CodeAction)
                .collect()
        })
        .await
}

/// Whether an action is a change of what is right that would be shown wherever the cursor goes.
fn is_unasked(context: &lsp::CodeActionContext, range: TextRange, action: &Action) -> bool {
    context.trigger_kind == Some(lsp::CodeActionTriggerKind::AUTOMATIC)
        && range.is_empty()
        && action.kind != ActionKind::QuickFix
}

/// Whether the client wants actions of this kind: `quickfix` stands for `quickfix.x` as well.
fn wanted(only: Option<&[lsp::CodeActionKind]>, kind: Option<&lsp::CodeActionKind>) -> bool {
    let (Some(only), Some(kind)) = (only, kind) else { return true };
    only.iter().any(|wanted| {
        kind.as_str()
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

impl Converter<'_> {
    /// An action; `None` where this client can neither take it nor show why not.
    fn action(&self, action: Action, about: &About<'_>) -> Option<lsp::CodeAction> {
        let fixes = action.fixes.map(|(fixed, range)| {
            let (fixed, range) = (lsp::NumberOrString::String(code(fixed)), self.range(range));
            about
                .known
                .iter()
                .filter(|d| d.code.as_ref() == Some(&fixed) && d.range == range)
                .cloned()
                .collect()
        });
        let creates = action.elsewhere.iter().any(|change| matches!(change, FileChange::Create { .. }));
        let refusal = (creates && !about.session.creates_files).then(|| lsp::CodeActionDisabled {
            reason: "This editor does not let a language server create files.".into(),
        });
        if refusal.is_some() && !about.session.disabled_actions {
            return None;
        }
        let edit = match refusal {
            Some(_) => None,
            None => self.workspace_edit(action.edits, action.elsewhere, about)?,
        };
        let command = match &action.command {
            Command::ExtractSecret { range, .. } => {
                let range = self.range(*range);
                let place = json!({ "uri": about.uri, "version": about.version, "range": range });
                Some(lsp::Command {
                    title: action.title.clone(),
                    command: name::SECRET_EXTRACT.into(),
                    arguments: Some(vec![place]),
                })
            }
            other => command(&action.title, other),
        };
        Some(lsp::CodeAction {
            kind: Some(match action.kind {
                ActionKind::QuickFix => lsp::CodeActionKind::QUICKFIX,
                ActionKind::Extract => lsp::CodeActionKind::REFACTOR_EXTRACT,
                ActionKind::Rewrite => lsp::CodeActionKind::REFACTOR_REWRITE,
            }),
            diagnostics: fixes,
            edit,
            command,
            title: action.title,
            is_preferred: action.preferred.then_some(true),
            disabled: refusal,
            ..lsp::CodeAction::default()
        })
    }

    /// The changes of this and of other files; the outer `None` where another file cannot be read any more.
    fn workspace_edit(
        &self,
        own: Vec<codchi_ide::Edit>,
        elsewhere: Vec<FileChange>,
        about: &About<'_>,
    ) -> Option<Option<lsp::WorkspaceEdit>> {
        let mut edits = Vec::new();
        let mut operations = Vec::new();
        if !own.is_empty() {
            let own = own.into_iter().map(|edit| self.edit(edit)).collect();
            edits.push(document_edit(about.uri.clone(), about.version, own));
        }
        for change in elsewhere {
            match change {
                FileChange::Create { path, text } => {
                    let uri = lsp::Url::from_file_path(path).ok()?;
                    // Where there is one by now, the whole edit fails.
                    let options =
                        lsp::CreateFileOptions { overwrite: Some(false), ignore_if_exists: Some(false) };
                    operations.push(lsp::ResourceOp::Create(lsp::CreateFile {
                        uri: uri.clone(),
                        options: Some(options),
                        annotation_id: None,
                    }));
                    let text = lsp::TextEdit { range: lsp::Range::default(), new_text: text };
                    edits.push(document_edit(uri, None, vec![text]));
                }
                FileChange::Edit { path, edits: changes } => {
                    let version = self.files.open_file(&path).map(|file| file.version);
                    let mut found = Vec::new();
                    let mut of = None;
                    for codchi_ide::Edit { range, new_text } in changes {
                        let (uri, range) = self.place(&path, range)?;
                        of = Some(uri);
                        found.push(lsp::TextEdit { range, new_text });
                    }
                    edits.push(document_edit(of?, version, found));
                }
            }
        }
        if edits.is_empty() {
            return Some(None);
        }
        let changes = if operations.is_empty() {
            lsp::DocumentChanges::Edits(edits)
        } else {
            let operations = operations.into_iter().map(lsp::DocumentChangeOperation::Op);
            let edits = edits.into_iter().map(lsp::DocumentChangeOperation::Edit);
            lsp::DocumentChanges::Operations(operations.chain(edits).collect())
        };
        Some(Some(lsp::WorkspaceEdit { document_changes: Some(changes), ..lsp::WorkspaceEdit::default() }))
    }
}

/// The edits of one text, of the version that they were made for.
pub(super) fn document_edit(
    uri: lsp::Url,
    version: Option<i32>,
    edits: Vec<lsp::TextEdit>,
) -> lsp::TextDocumentEdit {
    lsp::TextDocumentEdit {
        text_document: lsp::OptionalVersionedTextDocumentIdentifier { uri, version },
        edits: edits.into_iter().map(lsp::OneOf::Left).collect(),
    }
}
