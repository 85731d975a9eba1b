//! The outline: the file's bindings as they are nested, secrets marked as such.

use crate::{Files, Symbol, SymbolKind, TextSize};
use codchi_module::Binding;
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) fn symbols(files: &dyn Files, path: &Path) -> Vec<Symbol> {
    let Some(document) = files.document(path) else { return Vec::new() };
    let facts = document.facts();
    let secrets: BTreeSet<TextSize> = facts.secrets.iter().map(|secret| secret.name_range.start()).collect();
    document.outline().iter().filter_map(|binding| symbol(binding, &secrets)).collect()
}

fn symbol(binding: &Binding, secrets: &BTreeSet<TextSize>) -> Option<Symbol> {
    // An editor refuses an outline with a name that is empty.
    if binding.name.trim().is_empty() {
        return None;
    }
    let children: Vec<Symbol> = binding.children.iter().filter_map(|child| symbol(child, secrets)).collect();
    let names = binding.name_range;
    // A dotted path with a secret's name in it declares the secret.
    let is_secret = secrets.range(names.start()..names.end()).next().is_some();
    let kind = match (is_secret, children.is_empty()) {
        (true, _) => SymbolKind::Secret,
        (false, true) => SymbolKind::Value,
        (false, false) => SymbolKind::Set,
    };
    Some(Symbol {
        name: binding.name.clone(),
        kind,
        range: binding.range,
        name_range: binding.name_range,
        children,
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).symbols());
    }

    #[test]
    fn bindings_are_nested_and_secrets_are_marked() {
        check(
            "{ pkgs, ... }: {\n  imports = [ ./a.nix ];\n  codchi.secrets.env.A.description = \"a\";\n  codchi.secrets = {\n    B = { description = \"b\"; required = false; };\n    file.C = { };\n  };\n  codchi.gpu.enable = true;\n}",
            expect![[r#"
                imports (Value)
                codchi.secrets.env.A.description (Secret)
                codchi.secrets (Set)
                  B (Secret)
                    description (Value)
                    required (Value)
                  file.C (Secret)
                codchi.gpu.enable (Value)
            "#]],
        );
    }

    #[test]
    fn half_typed_text_has_an_outline_without_empty_names() {
        check(
            "{ = 1; a = ; codchi. = { b = 2; }; }",
            expect![[r#"
            = 1; a (Value)
        "#]],
        );
    }
}
