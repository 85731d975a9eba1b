use super::TokenModifiers;
use crate::fixture::Fixture;
use crate::{TextRange, TextSize};
use expect_test::{Expect, expect};

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&tokens(text, None));
}

fn tokens(text: &str, within: Option<TextRange>) -> String {
    let fixture = Fixture::new(text);
    let mut end = TextSize::default();
    let found = fixture.analysis().semantic_tokens(&fixture.path, within);
    found
        .iter()
        .map(|token| {
            assert!(token.range.start() >= end && !token.range.is_empty(), "in order, and none overlaps");
            end = token.range.end();
            let names = [
                (TokenModifiers::DECLARATION, "declaration"),
                (TokenModifiers::READONLY, "readonly"),
                (TokenModifiers::DEPRECATED, "deprecated"),
                (TokenModifiers::DEFAULT_LIBRARY, "defaultLibrary"),
            ];
            let modifiers = names.iter().filter(|(it, _)| token.modifiers.bits() & it.bits() != 0);
            let modifiers: String = modifiers.map(|(_, name)| format!(" {name}")).collect();
            format!("{:?}{modifiers}: {}\n", token.kind, &fixture.text(&fixture.path)[token.range])
        })
        .collect()
}

#[test]
fn options_are_told_from_plain_attributes() {
    check(
        "{ services.nginx.enable = true; codchi.welcome.text = \"hi\"; a = builtins.toJSON { plain = 1; }; }",
        expect![[r#"
            Property declaration: services
            Property declaration: nginx
            Property declaration: enable
            Property declaration: codchi
            Property declaration deprecated: welcome
            Property declaration deprecated: text
            Property declaration: a
            Namespace defaultLibrary: builtins
            Function defaultLibrary: toJSON
        "#]],
    );
}

#[test]
fn secrets_are_seen_where_they_are_declared_and_used() {
    check(
        "{ config, ... }: {\n  codchi.secrets.TOKEN.description = \"a\";\n  codchi.secrets = { env.OLD = { }; };\n  \
         codchi.initScript = ''\n    a $CODCHI_TOKEN ''${CODCHI_OLD:-x}\n  '';\n  b.passwordFile = config.codchi.secrets.TOKEN.path;\n}",
        expect![[r#"
            Parameter declaration: config
            Property declaration: codchi
            Property declaration: secrets
            Macro declaration: TOKEN
            Property declaration: description
            Property declaration: codchi
            Property declaration: secrets
            Property declaration: env
            Macro declaration: OLD
            Property declaration: codchi
            Property declaration: initScript
            Macro readonly: $CODCHI_TOKEN
            Macro readonly: CODCHI_OLD
            Property declaration: b
            Property declaration: passwordFile
            Parameter: config
            Property readonly: codchi
            Property readonly: secrets
            Macro readonly: TOKEN
            Property readonly: path
        "#]],
    );
}

#[test]
fn capabilities_packages_and_imports_are_no_mere_strings_and_names() {
    check(
        "{ pkgs, ... }: { imports = [ ./a.nix ]; codchi.requiredCapabilities = [ \"gpu\" ]; b = ./c; \
         environment.systemPackages = with pkgs; [ git nodePackages.npm ] ++ [ pkgs.cudaPackages.nccl ]; }",
        expect![[r#"
            Parameter declaration: pkgs
            Namespace: ./a.nix
            Property declaration: codchi
            Property declaration: requiredCapabilities
            EnumMember: "gpu"
            Property declaration: b
            String: ./c
            Property declaration: environment
            Property declaration: systemPackages
            Parameter: pkgs
            Class: git
            Class: nodePackages
            Class: npm
            Parameter: pkgs
            Class: cudaPackages
            Class: nccl
        "#]],
    );
}

#[test]
fn names_are_what_they_are_bound_to() {
    check(
        "{ lib, n ? 1, ... }@args: let a = 1; f = x: x + a; inherit (args) b; in { c = f a n b; d = rec { e = 1; g = e; }; h = args.i 1; k = let a = 2; in a; }",
        expect![[r#"
            Parameter declaration: lib
            Parameter declaration: n
            Parameter declaration: args
            Variable declaration: a
            Function declaration: f
            Parameter declaration: x
            Parameter: x
            Variable: a
            Parameter: args
            Variable declaration: b
            Property declaration: c
            Function: f
            Variable: a
            Parameter: n
            Variable: b
            Property declaration: d
            Property declaration: e
            Property declaration: g
            Variable: e
            Property declaration: h
            Parameter: args
            Function: i
            Property declaration: k
            Variable declaration: a
            Variable: a
        "#]],
    );
}

#[test]
fn what_nix_and_nixpkgs_bring_is_marked_so() {
    check(
        "{ lib, config, ... }: with lib; let inherit (lib) mkIf types optional; cfg = config.services.a; in { a = mkIf cfg.enable (optional true 1); \
         b = mkOption { type = types.listOf lib.types.str; }; c = builtins.readFile (toString lib.strings.concat); d = builtins.currentSystem; }",
        expect![[r#"
            Parameter declaration: lib
            Parameter declaration: config
            Parameter: lib
            Parameter: lib
            Function declaration defaultLibrary: mkIf
            Namespace declaration defaultLibrary: types
            Function declaration defaultLibrary: optional
            Variable declaration: cfg
            Parameter: config
            Property readonly: services
            Property readonly: a
            Property declaration: a
            Function defaultLibrary: mkIf
            Variable: cfg
            Property readonly: enable
            Function defaultLibrary: optional
            Property declaration: b
            Function defaultLibrary: mkOption
            Namespace defaultLibrary: types
            Type defaultLibrary: listOf
            Parameter: lib
            Namespace defaultLibrary: types
            Type defaultLibrary: str
            Property declaration: c
            Namespace defaultLibrary: builtins
            Function defaultLibrary: readFile
            Function defaultLibrary: toString
            Parameter: lib
            Namespace defaultLibrary: strings
            Function defaultLibrary: concat
            Property declaration: d
            Namespace defaultLibrary: builtins
            Variable defaultLibrary: currentSystem
        "#]],
    );
}

#[test]
fn what_shadows_a_name_counts() {
    check(
        "{ pkgs, ... }: let config = { a = 1; }; import = 2; in { b = config.a; c = import; }",
        expect![[r#"
            Parameter declaration: pkgs
            Variable declaration: config
            Variable declaration: import
            Property declaration: b
            Variable: config
            Property declaration: c
            Variable: import
        "#]],
    );
}

#[test]
fn a_range_gives_the_tokens_that_touch_it() {
    let text = "let a = 1; f = b: b; in [ a (f a) ]";
    let start = TextSize::try_from(text.find("(f").unwrap()).unwrap();
    expect![[r#"
        Function: f
        Variable: a
    "#]]
    .assert_eq(&tokens(text, Some(TextRange::at(start, 4.into()))));
}

#[test]
fn half_typed_text_has_tokens() {
    check(
        "{ pkgs, ... }: { codchi.secrets. = ; a = pkgs.; b = let in",
        expect![[r#"
        Parameter declaration: pkgs
        Property declaration: codchi
        Property declaration: secrets
        Macro declaration: a
        Parameter: pkgs
        Class: b
    "#]],
    );
}
