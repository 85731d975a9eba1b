//! `unknown-option`: no such option below `codchi.`. NixOS refuses the whole module for it.
//!
//! Only where the options are listed: the members of a value of free form are nobody's business, and neither are options
//! that the module declares itself.

use super::{Context, Finding, nearest};
use crate::syntax::{names, site};
use crate::{DiagnosticCode, Edit, Severity};
use codchi_module::{FREE_NAME, OptionPath, OptionUse, Options};
use rnix::SyntaxNode;
use rnix::ast::{AttrpathValue, Expr};
use rowan::ast::AstNode;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let options = Options::builtin();
    let unknown = cx.facts.options.iter().filter(|used| !options.exists(&used.path));
    let mut unknown = unknown.peekable();
    if unknown.peek().is_none() {
        return;
    }
    let declared = declared_options(cx);
    let is_declared = |used: &OptionUse| declared.iter().any(|path| overlap(path, &used.path.0));
    findings.extend(unknown.filter(|used| !is_declared(used)).filter_map(|used| finding(options, used)));
}

/// The options below `codchi.` that the modules declare which are evaluated together with this one.
fn declared_options(cx: &Context<'_>) -> Vec<Vec<String>> {
    let documents = cx.modules.related_documents(cx.path);
    let declaring = documents.iter().filter(|document| document.text().contains("options"));
    declaring.flat_map(|document| option_declarations(document.root().syntax())).collect()
}

fn option_declarations(root: &SyntaxNode) -> Vec<Vec<String>> {
    let declaration = |binding: AttrpathValue| {
        // A set leads to declarations; anything else is one, or gives some that cannot be seen.
        let leads_on = matches!(binding.value(), Some(Expr::AttrSet(_)));
        let mut path = site(binding.syntax()).names;
        path.extend(names(&binding));
        let is_option = path.starts_with(&["options".to_owned(), "codchi".to_owned()]);
        (is_option && !leads_on).then(|| path.split_off(1))
    };
    root.descendants().filter_map(AttrpathValue::cast).filter_map(declaration).collect()
}

