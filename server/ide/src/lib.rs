//! What an editor wants to know about a codchi module.
//!
//! Pure: plain data in and out, no I/O, no LSP types, no process. An [`Analysis`] sees files through [`Files`], and
//! the host and the machines through a [`World`] that somebody else keeps up to date. One file per feature, and one
//! per diagnostic below `diagnostics/`.

mod actions;
mod analysis;
mod asked;
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
mod lenses;
mod links;
mod markdown;
mod modules;
mod references;
mod rename;
mod selection;
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
pub use evaluable::Evaluable;
pub use graph::{FileSet, Graph, Node};
pub use types::{
    Action, ActionKind, Command, Completion, CompletionKind, Diagnostic, DiagnosticCode, Edit, Fold,
    FoldKind, Hover, InlayHint, Lens, Link, LinkTarget, Reference, Related, Severity, Symbol, SymbolKind,
    Tag, Target, WorkspaceSymbol,
};
pub use world::{
    Capability, Catalogue, CatalogueEntry, CatalogueOption, Evaluated, EvaluatedManifest, EvaluatedSecret,
    EvaluationError, Level, Machine, MachineModule, MachineState, ModuleKey, Place, Rules, World,
};

pub use codchi_module::{Document, Facts, TextRange, TextSize};
