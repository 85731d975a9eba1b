//! The parser's errors, for people.

use crate::{TextRange, TextSize};
use rnix::SyntaxKind::{self, *};
use rnix::{ParseError, SyntaxNode, SyntaxToken};

/// A place where the text is not Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, as a sentence a person can act on.
    pub message: String,
    /// Where; not empty unless the text is.
    pub range: TextRange,
}

/// The first error of each region: what follows from it is left out.
///
/// A region is a definition (`a = …;`): the parser finds its way again at the next one, within it it does not.
pub(crate) fn syntax_errors(text: &str, root: &SyntaxNode, errors: &[ParseError]) -> Vec<SyntaxError> {
    let mut found: Vec<_> = errors.iter().filter_map(|error| Some((position(error)?, error))).collect();
    found.sort_by_key(|(range, _)| range.start());

    let mut reported = Vec::new();
    let mut seen_until = None;
    for (at, error) in found {
        if seen_until.is_some_and(|end| at.start() < end) {
            continue;
        }
        let region = region(root, at.start());
        seen_until = Some(region.end().max(at.end()));
        reported.push(describe(root, at, error));
    }
    if reported.is_empty() && !errors.is_empty() {
        reported.push(at_end(text, errors));
    }
    reported
}

/// Where the parser saw it; `None` for the end of the text.
fn position(error: &ParseError) -> Option<TextRange> {
    match error {
        ParseError::Unexpected(range)
        | ParseError::UnexpectedExtra(range)
        | ParseError::UnexpectedWanted(_, range, _)
        | ParseError::UnexpectedDoubleBind(range)
        | ParseError::DuplicatedArgs(range, _) => Some(*range),
        _ => None,
    }
}

/// The innermost definition around an offset.
fn region(root: &SyntaxNode, offset: TextSize) -> TextRange {
    root.token_at_offset(offset)
        .right_biased()
        .and_then(|token| token.parent_ancestors().find(|node| node.kind() == NODE_ATTRPATH_VALUE))
        .map_or_else(|| root.text_range(), |node| node.text_range())
}

fn describe(root: &SyntaxNode, at: TextRange, error: &ParseError) -> SyntaxError {
    let token = root.token_at_offset(at.start()).right_biased();
    let range = token.as_ref().map_or(at, SyntaxToken::text_range);
    let shown = token.as_ref().map_or_else(String::new, |token| shown(token.text()));
    let message = match error {
        ParseError::UnexpectedExtra(_) => format!(
            "Nothing can follow here: the file's expression ended before {shown}. Is there a closing bracket too many?"
        ),
        ParseError::UnexpectedDoubleBind(_) => {
            "This function names its argument twice: keep the `@` on one side.".to_owned()
        }
        ParseError::DuplicatedArgs(_, name) => format!("The argument `{name}` is listed twice: remove one."),
        ParseError::UnexpectedWanted(_, _, wanted) => return wanted_error(token, range, wanted),
        _ => format!("{shown} cannot stand here."),
    };
    SyntaxError { message, range }
}

fn wanted_error(token: Option<SyntaxToken>, range: TextRange, wanted: &[SyntaxKind]) -> SyntaxError {
    let shown = token.as_ref().map_or_else(String::new, |token| shown(token.text()));
    if wanted == [TOKEN_SEMICOLON] {
        let before = token.as_ref().and_then(missing_semicolon);
        return SyntaxError {
            message: "A `;` is missing after this: each definition ends with one.".to_owned(),
            range: before.map_or(range, |token| token.text_range()),
        };
    }
    let message = match wanted {
        [TOKEN_ASSIGN] => format!("A `=` and a value are missing before {shown}."),
        [one] => format!("Expected {} here, not {shown}.", kind_name(*one)),
        _ => format!("{shown} cannot stand here: a value is missing."),
    };
    SyntaxError { message, range }
}

/// The last token of a definition that lacks its `;`, where `token` is the one that does not fit: mostly the `=` of the
/// next definition, whose name then looks like an argument.
fn missing_semicolon(token: &SyntaxToken) -> Option<SyntaxToken> {
    let mut token = token.prev_token()?;
    let mut last = None;
    loop {
        if token.kind().is_trivia() {
            if last.is_some() && token.text().contains('\n') {
                break;
            }
        } else {
            last.get_or_insert_with(|| token.clone());
        }
        match token.prev_token() {
            Some(previous) => token = previous,
            None => return last,
        }
    }
    while token.kind().is_trivia() {
        token = token.prev_token()?;
    }
    Some(token)
}

fn at_end(text: &str, _errors: &[ParseError]) -> SyntaxError {
    let end = TextSize::of(text.trim_end());
    let start = text.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
    let start = TextSize::try_from(start).unwrap_or(end);
    SyntaxError {
        message: "The file ends in the middle of an expression.".to_owned(),
        range: TextRange::new(start, end),
    }
}

fn shown(text: &str) -> String {
    format!("`{}`", text.chars().take(40).collect::<String>())
}

fn kind_name(kind: SyntaxKind) -> &'static str {
    match kind {
        TOKEN_R_BRACE => "`}`",
        TOKEN_IDENT => "a name",
        _ => "something else",
    }
}
