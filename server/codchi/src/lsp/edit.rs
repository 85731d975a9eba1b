//! Incremental text synchronisation.

use super::position::{Encoding, column};
use tower_lsp::lsp_types::{Position, TextDocumentContentChangeEvent};

/// The text after `changes`, each of which is about the text that the one before it left.
pub(crate) fn apply(text: &str, changes: Vec<TextDocumentContentChangeEvent>, encoding: Encoding) -> String {
    let mut text = text.to_owned();
    let mut near = Line::default();
    for change in changes {
        near = apply_one(&mut text, change, near, encoding);
    }
    text
}

/// Applies one change; gives the line that the next one is looked for from.
fn apply_one(
    text: &mut String,
    change: TextDocumentContentChangeEvent,
    near: Line,
    encoding: Encoding,
) -> Line {
    let Some(range) = change.range else {
        *text = change.text;
        return Line::default();
    };
    let (start, line) = near.find(text, range.start, encoding);
    let (end, _) = line.find(text, range.end, encoding);
    text.replace_range(start..end.max(start), &change.text);
    // Nothing before it has changed.
    line
}

/// The start of a line. The next change is mostly near the one before it: a text of several MB is not looked through for
/// each of a thousand.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    number: u32,
    start: usize,
}

impl Line {
    /// The offset of a position, and its line; positions outside of the text are moved into it.
    fn find(mut self, text: &str, position: Position, encoding: Encoding) -> (usize, Self) {
        let bytes = text.as_bytes();
        while self.number > position.line {
            let before = bytes.get(..self.start.saturating_sub(1)).unwrap_or_default();
            self.start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
            self.number -= 1;
        }
        while self.number < position.line {
            let rest = bytes.get(self.start..).unwrap_or_default();
            let Some(newline) = rest.iter().position(|&byte| byte == b'\n') else {
                return (text.len(), self);
            };
            self.start += newline + 1;
            self.number += 1;
        }
        let line = text.get(self.start..).unwrap_or_default();
        let line = line.split('\n').next().unwrap_or_default();
        let is_last = self.start + line.len() == text.len();
        let line = if is_last { line } else { line.strip_suffix('\r').unwrap_or(line) };
        (self.start + column(line, position.character, encoding), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::position::offset;
    use crate::lsp::position::tests::line_breaks_and_wide_characters;
    use codchi_module::LineIndex;
    use proptest::prelude::*;
    use tower_lsp::lsp_types::Range;

    fn change(from: (u32, u32), to: (u32, u32), text: &str) -> TextDocumentContentChangeEvent {
        TextDocumentContentChangeEvent {
            range: Some(Range::new(Position::new(from.0, from.1), Position::new(to.0, to.1))),
            range_length: None,
            text: text.into(),
        }
    }

    #[test]
    fn each_change_is_about_the_text_that_the_one_before_left() {
        let changes =
            vec![change((0, 0), (0, 0), "x\n"), change((1, 1), (1, 2), "ü"), change((1, 2), (2, 0), "")];
        assert_eq!(apply("abc\nd\n", changes, Encoding::Utf16), "x\naüd\n");
    }

    #[test]
    fn a_change_without_a_range_replaces_the_whole_text() {
        let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: "new".into() };
        assert_eq!(apply("old", vec![whole, change((0, 3), (0, 3), "er")], Encoding::Utf8), "newer");
    }

    /// As LSP has it, told in the simplest way.
    fn told(text: &str, changes: &[TextDocumentContentChangeEvent], encoding: Encoding) -> String {
        changes.iter().fold(text.to_owned(), |text, change| {
            let Some(range) = change.range else { return change.text.clone() };
            let lines = LineIndex::new(&text);
            let start = offset(&text, &lines, range.start, encoding);
            let end = offset(&text, &lines, range.end, encoding).max(start);
            [&text[..start], &change.text, &text[end..]].concat()
        })
    }

    fn any_change() -> impl Strategy<Value = TextDocumentContentChangeEvent> {
        let at = || (0..9_u32, prop_oneof![9 => 0..9_u32, 1 => Just(u32::MAX)]);
        let range = prop_oneof![
            1 => Just(None),
            // Also inverted ones.
            9 => (at(), at()).prop_map(Some),
        ];
        (range, line_breaks_and_wide_characters()).prop_map(|(range, text)| match range {
            Some((from, to)) => change(from, to, &text),
            None => TextDocumentContentChangeEvent { range: None, range_length: None, text },
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn changes_leave_the_text_that_they_tell(
            text in line_breaks_and_wide_characters(),
            changes in proptest::collection::vec(any_change(), 0..8),
        ) {
            for encoding in Encoding::ALL {
                let after = apply(&text, changes.clone(), encoding);
                prop_assert_eq!(after, told(&text, &changes, encoding), "{:?}", encoding);
            }
        }
    }

    #[test]
    fn a_change_is_looked_for_from_the_one_before_it() {
        let line = "  services.a.enable = true;\n";
        let mut text = line.repeat(1500);
        let mut near = Line::default();
        let mut walked = 0;
        for number in (0..100).rev().map(|n| 15 * n) {
            walked += near.number.abs_diff(number);
            near = apply_one(&mut text, change((number, 2), (number, 10), "s"), near, Encoding::Utf16);
            assert_eq!((near.number, near.start), (number, number as usize * line.len()));
        }
        assert_eq!(text.len(), 1500 * line.len() - 700);
        assert_eq!(walked, 2 * 15 * 99, "to the last one and back, not from the start for each");
    }
}
