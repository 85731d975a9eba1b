//! What strings and paths in Nix text stand for.

use rnix::SyntaxKind::{TOKEN_STRING_CONTENT, TOKEN_STRING_END, TOKEN_STRING_START};
use rnix::ast;
use rowan::NodeOrToken;
use rowan::ast::AstNode as _;

/// A string's value; `None` where it has an interpolation or is broken.
pub(crate) fn string_value(string: &ast::Str) -> Option<String> {
    let mut indented = false;
    let mut content = String::new();
    for child in string.syntax().children_with_tokens() {
        match child {
            NodeOrToken::Token(token) => match token.kind() {
                TOKEN_STRING_START => indented = token.text() == "''",
                TOKEN_STRING_CONTENT => content.push_str(token.text()),
                TOKEN_STRING_END => {}
                _ => return None,
            },
            NodeOrToken::Node(_) => return None,
        }
    }
    Some(if indented { unescape_indented(&content) } else { unescape(&content) })
}

/// Whether a string has an interpolation.
pub(crate) fn is_interpolated(string: &ast::Str) -> bool {
    string.syntax().children().any(|child| child.kind() == rnix::SyntaxKind::NODE_INTERPOL)
}

/// The text of a path without interpolation, as written.
pub(crate) fn path_text(path: &rnix::SyntaxNode) -> Option<String> {
    let simple = path.children().next().is_none();
    simple.then(|| path.text().to_string())
}

fn unescape(content: &str) -> String {
    let mut value = String::with_capacity(content.len());
    let mut chars = content.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(escaped)),
            // Nix reads the ends of lines in a plain string alike on all systems.
            '\r' => {
                chars.next_if_eq(&'\n');
                value.push('\n');
            }
            _ => value.push(c),
        }
    }
    value
}

fn escaped(c: char) -> char {
    match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

/// A part of an indented string. Escaped characters are never indentation.
enum Part<'a> {
    Text(&'a str),
    Escaped(&'a str),
    Char(char),
}

fn indented_parts(content: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = content;
    while let Some(at) = rest.find("''") {
        let (text, after) = rest.split_at(at);
        parts.push(Part::Text(text));
        let after = &after[2..];
        let mut chars = after.chars();
        rest = match chars.next() {
            Some('\'') => {
                parts.push(Part::Escaped("''"));
                chars.as_str()
            }
            Some('$') => {
                parts.push(Part::Escaped("$"));
                chars.as_str()
            }
            Some('\\') => {
                parts.extend(chars.next().map(|c| Part::Char(escaped(c))));
                chars.as_str()
            }
            _ => after,
        };
    }
    parts.push(Part::Text(rest));
    parts
}

/// As Nix does it: the spaces that all lines begin with go, so does a first line of spaces only, and the spaces of a last
/// line of spaces only.
fn unescape_indented(content: &str) -> String {
    let content = match content.split_once('\n') {
        Some((first, rest)) if first.chars().all(|c| c == ' ') => rest,
        _ => content,
    };
    let parts = indented_parts(content);
    let indent = common_indent(&parts);

    let mut value = String::with_capacity(content.len());
    let mut at_line_start = true;
    let mut dropped = 0;
    for part in &parts {
        match part {
            Part::Text(text) => {
                for c in text.chars() {
                    match c {
                        '\n' => {
                            at_line_start = true;
                            dropped = 0;
                        }
                        ' ' if at_line_start && dropped < indent => {
                            dropped += 1;
                            continue;
                        }
                        ' ' => {}
                        _ => at_line_start = false,
                    }
                    value.push(c);
                }
            }
            Part::Escaped(text) => {
                at_line_start = false;
                value.push_str(text);
            }
            Part::Char(c) => {
                at_line_start = false;
                value.push(*c);
            }
        }
    }
    if let Some(end) = value.rfind('\n')
        && value[end + 1..].chars().all(|c| c == ' ')
    {
        value.truncate(end + 1);
    }
    value
}

fn common_indent(parts: &[Part<'_>]) -> usize {
    let mut least = usize::MAX;
    let mut at_line_start = true;
    let mut indent = 0;
    for part in parts {
        let Part::Text(text) = part else {
            if at_line_start {
                least = least.min(indent);
            }
            at_line_start = false;
            continue;
        };
        for c in text.chars() {
            match c {
                '\n' => {
                    at_line_start = true;
                    indent = 0;
                }
                ' ' if at_line_start => indent += 1,
                _ if at_line_start => {
                    at_line_start = false;
                    least = least.min(indent);
                }
                _ => {}
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        let root = rnix::Root::parse(text).tree();
        match root.expr() {
            Some(ast::Expr::Str(string)) => string_value(&string),
            other => panic!("not a string: {other:?}"),
        }
    }

    #[test]
    fn plain_strings_are_unescaped() {
        assert_eq!(value(r#""a\nb\t\"c\" \\ \${x} $$ é""#).as_deref(), Some("a\nb\t\"c\" \\ ${x} $$ é"));
        assert_eq!(value("\"a\r\nb\rc\"").as_deref(), Some("a\nb\nc"));
        assert_eq!(value(r#""""#).as_deref(), Some(""));
    }

    #[test]
    fn indented_strings_lose_their_common_indentation() {
        assert_eq!(
            value("''\n    one\n      two\n\n    three\n  ''").as_deref(),
            Some("one\n  two\n\nthree\n")
        );
        assert_eq!(value("''one''").as_deref(), Some("one"));
        assert_eq!(value("''\n  ''").as_deref(), Some(""));
        assert_eq!(value("''\n  a\n  b''").as_deref(), Some("a\nb"));
        assert_eq!(value("''  x\n    y\n   ''").as_deref(), Some("x\n  y\n"));
        assert_eq!(value("''\n\n  a\n    ''").as_deref(), Some("\na\n"));
        assert_eq!(value("''\ttab\n    x''").as_deref(), Some("\ttab\n    x"));
    }

    #[test]
    fn indented_strings_are_unescaped() {
        assert_eq!(
            value("''a '''b ''${x} ''\\n \\n 'c' \"d\"''").as_deref(),
            Some("a ''b ${x} \n \\n 'c' \"d\"")
        );
        assert_eq!(value("''\n  ''\\t  a\n    b''").as_deref(), Some("\t  a\n  b"));
    }

    #[test]
    fn interpolated_strings_have_no_value() {
        assert_eq!(value(r#""a ${b} c""#), None);
        assert_eq!(value("''\n  ${b}\n''"), None);
    }
}
