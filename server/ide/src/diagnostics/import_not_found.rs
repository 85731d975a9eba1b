//! `import-not-found`: a path in `imports`, or a flake's module output, that does not exist.
//!
//! Only in codchi modules and what they import; other Nix files are left alone. Conditional imports do not exist
//! (`imports` cannot depend on `config`), but a path in a branch may be one that is never taken.

use super::{Context, Finding};
use crate::modules::Resolved;
use crate::{DiagnosticCode, Severity, TextRange};
use codchi_module::Certainty;
use std::path::Path;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let imports = cx.facts.imports.iter().filter(|import| import.certainty == Certainty::Always);
    let imports = imports.map(|import| (import.path.as_str(), import.range));
    let outputs = cx.facts.flake_modules.iter();
    let outputs = outputs.filter_map(|module| Some((module.file.as_deref()?, module.range)));
    let missing: Vec<Finding> =
        imports.chain(outputs).filter_map(|(written, range)| finding(cx, written, range)).collect();
    if !missing.is_empty() && cx.modules.is_codchi(cx.path) {
        findings.extend(missing);
    }
}

fn finding(cx: &Context<'_>, written: &str, range: TextRange) -> Option<Finding> {
    let message = match cx.modules.resolve(cx.path, written) {
        Resolved::File(_) | Resolved::Unknown => return None,
        Resolved::Missing(path) => format!(
            "There is no `{written}`: {} does not exist. Create it, or correct the path.",
            quoted(&path)
        ),
        Resolved::FolderWithoutDefault(path) => format!(
            "`{written}` is a folder without a `default.nix`, which is what Nix reads there. Create {}, or name the \
             file.",
            quoted(&path.join("default.nix")),
        ),
    };
    Some(Finding::new(DiagnosticCode::ImportNotFound, Severity::Error, range, message))
}

fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_path_that_does_not_exist_is_reported() {
        check(
            r"//- /project/codchi.nix
{ imports = [ ./there.nix ./gone.nix ../up.nix ]; codchi.gpu.enable = true; }
//- /project/there.nix
{ }",
            expect![[r#"
                /project/codchi.nix error import-not-found at `./gone.nix`: There is no `./gone.nix`: `/project/gone.nix` does not exist. Create it, or correct the path.
                /project/codchi.nix error import-not-found at `../up.nix`: There is no `../up.nix`: `/up.nix` does not exist. Create it, or correct the path.
            "#]],
        );
    }

    #[test]
    fn a_folder_without_a_default_is_reported() {
        check(
            r"//- /project/codchi.nix
{ imports = [ ./a ./b ]; codchi.gpu.enable = true; }
//- /project/a/default.nix
{ }
//- /project/b/other.nix
{ }",
            expect![[r#"
                /project/codchi.nix error import-not-found at `./b`: `./b` is a folder without a `default.nix`, which is what Nix reads there. Create `/project/b/default.nix`, or name the file.
            "#]],
        );
    }

    #[test]
    fn a_file_that_a_codchi_module_imports_is_checked() {
        check(
            r"//- /project/codchi.nix
{ imports = [ ./a.nix ]; codchi.gpu.enable = true; }
//- /project/a.nix
{ imports = [ ./gone.nix ]; }",
            expect![[r#"
                /project/a.nix error import-not-found at `./gone.nix`: There is no `./gone.nix`: `/project/gone.nix` does not exist. Create it, or correct the path.
            "#]],
        );
    }

    #[test]
    fn a_file_that_a_flake_gives_as_a_module_is_checked() {
        check(
            r"//- /project/flake.nix
{ outputs = _: { nixosModules.default = ./a.nix; nixosModules.other = ./other.nix; }; }
//- /project/a.nix
{ imports = [ ./gone.nix ]; }",
            expect![[r#"
                /project/a.nix error import-not-found at `./gone.nix`: There is no `./gone.nix`: `/project/gone.nix` does not exist. Create it, or correct the path.
                /project/flake.nix error import-not-found at `other`: There is no `./other.nix`: `/project/other.nix` does not exist. Create it, or correct the path.
            "#]],
        );
    }

    #[test]
    fn other_nix_files_are_left_alone() {
        check(
            r"//- /project/configuration.nix
{ imports = [ ./hardware.nix ]; }",
            expect![[r#""#]],
        );
    }

    #[test]
    fn what_only_evaluation_finds_is_not_reported() {
        check(
            r#"{ inputs, ... }: { imports = [ <nixpkgs/nixos> ~/a.nix inputs.a.nixosModules.b "${inputs.a}/b.nix" ]; codchi.gpu.enable = true; }"#,
            expect![[r#""#]],
        );
    }
}
