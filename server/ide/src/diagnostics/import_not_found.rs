//! `import-not-found`: a path in `imports`, or a flake's module output, that does not exist.
//!
//! Only in codchi modules and what they import; other Nix files are left alone. Conditional imports do not exist
//! (`imports` cannot depend on `config`), but a path in a branch may be one that is never taken.

use super::{Context, Finding, nearest};
use crate::graph::target;
use crate::modules::Resolved;
use crate::syntax::tokens_at;
use crate::{DiagnosticCode, Edit, FileChange, Severity, TextRange};
use codchi_module::Certainty;
use rnix::SyntaxKind;
use rowan::ast::AstNode as _;
use std::path::{Path, PathBuf};

/// What a new file begins with: a module that says nothing.
const SKELETON: &str = "{ pkgs, ... }:\n{\n}\n";

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let imports = cx.facts.imports.iter().filter(|import| import.certainty == Certainty::Always);
    let imports = imports.map(|import| (import.path.as_str(), import.range));
    let outputs = cx.facts.flake_modules.iter();
    let outputs = outputs.filter_map(|module| Some((module.file.as_deref()?, module.range)));
    let imports = imports.filter_map(|(written, range)| finding(cx, written, range));
    let outputs = outputs.filter_map(|(written, range)| finding(cx, written, range));
    let outputs = outputs.filter(|finding| !is_conditional(cx, finding.diagnostic.range));
    let missing: Vec<Finding> = imports.chain(outputs).collect();
    if !missing.is_empty() && cx.modules.is_codchi(cx.path) {
        findings.extend(missing);
    }
}

/// Whether an output is only there under a condition, such as that its file is.
fn is_conditional(cx: &Context<'_>, output: TextRange) -> bool {
    let root = cx.document.root();
    let token = tokens_at(root.syntax(), output.start()).right_biased();
    token.iter().flat_map(|token| token.parent_ancestors()).any(|node| match node.kind() {
        SyntaxKind::NODE_IF_ELSE => true,
        SyntaxKind::NODE_APPLY => node.children().any(|part| {
            !part.text_range().contains_range(output) && part.text().to_string().contains("optional")
        }),
        _ => false,
    })
}

fn finding(cx: &Context<'_>, written: &str, range: TextRange) -> Option<Finding> {
    let (message, created) = match cx.modules.resolve(cx.path, written) {
        Resolved::File(_) | Resolved::Unknown => return None,
        Resolved::Missing(path) => {
            let message = format!(
                "There is no `{written}`: {} does not exist. Create it, or correct the path.",
                quoted(&path)
            );
            let is_file = path.extension().is_some_and(|extension| extension == "nix");
            (message, Some(if is_file { path } else { path.join("default.nix") }))
        }
        Resolved::FolderWithoutDefault(path) => {
            let default = path.join("default.nix");
            let message = format!(
                "`{written}` is a folder without a `default.nix`, which is what Nix reads there. Create {}, or name the \
                 file.",
                quoted(&default),
            );
            (message, Some(default))
        }
    };
    let finding = Finding::new(DiagnosticCode::ImportNotFound, Severity::Error, range, message);
    let create = |finding: Finding| match created.filter(|file| cx.modules.has_room(file)) {
        Some(path) => {
            let title = format!("Create {}", quoted(&path));
            let file = FileChange::Create { path, text: SKELETON.to_owned() };
            finding.change(title, Vec::new(), vec![file])
        }
        None => finding,
    };
    let is_written_here = cx.document.text().get(std::ops::Range::<usize>::from(range)) == Some(written);
    Some(match target(cx.path, written).filter(|_| is_written_here).and_then(|target| meant(cx, &target)) {
        Some(new_text) => {
            create(finding.edit(format!("Change to `{new_text}`"), vec![Edit { range, new_text }]))
        }
        None => create(finding),
    })
}

/// The file that was probably meant, as it would be written here: one of the folder with a similar name, or the only one of the
/// workspace with this name.
fn meant(cx: &Context<'_>, target: &Path) -> Option<String> {
    let name = target.file_name()?.to_str()?;
    let files = cx.modules.nix_files();
    let others = files.iter().filter(|file| **file != *cx.path && is_simple(file));
    let (beside, elsewhere): (Vec<&PathBuf>, Vec<&PathBuf>) =
        others.partition(|file| file.parent() == target.parent());
    let names = beside.iter().filter_map(|file| file.file_name()?.to_str());
    let near = nearest(name, names).map(|near| target.with_file_name(near));
    let moved = || match elsewhere
        .iter()
        .filter(|file| file.file_name() == target.file_name())
        .collect::<Vec<_>>()[..]
    {
        [file] if name != "default.nix" => Some(file.to_path_buf()),
        _ => None,
    };
    relative(cx.path.parent()?, &near.or_else(moved)?)
}

/// Whether a path can be written in Nix as it is.
fn is_simple(path: &Path) -> bool {
    let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    path.to_str().is_some_and(|path| path.chars().all(simple))
}

/// A path as it is written in a file of `folder`.
fn relative(folder: &Path, path: &Path) -> Option<String> {
    let up = folder.ancestors().position(|above| path.starts_with(above))?;
    let below = path.strip_prefix(folder.ancestors().nth(up)?).ok()?.to_str()?;
    Some(if up == 0 { format!("./{below}") } else { format!("{}{below}", "../".repeat(up)) })
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

    #[test]
    fn a_file_that_was_probably_meant_is_offered() {
        let files = "\n//- /project/modules/shell.nix\n{ }\n//- /other/team.nix\n{ }\n";
        let fixture = |import: &str| {
            Fixture::new(&format!("{{ imports = [ {import} ]; codchi.gpu.enable = true; }}{files}")).actions()
        };
        expect![[r#"
            * Change to `./modules/shell.nix`
            { imports = [ ./modules/shell.nix ]; codchi.gpu.enable = true; }

              Create `/project/modules/shel.nix`
              Allow `import-not-found` on this line
            # codchi: allow import-not-found
            { imports = [ ./modules/shel.nix ]; codchi.gpu.enable = true; }

        "#]]
        .assert_eq(&fixture("./modules/s$0hel.nix"));
        expect![[r#"
            * Change to `../other/team.nix`
            { imports = [ ../other/team.nix ]; codchi.gpu.enable = true; }

              Create `/project/team.nix`
              Allow `import-not-found` on this line
            # codchi: allow import-not-found
            { imports = [ ./team.nix ]; codchi.gpu.enable = true; }

        "#]]
        .assert_eq(&fixture("./t$0eam.nix"));
    }

    #[test]
    fn the_missing_file_can_be_created() {
        let create = |import: &str| {
            let text = format!(
                "{{ imports = [ {import} ]; codchi.gpu.enable = true; }}\n//- /project/folder/a.nix\n{{ }}"
            );
            Fixture::new(&text).refactoring("Create")
        };
        expect![[r#"
            Create `/project/modules/gone.nix`
            + /project/modules/gone.nix
            { pkgs, ... }:
            {
            }

        "#]]
        .assert_eq(&create("./mod$0ules/gone.nix"));
        expect![[r#"
            Create `/project/folder/default.nix`
            + /project/folder/default.nix
            { pkgs, ... }:
            {
            }

        "#]]
        .assert_eq(&create("./fol$0der"));
        expect![[r#"
            Create `/project/folders/default.nix`
            + /project/folders/default.nix
            { pkgs, ... }:
            {
            }

        "#]]
        .assert_eq(&create("./fol$0ders"));
        assert_eq!(create("./codchi.nix/be$0low.nix"), "", "there is a file where a folder would be");
    }
}
