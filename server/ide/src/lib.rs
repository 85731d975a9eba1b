//! What an editor wants to know about a codchi module.
//!
//! Pure: plain data in and out, no I/O, no LSP types, no process. An [`Analysis`] sees files through [`Files`], and
//! the host and the machines through a [`World`] that somebody else keeps up to date. One file per feature, and one
//! per diagnostic below `diagnostics/`.

mod analysis;
mod types;
mod world;

pub use analysis::{Analysis, Files};
pub use types::{
    Action, ActionKind, Command, Completion, CompletionKind, Diagnostic, DiagnosticCode, Edit, Hover, Lens,
    Related, Severity, Symbol, SymbolKind, Target,
};
pub use world::{Capability, Machine, MachineModule, MachineState, World};

pub use codchi_module::{Document, TextRange, TextSize};
