//! The outline.

use crate::{Binding, Document};
use expect_test::expect;
use std::fmt::Write as _;

fn show(document: &Document) -> String {
    let mut out = String::new();
    write(&mut out, document, document.outline(), 0);
    out
}

fn write(out: &mut String, document: &Document, bindings: &[Binding], depth: usize) {
    for binding in bindings {
        assert_eq!(super::at(document, binding.name_range), binding.name);
        let whole = super::at(document, binding.range);
        assert!(whole.starts_with(&binding.name) && whole.ends_with(';'), "{whole}");
        let _ = writeln!(out, "{}{}", "  ".repeat(depth), binding.name);
        write(out, document, &binding.children, depth + 1);
    }
}

#[test]
fn the_outline_is_that_of_the_bindings() {
    let text = r#"
{ lib, ... }:
# A comment.
let a = 1; in
{
  imports = [ ./x.nix { b = 2; } ];
  codchi . secrets."T é" = lib.mkIf true { description = "t"; };
  services = { nginx = { enable = true; }; };
  f = x: { y = x; };
}
"#;
    super::check(
        show,
        text,
        expect![[r#"
            a
            imports
              b
            codchi . secrets."T é"
              description
            services
              nginx
                enable
            f
              y
        "#]],
    );
}

#[test]
fn what_is_not_a_module_has_an_outline_too() {
    super::check(
        show,
        "{ a = final: prev: { b = { c = 1; }; }; }",
        expect![[r#"
            a
              b
                c
        "#]],
    );
}
