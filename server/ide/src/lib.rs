//! What an editor wants to know about a codchi module.
//!
//! Pure: plain data in and out, no I/O, no LSP types, no process. An [`Analysis`] sees files through [`Files`], and
//! the host and the machines through a [`World`] that somebody else keeps up to date. One file per feature, and one
//! per diagnostic below `diagnostics/`.

mod actions;
mod analysis;
mod asked;
mod catalogue;
mod catalogue_hover;
mod changes;
mod completion;
mod definition;
mod diagnostics;
mod evaluable;
mod evaluated;
mod folding;
mod graph;
mod hover;
mod inlay_hints;
mod kind;
mod lenses;
mod links;
mod markdown;
mod module_path;
mod modules;
mod nixos_markdown;
mod refactor;
mod references;
mod rename;
mod selection;
mod semantic_tokens;
mod suspect;
mod symbols;
mod syntax;
mod types;
mod workspace_symbols;
mod world;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use analysis::{Analysis, Files};
pub use diagnostics::spellings;
pub use evaluable::Evaluable;
pub use graph::{FileSet, Graph, Node};
pub use refactor::extract_secret::Extraction;
pub use semantic_tokens::{SemanticToken, TokenKind, TokenModifiers};
pub use types::{
    Action, ActionKind, Command, Completion, CompletionKind, Completions, Diagnostic, DiagnosticCode, Edit,
    FileChange, Fold, FoldKind, Hover, InlayHint, Lens, Link, LinkTarget, Reference, Related, Severity,
    Symbol, SymbolKind, Tag, Target, WorkspaceSymbol,
};
pub use world::{
    Availability, Catalogue, CatalogueEntry, CatalogueOption, Drift, Evaluated, EvaluatedManifest,
    EvaluatedSecret, EvaluationError, Level, Machine, MachineModule, MachineState, Mentions, ModuleKey,
    Place, Rules, World,
};

pub use codchi_module::{Document, Facts, TextRange, TextSize};
