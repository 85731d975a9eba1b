//! The language server: each LSP method, as a call into the analysis or the machines.
//!
//! A handler changes state before its first await or not at all (handlers run side by side, in the order in which
//! their messages came only up to there), and leaves everything that takes longer than copying a text to a thread that
//! may block.

use super::convert::Converter;
use super::evaluating::{self, Evaluating};
use super::indexing::{self, Indexing};
use super::lifetime::Lifetime;
use super::operations::Operations;
use super::position::offset;
use super::publish::{self, Changed};
use super::session::{Session, Settings, trusted};
use super::workspace::{Snapshot, Workspace, path};
use super::{actions, catalogues, commands, documentation, formatting, navigation, pull, tokens, world};
use crate::context::Context;
use crate::evaluation::{Mode, Surroundings};
use crate::levels;
use crate::pins::Pins;
use codchi_ide::{Analysis, Files as _, Rules, World};
use codchi_machine::{Machines, Options};
use codchi_module::{Document, TextSize};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc, watch};
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::lsp_types::*;
use tower_lsp::{Client, LanguageServer, async_trait};

/// What the server's tasks share.
pub(crate) struct Shared {
    /// The open texts and the files below them.
    pub(crate) workspace: Workspace,
    /// Says when modules are to be evaluated.
    pub(crate) evaluating: Evaluating,
    /// The Nix of this computer, and the nixpkgs of modules.
    pub(crate) pins: Arc<Pins>,
    /// Keeps what is known of the files up to date.
    pub(crate) indexing: Indexing,
    /// What is known about host and machines.
    pub(crate) world: watch::Sender<Arc<World>>,
    /// Says that host or machines may have changed.
    pub(crate) refresh: Notify,
    /// What is being done to machines.
    pub(crate) operations: Arc<Operations>,
    /// The semantic tokens that were told last.
    pub(crate) told: tokens::Told,
    /// What was told of formatters.
    pub(crate) formatting: formatting::Told,
    /// Where things live, what is configured, what runs machines.
    pub(crate) context: Context,
    settings: Mutex<Settings>,
    /// Whether the person does not trust the workspace.
    distrusted: AtomicBool,
    session: OnceLock<Session>,
    changes: mpsc::UnboundedSender<Changed>,
    /// Counts the changes.
    pub(crate) generation: watch::Sender<u64>,
    /// Whether the diagnostics of the whole workspace were told once.
    pub(crate) answered_workspace: AtomicBool,
}

impl Shared {
    /// What is known about host and machines now.
    pub(crate) fn world(&self) -> Arc<World> {
        self.world.borrow().clone()
    }

    /// The client; one that says nothing before `initialize`.
    pub(crate) fn session(&self) -> &Session {
        static BEFORE: OnceLock<Session> = OnceLock::new();
        self.session.get().unwrap_or_else(|| BEFORE.get_or_init(Session::default))
    }

    /// The machines, with the client's settings over the user's configuration.
    pub(crate) fn machines(&self) -> Machines {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let configured = self.context.config.options();
        self.context.machines_with(Options {
            nixpkgs: settings.nixpkgs.filter(|url| !url.is_empty()).or(configured.nixpkgs),
            ssh_config: settings.ssh_config.or(configured.ssh_config),
            ..configured
        })
    }

