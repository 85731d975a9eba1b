//! Rename: of a secret across files, of what a `let` or a function binds within its file.
//!
//! Whether a new name keeps its meaning is not reasoned about but tried: the text with the new name must bind the same
//! places.

use crate::references::{references, secret_at};
use crate::{Document, Edit, Files, TextRange, TextSize, World};
use codchi_module::{Name, NameKind, Rebinding, is_identifier};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is renamed at `offset`: its range and its name. The error says why nothing can be.
pub(crate) fn prepare(
    files: &dyn Files,
    path: &Path,
    offset: TextSize,
) -> Result<(TextRange, String), String> {
    let document = files.document(path).ok_or("the file cannot be read")?;
    if let Some((name, range)) = files.facts(path).and_then(|facts| secret_at(&facts, offset)) {
        let written = &document.text()[range];
        // Without the quotes, which go with the old name.
        let inner = if written.starts_with('"') && written.len() > 1 {
            TextRange::new(range.start() + TextSize::of('"'), range.end() - TextSize::of('"'))
        } else {
            range
        };
        return Ok((inner, name));
    }
    let name = document
        .name_at(offset)
        .ok_or("only secrets, and names that a `let` or a function binds, can be renamed")?;
    renamable(&name)?;
    let place = name.places.iter().find(|place| place.range.contains_inclusive(offset));
    let place = place.ok_or("only secrets, and names that a `let` or a function binds, can be renamed")?;
    Ok((place.range, name.text.clone()))
}

fn renamable(name: &Name) -> Result<(), String> {
    match name.kind {
        NameKind::Let | NameKind::Argument => Ok(()),
        NameKind::NamedArgument => Err(format!(
            "`{0}` cannot be renamed here: whoever calls the function names the argument `{0}`",
            name.text
        )),
        NameKind::RecursiveSet => Err(format!(
            "`{0}` cannot be renamed here: it is an attribute of a set, which others may read as `{0}`",
            name.text
        )),
    }
}

/// The edits that rename what is at `offset`, by file. The error says why it cannot be done, and then nothing changes.
pub(crate) fn rename(
    files: &dyn Files,
    world: &World,
    path: &Path,
    offset: TextSize,
    new_name: &str,
) -> Result<BTreeMap<PathBuf, Vec<Edit>>, String> {
    let (_, old_name) = prepare(files, path, offset)?;
    if old_name == new_name {
        return Ok(BTreeMap::new());
    }
    let is_secret = files.facts(path).and_then(|facts| secret_at(&facts, offset)).is_some();
    if is_secret {
        return secret(files, world, path, offset, new_name);
    }
    let document = files.document(path).ok_or("the file cannot be read")?;
    let name = document.name_at(offset).ok_or("there is nothing to rename")?;
    Ok([(path.to_owned(), named(&document, &name, new_name)?)].into())
}

fn secret(
    files: &dyn Files,
    world: &World,
    path: &Path,
    offset: TextSize,
    new_name: &str,
) -> Result<BTreeMap<PathBuf, Vec<Edit>>, String> {
    let valid = new_name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && new_name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid || matches!(new_name, "env" | "file") {
        return Err(format!(
            "`{new_name}` cannot be a secret's name: it becomes the variable `$CODCHI_{new_name}`, so it is made of letters, \
             digits and `_`, does not begin with a digit, and is not `env` or `file`"
        ));
    }
    let mut edits: BTreeMap<PathBuf, Vec<Edit>> = BTreeMap::new();
    for place in references(files, world, path, offset) {
        // A keyword is a name of a secret as well, in quotes.
        let in_string = !place.is_definition
            && files.document(&place.path).is_some_and(|document| {
                let start = usize::from(place.range.start());
                document.text().get(..start).is_some_and(|before| before.ends_with("CODCHI_"))
            });
        let new_text = if in_string || is_identifier(new_name) {
            new_name.to_owned()
        } else {
            format!("\"{new_name}\"")
        };
        edits.entry(place.path).or_default().push(Edit { range: place.range, new_text });
    }
    let taken = edits
        .keys()
        .filter_map(|path| files.facts(path))
        .any(|facts| facts.secrets.iter().any(|secret| secret.name == new_name));
    if taken {
        return Err(format!("there is a secret `{new_name}` already"));
    }
    Ok(edits)
}

