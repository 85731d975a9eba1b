//! What must hold for any text, of texts that are Nix, nearly Nix, or once were.

use proptest::prelude::*;

/// Names that mean something to the analysis, and some that do not.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "codchi",
        "secrets",
        "env",
        "file",
        "TOKEN",
        "KEY",
        "description",
        "pattern",
        "gpu",
        "enable",
        "config",
        "lib",
        "pkgs",
        "imports",
        "options",
        "services",
        "outputs",
        "nixosModules",
        "default",
        "inputs",
        "self",
        "requiredCapabilities",
        "optionalCapabilities",
        "initScript",
        "a",
        "x'",
        "_b",
        "mkIf",
        "mkMerge",
        "\"q\"",
        "\"a b\"",
        "\"${a}\"",
        "${a}",
        "\"é𝄞\"",
    ])
    .prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..4).prop_map(|names| names.join("."))
}

/// What may be between two tokens.
fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        " ",
        " ",
        "\n",
        "\r\n",
        "\n  ",
        "\t",
        " # ü 𝄞 codchi: allow syntax\n",
        " /* e\u{301} */ ",
    ])
}

/// What a string may hold.
fn string() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "$CODCHI_TOKEN",
        "$$",
        "\\n",
        "''${",
        "'''",
        "${a}",
        "${config.codchi.secrets.KEY.path}",
        " ",
        "\n",
        "\r\n",
        "é",
        "𝄞",
        "gpu",
        "https://example.org/x",
        "{",
        "}",
        "$",
        "'",
    ]);
    (prop::collection::vec(part, 0..6), any::<bool>()).prop_map(|(parts, long)| {
        let text = parts.concat();
        if long { format!("''{text}''") } else { format!("\"{text}\"") }
    })
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        name(),
        path(),
        string(),
        prop::sample::select(vec![
            "true",
            "null",
            "1",
            "1.5",
            "./a.nix",
            "./.",
            "<nixpkgs>",
            "[ ]",
            "{ }",
            "http://a.b/c",
            "-1"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let set = prop::collection::vec((path(), inner.clone(), space()), 0..5).prop_map(|bindings| {
            let bindings: String =
                bindings.into_iter().map(|(path, value, space)| format!("{path} ={space}{value};{space}")).collect();
            format!("{{ {bindings}}}")
        }).boxed();
        prop_oneof![
            4 => set.clone(),
            1 => (set.clone(), name()).prop_map(|(set, name)| format!("rec {{ inherit ({set}) {name}; inherit {name}; }}")),
            2 => (prop::collection::vec(inner.clone(), 0..4), space()).prop_map(|(items, space)| {
                format!("[{space}{}{space}]", items.iter().map(|item| format!("({item}) ")).collect::<String>())
            }),
            1 => (path(), inner.clone(), inner.clone()).prop_map(|(path, a, b)| format!("(let {path} = {a}; in {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(with {a}; {b})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
            2 => inner.clone().prop_map(|body| format!("({{ config, lib, pkgs, ... }}: {body})")),
            1 => (name(), inner.clone()).prop_map(|(name, body)| format!("({name}: {body})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("lib.mkIf ({a}) ({b})")),
            1 => (inner.clone(), prop::sample::select(vec!["//", "++", "+", "->", "==", "or", "?"]), inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            1 => inner.prop_map(|inner| format!("\"a${{{inner}}}b\"")),
        ]
    })
}

/// A text of which a part is missing, or stands for another.
fn half_typed() -> impl Strategy<Value = String> {
    let typed = prop::sample::select(vec![
        "", "", ".", "codchi.", "\"", "''", "${", "{", "}", ";", "=", "/*", "\r", "\u{feff}", "𝄞", "#",
    ]);
    (expression(), any::<prop::sample::Index>(), 0..12_usize, typed).prop_map(|(text, at, missing, typed)| {
        let start = text.floor_char_boundary(at.index(text.len() + 1));
        let end = text.floor_char_boundary((start + missing).min(text.len())).max(start);
        [&text[..start], typed, &text[end..]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_nix_lies_in_it_and_changes_keep_it_nix(text in expression()) {
        codchi_fuzz::analysis(text.as_bytes());
    }

    #[test]
    fn what_is_said_of_half_typed_text_lies_in_it(text in half_typed()) {
        codchi_fuzz::analysis(text.as_bytes());
    }

    #[test]
    fn completions_of_half_typed_text_replace_what_is_at_the_cursor(text in half_typed(), cursor in any::<u8>()) {
        codchi_fuzz::completion(&[text.as_bytes(), &[cursor]].concat());
    }
}
