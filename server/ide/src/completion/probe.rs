//! A syntax tree of half-typed text.
//!
//! At the cursor the text is seldom Nix: a name without a value, a string without its end. So a marker is put at the
//! cursor, followed by one of several endings, and the parse with the fewest errors is the one that is believed. The
//! marker then stands in the tree where the cursor is in the text.

use crate::syntax::tokens_at;
use crate::{Document, TextRange, TextSize};
use rnix::{Root, SyntaxKind, SyntaxToken};
use rowan::ast::AstNode;

/// A name that nobody writes.
const MARKER: &str = "codchi_completion_marker";

/// What may be missing after the cursor, the likeliest first.
const ENDINGS: [&str; 12] =
    ["", " = 0;", ";", "\"", "\" ]", "\" ];", "\";", " ]", " ];", "\"; };", "; };", " = 0; };"];

/// A text with a marker at the cursor.
pub(super) struct Probe<'a> {
    /// The token that holds the marker.
    pub(super) token: SyntaxToken,
    /// The word that the cursor is in or at, in the text: what a completion replaces. May be empty.
    pub(super) word: TextRange,
    /// Whether the cursor is in a string that has no end.
    pub(super) in_open_string: bool,
    /// The text after the word.
    pub(super) after: &'a str,
    /// The white space that the cursor's line begins with.
    pub(super) indentation: &'a str,
}

impl<'a> Probe<'a> {
    /// Finds the tree; `None` where the cursor is in a comment or outside of the text, and where the text is too much
    /// for the parser.
    pub(super) fn new(document: &'a Document, offset: TextSize) -> Option<Self> {
        let text = document.text();
        let is_read_whole = document.root().syntax().text_range().len() == TextSize::of(text);
        is_read_whole.then_some(())?;
        let offset = usize::from(offset);
        let (before, rest) = (text.get(..offset)?, text.get(offset..)?);
        let start = before.trim_end_matches(is_word).len();
        let (end_of_word, after) = rest.split_at(rest.len() - rest.trim_start_matches(is_word).len());
        let line = before.rsplit('\n').next().unwrap_or_default();

        let mut best: Option<(usize, &str, rnix::Parse<Root>)> = None;
        for ending in ENDINGS {
            let parse = Root::parse(&[before, MARKER, end_of_word, ending, after].concat());
            let errors = parse.errors().len();
            if best.as_ref().is_none_or(|(fewest, ..)| errors < *fewest) {
                best = Some((errors, ending, parse));
            }
            if errors == 0 {
                break;
            }
        }
        let (_, ending, parse) = best?;
        let token = tokens_at(&parse.syntax(), TextSize::try_from(offset + 1).ok()?).left_biased()?;
        let holds_marker = matches!(token.kind(), SyntaxKind::TOKEN_IDENT | SyntaxKind::TOKEN_STRING_CONTENT);
        holds_marker.then_some(())?;
        Some(Self {
            token,
            word: TextRange::new(
                TextSize::try_from(start).ok()?,
                TextSize::try_from(offset + end_of_word.len()).ok()?,
            ),
            in_open_string: ending.starts_with('"'),
            after,
            indentation: &line[..line.len() - line.trim_start().len()],
        })
    }

    /// Whether the word is in a string.
    pub(super) fn in_string(&self) -> bool {
        self.token.kind() == SyntaxKind::TOKEN_STRING_CONTENT
    }

    /// What follows the word on its line.
    pub(super) fn next(&self) -> &str {
        self.after.lines().next().unwrap_or_default().trim_start_matches('"').trim_start()
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\'')
}
