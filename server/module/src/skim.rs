//! An upper bound of what a text costs the parser, from its bytes alone and several times faster than tokenizing it.
//!
//! Strings, comments and brackets are told apart exactly, everything else is counted generously. Where this simple
//! reading could differ from the tokenizer's there is no bound.

use crate::limit::Levels;
use rnix::SyntaxKind::{self, *};

/// In what a byte is.
enum Context {
    Text { multiline: bool },
    Interpolation { open_braces: u32 },
}

/// At least as many levels as [`Levels`] counts at most; `None` where that is not known.
pub(crate) fn levels(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut levels = Levels::default();
    let mut most = 0;
    let mut contexts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (kind, len) = match contexts.last() {
            Some(&Context::Text { multiline }) => {
                // The text itself, which is a level where a bracket inside of `${…}` was not closed.
                levels.enter(TOKEN_STRING_CONTENT);
                text_end(bytes, at, multiline, &mut contexts)
            }
            _ => token(bytes, at, &mut contexts)?,
        };
        if kind != TOKEN_WHITESPACE {
            levels.enter(kind);
            most = most.max(levels.total());
        }
        at += len;
    }
    Some(most)
}

/// What is read at `at`, outside of strings, and how long it is; `None` where the tokenizer may see something else.
fn token(bytes: &[u8], at: usize, contexts: &mut Vec<Context>) -> Option<(SyntaxKind, usize)> {
    let rest = bytes.get(at..)?;
    let next = rest.get(1).copied().unwrap_or_default();
    Some(match rest.first()? {
        b' ' | b'\n' | b'\t' | b'\r' => (TOKEN_WHITESPACE, 1),
        // An exponent takes of what looks like a name what it needs: `0.5eor`, `.5e1-a`.
        b'e' | b'E' if follows_number(bytes, at) => return None,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
            let is_inside = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            let len = rest.iter().take_while(is_inside).count();
            // A name may have `'` in it, after a path one begins a string.
            if rest.get(len) == Some(&b'\'') {
                return None;
            }
            (if rest.starts_with(b"or") { TOKEN_OR } else { TOKEN_IDENT }, len)
        }
        b'#' => (TOKEN_WHITESPACE, rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())),
        b'/' if next == b'*' => {
            // A path may end with `/`.
            if at
                .checked_sub(1)
                .and_then(|before| bytes.get(before))
                .is_some_and(|b| !b.is_ascii_whitespace())
            {
                return None;
            }
            match rest.windows(2).skip(2).position(|pair| pair == b"*/") {
                Some(len) => (TOKEN_WHITESPACE, len + 4),
                None => (TOKEN_ERROR, rest.len()),
            }
        }
        // A URI may have quotes in it.
        b':' if next.is_ascii_alphanumeric() || b"/_.+-%?:@&=$,!~*'".contains(&next) => return None,
        b'"' => {
            contexts.push(Context::Text { multiline: false });
            (TOKEN_STRING_START, 1)
        }
        b'\'' if next == b'\'' => {
            contexts.push(Context::Text { multiline: true });
            (TOKEN_STRING_START, 2)
        }
        b'$' if next == b'{' => {
            contexts.push(Context::Interpolation { open_braces: 0 });
            (TOKEN_INTERPOL_START, 2)
        }
        b'{' => {
            if let Some(Context::Interpolation { open_braces }) = contexts.last_mut() {
                *open_braces += 1;
            }
            (TOKEN_L_BRACE, 1)
        }
        b'}' => match contexts.last_mut() {
            Some(Context::Interpolation { open_braces: 0 }) => {
                contexts.pop();
                (TOKEN_INTERPOL_END, 1)
            }
            Some(Context::Interpolation { open_braces }) => {
                *open_braces -= 1;
                (TOKEN_R_BRACE, 1)
            }
            _ => (TOKEN_R_BRACE, 1),
        },
        b'[' => (TOKEN_L_BRACK, 1),
        b']' => (TOKEN_R_BRACK, 1),
        b'(' => (TOKEN_L_PAREN, 1),
        b')' => (TOKEN_R_PAREN, 1),
        b';' => (TOKEN_SEMICOLON, 1),
        b',' => (TOKEN_COMMA, 1),
        b'.' if next != b'.' => (TOKEN_DOT, 1),
        // Operators, numbers and what is no Nix: as if each byte were one of its own.
        _ => (TOKEN_ERROR, 1),
    })
}

