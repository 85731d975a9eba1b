//! `secret-without-description`: the user who is asked for the value is told nothing about it.
//!
//! Only where the whole declaration is visible; a description from elsewhere may complete the others.

use super::{Context, Finding};
use crate::evaluated::Word;
use crate::syntax::tokens_at;
use crate::{DiagnosticCode, Edit, Severity, TextRange};
use codchi_module::SecretDeclaration;
use rnix::TextSize;
use rnix::ast::{AttrSet, AttrpathValue, Expr};
use rowan::ast::AstNode;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    for secret in cx.facts.secrets.iter().filter(|secret| lacks_description(cx, secret)) {
        let message = format!(
            "The secret `{}` has no description: whoever is asked for its value does not learn what it is and where \
             to get it. Add `description = \"…\";`.",
            secret.name,
        );
        let mut finding = Finding::new(
            DiagnosticCode::SecretWithoutDescription,
            Severity::Warning,
            secret.name_range,
            message,
        )
        .based_on(secret.range);
        if let Some(edit) = description_edit(cx, secret) {
            finding = finding.edit("Add a description".to_owned(), vec![edit]);
        }
        findings.push(finding);
    }
}

/// Whether nothing describes it, here or in the modules that are evaluated together with this one.
fn lacks_description(cx: &Context<'_>, secret: &SecretDeclaration) -> bool {
    let described =
        |text: &Option<(String, TextRange)>| text.as_ref().is_some_and(|(text, _)| !text.trim().is_empty());
    secret.complete
        && !described(&secret.description)
        && !matches!(
            cx.asked.evaluations().secret(&secret.name, secret.range),
            Word::Asked(found) if !found.description.trim().is_empty()
        )
        && !cx.modules.related_facts(cx.path).iter().any(|facts| {
            let same = |other: &&SecretDeclaration| {
                other.name == secret.name && other.spelling == secret.spelling && **other != *secret
            };
            let mut others = facts.secrets.iter().filter(same);
            others.any(|other| !other.complete || described(&other.description))
        })
}

fn description_edit(cx: &Context<'_>, secret: &SecretDeclaration) -> Option<Edit> {
    if let Some((_, range)) = &secret.description {
        return Some(Edit { range: *range, new_text: format!("\"{}\"", placeholder(secret)) });
    }
    let root = cx.document.root();
    let token = tokens_at(root.syntax(), secret.name_range.start()).right_biased()?;
    let binding = token.parent_ancestors().find_map(AttrpathValue::cast)?;
    let last = binding.attrpath()?.attrs().last()?;
    let description = format!("description = \"{}\";", placeholder(secret));
    if last.syntax().text_range() == secret.name_range {
        let Expr::AttrSet(set) = binding.value()? else { return None };
        return into_set(cx, &set, &description);
    }
    // `codchi.secrets.NAME.required = false;`: a line before it with the same beginning.
    let start = binding.syntax().text_range().start();
    let prefix = cx.document.text().get(usize::from(start)..usize::from(secret.name_range.end()))?;
    let begins_line = cx.document.text()[..usize::from(start)].trim_end_matches([' ', '\t']).ends_with('\n');
    let between = if begins_line { format!("\n{}", indentation(cx, start)) } else { " ".to_owned() };
    let new_text = format!("{prefix}.{description}{between}");
    Some(Edit { range: TextRange::empty(start), new_text })
}

fn into_set(cx: &Context<'_>, set: &AttrSet, description: &str) -> Option<Edit> {
    let open = set.l_curly_token()?.text_range().end();
    let next = set.l_curly_token()?.next_token()?;
    let new_text = if next.text().contains('\n') && set.syntax().children().next().is_some() {
        let first = set.syntax().children().next()?.text_range().start();
        format!("\n{}{description}", indentation(cx, first))
    } else if next.text().starts_with([' ', '\n']) {
        format!(" {description}")
    } else {
        format!(" {description} ")
    };
    Some(Edit { range: TextRange::empty(open), new_text })
}

fn indentation<'a>(cx: &'a Context<'_>, offset: TextSize) -> &'a str {
    let before = cx.document.text().get(..usize::from(offset)).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    &line[..line.len() - line.trim_start().len()]
}

fn placeholder(secret: &SecretDeclaration) -> String {
    format!("What {} is and where to get it", secret.name)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_secret_without_a_description_is_reported() {
        check(
            r"{ codchi.secrets.A = { }; }",
            expect![[r#"
            warning secret-without-description at `A`: The secret `A` has no description: whoever is asked for its value does not learn what it is and where to get it. Add `description = "…";`.
        "#]],
        );
        check(
            r"{ codchi.secrets.env.A.required = false; }",
            expect![[r#"
            warning secret-without-description at `A`: The secret `A` has no description: whoever is asked for its value does not learn what it is and where to get it. Add `description = "…";`.
        "#]],
        );
        check(
            r#"{ codchi.secrets.file.A.description = " "; }"#,
            expect![[r#"
            warning secret-without-description at `A`: The secret `A` has no description: whoever is asked for its value does not learn what it is and where to get it. Add `description = "…";`.
        "#]],
        );
    }

    #[test]
    fn a_description_anywhere_in_the_module_counts() {
        check(
            r#"{ codchi.secrets.A.required = false; codchi.secrets = { A.description = "a"; }; }"#,
            expect![[r#""#]],
        );
        check(
            r#"//- /project/codchi.nix
{ imports = [ ./b.nix ]; codchi.secrets.A.required = false; }
//- /project/b.nix
{ codchi.secrets.A.description = "a"; }"#,
            expect![""],
        );
    }

    #[test]
    fn a_declaration_that_cannot_be_seen_whole_is_left_alone() {
        check(r"{ config, ... }: { codchi.secrets.A = config.x; }", expect![[r#""#]]);
        check(r"{ lib, ... }: { codchi.secrets.A = { } // (import ./a.nix); }", expect![[r#""#]]);
        check(r#"{ lib, ... }: { codchi.secrets = lib.genAttrs [ "A" ] (n: { }); }"#, expect![[r#""#]]);
        check(r#"{ x, ... }: { codchi.secrets.A.description = "for ${x}"; }"#, expect![[r#""#]]);
    }
}
