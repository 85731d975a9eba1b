//! `deprecated-option`: an option that works still and has a successor.

use super::{Context, Finding};
use crate::{DiagnosticCode, Severity, Tag};
use codchi_module::{OptionPath, OptionUse, Options};

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    findings.extend(cx.facts.options.iter().filter_map(finding));
}

/// Where the deprecated name is in an outer set, the definition of that set is where it is reported.
fn finding(used: &OptionUse) -> Option<Finding> {
    let names = &used.path.0;
    (1..=names.len()).find_map(|len| {
        let path = OptionPath(names[..len].to_vec());
        let instead = Options::builtin().get(&path)?.deprecated.as_ref()?;
        let range = *used.segments.get((len - 1 + used.segments.len()).checked_sub(names.len())?)?;
        let message = format!("`{path}` is deprecated. {instead}");
        Some(
            Finding::new(DiagnosticCode::DeprecatedOption, Severity::Warning, range, message)
                .tagged(Tag::Deprecated),
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_deprecated_option_names_its_successor() {
        check(
            "{ codchi.welcome.text = \"Hello\"; }",
            expect![[r#"
            warning deprecated-option at `welcome`: `codchi.welcome` is deprecated. Use `codchi.initScript` for what the user should see or do after the machine was created.
        "#]],
        );
    }

    #[test]
    fn it_is_said_once_for_a_set() {
        check(
            "{ codchi = { welcome = { text = \"Hello\"; enable = true; }; gpu.enable = true; }; }",
            expect![[r#"
                warning deprecated-option at `welcome`: `codchi.welcome` is deprecated. Use `codchi.initScript` for what the user should see or do after the machine was created.
            "#]],
        );
    }
}
