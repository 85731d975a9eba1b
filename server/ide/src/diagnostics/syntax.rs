//! `syntax`: the text is not Nix. The parser's first error of a region; what follows from it is left out.

use super::Finding;
use crate::{DiagnosticCode, Severity};
use codchi_module::{Document, SyntaxError};

pub(super) fn finding(document: &Document, error: SyntaxError) -> Finding {
    // What is too large to be read may well be Nix.
    let severity = if document.is_too_large() { Severity::Information } else { Severity::Error };
    Finding::new(DiagnosticCode::Syntax, severity, error.range, error.message)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_missing_semicolon_is_reported_once() {
        check(
            r"{
  codchi.gpu.enable = true
  codchi.docker.enable = true;
}
",
            expect![[r#"
                error syntax at `true`: `;` is missing after `true`: each definition ends with one.
            "#]],
        );
    }

    #[test]
    fn a_file_that_ends_too_early_is_reported_at_its_end() {
        check(
            r"{ codchi.gpu.enable = true;",
            expect![[r#"
                error syntax at `{`: This `{` is never closed: `}` is missing.
            "#]],
        );
    }

    #[test]
    fn of_a_text_that_is_too_large_only_that_is_said() {
        let text = format!("{{ codchi.gpu.enabled = true; /* {} */ }}", " ".repeat(codchi_module::LARGEST));
        let expected = expect![[r#"
            information syntax at `{`: This text is larger than 4 MiB: codchi does not read it.
        "#]];
        check(&text, expected);
    }

    #[test]
    fn a_file_that_is_no_module_is_checked_too() {
        check(
            r"//- /project/lib.nix
rec { a = ; }",
            expect![[r#"
                error syntax at `;`: A value is missing before `;`.
            "#]],
        );
    }
}
