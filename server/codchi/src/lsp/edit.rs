//! Incremental text synchronisation.

use super::position::{Encoding, text_range};
use codchi_module::LineIndex;
use tower_lsp::lsp_types::TextDocumentContentChangeEvent;

/// The text after `changes`, each of which is about the text that the one before it left.
pub(crate) fn apply(text: &str, changes: Vec<TextDocumentContentChangeEvent>, encoding: Encoding) -> String {
    let mut text = text.to_owned();
    for change in changes {
        match change.range {
            None => text = change.text,
            Some(range) => {
                let range = text_range(&text, &LineIndex::new(&text), range, encoding);
                text.replace_range(usize::from(range.start())..usize::from(range.end()), &change.text);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_lsp::lsp_types::{Position, Range};

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
}
