//! Places in source files, however a version of Nix spells them.

use crate::Position;
use crate::elsewhere::outside;

impl Position {
    /// From the fields of a log entry. Some versions put `FILE:LINE:COLUMN` into `file`; sources that are no files
    /// (`«string»`, `(stdin)`) have no position.
    pub(crate) fn from_fields(file: &str, line: Option<u32>, column: Option<u32>) -> Option<Self> {
        if let Some(position) = Self::parse(file)
            && line.is_none_or(|line| line == position.line)
        {
            return Some(position);
        }
        let file = outside(file).into_owned();
        file.has_root().then_some(())?;
        Some(Self { file, line: line?, column: column.unwrap_or(1) })
    }

    /// Reads `/FILE:LINE:COLUMN`, with or without a colon at the end.
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix(':').unwrap_or(text);
        let (rest, column) = text.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        let file = outside(file).into_owned();
        file.has_root().then_some(())?;
        Some(Self { file, line: line.parse().ok()?, column: column.parse().ok()? })
    }

    /// The first `at /FILE:LINE:COLUMN` in a message.
    pub(crate) fn find(message: &str) -> Option<Self> {
        message.match_indices("at /").find_map(|(start, _)| {
            let place = message.get(start + 3..)?;
            Self::parse(place.lines().next()?.trim_end().trim_end_matches([',', '.']))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, line: u32, column: u32) -> Option<Position> {
        Some(Position { file: file.into(), line, column })
    }

    #[test]
    fn both_spellings_of_a_position_are_read() {
        assert_eq!(Position::from_fields("/a/b.nix", Some(5), Some(28)), at("/a/b.nix", 5, 28));
        assert_eq!(Position::from_fields("/a/b.nix:5:28", Some(5), Some(28)), at("/a/b.nix", 5, 28));
        assert_eq!(Position::from_fields("/a/b.nix:5:28", None, None), at("/a/b.nix", 5, 28));
    }

    #[test]
    fn a_file_whose_name_looks_like_a_position_is_still_a_file() {
        assert_eq!(Position::from_fields("/a/b:1:2", Some(7), Some(3)), at("/a/b:1:2", 7, 3));
    }

    #[test]
    fn what_is_no_file_has_no_position() {
        for file in ["«string»", "(string)", "«none»", "", "«string»:1:1"] {
            assert_eq!(Position::from_fields(file, Some(1), Some(1)), None, "{file}");
        }
    }

    #[test]
    fn a_position_is_found_in_a_message() {
        assert_eq!(Position::find("undefined variable 'x' at /a b/c.nix:3:4"), at("/a b/c.nix", 3, 4));
        assert_eq!(Position::find("oops\n\n  at /a.nix:3:4:\n\n  2| x"), at("/a.nix", 3, 4));
        assert_eq!(Position::find("look at /a.nix for help"), None);
    }
}
