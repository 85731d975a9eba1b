//! What is too much for the parser.
//!
//! It takes one level of the stack for each bracket, operator and argument that others are nested in, and looks ahead
//! through each run of characters that could be a path once per token of the run. No module that people write comes near
//! these limits, but a text that does must cost neither the process nor seconds.

use crate::{SyntaxError, TextRange, TextSize, skim};
use rnix::SyntaxKind::{self, *};

/// A longer text is not read: no module is as long, and its tree would take hundreds of MB.
pub const LARGEST: usize = 4 << 20;

/// A text of this many bytes or fewer cannot exceed the limits: no byte makes more than one level.
const SMALL: usize = MAX_LEVELS;

/// How many levels an expression may have. The parser and the tree take up to some 300 bytes of the stack for each; half
/// of a thread's usual 2 MiB would be enough for more than three times as many.
const MAX_LEVELS: usize = 2000;

/// What is said about text with more levels.
pub(crate) const TOO_DEEP: &str =
    "The nesting here is deeper than codchi can read: name a part of it in a `let`.";

/// How many characters may be looked ahead through.
const MAX_LOOKAHEAD: usize = 20_000_000;

/// Which bytes the tokenizer looks ahead through, as any of them could be part of a path.
pub(crate) const IN_RUN: [bool; 256] = {
    let mut in_run = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        in_run[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-' | b'/');
        byte += 1;
    }
    in_run
};

/// Upper bounds of what a text costs the parser.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    levels: usize,
    lookahead: usize,
}

impl Cost {
    /// Those of a text that are cheap to find; `None` where there are none.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(Self { levels: skim::levels(text)?, lookahead: skim::lookahead(text) })
    }

    /// Those of a text with definitions of another, given theirs.
    pub(crate) fn with(self, definitions: Self) -> Self {
        let levels = self.levels.saturating_add(definitions.levels);
        Self { levels, lookahead: self.lookahead.saturating_add(definitions.lookahead) }
    }

    /// Whether a text that costs no more surely keeps the limits, as nearly all do.
    pub(crate) fn is_within(self) -> bool {
        self.levels <= MAX_LEVELS && self.lookahead <= MAX_LOOKAHEAD
    }
}

/// The first place that is too much: nothing from its start on may be parsed. `cost` is an upper bound of the text's.
pub(crate) fn excess(text: &str, cost: Option<Cost>) -> Option<SyntaxError> {
    if text.len() > LARGEST {
        let first = text.chars().next().map_or(0, char::len_utf8);
        let message = format!("This text is larger than {} MiB: codchi does not read it.", LARGEST >> 20);
        return Some(SyntaxError { message, range: TextRange::up_to(offset(first)) });
    }
    if text.len() <= SMALL || cost.is_some_and(Cost::is_within) {
        return None;
    }
    let mut levels = Levels::default();
    let mut lookahead = Lookahead::default();
    let mut start = 0;
    for (kind, token) in rnix::tokenize(text) {
        let message = if levels.enter(kind) {
            TOO_DEEP
        } else if lookahead.begin(text, start) {
            "This is too long without a space: is it data that belongs into a string?"
        } else {
            start += token.len();
            continue;
        };
        let range = TextRange::at(offset(start), offset(token.len()));
        return Some(SyntaxError { message: message.to_owned(), range });
    }
    None
}

/// The parser's own text offsets have 32 bits.
fn offset(bytes: usize) -> TextSize {
    TextSize::try_from(bytes).unwrap_or(TextSize::new(u32::MAX))
}

/// Counts how deep an expression can be: each open bracket, and within each all that the current definition or argument
/// has so far, as operators and arguments nest to one side.
#[derive(Default)]
pub(crate) struct Levels {
    open: Vec<Level>,
    outermost: usize,
    total: usize,
}

struct Level {
    closed_by: SyntaxKind,
    inside: usize,
}

impl Levels {
    /// Takes the next token; gives whether that is one too many.
    pub(crate) fn enter(&mut self, kind: SyntaxKind) -> bool {
        match kind {
            TOKEN_L_BRACK => self.push(TOKEN_R_BRACK),
            TOKEN_L_BRACE => self.push(TOKEN_R_BRACE),
            TOKEN_L_PAREN => self.push(TOKEN_R_PAREN),
            TOKEN_STRING_START => self.push(TOKEN_STRING_END),
            TOKEN_INTERPOL_START => self.push(TOKEN_INTERPOL_END),
            TOKEN_SEMICOLON | TOKEN_COMMA => {
                let inside = self.open.last_mut().map_or(&mut self.outermost, |level| &mut level.inside);
                self.total -= std::mem::take(inside);
            }
            kind if self.open.last().is_some_and(|level| level.closed_by == kind) => {
                self.total -= self.open.pop().map_or(0, |level| level.inside + 1);
            }
            kind if self.nests(kind) => {
                *self.open.last_mut().map_or(&mut self.outermost, |level| &mut level.inside) += 1;
                self.total += 1;
            }
            _ => {}
        }
        self.total > MAX_LEVELS
    }

