//! Go to definition: of an import the file, of a flake's module output its file, of a secret that is read and of any
//! option its declaration.

use crate::catalogue::option_at;
use crate::modules::Modules;
use crate::syntax::option_at as codchi_option_at;
use crate::{Document, Files, Place, Target, TextRange, TextSize, World};
use codchi_module::SecretSpelling;
use rowan::ast::AstNode;
use std::path::Path;

pub(crate) fn definition(files: &dyn Files, world: &World, path: &Path, offset: TextSize) -> Vec<Target> {
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
    if let Some(at) = codchi_option_at(root.syntax(), offset)
        && let Some((name, spelling)) = secret_of(&at.path.0)
        && at.read
    {
        return declarations(files, path, name, spelling, at.range);
    }
    let named = named(files, path, &document, offset);
    if named.is_empty() { declared(files, world, path, &document, offset) } else { named }
}

/// Where the option is declared, as far as that can be read.
fn declared(
    files: &dyn Files,
    world: &World,
    path: &Path,
    document: &Document,
    offset: TextSize,
) -> Vec<Target> {
    let Some((name, option)) = option_at(files, world, path, document, offset) else { return Vec::new() };
    let target = |place: &Place| {
        let there = files.document(&place.path)?;
        Some(Target { origin: name.range, path: place.path.clone(), range: range(&there, place)? })
    };
    option.declarations.iter().filter_map(target).collect()
}

/// The word at a place.
fn range(document: &Document, place: &Place) -> Option<TextRange> {
    let line = document.lines().line(place.line.checked_sub(1)?)?;
    let start = line.start() + TextSize::new(place.column.saturating_sub(1));
    let rest = document.text().get(usize::from(start)..usize::from(line.end()))?;
    let len = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | ';' | '{')).unwrap_or(rest.len());
    Some(TextRange::at(start, TextSize::try_from(len).ok()?))
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
    use crate::World;
    use crate::fixture::{Fixture, Table};
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).definition());
    }

    #[test]
    fn an_option_leads_to_where_it_is_declared() {
        let table = "services.nginx.enable = boolean\n  at: /nix/store/x/nginx.nix:3:5\n  at: /nix/store/x/gone.nix:1:1\n\
                     services.nginx.user = string\n  at: /nix/store/x/nginx.nix:300:5\n";
        let declared = "//- /nix/store/x/nginx.nix\n{\n  options.services.nginx = {\n    enable = mkEnableOption { };\n  };\n}\n";
        let check = |text: &str, expected: Expect| {
            let catalogues = [(("/project".into(), None), Arc::new(Table::new(table)) as _)].into();
            let fixture = Fixture::new(&format!("//- /project/codchi.nix\n{text}\n{declared}"));
            expected.assert_eq(&fixture.with(World { catalogues, ..World::default() }).definition());
        };
        check(
            "{ services.nginx.ena$0ble = true; }",
            expect![[r#"
            enable -> /nix/store/x/nginx.nix "enable"
        "#]],
        );
        check(
            "{ config, ... }: { a = config.services.nginx.ena$0ble; }",
            expect![[r#"
            enable -> /nix/store/x/nginx.nix "enable"
        "#]],
        );
        check("{ services.nginx.us$0er = \"a\"; }", expect![""]);
        check("{ services.ng$0inx.enable = true; }", expect![""]);
        check(
            "{ config, ... }: let c$0fg = config.services.nginx; in { a = cfg.enable; }",
            expect![[r#"
            cfg -> /project/codchi.nix "cfg"
        "#]],
        );
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
