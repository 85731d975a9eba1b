//! The language server: each LSP method, as a call into the analysis or the machines.
//!
//! A handler changes state before its first await or not at all (handlers run side by side, in the order in which
//! their messages came only up to there), and leaves everything that takes longer than copying a text to a thread that
//! may block.

use super::capabilities::capabilities;
use super::lifetime::Lifetime;
use super::publish::{self, Changed};
use super::session::Session;
use super::shared::Shared;
use super::workspace::path;
use super::{
    actions, catalogues, commands, documentation, evaluating, formatting, indexing, mentions, navigation,
    pull, tokens, world,
};
use crate::context::Context;
use std::sync::Arc;
use tokio::sync::mpsc;
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::lsp_types::*;
use tower_lsp::{Client, LanguageServer, async_trait};

/// The language server.
pub(crate) struct Server {
    client: Client,
    shared: Arc<Shared>,
    lifetime: Lifetime,
}

impl Server {
    /// A server that waits for `initialize`; its publisher runs from now on.
    pub(crate) fn new(client: Client, lifetime: Lifetime, context: Context) -> Self {
        let (changes, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(context, changes));
        tokio::spawn(publish::run(shared.clone(), client.clone(), receiver));
        Self { client, shared, lifetime }
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What its tasks share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// `window/workDoneProgress/cancel`.
    pub(crate) async fn cancel_progress(&self, params: WorkDoneProgressCancelParams) {
        self.shared.operations.cancel(&params.token);
    }

    /// Asks the client to tell of changes to Nix files on the disk.
    async fn watch_nix_files(&self) {
        let watcher = FileSystemWatcher { glob_pattern: GlobPattern::String("**/*.nix".into()), kind: None };
        let options = DidChangeWatchedFilesRegistrationOptions { watchers: vec![watcher] };
        let registration = Registration {
            id: "nix-files".into(),
            method: "workspace/didChangeWatchedFiles".into(),
            register_options: serde_json::to_value(options).ok(),
        };
        if let Err(error) = self.client.register_capability(vec![registration]).await {
            tracing::warn!("the client does not watch files: {error}");
        }
    }
}

#[async_trait]
impl LanguageServer for Server {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        if let Some(pid) = params.process_id {
            self.lifetime.watch_process(pid);
        }
        let mut session = Session::new(&params);
        session.documentation = Url::from_file_path(documentation::path(&self.shared.context.paths)).ok();
        if let Some(settings) = params.initialization_options.filter(|settings| !settings.is_null()) {
            self.shared.set_settings(settings);
        }
        self.shared.set_rules();
        let capabilities = capabilities(&session);
        self.shared.indexing.change_folders(|folders| folders.clone_from(&session.folders));
        // A second `initialize` is refused before it comes here.
        let _ = self.shared.session.set(session);
        Ok(InitializeResult {
            capabilities,
            server_info: Some(ServerInfo {
                name: "codchi".into(),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            }),
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        let page = documentation::path(&self.shared.context.paths);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = documentation::write(&page) {
                tracing::warn!("{} cannot be written: {error}", page.display());
            }
        });
        tokio::spawn(world::run(self.shared.clone(), self.client.clone()));
        tokio::spawn(indexing::run(self.shared.clone()));
        tokio::spawn(mentions::run(self.shared.clone()));
        tokio::spawn(catalogues::run(self.shared.clone(), self.client.clone()));
        tokio::spawn(evaluating::run(self.shared.clone(), self.client.clone()));
        if self.shared.session().watches_files {
            self.watch_nix_files().await;
        }
    }

    async fn shutdown(&self) -> Result<()> {
        self.shared.operations.cancel_all();
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let TextDocumentItem { uri, version, text, .. } = params.text_document;
        let Some(path) = path(&uri) else { return };
        // One in the workspace is known together with what leads to it.
        let is_new = path.is_absolute() && !self.shared.workspace.snapshot().index().contains(&path);
        self.shared.workspace.open(path.clone(), uri, version, text);
        if is_new {
            self.shared.indexing.ask();
        }
        self.shared.changed(Changed::Text(path));
        self.shared.evaluating.look();
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        let VersionedTextDocumentIdentifier { uri, version } = params.text_document;
        let Some(path) = path(&uri) else { return };
        let encoding = self.shared.session().encoding;
        if self.shared.workspace.change(&path, version, params.content_changes, encoding) {
            self.shared.changed(Changed::Text(path));
        } else {
            tracing::warn!("a change came for {uri}, which is not open");
        }
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        let uri = params.text_document.uri;
        let Some(path) = path(&uri) else { return };
        self.shared.workspace.close(&path);
        self.shared.told.forget(&uri);
        self.shared.changed(Changed::Closed(path, uri));
        self.shared.evaluating.look();
    }

    async fn diagnostic(&self, params: DocumentDiagnosticParams) -> Result<DocumentDiagnosticReportResult> {
        pull::document(self, params).await
    }

    async fn workspace_diagnostic(
        &self,
        params: WorkspaceDiagnosticParams,
    ) -> Result<WorkspaceDiagnosticReportResult> {
        pull::workspace(self, params).await
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        if let Some(path) = path(&params.text_document.uri) {
            self.shared.evaluating.saved(path);
        }
        // For file systems that cannot be watched.
        self.shared.indexing.hint();
        // A machine may be of an older module now.
        self.shared.refresh.notify_one();
    }

