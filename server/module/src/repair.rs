//! What is missing at the end of a definition while it is typed: its `;`, and a value before that.
//!
//! The parser takes the next definition for a part of it, and may be lost until the end of the file. So where nothing else is
//! wrong, the tree is that of a text which has what is missing in place of the space that follows: all places are as they
//! were, and all other definitions say what they said.

use crate::syntax::{SyntaxError, missing_semicolon, unfinished};
use rnix::SyntaxKind::{TOKEN_ASSIGN, TOKEN_DOT};
use rnix::{ParseError, SyntaxNode};

/// A text with what was missing.
pub(crate) struct Repaired {
    pub(crate) text: String,
    /// What was missing.
    pub(crate) error: SyntaxError,
}

/// The text with what seems to be missing in it, given its tree and errors. Whether that makes it Nix remains to be seen.
pub(crate) fn repaired(text: &str, root: &SyntaxNode, errors: &[ParseError]) -> Option<Repaired> {
    let last = unfinished(root, errors)?;
    // A name that no scope binds has no meaning.
    let missing = if matches!(last.kind(), TOKEN_ASSIGN | TOKEN_DOT) { "_;" } else { ";" };
    let start = usize::from(last.text_range().end());
    let space = text.get(start..start + missing.len())?;
    let is_space = space.bytes().all(|byte| byte.is_ascii_whitespace());
    let text = || [&text[..start], missing, &text[start + missing.len()..]].concat();
    is_space.then(|| Repaired { text: text(), error: missing_semicolon(&last) })
}
