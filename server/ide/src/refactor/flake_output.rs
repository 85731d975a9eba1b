//! A plain module as an output of a flake: a new `flake.nix` beside it, or an output in the one that is there.
//!
//! A file that exists is never written anew.

use crate::modules::Modules;
use crate::syntax::{first_place, module_set, names};
use crate::{Action, ActionKind, Command, Edit, FileChange, Files, TextRange};
use codchi_module::{is_identifier, normalise};
use rnix::ast::{AttrSet, Expr, HasEntry as _};
use std::path::Path;

const FLAKE: &str = "flake.nix";

/// What can be done where `range` is in the head of a module that no flake gives: before its definitions.
pub(crate) fn actions(files: &dyn Files, path: &Path, range: TextRange) -> Option<Action> {
    let document = files.document(path)?;
    let facts = document.facts();
    if !path.is_absolute() || path.ends_with(FLAKE) || facts.has_syntax_errors || !facts.may_be_module {
        return None;
    }
    let set = module_set(document.root().expr()?)?;
    let modules = Modules::new(files);
    let in_head = range.end() <= set.l_curly_token()?.text_range().end();
    if !in_head || !modules.is_codchi(path) || modules.is_imported(path) {
        return None;
    }
    let flake = path.ancestors().skip(1).map(|folder| folder.join(FLAKE)).find(|flake| files.exists(flake));
    match flake {
        None => create(path),
        Some(flake) => add(files, &flake, path),
    }
}

fn create(path: &Path) -> Option<Action> {
    let folder = path.parent()?;
    let module = written(folder, path)?;
    let text = format!(
        "{{\n  description = \"A project with a codchi module\";\n\n  outputs = _: {{ nixosModules.default = {module}; }};\n}}\n"
    );
    let change = FileChange::Create { path: folder.join(FLAKE), text };
    Some(action(
        format!("Create a flake.nix that gives this module as `nixosModules.default` ({module})"),
        change,
    ))
}

/// An output in a flake whose outputs are all seen.
fn add(files: &dyn Files, flake: &Path, path: &Path) -> Option<Action> {
    let document = files.document(flake)?;
    let facts = document.facts();
    if facts.has_syntax_errors || facts.flake_modules_unseen {
        return None;
    }
    let folder = flake.parent()?;
    let module = written(folder, path)?;
    let is_taken = |name: &str| facts.flake_modules.iter().any(|it| it.name == name);
    let name = std::iter::once("default".to_owned())
        .chain(names_for(path))
        .find(|name| is_identifier(name) && !is_taken(name))?;
    let outputs = outputs(document.root().expr()?)?;
    let modules = outputs.attrpath_values().find(|binding| names(binding) == ["nixosModules"]);
    let (set, prefix) = match modules.map(|binding| binding.value()) {
        Some(Some(Expr::AttrSet(set))) => (set, ""),
        Some(_) => return None,
        None => (outputs, "nixosModules."),
    };
    let (at, before) = first_place(&set, document.text())?;
    let edit = Edit { range: TextRange::empty(at), new_text: format!("{before}{prefix}{name} = {module};") };
    let change = FileChange::Edit { path: flake.to_owned(), edits: vec![edit] };
    Some(action(format!("Add this module to flake.nix as `nixosModules.{name}`"), change))
}

fn action(title: String, change: FileChange) -> Action {
    Action {
        title,
        kind: ActionKind::Rewrite,
        fixes: None,
        edits: Vec::new(),
        elsewhere: vec![change],
        command: Command::None,
        preferred: false,
    }
}

/// The module as a path of Nix in a file of `folder`; `None` where its name needs more than that.
fn written(folder: &Path, path: &Path) -> Option<String> {
    let path = normalise(path);
    let below = path.strip_prefix(folder).ok()?.to_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
    below.chars().all(is_plain).then(|| format!("./{below}"))
}

/// Names for the output, by the file's and then the folder's name.
fn names_for(path: &Path) -> Vec<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let stem = stem.filter(|stem| !matches!(*stem, "codchi" | "default"));
    stem.into_iter().chain(folder).map(str::to_owned).collect()
}

/// The set of a flake's outputs, where it is written out.
fn outputs(flake: Expr) -> Option<AttrSet> {
    let Expr::AttrSet(flake) = flake else { return None };
    let outputs = flake.attrpath_values().find(|binding| names(binding) == ["outputs"])?;
    written_set(outputs.value()?)
}

fn written_set(expr: Expr) -> Option<AttrSet> {
    match expr {
        Expr::AttrSet(set) => Some(set),
        Expr::Lambda(lambda) => written_set(lambda.body()?),
        Expr::Paren(paren) => written_set(paren.expr()?),
        Expr::LetIn(let_in) => written_set(let_in.body()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).refactoring("flake"));
    }

    #[test]
    fn a_plain_module_can_get_a_flake() {
        check(
            "{ pk$0gs, ... }:\n{\n  codchi.gpu.enable = true;\n}\n",
            expect![[r#"
            Create a flake.nix that gives this module as `nixosModules.default` (./codchi.nix)
            + /project/flake.nix
            {
              description = "A project with a codchi module";

              outputs = _: { nixosModules.default = ./codchi.nix; };
            }

        "#]],
        );
        check("//- /project/a b.nix\n{ pk$0gs, ... }: { codchi.gpu.enable = true; }\n", expect![""]);
        check("{ pkgs, ... }:\n{\n  codchi.gpu.en$0able = true;\n}\n", expect![""]);
    }

    #[test]
    fn a_flake_that_is_there_gets_an_output() {
        check(
            "//- /project/codchi.nix\n{ ... }:$0 { codchi.gpu.enable = true; }\n//- /project/flake.nix\n{\n  outputs = { self }: {\n    lib = { };\n  };\n}\n",
            expect![[r#"
                Add this module to flake.nix as `nixosModules.default`
                * /project/flake.nix
                {
                  outputs = { self }: {
                    nixosModules.default = ./codchi.nix;
                    lib = { };
                  };
                }

            "#]],
        );
        check(
            "//- /project/modules/web/codchi.nix\n{ ... }:$0 { codchi.gpu.enable = true; }\n//- /project/flake.nix\n{ outputs = _: { nixosModules = { default = ./b.nix; }; }; }\n",
            expect![[r#"
                Add this module to flake.nix as `nixosModules.web`
                * /project/flake.nix
                { outputs = _: { nixosModules = { web = ./modules/web/codchi.nix; default = ./b.nix; }; }; }

            "#]],
        );
    }

    #[test]
    fn what_a_flake_gives_already_or_may_give_is_left_alone() {
        check(
            "//- /project/codchi.nix\n{ ... }:$0 { codchi.gpu.enable = true; }\n//- /project/flake.nix\n{ outputs = _: { nixosModules.default = ./codchi.nix; }; }\n",
            expect![""],
        );
        check(
            "//- /project/codchi.nix\n{ ... }:$0 { codchi.gpu.enable = true; }\n//- /project/flake.nix\n{ outputs = inputs: inputs.a.b inputs; }\n",
            expect![""],
        );
    }
}
