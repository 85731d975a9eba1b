//! Symbols of the workspace: the secrets that are declared, the options that modules define for codchi, and the module
//! outputs of flakes.

use crate::{Files, SymbolKind, WorkspaceSymbol};

/// So many are answered with.
const MOST: usize = 256;

/// The symbols whose name has the letters of `query` in this order, whatever their case; the nearest first.
pub(crate) fn workspace_symbols(files: &dyn Files, query: &str) -> Vec<WorkspaceSymbol> {
    let mut found = Vec::new();
    for path in files.nix_files() {
        let Some(facts) = files.facts(&path) else { continue };
        let mut add = |name: &str, container: &str, range, kind| {
            if let Some(distance) = distance(query, name) {
                let symbol = WorkspaceSymbol {
                    name: name.to_owned(),
                    container: container.to_owned(),
                    path: path.to_path_buf(),
                    range,
                    kind,
                };
                found.push((distance, symbol));
            }
        };
        for secret in &facts.secrets {
            add(&secret.name, "codchi.secrets", secret.name_range, SymbolKind::Secret);
        }
        for module in &facts.flake_modules {
            add(&module.name, &module.kind, module.range, SymbolKind::Set);
        }
        for option in &facts.options {
            let is_value = option.value != codchi_module::Literal::Set;
            let is_secret = option.path.0.get(1).is_some_and(|name| name == "secrets");
            if let (true, false, Some(range)) = (is_value, is_secret, option.segments.last()) {
                add(&option.path.to_string(), "", *range, SymbolKind::Value);
            }
        }
    }
    found.sort_by(|(a, x), (b, y)| {
        (a, &x.name, &x.path, x.range.start()).cmp(&(b, &y.name, &y.path, y.range.start()))
    });
    found.into_iter().map(|(_, symbol)| symbol).take(MOST).collect()
}

/// How many letters of `name` are passed over before the last one of `query`; `None` where they are not all there.
fn distance(query: &str, name: &str) -> Option<usize> {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    let mut passed = 0;
    for wanted in query.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase) {
        while letters.next()? != wanted {
            passed += 1;
        }
    }
    Some(passed)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::expect;

    #[test]
    fn symbols_are_found_by_letters_of_their_names_the_nearest_first() {
        let text = "{ codchi.secrets.NPM_TOKEN.description = \"a\"; codchi.secrets.TOKEN = { }; codchi.gpu.enable = true; }\n\
                    //- /project/flake.nix\n{ outputs = _: { nixosModules.node = ./codchi.nix; }; }";
        let fixture = Fixture::new(text);
        let names = |query: &str| -> Vec<String> {
            let found = fixture.analysis().workspace_symbols(query);
            found.into_iter().map(|symbol| format!("{} {}", symbol.container, symbol.name)).collect()
        };
        expect![[r#"
            codchi.secrets NPM_TOKEN
            codchi.secrets TOKEN
             codchi.gpu.enable
            nixosModules node"#]]
        .assert_eq(&names("").join("\n"));
        expect![[r#"
            codchi.secrets TOKEN
            codchi.secrets NPM_TOKEN"#]]
        .assert_eq(&names("tok").join("\n"));
        assert!(names("xyz").is_empty());
    }
}
