//! Which files a text names, wherever that is: what an evaluation may read beside what is imported.

use crate::Document;
use rnix::SyntaxKind::{TOKEN_INTERPOL_START, TOKEN_PATH_REL};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The relative paths in a text, as written; without those that only an evaluation knows (`./${name}.nix`), and none of a
/// text that is too much for the parser. No tree is made.
#[must_use]
pub fn relative_paths(text: &str) -> BTreeSet<&str> {
    let mut paths = BTreeSet::new();
    if !Document::is_readable(text) {
        return paths;
    }
    let mut path = None;
    // After an interpolation comes the rest of the same path.
    let mut is_whole = true;
    for (kind, token) in rnix::tokenize(text) {
        match kind {
            TOKEN_INTERPOL_START => path = None,
            _ => paths.extend(path.take()),
        }
        if kind == TOKEN_PATH_REL && is_whole {
            path = Some(token);
        }
        is_whole = kind != rnix::SyntaxKind::TOKEN_INTERPOL_END;
    }
    paths.extend(path);
    paths
}

/// The path without `.` and `..`, by its text alone.
#[must_use]
pub fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(relative_paths(text), expected.iter().copied().collect(), "{text}");
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        check(
            "let x = import ./x.nix; in { imports = [ ../a ./b/c.nix ]; }",
            &["../a", "./b/c.nix", "./x.nix"],
        );
        check("pkgs.callPackage ./p.nix { a = \"${builtins.readFile ./q.nix}\"; }", &["./p.nix", "./q.nix"]);
        check("{ half = import ./x.nix; typed", &["./x.nix"]);
        check("./last.nix", &["./last.nix"]);
    }

    #[test]
    fn what_is_no_relative_path_or_only_a_part_of_one_is_none() {
        check("# ./a.nix\n/* ./b.nix */ [ \"./c.nix\" ''./d.nix'' /e.nix ~/f.nix <g.nix> ]", &[]);
        check("[ ./${name}.nix ./a/${name}/b.nix ./c.nix ]", &["./c.nix"]);
    }

    #[test]
    fn a_text_that_is_too_much_for_the_parser_names_none() {
        check(&format!("{} ./a.nix", "[".repeat(100_000)), &[]);
    }
}
