//! What names are bound to and where they are used.

use super::at;
use crate::{Document, TextSize, is_identifier};
use expect_test::{Expect, expect};

/// Marks every place of the name at `$0`: `«definition»`, `‹use›`.
fn check(text: &str, expected: Expect) {
    let cursor = text.find("$0").unwrap();
    let document = Document::new(text.replace("$0", ""));
    let Some(name) = document.name_at(TextSize::try_from(cursor).unwrap()) else {
        return expected.assert_eq("nothing");
    };
    let mut marked = document.text().to_owned();
    for place in name.places.iter().rev() {
        assert_eq!(at(&document, place.range), name.text);
        let (open, close) = if place.is_definition { ("«", "»") } else { ("‹", "›") };
        let marked_name = format!("{open}{}{close}", name.text);
        marked.replace_range(std::ops::Range::<usize>::from(place.range), &marked_name);
    }
    expected.assert_eq(&format!("{:?}: {marked}", name.kind));
}

#[test]
fn a_let_binds_in_its_bindings_and_its_body() {
    check(
        "let a$0 = b; b = a; in { a = a; inherit a; c = x: a; }",
        expect!["Let: let «a» = b; b = ‹a›; in { a = ‹a›; inherit ‹a›; c = x: ‹a›; }"],
    );
    check(
        "let x.y = 1; x.z = 2; in $0x.y + b.x + { x = 1; }.x",
        expect!["Let: let «x».y = 1; «x».z = 2; in ‹x›.y + b.x + { x = 1; }.x"],
    );
}

#[test]
fn inner_names_shadow_outer_ones() {
    check(
        "let a = 1; in a$0 + (let a = 2; in a) + (a: a) 1 + (rec { a = 3; b = a; }).b",
        expect!["Let: let «a» = 1; in ‹a› + (let a = 2; in a) + (a: a) 1 + (rec { a = 3; b = a; }).b"],
    );
    check("let a = 1; in with { a = 2; }; a$0", expect!["Let: let «a» = 1; in with { a = 2; }; ‹a›"]);
}

#[test]
fn arguments_are_bound_by_their_function() {
    check(
        "{ a$0, b ? a, ... }@args: a + args.a",
        expect!["NamedArgument: { «a», b ? ‹a›, ... }@args: ‹a› + args.a"],
    );
    check("{ a }@args$0: args.a", expect!["Argument: { a }@«args»: ‹args›.a"]);
    check("x$0: y: x + (x: x) y", expect!["Argument: «x»: y: ‹x› + (x: x) y"]);
}

#[test]
fn inherited_names_are_bound_and_used() {
    check("let a = 1; in let inherit a$0; in a", expect!["Let: let a = 1; in let inherit «a»; in ‹a›"]);
    check("let a$0 = 1; in let inherit a; in a", expect!["Let: let «a» = 1; in let inherit ‹a›; in a"]);
    check("let inherit (lib) mkIf$0; in mkIf", expect!["Let: let inherit (lib) «mkIf»; in ‹mkIf›"]);
}

#[test]
fn what_the_text_does_not_bind_is_no_name() {
    check("with lib; mkIf$0", expect!["nothing"]);
    check("{ a$0 = 1; }", expect!["nothing"]);
    check("let a = 1; in x.a$0", expect!["nothing"]);
}

#[test]
fn names_of_nix_are_known() {
    assert!(["a", "_a", "a-b", "a'", "A1"].into_iter().all(is_identifier));
    assert!(["", "1a", "a.b", "let", "or", "ä", "-a", "a b"].into_iter().all(|text| !is_identifier(text)));
}
