//! The parser's errors, for people.

use crate::brackets::unbalanced;
use crate::{TextRange, TextSize};
use rnix::SyntaxKind::*;
use rnix::{ParseError, SyntaxKind, SyntaxNode, SyntaxToken};

/// A place where the text is not Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, as a sentence a person can act on.
    pub message: String,
    /// Where; not empty unless the text is.
    pub range: TextRange,
}

/// The first error of each region, in order of the text: what follows from it is left out.
///
/// A region is a definition (`a = …;`): the parser finds its way again at the next one, within it it does not. From a
/// bracket without its other half on it is lost until the end.
pub(crate) fn syntax_errors(text: &str, root: &SyntaxNode, errors: &[ParseError]) -> Vec<SyntaxError> {
    if errors.is_empty() {
        return Vec::new();
    }
    if errors.contains(&ParseError::RecursionLimitExceeded) {
        return vec![too_deep(text, root)];
    }
    let unbalanced = unbalanced(text, root);
    let lost_from = unbalanced.as_ref().map(|error| error.range.start());
    let mut found: Vec<_> = errors
        .iter()
        .filter_map(|error| Some((position(error)?, error)))
        .filter(|(at, _)| lost_from.is_none_or(|lost| at.start() < lost))
        .collect();
    found.sort_by_key(|(at, _)| at.start());

    let mut reported: Vec<SyntaxError> = Vec::new();
    let mut region_end = None;
    for (at, error) in found {
        if region_end.is_some_and(|end| at.start() < end) {
            continue;
        }
        region_end = Some(region(root, at.start()).end().max(at.end()));
        reported.push(describe(text, root, at, error));
    }
    reported.extend(unbalanced);
    if reported.is_empty() {
        reported.push(SyntaxError { message: end_message(root, errors), range: last_char(text) });
    }
    reported
}

/// Where the parser saw it; `None` for the end of the text.
pub(crate) fn position(error: &ParseError) -> Option<TextRange> {
    match error {
        ParseError::Unexpected(range)
        | ParseError::UnexpectedExtra(range)
        | ParseError::UnexpectedWanted(_, range, _)
        | ParseError::UnexpectedDoubleBind(range)
        | ParseError::DuplicatedArgs(range, _) => Some(*range),
        _ => None,
    }
}

/// The innermost definition around an offset, and the whole `let` where that lacks its `in`.
fn region(root: &SyntaxNode, offset: TextSize) -> TextRange {
    let Some(token) = root.token_at_offset(offset).right_biased() else { return root.text_range() };
    let definition = token.parent_ancestors().find(|node| node.kind() == NODE_ATTRPATH_VALUE);
    let around = match definition {
        Some(definition) if lacks_in(&token) => definition.parent(),
        other => other,
    };
    around.map_or_else(|| root.text_range(), |node| node.text_range())
}

/// Whether a value begins where a `let` should have another definition or `in`.
fn lacks_in(token: &SyntaxToken) -> bool {
    token.kind() == TOKEN_L_BRACE
        && token.parent_ancestors().take(4).map(|node| node.kind()).eq([
            NODE_ERROR,
            NODE_ATTRPATH,
            NODE_ATTRPATH_VALUE,
            NODE_LET_IN,
        ])
}

fn describe(text: &str, root: &SyntaxNode, at: TextRange, error: &ParseError) -> SyntaxError {
    let Some(token) = root.token_at_offset(at.start()).right_biased() else {
        return SyntaxError { message: "The file ends too early.".to_owned(), range: last_char(text) };
    };
    let shown = shown(&token);
    let message = match error {
        _ if token.kind() == TOKEN_ERROR && token.text().contains('/') => {
            format!("The path {shown} cannot end with `/` or have `//` in it.")
        }
        _ if token.kind() == TOKEN_ERROR => format!("{shown} means nothing outside of strings and comments."),
        ParseError::UnexpectedExtra(_) => {
            format!("The file's expression ends before {shown}: remove what follows, or put it inside.")
        }
        ParseError::UnexpectedDoubleBind(_) => {
            "This function names its whole argument twice: keep the `@` on one side only.".to_owned()
        }
        ParseError::DuplicatedArgs(_, name) => format!("The argument `{name}` is listed twice: remove one."),
        ParseError::UnexpectedWanted(_, _, wanted) if lacks_semicolon(&token, wanted) => {
            return missing_semicolon(&last_of_definition(&token));
        }
        ParseError::UnexpectedWanted(_, _, wanted) => wanted_message(&token, &shown, wanted),
        _ => format!("{shown} cannot stand here."),
    };
    SyntaxError { message, range: token.text_range() }
}

