//! What is said about text that is not Nix.

use crate::Document;
use expect_test::{Expect, expect};
use std::fmt::Write as _;

/// Each error as `LINE:COLUMN TEXT: MESSAGE`.
fn check(text: &str, expected: Expect) {
    let document = Document::new(text);
    let mut out = String::new();
    for error in document.syntax_errors() {
        let place = document.lines().line_col(error.range.start());
        let at = super::at(&document, error.range);
        let _ = writeln!(out, "{}:{} {at}: {}", place.line + 1, place.col + 1, error.message);
    }
    expected.assert_eq(&out);
}

#[test]
fn nix_has_no_errors() {
    check("{ pkgs, ... }: { a.b = [ 1 \"x\" ./y ]; }", expect![[r#""#]]);
}

#[test]
fn a_missing_semicolon_is_reported_where_it_belongs() {
    check(
        r#"
{
  a = 1
  b.c = "two"
  d = [ 3 ];
  e = f x
}
"#,
        expect![[r#"
            3:7 1: `;` is missing after `1`: each definition ends with one.
            6:9 x: `;` is missing after `x`: each definition ends with one.
        "#]],
    );
    check(
        "{ a = 1 }",
        expect![[r#"
            1:7 1: `;` is missing after `1`: each definition ends with one.
        "#]],
    );
    check(
        "{\n  a = \"x\"\n  \"b\" = 1;\n}",
        expect![[r#"
            2:9 ": `;` is missing after this string: each definition ends with one.
        "#]],
    );
    check(
        "{ a = pkgs.\n  b = 1;\n}",
        expect![[r#"
            1:11 .: A name is missing after `.`.
        "#]],
    );
    check(
        "{\n  inherit a b\n  c = 1;\n}",
        expect![[r#"
            2:13 b: `;` is missing after `b`: each definition ends with one.
        "#]],
    );
    check(
        "{ inherit (x) a }",
        expect![[r#"
            1:15 a: `;` is missing after `a`: each definition ends with one.
        "#]],
    );
    check(
        "let a = 1 in a",
        expect![[r#"
            1:9 1: `;` is missing after `1`: each definition ends with one.
        "#]],
    );
}

#[test]
fn a_missing_value_is_reported_where_it_belongs() {
    check(
        "{ a = ; b = 1; }",
        expect![[r#"
            1:7 ;: A value is missing before `;`.
        "#]],
    );
    check(
        "{ a ; }",
        expect![[r#"
            1:5 ;: `=` and a value are missing before `;`.
        "#]],
    );
    check(
        "{ a }",
        expect![[r#"
            1:5 }: The file ends too early: `:` and the function's value are missing.
        "#]],
    );
    check(
        "{ a = 1 + ; }",
        expect![[r#"
            1:11 ;: A value is missing before `;`.
        "#]],
    );
    check(
        "{ a = if b then c; }",
        expect![[r#"
            1:18 ;: `else` and a value are missing before `;`: each `if` has one.
        "#]],
    );
    check(
        "{ a = if b c else d; }",
        expect![[r#"
            1:14 else: `then` is missing before `else`.
        "#]],
    );
    check(
        "{ codchi. }",
        expect![[r#"
            1:11 }: A name is missing between `.` and `}`.
        "#]],
    );
    check(
        "{ codchi.secrets. = 1; }",
        expect![[r#"
            1:19 =: A name is missing between `.` and `=`.
        "#]],
    );
    check(
        "{ a = codchi.; }",
        expect![[r#"
            1:14 ;: A name is missing between `.` and `;`.
        "#]],
    );
    check(
        "{ a = [ 1 + 2 ]; }",
        expect![[r#"
            1:11 +: `+` cannot stand in a list: put parentheses around calls and operators.
        "#]],
    );
    check(
        "let a = 1; { b = a; }",
        expect![[r#"
            1:12 {: `in` is missing before `{`.
        "#]],
    );
    check(
        "{ pkgs lib, ... }: { }",
        expect![[r#"
            1:8 lib: `=` and a value are missing before `lib`, or `,` where these are a function's arguments.
        "#]],
    );
    check(
        "{ pkgs, lib ... }: { }",
        expect![[r#"
            1:13 ...: `}` or `,` is missing before `...`.
        "#]],
    );
    check(
        "{ pkgs, ... } { }",
        expect![[r#"
            1:15 {: `:` is missing before `{`: it stands between a function's arguments and its value.
        "#]],
    );
}

#[test]
fn brackets_without_their_other_half_are_found() {
    check(
        "{\n  a = {\n    b = 1;\n  c = 2;\n}\n",
        expect![[r#"
            2:7 {: This `{` is never closed: `}` is missing.
        "#]],
    );
    check(
        "{\n  a = [ 1 2;\n  b = 1;\n}\n",
        expect![[r#"
            2:7 [: This `[` is never closed: `]` is missing.
        "#]],
    );
    check(
        "{ a = (1 + 2; b = 1; }",
        expect![[r#"
            1:7 (: This `(` is never closed: `)` is missing.
        "#]],
    );
    check(
        "{ a = 1; }}",
        expect![[r#"
            1:11 }: This `}` closes nothing: remove it.
        "#]],
    );
    check(
        "{ a = [ 1 ]]; b = 2; }",
        expect![[r#"
            1:12 ]: This `]` closes nothing: remove it.
        "#]],
    );
    check(
        "{\n  a = {\n    b = 1;\n  };\n",
        expect![[r#"
            1:1 {: This `{` is never closed: `}` is missing.
        "#]],
    );
    check(
        "{ a = \"${b\"; }",
        expect![[r#"
            1:11 ": This string is never closed: `"` is missing.
        "#]],
    );
}

#[test]
fn strings_and_comments_without_an_end_are_found() {
    check(
        "{\n  a = \"foo;\n  b = \"bar\";\n}\n",
        expect![[r#"
            2:7 ": This string is never closed: `"` is missing.
        "#]],
    );
    check(
        "{\n  a = \"foo;\n  b = 1;\n}\n",
        expect![[r#"
            2:7 ": This string is never closed: `"` is missing.
        "#]],
    );
    check(
        "{\n  a = ''\n    foo\n  ;\n}\n",
        expect![[r#"
            2:7 '': This string is never closed: `''` is missing.
        "#]],
    );
    check(
        "{ a = 1; /* b = 2; }",
        expect![[r#"
            1:10 /*: This comment is never closed: `*/` is missing.
        "#]],
    );
}

#[test]
fn each_definition_tells_its_first_error() {
    check(
        r#"
{
  a = { x = ; y = ; };
  b = 1;
  c = (2;
  d = 3;
}
"#,
        expect![[r#"
            3:13 ;: A value is missing before `;`.
            5:7 (: This `(` is never closed: `)` is missing.
        "#]],
    );
    check(
        "{\n  a = = 1;\n  b = 2;\n  c = = 3;\n}\n",
        expect![[r#"
            2:7 =: A value is missing before `=`.
            4:7 =: A value is missing before `=`.
        "#]],
    );
}

#[test]
fn functions_name_their_arguments_once() {
    check(
        "x@{ a }@y: a",
        expect![[r#"
            1:8 @: This function names its whole argument twice: keep the `@` on one side only.
        "#]],
    );
}

#[test]
fn what_follows_the_end_is_reported() {
    check(
        "{ a = 1; } b = 2;",
        expect![[r#"
            1:14 =: The file's expression ends before `=`: remove what follows, or put it inside.
        "#]],
    );
    check(
        "",
        expect![[r#"
            1:1 : The file holds no value: write a module, for example `{ pkgs, ... }: { }`.
        "#]],
    );
    check(
        "# only a comment\n",
        expect![[r#"
            1:16 t: The file holds no value: write a module, for example `{ pkgs, ... }: { }`.
        "#]],
    );
    check(
        "{ pkgs, ... }:\n",
        expect![[r#"
            1:14 :: The file ends too early: a value is missing.
        "#]],
    );
    check(
        "let a = 1;",
        expect![[r#"
            1:10 ;: The file ends too early: `in` and a value are missing.
        "#]],
    );
    check(
        "{ a = ./b/; c = 1 ~ 2; }",
        expect![[r#"
            1:7 ./b/: The path `./b/` cannot end with `/` or have `//` in it.
            1:19 ~ : `~` means nothing outside of strings and comments.
        "#]],
    );
    check(
        "é = 1",
        expect![[r#"
            1:1 é: `é` means nothing outside of strings and comments.
        "#]],
    );
}
