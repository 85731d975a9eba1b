//! What the analysis gives: plain data.

use codchi_module::{TextRange, TextSize};
use std::path::PathBuf;

/// A diagnostic's stable code; each has a section in `docs/diagnostics.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiagnosticCode {
    /// The text is not Nix.
    Syntax,
    /// No such option below `codchi.`.
    UnknownOption,
    /// A literal of the wrong shape.
    WrongType,
    /// A required secret has no value.
    SecretNotSet,
    /// A secret without a description.
    SecretWithoutDescription,
    /// A secret's name that cannot be used.
    SecretNameInvalid,
    /// No such capability.
    CapabilityUnknown,
    /// The host lacks a capability.
    CapabilityMissing,
    /// An imported path that does not exist.
    ImportNotFound,
    /// An option that has a successor.
    DeprecatedOption,
    /// The same name twice in one set.
    DuplicateDefinition,
    /// A secret is used that nothing declares.
    SecretUndeclared,
    /// A secret that nothing mentions.
    SecretUnused,
    /// A credential that would be in the Nix store.
    SecretInStore,
    /// Something is set that needs a capability which is not asked for.
    CapabilityUndeclared,
    /// An option that does nothing in a code machine.
    NoEffect,
    /// A machine names a module output that the flake does not have (any more).
    FlakeOutputMissing,
    /// What Nix says when it evaluates the module.
    Evaluation,
}

impl DiagnosticCode {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::Syntax,
        Self::UnknownOption,
        Self::WrongType,
        Self::DeprecatedOption,
        Self::DuplicateDefinition,
        Self::SecretNotSet,
        Self::SecretUndeclared,
        Self::SecretWithoutDescription,
        Self::SecretNameInvalid,
        Self::SecretUnused,
        Self::SecretInStore,
        Self::CapabilityUnknown,
        Self::CapabilityMissing,
        Self::CapabilityUndeclared,
        Self::NoEffect,
        Self::ImportNotFound,
        Self::FlakeOutputMissing,
        Self::Evaluation,
    ];

    /// Its name, as it is shown and configured: `secret-not-set`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownOption => "unknown-option",
            Self::WrongType => "wrong-type",
            Self::DeprecatedOption => "deprecated-option",
            Self::DuplicateDefinition => "duplicate-definition",
            Self::SecretNotSet => "secret-not-set",
            Self::SecretUndeclared => "secret-undeclared",
            Self::SecretWithoutDescription => "secret-without-description",
            Self::SecretNameInvalid => "secret-name-invalid",
            Self::SecretUnused => "secret-unused",
            Self::SecretInStore => "secret-in-store",
            Self::CapabilityUnknown => "capability-unknown",
            Self::CapabilityMissing => "capability-missing",
            Self::CapabilityUndeclared => "capability-undeclared",
            Self::NoEffect => "no-effect",
            Self::ImportNotFound => "import-not-found",
            Self::FlakeOutputMissing => "flake-output-missing",
            Self::Evaluation => "evaluation",
        }
    }

    /// The code of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It will not work.
    Error,
    /// It may not work.
    Warning,
    /// Worth knowing.
    Information,
    /// A suggestion.
    Hint,
}

/// Something to say about a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its code.
    pub code: DiagnosticCode,
    /// How bad.
    pub severity: Severity,
    /// What, why, and what to do.
    pub message: String,
    /// Where.
    pub range: TextRange,
    /// Other places that it is about.
    pub related: Vec<Related>,
    /// How the range may be shown.
    pub tags: Vec<Tag>,
}

/// Another place that a diagnostic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Which file.
    pub path: PathBuf,
    /// Where in it.
    pub range: TextRange,
    /// What is there.
    pub message: String,
}

/// How a diagnostic's range may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Faded.
    Unnecessary,
    /// Struck through.
    Deprecated,
}

/// A change of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub range: TextRange,
    /// By what.
    pub new_text: String,
}

/// What can be typed at a place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completions {
    /// The likeliest first.
    pub items: Vec<Completion>,
    /// Whether there are more that were left out: what is typed next may bring them.
    pub is_incomplete: bool,
}

/// One completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What is shown and matched.
    pub label: String,
    /// Its kind.
    pub kind: CompletionKind,
    /// Short: the type.
    pub detail: String,
    /// Long, in Markdown.
    pub documentation: String,
    /// The change that takes it; its range holds the cursor.
    pub edit: Edit,
    /// Ranges in the edit's new text that are to be filled in, in this order; may be empty. Those with the same text are
    /// filled in together.
    pub stops: Vec<TextRange>,
    /// Whether it is deprecated.
    pub deprecated: bool,
}

