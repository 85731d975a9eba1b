//! A syntax tree of half-typed text.
//!
//! At the cursor the text is seldom Nix: a name without a value, a string without its end. So a marker is put at the
//! cursor, followed by one of several endings, and the parse with the fewest errors is the one that is believed. The
//! marker then stands in the tree where the cursor is in the text. Of a long text only the cursor's [region](Region) is
//! parsed, if that can be made whole.

use super::region::Region;
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
    /// The part of the word before the cursor.
    pub(super) typed: &'a str,
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
        Self::with(document, offset, Region::new)
    }

    /// The same, with the part of the text that `region` gives, if that can be made whole.
    pub(super) fn with(
        document: &'a Document,
        offset: TextSize,
        region: impl FnOnce(&Document, TextSize, TextSize) -> Option<Region>,
    ) -> Option<Self> {
        let text = document.text();
        let is_read_whole = document.root().syntax().text_range().len() == TextSize::of(text);
        is_read_whole.then_some(())?;
        let offset = usize::from(offset);
        let (before, rest) = (text.get(..offset)?, text.get(offset..)?);
        let start = before.trim_end_matches(is_word).len();
        let (end_of_word, after) = rest.split_at(rest.len() - rest.trim_start_matches(is_word).len());
        let line = before.rsplit('\n').next().unwrap_or_default();

        let end = TextSize::try_from(before.len() + end_of_word.len()).ok()?;
        let region = region(document, TextSize::of(before), end);
        let region = region.and_then(|region| {
            let parsed = parsed(&region.before, end_of_word, &region.after)?;
            (parsed.errors == 0).then_some((parsed, region.before.len()))
        });
        let (Parsed { ending, parse, .. }, at) = match region {
            Some(region) => region,
            None => (parsed(before, end_of_word, after)?, before.len()),
        };
        let token = tokens_at(&parse.syntax(), TextSize::try_from(at + 1).ok()?).left_biased()?;
        let holds_marker = matches!(token.kind(), SyntaxKind::TOKEN_IDENT | SyntaxKind::TOKEN_STRING_CONTENT);
        holds_marker.then_some(())?;
        Some(Self {
            token,
            word: TextRange::new(
                TextSize::try_from(start).ok()?,
                TextSize::try_from(offset + end_of_word.len()).ok()?,
            ),
            typed: before.get(start..)?,
            in_open_string: ending.starts_with('"'),
            after,
            indentation: &line[..line.len() - line.trim_start().len()],
        })
    }

    /// How much text was parsed.
    #[cfg(test)]
    pub(super) fn tree_len(&self) -> TextSize {
        self.token.parent_ancestors().last().map(|root| root.text_range().len()).unwrap_or_default()
    }

    /// Whether the word is in a string.
    pub(super) fn in_string(&self) -> bool {
        self.token.kind() == SyntaxKind::TOKEN_STRING_CONTENT
    }

    /// `NAME = VALUE;` with the value to fill in; the name only where it has a value or goes on.
    pub(super) fn definition(&self, name: &str, value: &Value<'_>) -> (String, Vec<TextRange>) {
        if self.next().starts_with(['=', '.']) || self.in_string() {
            return (name.to_owned(), Vec::new());
        }
        let end = if self.next().starts_with(';') { "" } else { ";" };
        let (before, value, after) = match value {
            Value::Line { open, value, close } => (format!("{name} = {open}"), *value, (*close).to_owned()),
            Value::Block { open, close } => {
                let indentation = self.indentation;
                (format!("{name} = {open}\n{indentation}  "), "", format!("\n{indentation}{close}"))
            }
        };
        let stop = TextRange::at(TextSize::of(&before), TextSize::of(value));
        (format!("{before}{value}{after}{end}"), vec![stop])
    }

    /// What follows the word on its line.
    pub(super) fn next(&self) -> &str {
        self.after.lines().next().unwrap_or_default().trim_start_matches('"').trim_start()
    }
}

/// How a value is written.
pub(super) enum Value<'a> {
    /// On the line of its name.
    Line {
        open: &'a str,
        /// What is to be filled in, or taken.
        value: &'a str,
        close: &'a str,
    },
    /// On lines of its own.
    Block { open: &'a str, close: &'a str },
}

/// A text with one of the endings.
struct Parsed {
    ending: &'static str,
    parse: rnix::Parse<Root>,
    errors: usize,
}

/// The text with the ending that makes the fewest errors.
fn parsed(before: &str, end_of_word: &str, after: &str) -> Option<Parsed> {
    let mut best: Option<Parsed> = None;
    for ending in ENDINGS {
        let text = [before, MARKER, end_of_word, ending, after].concat();
        // A string that is ended early may leave a text that is nested without end.
        if !Document::is_readable(&text) {
            continue;
        }
        let parse = Root::parse(&text);
        let errors = parse.errors().len();
        if best.as_ref().is_none_or(|best| errors < best.errors) {
            best = Some(Parsed { ending, parse, errors });
        }
        if errors == 0 {
            break;
        }
    }
    best
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\'')
}
