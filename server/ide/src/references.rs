//! References: every place of the secret, or of the name, at a position. Secrets are followed across files: where they are
//! declared, where `config.codchi.secrets` is read, and `$CODCHI_NAME` in strings.

use crate::modules::Modules;
use crate::{Files, Reference, TextRange, TextSize, World};
use codchi_module::{Facts, OptionUse};
use std::collections::BTreeSet;
use std::path::Path;

/// All places of what is at `offset`, by file and in order of the text.
pub(crate) fn references(files: &dyn Files, world: &World, path: &Path, offset: TextSize) -> Vec<Reference> {
    let Some(facts) = files.facts(path) else { return Vec::new() };
    match secret_at(&facts, offset) {
        Some((name, _)) => secret(files, world, path, &name),
        None => named(files, path, offset),
    }
}

/// The secret at `offset`, and the range of its name there.
pub(crate) fn secret_at(facts: &Facts, offset: TextSize) -> Option<(String, TextRange)> {
    places(facts)
        .into_iter()
        .find(|(_, range, _)| range.contains_inclusive(offset))
        .map(|(name, range, _)| (name, range))
}

/// The names of secrets in a file: where they are, and whether they are declared there.
fn places(facts: &Facts) -> Vec<(String, TextRange, bool)> {
    let declared = facts.options.iter().filter_map(declared);
    let declared =
        declared.chain(facts.secrets.iter().map(|secret| (secret.name.clone(), secret.name_range)));
    let used = facts.secret_uses.iter().map(|used| (used.name.clone(), used.range, false));
    let mut places: Vec<_> = declared.map(|(name, range)| (name, range, true)).chain(used).collect();
    places.sort_by_key(|(_, range, declared)| (range.start(), !declared));
    places.dedup_by_key(|(_, range, _)| *range);
    places
}

/// The secret whose option is defined, where its name is written at this definition.
pub(crate) fn declared(used: &OptionUse) -> Option<(String, TextRange)> {
    let names: Vec<&str> = used.path.0.iter().map(String::as_str).collect();
    let at = match names.as_slice() {
        ["codchi", "secrets", "env" | "file", _, ..] => 3,
        ["codchi", "secrets", "env" | "file"] => return None,
        ["codchi", "secrets", _, ..] => 2,
        _ => return None,
    };
    let index = (at + used.segments.len()).checked_sub(names.len())?;
    Some((names.get(at).map(|name| (*name).to_owned())?, *used.segments.get(index)?))
}

fn secret(files: &dyn Files, world: &World, path: &Path, name: &str) -> Vec<Reference> {
    let modules = Modules::new(files);
    let mut paths: BTreeSet<_> =
        modules.evaluated_with(world, path).iter().map(|file| file.to_path_buf()).collect();
    paths.insert(path.to_owned());
    let mut found = Vec::new();
    for path in paths {
        let Some(facts) = files.facts(&path) else { continue };
        let places = places(&facts).into_iter().filter(|(other, ..)| other == name);
        found.extend(places.map(|(_, range, is_definition)| Reference {
            path: path.clone(),
            range,
            is_definition,
        }));
    }
    found
}

fn named(files: &dyn Files, path: &Path, offset: TextSize) -> Vec<Reference> {
    let Some(name) = files.document(path).and_then(|document| document.name_at(offset)) else {
        return Vec::new();
    };
    let places = name.places.into_iter();
    places
        .map(|place| Reference {
            path: path.to_owned(),
            range: place.range,
            is_definition: place.is_definition,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).references());
    }

    #[test]
    fn a_secret_is_followed_across_files_and_spellings() {
        check(
            "{ config, ... }: { imports = [ ./b.nix ]; codchi.secrets.TOK$0EN.description = \"a\"; codchi.secrets = { TOKEN.required = \
             false; OTHER = { }; }; a = config.codchi.secrets.TOKEN.path; }\n\
             //- /project/b.nix\n{ codchi.initScript = \"$CODCHI_TOKEN \\${CODCHI_TOKEN} $CODCHI_TOKEN2\"; }\n\
             //- /elsewhere/c.nix\n{ codchi.secrets.TOKEN.description = \"another\"; }",
            expect![[r#"
                /project/b.nix   … = "$CODCHI_‹TOKEN›
                /project/b.nix   …N \${CODCHI_‹TOKEN›
                /project/codchi.nix = …chi.secrets.‹TOKEN›
                /project/codchi.nix = …secrets = { ‹TOKEN›
                /project/codchi.nix   …chi.secrets.‹TOKEN›
            "#]],
        );
        check(
            "{ codchi.secrets.env.A.description = \"a\"; b = \"$CODCHI_$0A\"; }",
            expect![[r#"
            /project/codchi.nix = …secrets.env.‹A›
            /project/codchi.nix   … = "$CODCHI_‹A›
        "#]],
        );
    }

    #[test]
    fn a_name_is_followed_in_its_scope() {
        check(
            "let a = 1; in { b = a$0; c = let a = 2; in a; }",
            expect![[r#"
            /project/codchi.nix = …let ‹a›
            /project/codchi.nix   …1; in { b = ‹a›
        "#]],
        );
        check("{ a$0 = 1; }", expect![""]);
    }

    #[test]
    fn arguments_are_followed_through_defaults_patterns_and_inherits() {
        check(
            "{ a, b ? a, ... }@args: let c = a$0; in { inherit a; d = args.a; e = { a }: a; }",
            expect![[r#"
                /project/codchi.nix = …{ ‹a›
                /project/codchi.nix   …{ a, b ? ‹a›
                /project/codchi.nix   …gs: let c = ‹a›
                /project/codchi.nix   …n { inherit ‹a›
            "#]],
        );
        check(
            "{ a, ... }@args: [ args$0.a (x: args) ]",
            expect![[r#"
            /project/codchi.nix = …{ a, ... }@‹args›
            /project/codchi.nix   …. }@args: [ ‹args›
            /project/codchi.nix   … args.a (x: ‹args›
        "#]],
        );
        check(
            "x: y: [ x$0 (x: x) y ]",
            expect![[r#"
            /project/codchi.nix = …‹x›
            /project/codchi.nix   …x: y: [ ‹x›
        "#]],
        );
        check(
            "let inherit (b) a; b = { a = 1; }; in [ a$0 b.a \"${toString a}\" ]",
            expect![[r#"
            /project/codchi.nix = …inherit (b) ‹a›
            /project/codchi.nix   … 1; }; in [ ‹a›
            /project/codchi.nix   …"${toString ‹a›
        "#]],
        );
        check(
            "rec { a = 1; b = a$0; c.a = 2; }",
            expect![[r#"
            /project/codchi.nix = …rec { ‹a›
            /project/codchi.nix   … a = 1; b = ‹a›
        "#]],
        );
        check(
            "let a.b = 1; a.c = 2; in a$0.b",
            expect![[r#"
            /project/codchi.nix = …let ‹a›
            /project/codchi.nix = …et a.b = 1; ‹a›
            /project/codchi.nix   …a.c = 2; in ‹a›
        "#]],
        );
    }
}