    /// The flake URL of the nixpkgs of new machines, where one is set: by the client, else by the user's configuration.
    pub(crate) fn nixpkgs(&self) -> Option<String> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).nixpkgs.clone();
        settings.filter(|url| !url.is_empty()).or_else(|| self.context.config.nixpkgs.clone())
    }

    /// Whether Nix may evaluate what the workspace says.
    pub(crate) fn is_trusted(&self) -> bool {
        !self.distrusted.load(Ordering::Relaxed)
    }

    /// The formatter that the client's settings name.
    pub(crate) fn formatter(&self) -> crate::formatter::Setting {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).formatter.clone()
    }

    /// What evaluations depend on beside the files: the client's settings over the user's configuration.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config = &self.context.config;
        Surroundings {
            machines: self.world().machines.clone(),
            nixpkgs: self.nixpkgs(),
            mode: if self.is_trusted() {
                settings.evaluation.unwrap_or(config.evaluation)
            } else {
                Mode::Off
            },
        }
    }

    /// The levels of diagnostics: the client's over the configured ones.
    fn set_rules(&self) {
        let mut written = self.context.config.diagnostics.clone();
        written.extend(self.settings.lock().unwrap_or_else(PoisonError::into_inner).diagnostics.clone());
        let (levels, problems) = levels::read(&written);
        for problem in problems {
            tracing::warn!("the levels of diagnostics are not understood: {problem}");
        }
        let rules = Rules { levels };
        let is_new = self.world.send_if_modified(|now| {
            let is_new = now.rules != rules;
            if is_new {
                *now = Arc::new(World { rules, ..World::clone(now) });
            }
            is_new
        });
        if is_new {
            self.changed(Changed::Everything);
        }
    }

    fn set_settings(&self, settings: serde_json::Value) {
        if settings.is_object() {
            let distrusted = !trusted(&settings);
            let before = self.distrusted.swap(distrusted, Ordering::Relaxed);
            if distrusted && !before {
                tracing::info!(
                    "the workspace is not trusted: modules are checked as text, and Nix does not run"
                );
            }
        }
        match serde_json::from_value(settings) {
            Ok(settings) => {
                *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
                self.set_rules();
            }
            Err(error) => tracing::warn!("the client's settings are not understood: {error}"),
        }
        self.generation.send_modify(|count| *count += 1);
        self.evaluating.look();
    }

    /// Tells the publisher. After the session's end nobody listens, which is fine.
    pub(crate) fn changed(&self, change: Changed) {
        self.generation.send_modify(|count| *count += 1);
        let _ = self.changes.send(change);
    }
}

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
        let shared = Arc::new(Shared {
            workspace: Workspace::default(),
            evaluating: Evaluating::default(),
            pins: Arc::new(Pins::new(context.paths.clone())),
            indexing: Indexing::default(),
            world: watch::Sender::default(),
            refresh: Notify::new(),
            operations: Arc::default(),
            told: tokens::Told::default(),
            formatting: formatting::Told::default(),
            context,
            settings: Mutex::default(),
            distrusted: AtomicBool::new(false),
            session: OnceLock::new(),
            changes,
            generation: watch::Sender::default(),
            answered_workspace: AtomicBool::new(false),
        });
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

    /// Answers a question about one text, as it is now, on a thread that may block; `None` for one that is not there.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        uri: &Url,
        question: impl FnOnce(&Question<'_>) -> T + Send + 'static,
    ) -> Result<Option<T>> {
        let Some(path) = path(uri) else { return Ok(None) };
        let (files, world, shared) =
            (self.shared.workspace.snapshot(), self.shared.world(), self.shared.clone());
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

fn capabilities(session: &Session) -> ServerCapabilities {
    let mut capabilities = ServerCapabilities {
        position_encoding: Some(session.encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(TextDocumentSyncSaveOptions::Supported(true)),
            ..TextDocumentSyncOptions::default()
        })),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec![".".into(), "\"".into()]),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        declaration_provider: Some(DeclarationCapability::Simple(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(actions::KINDS.to_vec()),
            ..CodeActionOptions::default()
        })),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: commands::name::ALL.map(Into::into).into(),
            work_done_progress_options: WorkDoneProgressOptions { work_done_progress: Some(true) },
        }),
        // A client that knows nothing of it gets diagnostics pushed.
        diagnostic_provider: session.pulls.then(|| {
            DiagnosticServerCapabilities::Options(DiagnosticOptions {
                identifier: Some("codchi".into()),
                inter_file_dependencies: true,
                workspace_diagnostics: true,
                ..DiagnosticOptions::default()
            })
        }),
        workspace: Some(WorkspaceServerCapabilities {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(OneOf::Left(true)),
            }),
            ..WorkspaceServerCapabilities::default()
        }),
        document_formatting_provider: Some(OneOf::Left(true)),
        code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(false) }),
        ..ServerCapabilities::default()
    };
    navigation::announce(&mut capabilities);
    tokens::announce(&mut capabilities);
    capabilities
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
    }

    async fn did_change_watched_files(&self, _: DidChangeWatchedFilesParams) {
        self.shared.indexing.hint();
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