    /// How many there are now.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    fn push(&mut self, closed_by: SyntaxKind) {
        // A bracket is an argument, too, of what it stands in.
        if self.nests(closed_by) {
            *self.open.last_mut().map_or(&mut self.outermost, |level| &mut level.inside) += 1;
            self.total += 1;
        }
        self.open.push(Level { closed_by, inside: 0 });
        self.total += 1;
    }

    /// Whether a token can put what is before or after it one level deeper.
    fn nests(&self, kind: SyntaxKind) -> bool {
        match self.open.last().map(|level| level.closed_by) {
            // The elements of a list are side by side, but for `a.b or c.d or …`.
            Some(TOKEN_R_BRACK) => kind == TOKEN_OR,
            Some(TOKEN_STRING_END) => false,
            _ => {
                !kind.is_trivia()
                    && !matches!(kind, TOKEN_DOT | TOKEN_PATH_REL | TOKEN_PATH_ABS | TOKEN_PATH_HOME)
            }
        }
    }
}

/// Adds up what the tokenizer looks ahead.
#[derive(Default)]
pub(crate) struct Lookahead {
    run_end: usize,
    total: usize,
}

impl Lookahead {
    /// Takes the start of the next token; gives whether that is one too many.
    pub(crate) fn begin(&mut self, text: &str, start: usize) -> bool {
        if start >= self.run_end {
            let run = text.as_bytes().get(start..).unwrap_or_default();
            let len = run.iter().take_while(|&&byte| IN_RUN[usize::from(byte)]).count();
            self.run_end = start + len;
        }
        self.total += self.run_end.saturating_sub(start);
        self.total > MAX_LOOKAHEAD
    }

    /// How much it was so far.
    #[cfg(test)]
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use crate::Document;
    use std::time::Duration;

    /// On a stack like that of a worker thread.
    fn errors(text: String) -> Vec<String> {
        let check = move || {
            let document = Document::new(text);
            let _ = document.facts();
            let errors = document.syntax_errors().into_iter().map(|error| error.message).collect();
            drop(document);
            // What is not linear takes minutes. The processor's time, as others may be busy with the computer.
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            assert!(Duration::try_from(time).is_ok_and(|took| took < Duration::from_secs(3)), "{time:?}");
            errors
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(check).expect("a thread");
        thread.join().expect("no panic")
    }

    #[test]
    fn deep_nesting_is_an_error_and_nothing_worse() {
        let deep = |open: &str, middle: &str, close: &str| {
            let n = 20_000;
            let found = errors(format!("{}{middle}{}", open.repeat(n), close.repeat(n)));
            assert_eq!(found.len(), 1, "{open}: {found:?}");
            assert!(found[0].contains("deeper than codchi can read"), "{open}: {found:?}");
        };
        deep("[", "", "]");
        deep("(", "a", ")");
        deep("{ a = ", "1", "; }");
        deep("\"${", "a", "}\"");
        deep("[[[[({ a = ", "1", "; })]]]]");
        deep("a ++ ", "a", "");
        deep("a // ", "a", "");
        deep("a + ", "a", "");
        deep("a ", "a", "");
        deep("f { a = 1; } ", "", "");
        deep("- ", "a", "");
        deep("!", "a", "");
        deep("x: ", "x", "");
        deep("a.b or ", "a", "");
        deep("if a then b else ", "c", "");
    }

    #[test]
    fn what_the_parser_limits_itself_is_an_error_too() {
        for nested in ["let a = 1; in ", "with a; ", "assert a; ", "x: "] {
            let found = errors(nested.repeat(1500) + "a");
            assert_eq!(found.len(), 1, "{nested}: {found:?}");
            assert!(found[0].contains("deeper than codchi can read"), "{nested}: {found:?}");
        }
    }

    #[test]
    fn long_runs_do_not_cost_seconds() {
        for run in ["-", "a.", "+", "."] {
            assert!(!errors(run.repeat(100_000)).is_empty());
        }
    }

    #[test]
    fn a_text_that_is_too_large_is_not_read() {
        let large =
            |beginning: &str| format!("{beginning}{}", " ".repeat(crate::LARGEST + 1 - beginning.len()));
        for beginning in ["1", "ü", "{"] {
            let document = Document::new(large(beginning));
            let found = document.syntax_errors();
            assert_eq!(found.len(), 1);
            assert_eq!(&document.text()[found[0].range], beginning);
            assert!(found[0].message.contains("larger than 4 MiB"), "{found:?}");
            assert!(document.is_too_large() && document.has_syntax_errors());
        }
        let just_fits = &large("1")[..crate::LARGEST];
        assert_eq!(errors(just_fits.to_owned()), Vec::<String>::new());
    }

    #[test]
    fn long_files_are_not_too_much() {
        for text in [
            format!("[ {} ]", "a.b \"c\" ./d { } ".repeat(20_000)),
            format!("{{ {} }}", "a.b = f { x = 1; } [ 2 ];\n".repeat(20_000).as_str()).replace("a.b", "a"),
            format!("''\n{}''", "${a} b\n".repeat(20_000)),
            format!("\"{}\"", "a+/b-".repeat(50_000)),
            format!("{{ a = {}1; }}", "1 + ".repeat(400)),
        ] {
            assert_eq!(errors(text), Vec::<String>::new());
        }
    }
}