fn wanted_message(token: &SyntaxToken, shown: &str, wanted: &[SyntaxKind]) -> String {
    // The token is in an error node; what it does not fit into is around that.
    let around = token.parent().and_then(|error| error.parent()).map(|node| node.kind());
    let before = before(token);
    let before = before.as_ref().map(SyntaxToken::kind);
    if before == Some(TOKEN_DOT) {
        return format!("A name is missing between `.` and {shown}.");
    }
    match wanted {
        [TOKEN_ASSIGN] if token.kind() == TOKEN_IDENT => {
            format!(
                "`=` and a value are missing before {shown}, or `,` where these are a function's arguments."
            )
        }
        [TOKEN_ASSIGN] => format!("`=` and a value are missing before {shown}."),
        [TOKEN_THEN] => format!("`then` is missing before {shown}."),
        [TOKEN_ELSE] => format!("`else` and a value are missing before {shown}: each `if` has one."),
        [TOKEN_COLON] => {
            format!("`:` is missing before {shown}: it stands between a function's arguments and its value.")
        }
        [TOKEN_R_PAREN] => format!("`)` is missing before {shown}."),
        [TOKEN_INTERPOL_END | TOKEN_R_BRACE] => format!("`}}` or `,` is missing before {shown}."),
        [TOKEN_L_BRACE] => format!("`{{` is missing before {shown}."),
        [TOKEN_IDENT, ..] if lacks_in(token) => format!("`in` is missing before {shown}."),
        [TOKEN_IDENT, ..] => format!("A name is missing before {shown}."),
        _ if wanted.contains(&TOKEN_IDENT) && wanted.contains(&TOKEN_ELLIPSIS) => {
            format!("{shown} cannot stand here: a function's arguments are names with `,` between them.")
        }
        _ if around == Some(NODE_LIST) => {
            format!("{shown} cannot stand in a list: put parentheses around calls and operators.")
        }
        _ => format!("A value is missing before {shown}."),
    }
}

/// Whether a definition or an `inherit` does not end.
fn lacks_semicolon(token: &SyntaxToken, wanted: &[SyntaxKind]) -> bool {
    let in_inherit =
        || token.parent().and_then(|error| error.parent()).is_some_and(|node| node.kind() == NODE_INHERIT);
    match wanted {
        [TOKEN_SEMICOLON] => true,
        // The names of an `inherit` go on until its `;`.
        [TOKEN_IDENT, ..] => matches!(token.kind(), TOKEN_ASSIGN | TOKEN_R_BRACE | TOKEN_IN) && in_inherit(),
        _ => false,
    }
}

/// The last token of a definition that does not end, given the first one that does not fit into it any more. Mostly that is
/// the `=` of the next definition, whose name looks like an argument: then what lacks the `;` is what is before that name.
fn last_of_definition(token: &SyntaxToken) -> SyntaxToken {
    let part_of_name = |token: &SyntaxToken| {
        matches!(
            token.kind(),
            TOKEN_DOT | TOKEN_IDENT | TOKEN_STRING_START | TOKEN_STRING_CONTENT | TOKEN_STRING_END
        )
    };
    let name = std::iter::successors(before(token), before).take_while(part_of_name).find(starts_line);
    let last = match name {
        Some(name) if token.kind() == TOKEN_ASSIGN => before(&name),
        _ => before(token),
    };
    last.unwrap_or_else(|| token.clone())
}

