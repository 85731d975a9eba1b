//! Completion anywhere in any text.

use crate::text::Text;
use codchi_ide::{TextRange, TextSize};

/// The last byte says where the cursor is in the text that the others are: it is asked about there, and at the end.
pub fn completion(data: &[u8]) {
    let Some((&cursor, data)) = data.split_last() else { return };
    let string = Text::of(data);
    let text = Text::new("codchi.nix", &string);
    let cursor = string.floor_char_boundary(usize::from(cursor) * string.len() / 255);
    for offset in [cursor, string.len()] {
        let Ok(offset) = TextSize::try_from(offset) else { continue };
        complete(&text, offset);
    }
}

/// Every completion at an offset replaces what is around it, and can be filled in.
pub(crate) fn complete(text: &Text, offset: TextSize) {
    for item in text.ask(|analysis| analysis.completions(&text.path, offset)).items {
        text.assert_inside(item.edit.range);
        assert!(item.edit.range.contains_inclusive(offset), "{item:?} at {offset:?}");
        assert!(!item.label.is_empty());
        let new = TextRange::up_to(TextSize::of(item.edit.new_text.as_str()));
        for stop in &item.stops {
            assert!(new.contains_range(*stop), "{item:?}");
            assert!(item.edit.new_text.get(std::ops::Range::<usize>::from(*stop)).is_some(), "{item:?}");
        }
    }
}