/// Whether a number ends at `at`.
fn follows_number(bytes: &[u8], at: usize) -> bool {
    match bytes.get(..at) {
        Some([.., before, b'.']) | Some([.., before]) => before.is_ascii_digit(),
        _ => false,
    }
}

/// What ends a string's text from `at` on, and how far it is to behind that.
fn text_end(bytes: &[u8], at: usize, multiline: bool, contexts: &mut Vec<Context>) -> (SyntaxKind, usize) {
    let mut end = at;
    while let Some(&byte) = bytes.get(end) {
        let ahead = |n: usize| bytes.get(end + n).copied().unwrap_or_default();
        end += match byte {
            b'"' if !multiline => {
                contexts.pop();
                return (TOKEN_STRING_END, end + 1 - at);
            }
            b'\\' if !multiline => 2,
            b'\'' if multiline && ahead(1) == b'\'' => match ahead(2) {
                b'\'' | b'$' => 3,
                b'\\' => 4,
                _ => {
                    contexts.pop();
                    return (TOKEN_STRING_END, end + 2 - at);
                }
            },
            b'$' if ahead(1) == b'$' => 2,
            b'$' if ahead(1) == b'{' => {
                contexts.push(Context::Interpolation { open_braces: 0 });
                return (TOKEN_INTERPOL_START, end + 2 - at);
            }
            _ => 1,
        };
    }
    (TOKEN_ERROR, end.max(at + 1) - at)
}

/// At least as many characters as the tokenizer looks ahead through.
pub(crate) fn lookahead(text: &str) -> usize {
    let mut total = 0_usize;
    let mut run = 0;
    for &byte in text.as_bytes() {
        // As if each character of a run were a token.
        run = if crate::limit::IN_RUN[usize::from(byte)] { run + 1 } else { 0 };
        total = total.saturating_add(run);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::{levels, lookahead};
    use crate::limit::{Levels, Lookahead};
    use proptest::prelude::*;

    /// What the tokens give.
    fn exact(text: &str) -> (usize, usize) {
        let (mut levels, mut lookahead) = (Levels::default(), Lookahead::default());
        let (mut most, mut start) = (0, 0);
        for (kind, token) in rnix::tokenize(text) {
            levels.enter(kind);
            lookahead.begin(text, start);
            most = most.max(levels.total());
            start += token.len();
        }
        (most, lookahead.total())
    }

    fn pieces() -> impl Strategy<Value = String> {
        const PIECES: [&str; 64] = [
            "{", "}", "[", "]", "(", ")", ";", ",", ";", ",", "=", ".", "..", "...", ":", "?", "@", "//",
            "/", "++", "+", "-", "->", "!", "\"", "\"", "''", "''", "'", "${", "${", "$", "$$", "\\", "#",
            "/*", "*/", "*", "\n", " ", " ", " ", " ", "~/", "<", ">", "a", "or", "or", "x", "let ", " in ",
            "http", "1", "0.5e", "é", "_", "./x", "a/b", "&&", "|>", "<|", "\t", "a' ",
        ];
        proptest::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_bounds_are_never_less_than_what_the_tokens_give(text in pieces()) {
            let (exact_levels, exact_lookahead) = exact(&text);
            prop_assert!(levels(&text).is_none_or(|bound| bound >= exact_levels), "{exact_levels}");
            prop_assert!(lookahead(&text) >= exact_lookahead);
        }
    }

    #[test]
    fn letters_behind_a_number_may_be_its_exponent() {
        for text in ["[0.5eor", "[1.eor", "[5or", "[0.5e1or", "a0.5e1-a"] {
            let (exact, _) = exact(text);
            assert!(levels(text).is_none_or(|bound| bound >= exact), "{text}");
        }
    }

    #[test]
    fn modules_have_low_bounds() {
        let module = include_str!("tests/robust.nix").repeat(20);
        let bound = levels(&module).expect("a bound");
        assert!(bound < 400, "{bound}");
        assert!(lookahead(&module) < 100 * module.len());
    }
}
