//! Places in a text, as LSP counts them and as we do.

use codchi_module::{LineCol, LineIndex, TextRange, TextSize, WideEncoding};
use tower_lsp::lsp_types::{Position, PositionEncodingKind, Range};

/// The unit in which the client counts characters of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units: what LSP takes where nothing is negotiated.
    #[default]
    Utf16,
    /// Characters.
    Utf32,
}

impl Encoding {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Utf8, Self::Utf16, Self::Utf32];

    /// UTF-8 where the client offers it, for then nothing needs to be counted; UTF-32 only where it likes nothing better.
    pub(crate) fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        let offered = offered.unwrap_or_default();
        if offered.contains(&PositionEncodingKind::UTF8) {
            Self::Utf8
        } else if offered.first() == Some(&PositionEncodingKind::UTF32) {
            Self::Utf32
        } else {
            Self::Utf16
        }
    }

    /// Its name in the protocol.
    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }
}

/// The byte offset of a position. One past the end of its line means that end, one past the last line the end of the
/// text, and one inside a character that character's start: clients may send all of these.
pub(crate) fn offset(text: &str, lines: &LineIndex, position: Position, encoding: Encoding) -> usize {
    let Some(range) = lines.line(position.line) else { return text.len() };
    let (start, end) = (usize::from(range.start()), usize::from(range.end()));
    start + column(text.get(start..end).unwrap_or_default(), position.character, encoding)
}

/// How many bytes of a line, which may have its break, are before its `character`.
pub(super) fn column(line: &str, character: u32, encoding: Encoding) -> usize {
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    let wanted = character as usize;
    let len = match encoding {
        Encoding::Utf8 => return line.floor_char_boundary(wanted),
        Encoding::Utf16 => char::len_utf16,
        Encoding::Utf32 => |_| 1,
    };
    let mut units = 0;
    let found = line.char_indices().find(|(_, c)| {
        units += len(*c);
        units > wanted
    });
    found.map_or(line.len(), |(index, _)| index)
}

/// The position of a byte offset; the end of the text for one past it.
pub(crate) fn position(lines: &LineIndex, offset: TextSize, encoding: Encoding) -> Position {
    let LineCol { line, col } =
        lines.try_line_col(offset.min(lines.len())).unwrap_or(LineCol { line: 0, col: 0 });
    let wide = match encoding {
        Encoding::Utf8 => return Position::new(line, col),
        Encoding::Utf16 => WideEncoding::Utf16,
        Encoding::Utf32 => WideEncoding::Utf32,
    };
    let wide = lines.to_wide(wide, LineCol { line, col });
    wide.map_or(Position::new(line, col), |wide| Position::new(wide.line, wide.col))
}

/// The LSP range of a text range.
pub(crate) fn range(lines: &LineIndex, range: TextRange, encoding: Encoding) -> Range {
    Range::new(position(lines, range.start(), encoding), position(lines, range.end(), encoding))
}

/// The text range of an LSP range; an inverted one is empty.
pub(crate) fn text_range(text: &str, lines: &LineIndex, range: Range, encoding: Encoding) -> TextRange {
    let start = offset(text, lines, range.start, encoding);
    let end = offset(text, lines, range.end, encoding).max(start);
    // Texts of 4 GiB and more are not opened (see `workspace::LONGEST`), so the conversion cannot fail.
    let size = |n: usize| TextSize::try_from(n).unwrap_or_default();
    TextRange::new(size(start), size(end))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bits of lines: all kinds of breaks, characters of each length, and one that is combined with the one before it.
    pub(in crate::lsp) fn line_breaks_and_wide_characters() -> impl Strategy<Value = String> {
        let pieces =
            ["a", "b = 1;", "\n", "\r\n", "\r", "ü", "€", "𝄞", "e\u{301}", "\u{feff}", "\t", "\u{2028}"];
        proptest::collection::vec(prop::sample::select(pieces.to_vec()), 0..20)
            .prop_map(|pieces| pieces.concat())
    }

    fn at(text: &str, line: u32, character: u32, encoding: Encoding) -> usize {
        offset(text, &LineIndex::new(text), Position::new(line, character), encoding)
    }

    #[test]
    fn characters_are_counted_in_the_negotiated_unit() {
        let text = "a\n# 𝄞ü x\n";
        // `# ` are two units in both; 𝄞 is 4 bytes or 2 UTF-16 units, ü 2 bytes or 1 unit.
        assert_eq!(at(text, 1, 5, Encoding::Utf16), text.find(" x").unwrap());
        assert_eq!(at(text, 1, 8, Encoding::Utf8), text.find(" x").unwrap());
    }

    #[test]
    fn positions_outside_of_the_text_are_moved_into_it() {
        let text = "ab\r\ncd";
        assert_eq!(at(text, 0, 99, Encoding::Utf16), 2, "the end of the line, before its break");
        assert_eq!(at(text, 9, 0, Encoding::Utf16), text.len());
        assert_eq!(at("𝄞", 0, 1, Encoding::Utf16), 0, "inside a surrogate pair");
        assert_eq!(at("ü", 0, 1, Encoding::Utf8), 0, "inside a character");
        assert_eq!(at("", 0, 0, Encoding::Utf16), 0);
    }

    #[test]
    fn utf_32_is_spoken_only_where_the_client_likes_nothing_better() {
        use PositionEncodingKind as Kind;
        for (offered, expected) in [
            (vec![], Encoding::Utf16),
            (vec![Kind::UTF16, Kind::UTF32], Encoding::Utf16),
            (vec![Kind::UTF32, Kind::UTF16], Encoding::Utf32),
            (vec![Kind::UTF32, Kind::UTF16, Kind::UTF8], Encoding::Utf8),
        ] {
            assert_eq!(Encoding::negotiate(Some(&offered)), expected, "{offered:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn offsets_and_positions_are_inverse(text in line_breaks_and_wide_characters()) {
            let lines = LineIndex::new(&text);
            for encoding in Encoding::ALL {
                for index in (0..=text.len()).filter(|&index| text.is_char_boundary(index)) {
                    // A line ends before its break, whatever that is made of.
                    let in_break = text[..index].ends_with('\r') && text[index..].starts_with('\n');
                    let there = position(&lines, TextSize::try_from(index).unwrap(), encoding);
                    let back = offset(&text, &lines, there, encoding);
                    prop_assert_eq!(back, if in_break { index - 1 } else { index }, "{:?}", encoding);
                }
            }
        }

        #[test]
        fn any_position_is_in_the_text(
            text in line_breaks_and_wide_characters(),
            line in 0..8_u32,
            character in prop_oneof![0..12_u32, Just(u32::MAX)],
        ) {
            let lines = LineIndex::new(&text);
            for encoding in Encoding::ALL {
                let here = offset(&text, &lines, Position::new(line, character), encoding);
                prop_assert!(text.is_char_boundary(here));
                let there = position(&lines, TextSize::try_from(here).unwrap(), encoding);
                prop_assert!(there.line <= line, "never on a later line");
                if there.line == line {
                    prop_assert!(there.character <= character, "never further to the right");
                }
            }
        }
    }
}
