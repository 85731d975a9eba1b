//! Brackets, strings and comments that are not closed, or closed twice.
//!
//! The parser notices these only where it can read no further, mostly at the end of the file. The place to mend is
//! found here, from pairs and from indentation.

use crate::{SyntaxError, TextRange, TextSize};
use rnix::SyntaxKind::{self, *};
use rnix::{NixLanguage, SyntaxNode};
use rowan::{GreenNodeData, Language as _, NodeOrToken};

struct Open<'a> {
    kind: SyntaxKind,
    text: &'a str,
    start: usize,
    /// How far the line that it is on is indented.
    indent: usize,
}

/// Whether all that is opened is closed, in order; `false` where a token is none of Nix.
pub(crate) fn is_balanced(tokens: impl IntoIterator<Item = SyntaxKind>) -> bool {
    let mut open = Vec::new();
    for kind in tokens {
        match kind {
            TOKEN_L_BRACE | TOKEN_L_BRACK | TOKEN_L_PAREN | TOKEN_INTERPOL_START | TOKEN_STRING_START => {
                open.push(kind);
            }
            TOKEN_R_BRACE | TOKEN_R_BRACK | TOKEN_R_PAREN | TOKEN_INTERPOL_END | TOKEN_STRING_END
                if !open.pop().is_some_and(|open| closes(open, kind)) =>
            {
                return false;
            }
            TOKEN_ERROR => return false,
            _ => {}
        }
    }
    open.is_empty()
}

/// The kinds of the tokens of a tree, in order. By the green tree, which takes no memory.
fn kinds(tree: &GreenNodeData) -> impl Iterator<Item = SyntaxKind> {
    let mut open = vec![tree.children()];
    std::iter::from_fn(move || {
        loop {
            match open.last_mut()?.next() {
                Some(NodeOrToken::Token(token)) => return Some(NixLanguage::kind_from_raw(token.kind())),
                Some(NodeOrToken::Node(node)) => open.push(node.children()),
                None => drop(open.pop()),
            }
        }
    })
}

/// The first bracket, string or comment without its other half, given a text and its tree.
pub(crate) fn unbalanced(text: &str, root: &SyntaxNode) -> Option<SyntaxError> {
    // Where it is, the text tells; whether there is one, the tree, and much faster.
    if is_balanced(kinds(root.green())) {
        return None;
    }
    let mut open: Vec<Open<'_>> = Vec::new();
    // A pair whose closing half is indented like that of another pair further out.
    let mut suspect: Option<(usize, &str)> = None;
    // A string that looks as if it ended where its first line does.
    let mut long_string: Option<(usize, &str)> = None;
    let mut line_start = 0;
    let mut start = 0;
    for (kind, token) in rnix::tokenize(text) {
        match kind {
            TOKEN_L_BRACE | TOKEN_L_BRACK | TOKEN_L_PAREN | TOKEN_INTERPOL_START | TOKEN_STRING_START => {
                open.push(Open { kind, text: token, start, indent: indent(text, line_start) });
            }
            TOKEN_R_BRACE | TOKEN_R_BRACK | TOKEN_R_PAREN | TOKEN_INTERPOL_END | TOKEN_STRING_END => {
                let Some(at) = open.iter().rposition(|open| closes(open.kind, kind)) else {
                    return Some(error(start, token, format!("This `{token}` closes nothing: remove it.")));
                };
                if let Some(unclosed) = open.get(at + 1) {
                    return Some(unclosed_error(unclosed.start, unclosed.text));
                }
                if let Some(opened) = open.pop() {
                    let first_of_line =
                        text.get(line_start..start).is_some_and(|before| before.trim().is_empty());
                    let first_line = opened.start >= line_start;
                    if suspect.is_none()
                        && kind != TOKEN_STRING_END
                        && first_of_line
                        && !first_line
                        && start - line_start < opened.indent
                    {
                        suspect = Some((opened.start, opened.text));
                    }
                }
            }
            TOKEN_STRING_CONTENT => {
                let string = open.last().filter(|open| open.text == "\"");
                let looks_closed = token.lines().next().is_some_and(|line| line.trim_end().ends_with(';'));
                if let Some(string) = string
                    && looks_closed
                    && token.contains('\n')
                    && long_string.is_none()
                {
                    long_string = Some((string.start, string.text));
                }
            }
            TOKEN_ERROR if token.starts_with("/*") => {
                return Some(error(start, "/*", "This comment is never closed: `*/` is missing.".to_owned()));
            }
            _ => {}
        }
        if let Some(at) = token.rfind('\n') {
            line_start = start + at + 1;
        }
        start += token.len();
    }
    let innermost = open.last()?;
    let (start, token) = if innermost.kind == TOKEN_STRING_START {
        long_string.filter(|_| innermost.text == "\"").unwrap_or((innermost.start, innermost.text))
    } else {
        suspect.unwrap_or((innermost.start, innermost.text))
    };
    Some(unclosed_error(start, token))
}

fn closes(open: SyntaxKind, close: SyntaxKind) -> bool {
    matches!(
        (open, close),
        (TOKEN_L_BRACE, TOKEN_R_BRACE)
            | (TOKEN_L_BRACK, TOKEN_R_BRACK)
            | (TOKEN_L_PAREN, TOKEN_R_PAREN)
            | (TOKEN_INTERPOL_START, TOKEN_INTERPOL_END)
            | (TOKEN_STRING_START, TOKEN_STRING_END)
    )
}

fn indent(text: &str, line_start: usize) -> usize {
    text[line_start..].bytes().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

fn unclosed_error(start: usize, token: &str) -> SyntaxError {
    let message = match token {
        "\"" | "''" => format!("This string is never closed: `{token}` is missing."),
        "{" | "${" => format!("This `{token}` is never closed: `}}` is missing."),
        "[" => "This `[` is never closed: `]` is missing.".to_owned(),
        _ => "This `(` is never closed: `)` is missing.".to_owned(),
    };
    error(start, token, message)
}

fn error(start: usize, token: &str, message: String) -> SyntaxError {
    let size = |bytes| TextSize::try_from(bytes).unwrap_or(TextSize::new(u32::MAX));
    SyntaxError { message, range: TextRange::at(size(start), size(token.len())) }
}