    async fn did_change_watched_files(&self, _: DidChangeWatchedFilesParams) {
        self.shared.indexing.hint();
        self.shared.refresh.notify_one();
    }

    async fn did_change_workspace_folders(&self, params: DidChangeWorkspaceFoldersParams) {
        let paths = |folders: Vec<WorkspaceFolder>| -> Vec<_> {
            folders.into_iter().filter_map(|folder| folder.uri.to_file_path().ok()).collect()
        };
        let (added, removed) = (paths(params.event.added), paths(params.event.removed));
        self.shared.indexing.change_folders(|folders| {
            folders.retain(|folder| !removed.contains(folder));
            folders.extend(added);
            folders.dedup();
        });
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        // Clients that push send all sections or ours only.
        let settings = params.settings;
        self.shared.set_settings(settings.get("codchi").cloned().unwrap_or(settings));
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<serde_json::Value>> {
        commands::execute(self, params).await
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let TextDocumentPositionParams { text_document, position } = params.text_document_position;
        let list = self
            .ask(&text_document.uri, move |question| {
                let found = question.analysis.completions(question.path, question.offset(position));
                question.converter.completions(found)
            })
            .await?;
        Ok(list.map(CompletionResponse::List))
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let TextDocumentPositionParams { text_document, position } = params.text_document_position_params;
        let hover = self
            .ask(&text_document.uri, move |question| {
                let found = question.analysis.hover(question.path, question.offset(position))?;
                Some(question.converter.hover(found))
            })
            .await?;
        Ok(hover.flatten())
    }

    async fn goto_definition(&self, params: GotoDefinitionParams) -> Result<Option<GotoDefinitionResponse>> {
        navigation::targets(self, params, self.shared.session().definition_links).await
    }

    /// What an option is said to be is its declaration, so both lead there.
    async fn goto_declaration(
        &self,
        params: request::GotoDeclarationParams,
    ) -> Result<Option<request::GotoDeclarationResponse>> {
        navigation::targets(self, params, self.shared.session().declaration_links).await
    }

    async fn document_symbol(&self, params: DocumentSymbolParams) -> Result<Option<DocumentSymbolResponse>> {
        let symbols = self
            .ask(&params.text_document.uri, |question| {
                let found = question.analysis.symbols(question.path);
                found.into_iter().map(|symbol| question.converter.symbol(symbol)).collect()
            })
            .await?;
        Ok(symbols.map(DocumentSymbolResponse::Nested))
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        let CodeActionParams { text_document: TextDocumentIdentifier { uri }, range, context, .. } = params;
        actions::actions(self, uri, range, context).await
    }

    async fn references(&self, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
        navigation::references(self, params).await
    }

    async fn document_highlight(
        &self,
        params: DocumentHighlightParams,
    ) -> Result<Option<Vec<DocumentHighlight>>> {
        navigation::highlights(self, params).await
    }

    async fn prepare_rename(
        &self,
        params: TextDocumentPositionParams,
    ) -> Result<Option<PrepareRenameResponse>> {
        navigation::prepare_rename(self, params).await
    }

    async fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
        navigation::rename(self, params).await
    }

    async fn folding_range(&self, params: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>> {
        navigation::folds(self, params).await
    }

    async fn selection_range(&self, params: SelectionRangeParams) -> Result<Option<Vec<SelectionRange>>> {
        navigation::selections(self, params).await
    }

    async fn document_link(&self, params: DocumentLinkParams) -> Result<Option<Vec<DocumentLink>>> {
        navigation::links(self, params).await
    }

    async fn inlay_hint(&self, params: InlayHintParams) -> Result<Option<Vec<InlayHint>>> {
        navigation::inlay_hints(self, params).await
    }

    async fn symbol(&self, params: WorkspaceSymbolParams) -> Result<Option<Vec<SymbolInformation>>> {
        navigation::symbols(self, params).await
    }

    async fn formatting(&self, params: DocumentFormattingParams) -> Result<Option<Vec<TextEdit>>> {
        formatting::formatting(self, params).await
    }

    async fn semantic_tokens_full(
        &self,
        params: SemanticTokensParams,
    ) -> Result<Option<SemanticTokensResult>> {
        tokens::full(self, params).await
    }

    async fn semantic_tokens_full_delta(
        &self,
        params: SemanticTokensDeltaParams,
    ) -> Result<Option<SemanticTokensFullDeltaResult>> {
        tokens::delta(self, params).await
    }

    async fn semantic_tokens_range(
        &self,
        params: SemanticTokensRangeParams,
    ) -> Result<Option<SemanticTokensRangeResult>> {
        tokens::range(self, params).await
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        self.ask(&params.text_document.uri, |question| {
            let found = question.analysis.lenses(question.path);
            found.iter().map(|lens| question.converter.lens(lens)).collect()
        })
        .await
    }
}

/// The request is well-formed and cannot be fulfilled (LSP's `RequestFailed`).
pub(super) fn refused(why: String) -> Error {
    Error { code: ErrorCode::ServerError(-32803), message: why.into(), data: None }
}
