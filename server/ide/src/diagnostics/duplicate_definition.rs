//! `duplicate-definition`: the same name twice in one set, `let` or function. Nix refuses the file.

use super::{Context, Finding};
use crate::{DiagnosticCode, Edit, Severity, TextRange};
use codchi_module::Duplicate;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    // Around an error, the tree puts into one set what nobody wrote so.
    if cx.facts.has_syntax_errors {
        return;
    }
    findings.extend(cx.facts.duplicates.iter().map(|duplicate| finding(cx, duplicate)));
}

fn finding(cx: &Context<'_>, duplicate: &Duplicate) -> Finding {
    let Duplicate { path, first, second, binding } = duplicate;
    let name = path.join(".");
    let line = cx.document.lines().try_line_col(first.start()).map_or(1, |place| place.line + 1);
    let message = format!(
        "`{name}` is already defined on line {line}, and Nix refuses a file that defines it twice. Keep one of the two."
    );
    let finding = Finding::new(DiagnosticCode::DuplicateDefinition, Severity::Error, *second, message)
        .based_on(first.cover(*binding))
        .related(cx.path, *first, format!("`{name}` is defined here first"));
    match removal(cx, duplicate) {
        Some(range) => finding.edit(
            "Remove this definition, which says the same".to_owned(),
            vec![Edit { range, new_text: String::new() }],
        ),
        None => finding,
    }
}

/// What is to be removed where both definitions are the same word for word: the second, with its line where it is alone.
fn removal(cx: &Context<'_>, duplicate: &Duplicate) -> Option<TextRange> {
    let text = cx.document.text();
    let second = text.get(std::ops::Range::<usize>::from(duplicate.binding))?;
    let is_binding = second.ends_with(';');
    let first = text.get(usize::from(duplicate.first.start())..)?.get(..second.len())?;
    if !is_binding || first != second {
        return None;
    }
    let (start, end) = (usize::from(duplicate.binding.start()), usize::from(duplicate.binding.end()));
    let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let rest = text[end..].find('\n').map(|len| end + len + 1);
    match rest {
        Some(next) if text[line..start].trim().is_empty() && text[end..next].trim().is_empty() => {
            Some(TextRange::new(line.try_into().ok()?, next.try_into().ok()?))
        }
        _ => Some(duplicate.binding),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_name_that_is_bound_twice_points_at_the_first() {
        check(
            "{\n  codchi.gpu.enable = true;\n  codchi = { gpu.enable = false; };\n}",
            expect![[r#"
            error duplicate-definition at `gpu.enable`: `codchi.gpu.enable` is already defined on line 2, and Nix refuses a file that defines it twice. Keep one of the two.
        "#]],
        );
    }

    #[test]
    fn what_nix_merges_is_no_duplicate() {
        check("{ services.a.enable = true; services.b.enable = true; services = { c = 1; }; }", expect![""]);
    }

    #[test]
    fn a_second_definition_that_says_the_same_can_be_removed() {
        let fixture = Fixture::new("{\n  codchi.gpu.enable = true;\n  codchi.gpu.ena$0ble = true;\n}\n");
        expect![[r#"
            * Remove this definition, which says the same
            {
              codchi.gpu.enable = true;
            }

              Allow `duplicate-definition` on this line
            {
              codchi.gpu.enable = true;
              # codchi: allow duplicate-definition
              codchi.gpu.enable = true;
            }

        "#]]
        .assert_eq(&fixture.actions());
    }
}
