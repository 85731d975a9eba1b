//! What a codchi module says: Nix text in, facts with text ranges out.
//!
//! Pure: no I/O, no LSP types, no knowledge of host or machines. A [`Document`] is one text with everything that
//! follows from it; it is immutable and may be shared between threads. A [`rnix::SyntaxNode`] may not, so none leaves
//! this crate but inside a closure or a function that is done with it when it returns.
//!
//! Invariant: what static analysis cannot know is absent from the facts, not guessed.

mod brackets;
mod document;
mod facts;
mod limit;
mod literal;
mod names;
mod options;
mod paths;
mod repair;
mod reparse;
mod scope;
mod skim;
mod strings;
mod syntax;

pub use document::Document;
pub use facts::{
    Allow, Binding, Capability, Certainty, Duplicate, Facts, FlakeInput, FlakeModule, Import, Literal,
    OptionUse, PackageUse, SecretDeclaration, SecretSpelling, SecretUse, SecretUseKind,
};
pub use limit::LARGEST;
pub use line_index::{LineCol, LineIndex, TextRange, TextSize, WideEncoding, WideLineCol};
pub use names::{Name, NameKind, NamePlace, Rebinding, is_identifier};
pub use options::{FREE_NAME, OptionDoc, OptionPath, OptionType, Options};
pub use paths::{normalise, relative_paths};
pub use syntax::SyntaxError;

#[cfg(test)]
mod tests;
