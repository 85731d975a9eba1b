//! Go to definition: of an import the file, of a flake's module output its file, of a secret that is read its
//! declaration.

use crate::modules::Modules;
use crate::syntax::option_at;
use crate::{Document, Files, Target, TextRange, TextSize};
use codchi_module::SecretSpelling;
use rowan::ast::AstNode;
use std::path::Path;

pub(crate) fn definition(files: &dyn Files, path: &Path, offset: TextSize) -> Vec<Target> {
    let Some(document) = files.document(path) else { return Vec::new() };
    let facts = document.facts();
    let imports = facts.imports.iter().map(|import| (import.range, Some(&import.path)));
    let outputs = facts.flake_modules.iter().map(|module| (module.range, module.file.as_ref()));
    let written = imports.chain(outputs).find(|(range, _)| range.contains_inclusive(offset));
    if let Some((origin, written)) = written {
        let file = written.and_then(|written| Modules::new(files).file(path, written));
        let target = |path| Target { origin, path, range: TextRange::default() };
        return file.map(target).into_iter().collect();
    }
    let root = document.root();
    if let Some(at) = option_at(root.syntax(), offset)
        && let Some((name, spelling)) = secret_of(&at.path.0)
        && at.read
    {
        return declarations(files, path, name, spelling, at.range);
    }
    named(files, path, &document, offset)
}

/// Where the secret of a variable is declared, or what binds the name.
fn named(files: &dyn Files, path: &Path, document: &Document, offset: TextSize) -> Vec<Target> {
    let variable = document.facts().secret_uses.iter().find(|used| used.range.contains_inclusive(offset));
    if let Some(used) = variable {
        let spellings = [SecretSpelling::Plain, SecretSpelling::Env, SecretSpelling::File];
        let of = |spelling| declarations(files, path, &used.name, spelling, used.range);
        return spellings.into_iter().flat_map(of).collect();
    }
    let Some(name) = document.name_at(offset) else { return Vec::new() };
    let Some(origin) = name.places.iter().find(|place| place.range.contains_inclusive(offset)) else {
        return Vec::new();
    };
    let target = |range| Target { origin: origin.range, path: path.to_owned(), range };
    name.places.iter().filter(|place| place.is_definition).map(|place| target(place.range)).collect()
}

/// The secret that the last name of the path is, if it is one.
fn secret_of(path: &[String]) -> Option<(&str, SecretSpelling)> {
    match path {
        [_, secrets, spelling, name] if secrets == "secrets" && spelling == "env" => {
            Some((name.as_str(), SecretSpelling::Env))
        }
        [_, secrets, spelling, name] if secrets == "secrets" && spelling == "file" => {
            Some((name.as_str(), SecretSpelling::File))
        }
        [_, secrets, name] if secrets == "secrets" && name != "env" && name != "file" => {
            Some((name.as_str(), SecretSpelling::Plain))
        }
        _ => None,
    }
}

/// Where the modules that the file belongs to declare the secret.
fn declarations(
    files: &dyn Files,
    path: &Path,
    name: &str,
    spelling: SecretSpelling,
    origin: TextRange,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for file in Modules::new(files).related(path).iter() {
        let Some(facts) = files.facts(file) else { continue };
        let secrets = facts.secrets.iter();
        let declared = secrets.filter(|secret| secret.name == name && secret.spelling == spelling);
        targets.extend(declared.map(|secret| Target {
            origin,
            path: file.to_path_buf(),
            range: secret.name_range,
        }));
    }
    targets
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).definition());
    }

    #[test]
    fn an_import_leads_to_its_file_and_a_folder_to_its_default() {
        check(
            "//- /a/codchi.nix\n{ imports = [ ./b$0.nix ./c ]; }\n//- /a/b.nix\n{ }",
            expect![[r#"
            ./b.nix -> /a/b.nix ""
        "#]],
        );
        check(
            "//- /a/codchi.nix\n{ imports = [ ./b.nix ./c$0 ]; }\n//- /a/c/default.nix\n{ }",
            expect![[r#"
                ./c -> /a/c/default.nix ""
            "#]],
        );
        check("//- /a/codchi.nix\n{ imports = [ ./gone$0.nix ]; }", expect![[r#""#]]);
    }

    #[test]
    fn a_module_output_leads_to_its_file() {
        check(
            "//- /a/flake.nix\n{ outputs = _: { nixosModules.def$0ault = ./codchi.nix; }; }\n//- /a/codchi.nix\n{ }",
            expect![[r#"
                default -> /a/codchi.nix ""
            "#]],
        );
    }

    #[test]
    fn a_secret_that_is_read_leads_to_its_declaration() {
        check(
            "//- /a/codchi.nix\n{ imports = [ ./b.nix ]; codchi.secrets.TOKEN.description = \"a\"; }\n//- /a/b.nix\n{ config, ... }: { x = config.codchi.secrets.TOK$0EN.description; }",
            expect![[r#"
                TOKEN -> /a/codchi.nix "TOKEN"
            "#]],
        );
        check("{ codchi.secrets.TOK$0EN.description = \"a\"; }", expect![[r#""#]]);
    }
}