/// Whether one of the paths leads to the other.
fn overlap(a: &[String], b: &[String]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

fn finding(options: &Options, used: &OptionUse) -> Option<Finding> {
    let names = &used.path.0;
    let known = (1..=names.len()).take_while(|&n| options.exists(&OptionPath(names[..n].to_vec()))).count();
    let unknown = names.get(known)?;
    // Where the name is in an outer set, the definition of that set is where it is reported.
    let range = *used.segments.get((known + used.segments.len()).checked_sub(names.len())?)?;

    let parent = OptionPath(names[..known].to_vec());
    let children = options.children(&parent);
    let listed: Vec<&str> =
        children.iter().map(|&(name, _)| name).filter(|&name| name != FREE_NAME).collect();
    let nearest = nearest(unknown, listed.iter().copied());
    let what = format!("There is no option `{}`", parent.join(unknown));
    let message = match nearest {
        Some(name) => format!("{what}. Did you mean `{}`?", parent.join(name)),
        None if listed.is_empty() => {
            let kind = options.kind(&parent).map(ToString::to_string).unwrap_or_default();
            format!("{what}: `{parent}` is an option of the type {kind}, with nothing below it.")
        }
        None => format!("{what}. `{parent}` has {}.", enumerate(&listed)),
    };
    let finding = Finding::new(DiagnosticCode::UnknownOption, Severity::Error, range, message);
    Some(match nearest {
        Some(name) => {
            finding.edit(format!("Did you mean `{name}`?"), vec![Edit { range, new_text: name.to_owned() }])
        }
        None => finding,
    })
}

fn enumerate(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
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
    fn the_nearest_option_is_suggested() {
        check(
            r"{ codchi.gpu.enabled = true; }",
            expect![[r#"
            error unknown-option at `enabled`: There is no option `codchi.gpu.enabled`. Did you mean `codchi.gpu.enable`?
        "#]],
        );
        check(
            r"{ codchi.dokcer.enable = true; }",
            expect![[r#"
            error unknown-option at `dokcer`: There is no option `codchi.dokcer`. Did you mean `codchi.docker`?
        "#]],
        );
        check(
            r"{ codchi = { gpu.enabel = true; }; }",
            expect![[r#"
            error unknown-option at `enabel`: There is no option `codchi.gpu.enabel`. Did you mean `codchi.gpu.enable`?
        "#]],
        );
    }

    #[test]
    fn where_nothing_is_near_the_options_are_listed() {
        check(
            r"{ codchi.docker.networking = true; }",
            expect![[r#"
            error unknown-option at `networking`: There is no option `codchi.docker.networking`. `codchi.docker` has `enable` and `enableNvidia`.
        "#]],
        );
    }

    #[test]
    fn an_option_has_nothing_below_it() {
        check(
            r"{ codchi.gpu.enable.always = true; }",
            expect![[r#"
            error unknown-option at `always`: There is no option `codchi.gpu.enable.always`: `codchi.gpu.enable` is an option of the type boolean, with nothing below it.
        "#]],
        );
    }

    #[test]
    fn a_set_of_an_unknown_name_is_reported_once() {
        check(
            r"{ codchi.graphics = { enable = true; driver = 1; }; }",
            expect![[r#"
            error unknown-option at `graphics`: There is no option `codchi.graphics`. `codchi` has `docker`, `enableRecommendedConfig`, `gpu`, `hostSecrets`, `initScript`, `java`, `keyring`, `optionalCapabilities`, `requiredCapabilities`, `secrets` and `welcome`.
        "#]],
        );
    }

    #[test]
    fn options_of_secrets_are_checked_in_all_spellings() {
        check(
            r#"{ codchi.secrets.A = { description = "a"; owned = "me"; }; }"#,
            expect![[r#"
            error unknown-option at `owned`: There is no option `codchi.secrets.A.owned`. Did you mean `codchi.secrets.A.owner`?
        "#]],
        );
        check(
            r#"{ codchi.secrets.env.A = { description = "a"; owner = "me"; }; }"#,
            expect![[r#"
            error unknown-option at `owner`: There is no option `codchi.secrets.env.A.owner`. `codchi.secrets.env.A` has `description`, `multiline`, `pattern`, `required` and `units`.
        "#]],
        );
        check(r#"{ codchi.secrets.file.A = { description = "a"; owner = "me"; }; }"#, expect![[r#""#]]);
    }

    #[test]
    fn what_is_below_an_option_of_free_form_is_not_checked() {
        check(r#"{ codchi.welcome = { text = "hi"; whatever.it.is = 1; }; }"#, expect![[r#""#]]);
        check(r"{ pkgs, ... }: { codchi.java.jdks.seventeen = pkgs.jdk17; }", expect![[r#""#]]);
    }

    #[test]
    fn options_that_the_module_declares_itself_are_known() {
        check(
            r"{ lib, ... }: { options.codchi.own.port = lib.mkOption { type = 1; }; config.codchi.own.port = 1; config.codchi.other = 1; }",
            expect![[r#"
                error unknown-option at `other`: There is no option `codchi.other`. `codchi` has `docker`, `enableRecommendedConfig`, `gpu`, `hostSecrets`, `initScript`, `java`, `keyring`, `optionalCapabilities`, `requiredCapabilities`, `secrets` and `welcome`.
            "#]],
        );
        check(
            r"//- /project/codchi.nix
{ imports = [ ./options.nix ]; codchi.own = { port = 1; }; }
//- /project/options.nix
{ lib, ... }: { options = { codchi = { own = lib.mkOption { }; }; }; }",
            expect![[r#""#]],
        );
    }

    #[test]
    fn other_options_and_computed_names_are_not_checked() {
        check(r"{ name, ... }: { services.codchi.x = 1; codchi.${name}.enable = true; }", expect![[r#""#]]);
    }
}
