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
}

impl Encoding {
    /// UTF-8 where the client offers it, for then nothing needs to be counted.
    pub(crate) fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        if offered.is_some_and(|kinds| kinds.contains(&PositionEncodingKind::UTF8)) {
            Self::Utf8
        } else {
            Self::Utf16
        }
    }

    /// Its name in the protocol.
    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }
}

/// The byte offset of a position. One past the end of its line means that end, one past the last line the end of the
/// text, and one inside a character that character's start: clients may send all of these.
pub(crate) fn offset(text: &str, lines: &LineIndex, position: Position, encoding: Encoding) -> usize {
    let Some(range) = lines.line(position.line) else { return text.len() };
    let (start, end) = (usize::from(range.start()), usize::from(range.end()));
    let line = text.get(start..end).unwrap_or_default();
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    let wanted = position.character as usize;
    let column = match encoding {
        Encoding::Utf8 => line.floor_char_boundary(wanted),
        Encoding::Utf16 => {
            let mut units = 0;
            line.char_indices()
                .find(|(_, c)| {
                    units += c.len_utf16();
                    units > wanted
                })
                .map_or(line.len(), |(index, _)| index)
        }
    };
    start + column
}

/// The position of a byte offset; the end of the text for one past it.
pub(crate) fn position(lines: &LineIndex, offset: TextSize, encoding: Encoding) -> Position {
    let LineCol { line, col } =
        lines.try_line_col(offset.min(lines.len())).unwrap_or(LineCol { line: 0, col: 0 });
    match encoding {
        Encoding::Utf8 => Position::new(line, col),
        Encoding::Utf16 => lines
            .to_wide(WideEncoding::Utf16, LineCol { line, col })
            .map_or(Position::new(line, col), |wide| Position::new(wide.line, wide.col)),
    }
}

/// The LSP range of a text range.
pub(crate) fn range(lines: &LineIndex, range: TextRange, encoding: Encoding) -> Range {
    Range::new(position(lines, range.start(), encoding), position(lines, range.end(), encoding))
}

/// The text range of an LSP range; an inverted one is empty.
pub(crate) fn text_range(text: &str, lines: &LineIndex, range: Range, encoding: Encoding) -> TextRange {
    let start = offset(text, lines, range.start, encoding);
    let end = offset(text, lines, range.end, encoding).max(start);
    // Texts of 4 GiB and more are not opened (see `workspace::LIMIT`), so the conversion cannot fail.
    let size = |n: usize| TextSize::try_from(n).unwrap_or_default();
    TextRange::new(size(start), size(end))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn offsets_and_positions_are_inverse() {
        let text = "{\n  # ü 𝄞\n  a = 1;\n}\n";
        let lines = LineIndex::new(text);
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            for (index, _) in text.char_indices() {
                let there = position(&lines, TextSize::try_from(index).unwrap(), encoding);
                assert_eq!(offset(text, &lines, there, encoding), index, "{encoding:?}");
            }
        }
    }
}