/// A completion's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionKind {
    /// An option.
    Option,
    /// A set of options.
    OptionSet,
    /// One value of several.
    Value,
    /// A name that a module's set may have besides options.
    Keyword,
    /// A package or a set of packages.
    Package,
    /// Several lines to fill in.
    Snippet,
}

/// What is shown over a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// In Markdown.
    pub markdown: String,
    /// Over what.
    pub range: TextRange,
}

/// A place to go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What one goes from.
    pub origin: TextRange,
    /// Which file.
    pub path: PathBuf,
    /// Where in it.
    pub range: TextRange,
}

/// An entry of the outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SymbolKind,
    /// The whole of it.
    pub range: TextRange,
    /// Its name's range, within `range`.
    pub name_range: TextRange,
    /// What is inside.
    pub children: Vec<Symbol>,
}

/// A symbol's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// A binding with bindings inside.
    Set,
    /// Any other binding.
    Value,
    /// A declared secret.
    Secret,
}

/// What a lens or an action runs; the server gives each its protocol name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Create a machine of the module at this path, open it when done.
    Create {
        /// The module's folder or file.
        module: PathBuf,
        /// Which module output of the folder's flake; `None` for the default one, or where there is no flake.
        output: Option<String>,
    },
    /// Rebuild a machine.
    Rebuild {
        /// Its name.
        machine: String,
    },
    /// Start a machine.
    Start {
        /// Its name.
        machine: String,
    },
    /// Stop a machine.
    Stop {
        /// Its name.
        machine: String,
    },
    /// Open a machine: a window or a terminal in it.
    Open {
        /// Its name.
        machine: String,
    },
    /// Ask for a secret's value and store it.
    SetSecret {
        /// Its name.
        name: String,
        /// Its description, for the prompt.
        description: String,
        /// For which machine; for all where `None`.
        machine: Option<String>,
    },
    /// Move the text at the range into a secret. The value is not part of it.
    ExtractSecret {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        range: TextRange,
    },
    /// Nothing: text only.
    None,
}

/// A code lens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lens {
    /// Over what.
    pub range: TextRange,
    /// What it says.
    pub title: String,
    /// What it runs.
    pub command: Command,
}

/// A code action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What it says.
    pub title: String,
    /// Its kind.
    pub kind: ActionKind,
    /// The diagnostic it answers, with its range.
    pub fixes: Option<(DiagnosticCode, TextRange)>,
    /// Changes in this file.
    pub edits: Vec<Edit>,
    /// Changes of other files.
    pub elsewhere: Vec<FileChange>,
    /// What it runs after the changes.
    pub command: Command,
    /// Whether it is the one to take without asking.
    pub preferred: bool,
}

/// An action's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Answers a diagnostic.
    QuickFix,
    /// Moves a part of the code that is right elsewhere.
    Extract,
    /// Writes code that is right differently.
    Rewrite,
}

/// A change of another file than the one that an action is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// A new file, where there is none.
    Create {
        /// Where.
        path: PathBuf,
        /// What is in it.
        text: String,
    },
    /// A change of one that is there.
    Edit {
        /// Which.
        path: PathBuf,
        /// In its order.
        edits: Vec<Edit>,
    },
}

/// A place of a secret or of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Which file.
    pub path: PathBuf,
    /// Where in it.
    pub range: TextRange,
    /// Whether it is declared or bound there, rather than used.
    pub is_definition: bool,
}

/// What can be folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// From its first to its last character.
    pub range: TextRange,
    /// Its kind.
    pub kind: FoldKind,
}

/// A fold's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldKind {
    /// Code or a string.
    Code,
    /// A block of comments.
    Comment,
}

/// A link in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Over what.
    pub range: TextRange,
    /// Where to.
    pub target: LinkTarget,
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTarget {
    /// A file of this computer.
    File(PathBuf),
    /// A page of the web, by its URL.
    Page(String),
}

/// A word beside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlayHint {
    /// After which character.
    pub offset: TextSize,
    /// The word.
    pub label: String,
    /// More about it, in sentences.
    pub tooltip: String,
}

/// A symbol of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSymbol {
    /// Its name.
    pub name: String,
    /// What it is in; may be empty.
    pub container: String,
    /// Which file.
    pub path: PathBuf,
    /// Where in it.
    pub range: TextRange,
    /// Its kind.
    pub kind: SymbolKind,
}
