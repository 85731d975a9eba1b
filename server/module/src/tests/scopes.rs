//! Names: what they refer to where the text shows it, and nothing where it does not.

use super::{check, options};
use expect_test::{Expect, expect};

fn check_options(text: &str, expected: Expect) {
    check(options, text, expected);
}

#[test]
fn let_and_rec_are_followed() {
    let text = r#"
{ pkgs, ... }:
let
  text = "a token";
  token = { description = text; required = yes; };
  yes = true;
  nested = rec { inner = { enable = deep; }; deep = no; no = false; };
  inherit (nested) inner;
in
{
  codchi.secrets.TOKEN = token;
  codchi.gpu = nested.inner;
  codchi.docker = inner;
  codchi.secrets.OTHER = { inherit (token) description; };
  codchi.keyring = rec { enable = on; on = true; };
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi.secrets.TOKEN.description [description] = String("a token")
            codchi.secrets.TOKEN.required [required] = Bool(true)
            codchi.gpu.enable [enable] = Bool(false)
            codchi.docker.enable [enable] = Bool(false)
            codchi.secrets.TOKEN [codchi secrets TOKEN] = Set
            codchi.gpu [codchi gpu] = Set
            codchi.docker [codchi docker] = Set
            codchi.secrets.OTHER [codchi secrets OTHER] = Set
            codchi.secrets.OTHER.description [description] = String("a token")
            codchi.keyring [codchi keyring] = Set
            codchi.keyring.enable [enable] = Bool(true)
            codchi.keyring.on [on] = Bool(true)
        "#]],
    );
}

#[test]
fn shadowed_names_are_not_mistaken() {
    let text = r#"
{ text, true, ... }:
let
  a = "outer";
  f = a: { codchi.a = a; };
in
{
  codchi.b = text;
  codchi.c = true;
  codchi.d = false;
  codchi.e = let a = "inner"; in a;
  codchi.f = with pkgs; a;
  codchi.g = with pkgs; b;
  codchi.h = let false = true; in false;
  codchi.i = rec { a = "rec"; b = a; }.b;
  codchi.j = { a = "plain"; b = a; }.b;
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi.b [codchi b] = Unknown
            codchi.c [codchi c] = Unknown
            codchi.d [codchi d] = Bool(false)
            codchi.e [codchi e] = String("inner")
            codchi.f [codchi f] = String("outer")
            codchi.g [codchi g] = Unknown
            codchi.h [codchi h] = Unknown
            codchi.i [codchi i] = String("rec")
            codchi.j [codchi j] = String("outer")
        "#]],
    );
}

#[test]
fn what_is_not_visible_is_not_known() {
    let text = r#"
{ config, pkgs, ... }:
let
  parts.a = 1;
  parts.b = 2;
  call = f { };
  loop = other;
  other = loop;
  set = { a = 1; };
in
{
  codchi.a = parts;
  codchi.b = call;
  codchi.c = loop;
  codchi.d = config.codchi.e;
  codchi.f = set.missing;
  codchi.g = set.a or 2;
  codchi.h = set.${pkgs.name};
  codchi.i = pkgs.hello;
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi.a [codchi a] = Unknown
            codchi.b [codchi b] = Unknown
            codchi.c [codchi c] = Unknown
            codchi.d [codchi d] = Unknown
            codchi.f [codchi f] = Unknown
            codchi.g [codchi g] = Unknown
            codchi.h [codchi h] = Unknown
            codchi.i [codchi i] = Unknown
        "#]],
    );
}

#[test]
fn inherited_options_are_definitions() {
    let text = r#"
{ gpu, ... }:
let codchi.docker.enable = true; keyring.enable = true; in
{
  codchi = { inherit gpu; inherit (x) "java"; };
  codchi.docker = { inherit keyring; };
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi [codchi] = Set
            codchi.gpu [gpu] = Unknown
            codchi.java ["java"] = Unknown
            codchi.docker [codchi docker] = Set
            codchi.docker.keyring [keyring] = Unknown
        "#]],
    );
    check_options(
        "let codchi = { gpu.enable = true; }; in { inherit codchi; }",
        expect![[r#"
            codchi.gpu.enable [gpu enable] = Bool(true)
            codchi [codchi] = Set
        "#]],
    );
    check_options(
        "let config = { codchi.gpu.enable = true; }; in { inherit config; }",
        expect![[r#"
            codchi.gpu.enable [codchi gpu enable] = Bool(true)
        "#]],
    );
}

#[test]
fn references_cannot_make_the_work_explode() {
    let mut text = String::from("let\n  a0 = { b = 1; };\n");
    for i in 1..40 {
        let last = i - 1;
        text.push_str(&format!("  a{i} = {{ x = a{last}; y = a{last}; z = a{last}; }};\n"));
    }
    text.push_str("in { codchi = a39; }");
    let document = crate::Document::new(text);
    assert!(document.facts().options.len() < 10_000, "{}", document.facts().options.len());
}
