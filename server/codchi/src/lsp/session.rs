//! What a client said about itself when it connected.

use super::position::Encoding;
use crate::evaluation::Mode;
use crate::formatter::Setting;
use crate::levels;
use serde::Deserialize;
use std::path::PathBuf;
use tower_lsp::lsp_types::{ClientCapabilities, InitializeParams, ResourceOperationKind, Url};

/// What a client said about itself when it connected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    /// The unit it counts characters in.
    pub(crate) encoding: Encoding,
    /// It answers `codchi/input`.
    pub(crate) input: bool,
    /// It shows `codchi/evaluationChanged`.
    pub(crate) evaluation: bool,
    /// It shows progress that the server begins.
    pub(crate) progress: bool,
    /// It takes registrations for watched files.
    pub(crate) watches_files: bool,
    /// It can be asked to fetch lenses anew.
    pub(crate) refreshes_lenses: bool,
    /// It asks for diagnostics itself, and gets none unasked.
    pub(crate) pulls: bool,
    /// It takes diagnostics of other texts together with those of the one it asks about.
    pub(crate) related_documents: bool,
    /// It can be asked to fetch diagnostics anew.
    pub(crate) refreshes_diagnostics: bool,
    /// It can be asked to fetch inlay hints anew.
    pub(crate) refreshes_hints: bool,
    /// It understands links from where a definition is asked for.
    pub(crate) definition_links: bool,
    /// It understands links from where a declaration is asked for.
    pub(crate) declaration_links: bool,
    /// It fills in the places of a completion that are left open.
    pub(crate) snippets: bool,
    /// It makes files where an edit says so.
    pub(crate) creates_files: bool,
    /// It shows actions that cannot be taken, and why.
    pub(crate) disabled_actions: bool,
    /// The workspace's folders on this computer.
    pub(crate) folders: Vec<PathBuf>,
    /// Where the diagnostics' documentation is; ours, not the client's word.
    pub(crate) documentation: Option<Url>,
}

/// The settings that a client may send (section `codchi`), as PROTOCOL.md has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Settings {
    /// The flake URL of the nixpkgs that machines share.
    pub(crate) nixpkgs: Option<String>,
    /// The sources of modules that every new machine gets.
    pub(crate) personal_modules: Option<Vec<String>>,
    /// Whether the user's ssh config may be touched.
    pub(crate) ssh_config: Option<bool>,
    /// How modules are evaluated.
    pub(crate) evaluation: Option<Mode>,
    /// Levels of diagnostics by code.
    pub(crate) diagnostics: levels::Written,
    /// What formats.
    pub(crate) formatter: Setting,
    /// Whether the person does not trust the workspace; see [`trusted`].
    #[serde(skip)]
    pub(crate) distrusted: bool,
}

/// Whether the person trusts the workspace; a client that says nothing knows of no distrust. Apart from the rest of the
/// settings, which count only where all of them are understood: what a workspace writes into them must not undo this.
pub(crate) fn trusted(settings: &serde_json::Value) -> bool {
    settings.get("trusted") != Some(&serde_json::Value::Bool(false))
}

/// The part of the client's experimental capabilities that is about us.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Experimental {
    codchi: ExperimentalCodchi,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExperimentalCodchi {
    input: bool,
    evaluation: bool,
}