fn named(document: &Document, name: &Name, new_name: &str) -> Result<Vec<Edit>, String> {
    if !is_identifier(new_name) {
        return Err(format!("`{new_name}` is no name in Nix"));
    }
    let mut edits = Vec::new();
    let mut inherits: BTreeMap<(TextSize, TextSize), Vec<Rebinding>> = BTreeMap::new();
    for place in &name.places {
        match place.inherit {
            None => edits.push(Edit { range: place.range, new_text: new_name.to_owned() }),
            // What is bound keeps the name it is inherited by; what is used is bound to the name that it had.
            Some(inherit) => {
                let (left, right) =
                    if place.is_definition { (new_name, &*name.text) } else { (&*name.text, new_name) };
                let of = inherits.entry((inherit.start(), inherit.end())).or_default();
                of.push(Rebinding { range: place.range, name: left.to_owned(), value: right.to_owned() });
            }
        }
    }
    for ((start, end), names) in inherits {
        let range = TextRange::new(start, end);
        let new_text =
            document.spelled_out(range, &names).ok_or("an `inherit` of it cannot be written out")?;
        edits.push(Edit { range, new_text });
    }
    edits.sort_by_key(|edit| edit.range.start());
    check(document, name, new_name, &edits)?;
    Ok(edits)
}

/// Applies the edits and looks whether as many places are bound by the new name as were by the old one.
fn check(document: &Document, name: &Name, new_name: &str, edits: &[Edit]) -> Result<(), String> {
    let conflict =
        || format!("`{new_name}` means something else in a place where `{}` is used or bound", name.text);
    let first = edits.first().ok_or("there is nothing to rename")?;
    let mut text = document.text().to_owned();
    for edit in edits.iter().rev() {
        text.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
    }
    let at = first.new_text.find(new_name).and_then(|at| TextSize::try_from(at).ok()).ok_or_else(conflict)?;
    let renamed = Document::new(text);
    let now = renamed.name_at(first.range.start() + at).ok_or_else(conflict)?;
    let same = now.text == new_name && now.places.len() == name.places.len() && now.kind == name.kind;
    if same { Ok(()) } else { Err(conflict()) }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, new_name: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).rename(new_name));
    }

    #[test]
    fn a_secret_is_renamed_wherever_it_is_named() {
        check(
            "{ config, ... }: { codchi.secrets.\"TOK$0EN\".description = \"a\"; a = config.codchi.secrets.TOKEN.path; b = \"$CODCHI_TOKEN\"; }",
            "KEY",
            expect![[r#"
                { config, ... }: { codchi.secrets.KEY.description = "a"; a = config.codchi.secrets.KEY.path; b = "$CODCHI_KEY"; }
            "#]],
        );
        check(
            "{ codchi.secrets.A$0.description = \"a\"; b = \"$CODCHI_A\"; }",
            "let",
            expect![[r#"
            { codchi.secrets."let".description = "a"; b = "$CODCHI_let"; }
        "#]],
        );
        check(
            "{ codchi.secrets.A$0.description = \"a\"; codchi.secrets.B.description = \"b\"; }",
            "B",
            expect![[r#"
                refused: there is a secret `B` already
            "#]],
        );
        check(
            "{ codchi.secrets.A$0.description = \"a\"; }",
            "a-b",
            expect![[r#"
            refused: `a-b` cannot be a secret's name: it becomes the variable `$CODCHI_a-b`, so it is made of letters, digits and `_`, does not begin with a digit, and is not `env` or `file`
        "#]],
        );
    }

    #[test]
    fn what_a_let_binds_is_renamed_with_what_is_inherited() {
        check(
            "let a = 1; in { b = a$0; inherit a; inherit (x) a; }",
            "c",
            expect![[r#"
            let c = 1; in { b = c; a = c; inherit (x) a; }
        "#]],
        );
        check(
            "let inherit (lib) mkIf$0 mkMerge; in mkIf mkMerge",
            "when",
            expect![[r#"
            let inherit (lib) mkMerge; when = lib.mkIf; in when mkMerge
        "#]],
        );
        check(
            "x$0: x + 1",
            "y",
            expect![[r#"
            y: y + 1
        "#]],
        );
        check(
            "{ pkgs, ... }@a$0: a.pkgs",
            "args",
            expect![[r#"
            { pkgs, ... }@args: args.pkgs
        "#]],
        );
    }

    #[test]
    fn what_others_name_or_would_mean_something_else_is_not_renamed() {
        check(
            "{ pkgs$0, ... }: pkgs",
            "p",
            expect![[r#"
            refused: `pkgs` cannot be renamed here: whoever calls the function names the argument `pkgs`
        "#]],
        );
        check(
            "rec { a$0 = 1; b = a; }",
            "c",
            expect![[r#"
            refused: `a` cannot be renamed here: it is an attribute of a set, which others may read as `a`
        "#]],
        );
        check(
            "let a$0 = 1; in b: a",
            "b",
            expect![[r#"
            refused: `b` means something else in a place where `a` is used or bound
        "#]],
        );
        check(
            "let a$0 = 1; b = 2; in b",
            "b",
            expect![[r#"
            refused: `b` means something else in a place where `a` is used or bound
        "#]],
        );
        check(
            "let a$0 = 1; in a",
            "in",
            expect![[r#"
            refused: `in` is no name in Nix
        "#]],
        );
        check(
            "{ a$0 = 1; }",
            "c",
            expect![[r#"
            refused: only secrets, and names that a `let` or a function binds, can be renamed
        "#]],
        );
    }
}
