//! Where in the user's files an error is about an option, which Nix says without line or column.

use codchi_module::{Binding, Document};
use codchi_nix::Position;
use std::path::{Path, PathBuf};

/// The place of the definition that `message` is about: of its option in the first of its files that can be read.
/// The file's beginning where the definition is not written out there.
pub(crate) fn definition(message: &str) -> Option<Position> {
    let file = quoted(message).filter(|text| text.starts_with('/')).find_map(readable)?;
    let document = Document::new(std::fs::read_to_string(&file).ok()?);
    let option = message.split_once("option `").and_then(|(_, rest)| rest.split(['\'', '`']).next());
    let offset = option.and_then(|option| {
        let option: Vec<_> = option.split('.').collect();
        find(document.outline(), &option, false)
    });
    Some(position(&document, file, offset.unwrap_or_default()))
}

/// The place in `text` where `option`, or something below it, is defined in so many words. The file is left empty.
pub(crate) fn exactly(text: &str, option: &[&str]) -> Option<Position> {
    let document = Document::new(text.to_owned());
    let offset = find(document.outline(), option, true)?;
    Some(position(&document, PathBuf::new(), offset))
}

fn position(document: &Document, file: PathBuf, offset: codchi_module::TextSize) -> Position {
    let place = document.lines().line_col(offset);
    let text = document.text().lines().nth(place.line as usize).unwrap_or_default();
    let column = text.get(..place.col as usize).map_or(0, |before| before.chars().count());
    Position { file, line: place.line + 1, column: u32::try_from(column + 1).unwrap_or(1) }
}

/// What stands between a backtick and an apostrophe.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).filter_map(|rest| rest.split_once('\'').map(|(text, _)| text))
}

/// The file; some versions of the module system add `, via …` to its name.
fn readable(text: &str) -> Option<PathBuf> {
    let path = Path::new(text.split(", via ").next().unwrap_or(text));
    path.is_file().then(|| path.to_owned())
}

/// Where the definition of `option`, or of something below it, begins; unless `exactly`, also of something around it.
fn find(bindings: &[Binding], option: &[&str], exactly: bool) -> Option<codchi_module::TextSize> {
    bindings.iter().find_map(|binding| {
        let mut rest = option;
        let names = binding.name.split('.').map(|name| name.trim().trim_matches('"'));
        for (index, name) in names.enumerate() {
            match rest.split_first() {
                Some((first, others)) if *first == name => rest = others,
                None => break,
                Some(_) if index == 0 && name == "config" => {}
                Some(_) => return None,
            }
        }
        if rest.is_empty() {
            return Some(binding.name_range.start());
        }
        // Of a set that says something else too, only the part that is meant.
        find(&binding.children, rest, exactly)
            .or_else(|| (!exactly && binding.children.is_empty()).then(|| binding.name_range.start()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, message: &str) -> Option<(u32, u32)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codchi.nix");
        std::fs::write(&file, text).unwrap();
        let message = message.replace("FILE", &file.display().to_string());
        definition(&message).map(|position| {
            assert_eq!(position.file, file);
            (position.line, position.column)
        })
    }

    #[test]
    fn a_definition_is_found_however_it_is_written() {
        let message = "A definition for option `codchi.secrets.A.required' is not of type `boolean'. Definition \
                       values:\n- In `FILE': \"yes\"";
        let cases = [
            ("{ ... }: {\n  codchi.secrets.A.required = 1;\n}", (2, 3)),
            (
                "{ lib, ... }: {\n  x = 1;\n  codchi.secrets = lib.mkIf true {\n    A = { required = 1; };\n  };\n}",
                (4, 11),
            ),
            ("{\n  /* ä */ config.codchi.secrets.\"A\" = { required = 1; };\n}", (2, 41)),
            ("let a = 1; in {\n  codchi.secrets.A = f 1;\n}", (2, 3)),
            ("{\n  other = 1;\n}", (1, 1)),
        ];
        for (text, expected) in cases {
            assert_eq!(place(text, message), Some(expected), "{text}");
        }
    }

    #[test]
    fn of_an_unknown_option_the_place_is_what_defines_something_below() {
        let message = "The option `codchi.secretz' does not exist. Definition values:\n- In `FILE': { }";
        assert_eq!(place("{ codchi.secrets.B = { };\n  codchi.secretz.A = { }; }", message), Some((2, 3)));
    }

    #[test]
    fn a_message_that_names_no_file_of_the_user_has_no_place() {
        for message in
            ["undefined variable 'x'", "The option `x' does not exist. - In `/nowhere/a.nix': 1", "`/"]
        {
            assert_eq!(definition(message), None, "{message}");
        }
    }
}