impl Session {
    /// Reads what the client says in `initialize`.
    pub(crate) fn new(params: &InitializeParams) -> Self {
        let ClientCapabilities { general, window, workspace, text_document, experimental, .. } =
            &params.capabilities;
        let experimental: Experimental =
            experimental.clone().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
        let workspace = workspace.as_ref();
        Self {
            encoding: Encoding::negotiate(
                general.as_ref().and_then(|general| general.position_encodings.as_deref()),
            ),
            input: experimental.codchi.input,
            evaluation: experimental.codchi.evaluation,
            progress: window.as_ref().and_then(|window| window.work_done_progress).unwrap_or(false),
            watches_files: workspace
                .and_then(|workspace| workspace.did_change_watched_files.as_ref())
                .and_then(|watched| watched.dynamic_registration)
                .unwrap_or(false),
            refreshes_lenses: workspace
                .and_then(|workspace| workspace.code_lens.as_ref())
                .and_then(|lens| lens.refresh_support)
                .unwrap_or(false),
            pulls: text_document.as_ref().is_some_and(|text| text.diagnostic.is_some()),
            related_documents: text_document
                .as_ref()
                .and_then(|text| text.diagnostic.as_ref())
                .and_then(|diagnostic| diagnostic.related_document_support)
                .unwrap_or(false),
            refreshes_diagnostics: workspace
                .and_then(|workspace| workspace.diagnostic.as_ref())
                .and_then(|diagnostic| diagnostic.refresh_support)
                .unwrap_or(false),
            refreshes_hints: workspace
                .and_then(|workspace| workspace.inlay_hint.as_ref())
                .and_then(|hint| hint.refresh_support)
                .unwrap_or(false),
            definition_links: text_document
                .as_ref()
                .and_then(|text| text.definition.as_ref())
                .and_then(|definition| definition.link_support)
                .unwrap_or(false),
            declaration_links: text_document
                .as_ref()
                .and_then(|text| text.declaration.as_ref())
                .and_then(|declaration| declaration.link_support)
                .unwrap_or(false),
            snippets: text_document
                .as_ref()
                .and_then(|text| text.completion.as_ref())
                .and_then(|completion| completion.completion_item.as_ref())
                .and_then(|item| item.snippet_support)
                .unwrap_or(false),
            creates_files: workspace
                .and_then(|workspace| workspace.workspace_edit.as_ref())
                .filter(|edit| edit.document_changes.unwrap_or(false))
                .and_then(|edit| edit.resource_operations.as_ref())
                .is_some_and(|operations| operations.contains(&ResourceOperationKind::Create)),
            disabled_actions: text_document
                .as_ref()
                .and_then(|text| text.code_action.as_ref())
                .and_then(|action| action.disabled_support)
                .unwrap_or(false),
            folders: folders(params),
            documentation: None,
        }
    }
}

/// The workspace's folders; `rootUri` for a client that knows only one.
fn folders(params: &InitializeParams) -> Vec<PathBuf> {
    match &params.workspace_folders {
        Some(folders) => folders.iter().filter_map(|folder| folder.uri.to_file_path().ok()).collect(),
        None => params.root_uri.iter().filter_map(|root| root.to_file_path().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_that_says_nothing_gets_plain_lsp() {
        let session = Session::new(&serde_json::from_value(json!({ "capabilities": {} })).unwrap());
        assert_eq!(session.encoding, Encoding::Utf16);
        assert!(
            !session.input
                && !session.evaluation
                && !session.progress
                && !session.watches_files
                && session.folders.is_empty()
        );
    }

    #[test]
    fn distrust_holds_whatever_else_the_settings_say() {
        assert!(trusted(&json!({})) && trusted(&json!({ "trusted": true })) && trusted(&json!(null)));
        let odd = json!({ "trusted": false, "evaluation": "sometimes", "diagnostics": 1 });
        assert!(serde_json::from_value::<Settings>(odd.clone()).is_err());
        assert!(!trusted(&odd));
    }

    #[test]
    fn a_client_is_taken_at_its_word() {
        let params = json!({
            "capabilities": {
                "general": { "positionEncodings": ["utf-16", "utf-8"] },
                "window": { "workDoneProgress": true },
                "experimental": { "codchi": { "input": true, "evaluation": true }, "other": 1 },
            },
            "workspaceFolders": [{ "uri": "file:///a%20b", "name": "a b" }, { "uri": "untitled:x", "name": "x" }],
        });
        let session = Session::new(&serde_json::from_value(params).unwrap());
        assert_eq!(session.encoding, Encoding::Utf8);
        assert!(session.input && session.evaluation && session.progress);
        assert_eq!(session.folders, [PathBuf::from("/a b")]);
    }
}
