//! Any text at all: nothing panics, and what is said about it lies within it.

use crate::{Binding, Document, Facts, Literal, OptionPath, Options, TextRange};
use proptest::prelude::*;

/// A module with all that facts are made of, to be mangled.
const MODULE: &str = include_str!("robust.nix");

fn examine(text: &str) {
    let document = Document::new(text);
    let within = |range: TextRange| {
        let range = std::ops::Range::<usize>::from(range);
        assert!(text.get(range.clone()).is_some(), "{range:?} is not a part of {text:?}");
    };
    for error in document.syntax_errors() {
        within(error.range);
        assert!(!error.message.is_empty());
        assert!(!error.range.is_empty() || text.is_empty(), "{error:?} in {text:?}");
    }
    let Facts { options, secrets, capabilities, imports, flake_modules, .. } = document.facts();
    for option in options {
        assert!(option.segments.len() <= option.path.0.len() && !option.segments.is_empty(), "{option:?}");
        option.segments.iter().copied().for_each(within);
        within(option.value_range);
        literal(&option.value, &within);
        let _ = (Options::builtin().get(&option.path), Options::builtin().exists(&option.path));
    }
    for secret in secrets {
        within(secret.name_range);
        within(secret.range);
        secret.description.iter().for_each(|(_, range)| within(*range));
    }
    capabilities.iter().for_each(|capability| within(capability.range));
    imports.iter().for_each(|import| within(import.range));
    flake_modules.iter().for_each(|module| within(module.range));
    bindings(document.outline(), TextRange::up_to(crate::TextSize::of(text)), &within);
}

fn literal(value: &Literal, within: &dyn Fn(TextRange)) {
    if let Literal::List(items) = value {
        for (item, range) in items {
            within(*range);
            literal(item, within);
        }
    }
}

fn bindings(outline: &[Binding], around: TextRange, within: &dyn Fn(TextRange)) {
    for binding in outline {
        within(binding.range);
        assert!(around.contains_range(binding.range) && binding.range.contains_range(binding.name_range));
        bindings(&binding.children, binding.range, within);
    }
}

/// Pieces of Nix that mean something to the facts, in any order.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: [&str; 52] = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        ";",
        "=",
        ".",
        ":",
        ",",
        "?",
        "@",
        "...",
        "//",
        "++",
        "+",
        "-",
        "!",
        "\"",
        "''",
        "${",
        "#",
        "/*",
        "*/",
        "\n",
        " ",
        "let",
        "in",
        "rec",
        "with",
        "inherit",
        "if",
        "then",
        "else",
        "assert",
        "or",
        "codchi",
        "secrets",
        "env",
        "description",
        "imports",
        "config",
        "lib",
        "mkIf",
        "mkMerge",
        "outputs",
        "nixosModules",
        "./x",
        "é",
        "1",
        "\\",
    ];
    proptest::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)
        .prop_map(|pieces| pieces.join(" "))
}

/// The module with parts of it cut out, doubled or replaced.
fn mangled() -> impl Strategy<Value = String> {
    let edit = (0..MODULE.len(), 0..20_usize, pieces());
    proptest::collection::vec(edit, 1..4).prop_map(|edits| {
        let mut text = MODULE.to_owned();
        for (start, len, insert) in edits {
            let boundary =
                |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let range = boundary(start)..boundary(start + len);
            text.replace_range(range, &insert);
        }
        text
    })
}

#[test]
fn the_module_itself_is_nix() {
    let document = Document::new(MODULE);
    assert_eq!(document.syntax_errors(), []);
    let facts = document.facts();
    assert_eq!((facts.secrets.len(), facts.imports.len(), facts.capabilities.len()), (3, 3, 3));
    examine(MODULE);
}

#[test]
fn every_beginning_of_a_module_is_examined() {
    for end in (0..=MODULE.len()).filter(|end| MODULE.is_char_boundary(*end)) {
        examine(&MODULE[..end]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_examined(text in ".{0,200}") {
        examine(&text);
    }

    #[test]
    fn any_pieces_are_examined(text in pieces()) {
        examine(&text);
        examine(&format!("{{ codchi = {text}; }}"));
        examine(&format!("{{ outputs = x: {text}; }}"));
    }

    #[test]
    fn mangled_modules_are_examined(text in mangled()) {
        examine(&text);
    }

    #[test]
    fn any_option_can_be_looked_up(path in proptest::collection::vec("[a-z<>]{0,8}|codchi|secrets|env|<name>", 0..7)) {
        let path = OptionPath::from(path);
        let options = Options::builtin();
        prop_assert_eq!(options.exists(&path), options.kind(&path).is_some());
        prop_assert!(options.get(&path).is_none() || options.exists(&path));
        for (child, _) in options.children(&path) {
            prop_assert!(options.exists(&path.join(child)));
        }
        let _ = path.to_string();
    }
}
