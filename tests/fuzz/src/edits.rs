//! Edits of any text: what is known of a text does not depend on how it came to be.

use crate::text::Text;
use codchi_ide::Document;

/// What parts the text from the edits, and the edits from each other.
const SEPARATOR: u8 = 0;

/// A text, and edits of it: each a byte that says where, one that says how much is taken away there, and what is put there.
pub fn edits(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == SEPARATOR);
    let mut text = Text::of(parts.next().unwrap_or_default());
    let mut document = Document::new(text.as_str());
    for edit in parts.take(16) {
        let [place, len, new @ ..] = edit else { continue };
        // As the server does it: facts are worked out for most versions of a text, not for all.
        if len % 4 != 3 {
            let _ = document.facts();
        }
        let start = text.floor_char_boundary(usize::from(*place) * text.len() / 255);
        let end = text.floor_char_boundary(start + usize::from(len / 4)).max(start);
        text.replace_range(start..end, &Text::of(new));
        document = document.edited(text.as_str());
        let whole = Document::new(text.as_str());
        assert_eq!(document.syntax_errors(), whole.syntax_errors(), "{text:?}");
        assert_eq!(document.facts(), whole.facts(), "{text:?}");
        assert_eq!(document.names(), whole.names(), "{text:?}");
    }
}
