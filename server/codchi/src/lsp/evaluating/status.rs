//! How evaluations are, for clients that show it: `codchi/evaluationChanged`.

use codchi_ide::ModuleKey;
use serde::{Deserialize, Serialize};
use tower_lsp::lsp_types::notification::Notification;

/// `codchi/evaluationChanged`.
pub(super) enum EvaluationChanged {}

impl Notification for EvaluationChanged {
    type Params = Status;
    const METHOD: &'static str = "codchi/evaluationChanged";
}

/// How the evaluations of the open files' modules are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
pub(super) struct Status {
    /// Why nothing is evaluated at all.
    pub(super) off: Option<Off>,
    /// The modules, sorted.
    pub(super) modules: Vec<ModuleStatus>,
}

/// Why nothing is evaluated at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Off {
    /// The person does not trust the workspace.
    Untrusted,
    /// The person does not want it.
    Setting,
}

/// How the evaluation of one module is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct ModuleStatus {
    /// The module's folder or file, with `#OUTPUT`.
    module: String,
    state: State,
    /// What happened and what to do about it, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Evaluating,
    Evaluated,
    Failed,
}

impl ModuleStatus {
    /// Of a module that is being evaluated, or was; `why` it could not be.
    pub(super) fn new(key: &ModuleKey, is_running: bool, why: Option<&String>) -> Self {
        let (state, why) = match why {
            _ if is_running => (State::Evaluating, None),
            Some(why) => (State::Failed, Some(why.clone())),
            None => (State::Evaluated, None),
        };
        Self { module: super::named(key), state, why }
    }
}