/// What is said of a definition that does not end, given its last token.
pub(crate) fn missing_semicolon(last: &SyntaxToken) -> SyntaxError {
    let message = match last.kind() {
        TOKEN_ASSIGN => "A value is missing after `=`.".to_owned(),
        TOKEN_DOT => "A name is missing after `.`.".to_owned(),
        _ => format!("`;` is missing after {}: each definition ends with one.", shown(last)),
    };
    SyntaxError { message, range: last.text_range() }
}

/// The last token of the definition that does not end, where that is the first error.
pub(crate) fn unfinished(root: &SyntaxNode, errors: &[ParseError]) -> Option<SyntaxToken> {
    let (at, error) =
        errors.iter().filter_map(|error| Some((position(error)?, error))).min_by_key(|(at, _)| at.start())?;
    let token = root.token_at_offset(at.start()).right_biased()?;
    match error {
        ParseError::UnexpectedWanted(_, _, wanted) if lacks_semicolon(&token, wanted) => {
            Some(last_of_definition(&token))
        }
        // The end of the set, or of the `let`.
        _ if matches!(token.kind(), TOKEN_R_BRACE | TOKEN_IN) => {
            before(&token).filter(|last| matches!(last.kind(), TOKEN_ASSIGN | TOKEN_DOT))
        }
        _ => None,
    }
}

/// The token before, without spaces and comments.
fn before(token: &SyntaxToken) -> Option<SyntaxToken> {
    std::iter::successors(token.prev_token(), SyntaxToken::prev_token).find(|token| !token.kind().is_trivia())
}

fn starts_line(token: &SyntaxToken) -> bool {
    token.prev_token().is_none_or(|space| space.text().contains('\n'))
}

/// A token as part of a sentence.
fn shown(token: &SyntaxToken) -> String {
    const LONGEST: usize = 30;
    let text = token.text().trim_end();
    match text.char_indices().nth(LONGEST) {
        _ if matches!(token.kind(), TOKEN_STRING_START | TOKEN_STRING_END) => "this string".to_owned(),
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Brackets are balanced, and yet the file ends too early.
fn end_message(root: &SyntaxNode, errors: &[ParseError]) -> String {
    if root
        .descendants_with_tokens()
        .filter_map(|part| part.into_token())
        .all(|token| token.kind().is_trivia())
    {
        return "The file holds no value: write a module, for example `{ pkgs, ... }: { }`.".to_owned();
    }
    let wanted = errors.iter().find_map(|error| match error {
        ParseError::UnexpectedEOFWanted(wanted) => Some(wanted.as_ref()),
        _ => None,
    });
    let missing = match wanted {
        Some([TOKEN_COLON]) => "`:` and the function's value are missing",
        Some([TOKEN_SEMICOLON]) => "`;` is missing",
        Some([TOKEN_THEN]) => "`then` is missing",
        Some([TOKEN_ELSE]) => "`else` and a value are missing",
        Some([TOKEN_ASSIGN]) => "`=` and a value are missing",
        Some([TOKEN_IDENT, ..]) => "a name is missing",
        _ if root.descendants().any(|node| node.kind() == NODE_LET_IN && lacks_body(&node)) => {
            "`in` and a value are missing"
        }
        _ => "a value is missing",
    };
    format!("The file ends too early: {missing}.")
}

fn lacks_body(let_in: &SyntaxNode) -> bool {
    !let_in.children_with_tokens().any(|part| part.kind() == TOKEN_IN)
}

/// The parser gave up: what it did not read is an error node that reaches to the end.
fn too_deep(text: &str, root: &SyntaxNode) -> SyntaxError {
    let rest = root.descendants().find(|node| node.kind() == NODE_ERROR);
    let range =
        rest.and_then(|node| node.first_token()).map_or_else(|| last_char(text), |token| token.text_range());
    SyntaxError { message: crate::limit::TOO_DEEP.to_owned(), range }
}

/// The last visible character.
fn last_char(text: &str) -> TextRange {
    let visible = match text.trim_end() {
        "" => text,
        visible => visible,
    };
    let start = visible.char_indices().next_back().map_or(0, |(at, _)| at);
    let size = |bytes| TextSize::try_from(bytes).unwrap_or(TextSize::new(u32::MAX));
    TextRange::new(size(start), size(visible.len()))
}
