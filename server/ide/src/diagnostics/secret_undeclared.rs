//! `secret-undeclared`: a secret is used that no file of the module declares, so that nobody is asked for it.
//!
//! Only where everything is visible that may declare it.

mod no_secret;

use super::{Context, Finding, nearest};
use crate::asked::all_secrets;
use crate::syntax::{first_place, module_set};
use crate::{DiagnosticCode, Edit, Severity, TextRange};
use codchi_module::{SecretSpelling, SecretUse, SecretUseKind};
use no_secret::is_no_secret;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    // Most secrets are declared where they are used: the other files are looked at only for what is left.
    let own: HashSet<&str> = cx.facts.secrets.iter().map(|secret| secret.name.as_str()).collect();
    let elsewhere: Vec<&SecretUse> =
        cx.facts.secret_uses.iter().filter(|used| !own.contains(used.name.as_str())).collect();
    if elsewhere.is_empty() || cx.facts.has_syntax_errors || !cx.modules.is_codchi(cx.path) {
        return;
    }
    if cx.modules.may_be_part_of_more(cx.path) {
        return;
    }
    let Some(declared) = declared(cx) else { return };
    let unknown = elsewhere.into_iter().filter(|used| !declared.contains(&used.name));
    let unknown = unknown.filter(|used| !is_no_secret(cx, used));
    findings.extend(unknown.map(|used| finding(cx, used, &declared)));
}

/// The secrets that are declared in what is evaluated together with this file, as its text or an evaluation says; `None` where
/// there may be others.
fn declared(cx: &Context<'_>) -> Option<BTreeSet<String>> {
    let evaluated = cx.asked.evaluations().all.iter().filter_map(|of| of.evaluated.manifest.as_ref());
    let mut names: BTreeSet<String> =
        evaluated.flat_map(|manifest| manifest.secrets.keys().cloned()).collect();
    for file in cx.modules.evaluated_with(cx.world, cx.path).iter() {
        let facts = cx.modules.facts(file)?;
        let hides_some = facts.may_declare_more || facts.secrets_unseen || cx.modules.imports_unknown(file);
        if facts.has_syntax_errors || (hides_some && !seen_by_evaluation(cx, file, &mut names)) {
            return None;
        }
        names.extend(facts.secrets.iter().map(|secret| secret.name.clone()));
        // What a module sets as a variable of its own is no secret, and is not missing either.
        let variables =
            facts.settings.iter().filter_map(|setting| setting.path.0.last()?.strip_prefix("CODCHI_"));
        names.extend(variables.map(str::to_owned));
    }
    Some(names)
}

/// Adds what evaluations found that saw all of a file, as it is; gives whether there are any.
fn seen_by_evaluation(cx: &Context<'_>, file: &Path, names: &mut BTreeSet<String>) -> bool {
    let mut seen = false;
    for evaluated in cx.world.evaluations.values() {
        let (Some(old), Some(found)) = (evaluated.texts.get(file), all_secrets(evaluated)) else { continue };
        if cx.modules.document(file).is_some_and(|document| *document.text() == **old) {
            names.extend(found.cloned());
            seen = true;
        }
    }
    seen
}

fn finding(cx: &Context<'_>, used: &SecretUse, declared: &BTreeSet<String>) -> Finding {
    let name = &used.name;
    let spelling = match used.kind {
        SecretUseKind::Variable | SecretUseKind::Config(SecretSpelling::Plain) => "",
        SecretUseKind::Config(SecretSpelling::Env) => "env.",
        SecretUseKind::Config(SecretSpelling::File) => "file.",
    };
    let meant = nearest(name, declared.iter().map(String::as_str));
    let hint = match meant {
        Some(meant) => format!("Did you mean `{meant}`?"),
        None => format!("Declare it: `codchi.secrets.{spelling}{name}.description = \"…\";`."),
    };
    let message = format!("No secret `{name}` is declared, so nobody is asked for its value. {hint}");
    let mut finding = Finding::new(DiagnosticCode::SecretUndeclared, Severity::Warning, used.range, message)
        .based_on_all(cx);
    if let Some(meant) = meant {
        if let Some((file, range)) = declaration_of(cx, meant) {
            finding = finding.related(&file, range, format!("`{meant}` is declared here"));
        }
        let edit = Edit { range: used.range, new_text: meant.to_owned() };
        finding = finding.edit(format!("Change to `{meant}`"), vec![edit]);
    }
    if let Some(edit) = declaration(cx, spelling, name) {
        finding = finding.edit(format!("Declare the secret `{name}`"), vec![edit]);
    }
    finding
}

/// Where a secret is declared.
fn declaration_of(cx: &Context<'_>, name: &str) -> Option<(Arc<Path>, TextRange)> {
    cx.modules.evaluated_with(cx.world, cx.path).iter().find_map(|file| {
        let facts = cx.modules.facts(file)?;
        let secret = facts.secrets.iter().find(|secret| secret.name == name)?;
        Some((file.clone(), secret.name_range))
    })
}

/// A declaration at the beginning of the module's set.
fn declaration(cx: &Context<'_>, spelling: &str, name: &str) -> Option<Edit> {
    let set = module_set(cx.document.root().expr()?)?;
    let (open, before) = first_place(&set, cx.document.text())?;
    let new_text = format!(
        "{before}codchi.secrets.{spelling}{name}.description = \"What {name} is and where to get it\";"
    );
    Some(Edit { range: TextRange::empty(open), new_text })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_secret_that_nothing_declares_is_reported_where_it_is_used() {
        check(
            "{ config, ... }: { codchi.initScript = \"echo $CODCHI_TOKEN\"; a = config.codchi.secrets.file.KEY.path; }",
            expect![[r#"
                warning secret-undeclared at `TOKEN`: No secret `TOKEN` is declared, so nobody is asked for its value. Declare it: `codchi.secrets.TOKEN.description = "…";`.
                warning secret-undeclared at `KEY`: No secret `KEY` is declared, so nobody is asked for its value. Declare it: `codchi.secrets.file.KEY.description = "…";`.
            "#]],
        );
        check(
            "{ codchi.secrets.NPM_TOKEN = { description = \"a\"; required = false; }; codchi.initScript = \"$CODCHI_NPM_TOKN\"; }",
            expect![[r#"
                warning secret-undeclared at `NPM_TOKN`: No secret `NPM_TOKN` is declared, so nobody is asked for its value. Did you mean `NPM_TOKEN`?
            "#]],
        );
    }

    #[test]
    fn what_is_declared_elsewhere_or_may_be_or_is_no_secret_is_not_reported() {
        check(
            "{ imports = [ ./b.nix ]; codchi.initScript = \"$CODCHI_TOKEN\"; }\n//- /project/b.nix\n{ codchi.secrets.TOKEN.description = \"a\"; }",
            expect![""],
        );
        check(
            "{ imports = [ ./b.nix ]; codchi.secrets.TOKEN.description = \"a\"; }\n//- /project/b.nix\n{ a = \"$CODCHI_TOKEN\"; }",
            expect![""],
        );
        check(
            "{ inputs, ... }: { imports = [ inputs.a.b ]; codchi.initScript = \"$CODCHI_TOKEN\"; }",
            expect![""],
        );
        check(
            "{ lib, ... }: { codchi.secrets = lib.genAttrs x f; codchi.initScript = \"$CODCHI_TOKEN\"; }",
            expect![""],
        );
        check("{ codchi.initScript = \"CODCHI_TOKEN=1; echo $CODCHI_TOKEN\"; }", expect![""]);
        check(
            "{ codchi.gpu.enable = true; environment.variables.CODCHI_A = \"1\"; b = \"$CODCHI_A\"; }",
            expect![""],
        );
        check(
            "{ b = \"$CODCHI_A\"; }",
            expect![[r#"
            warning secret-undeclared at `A`: No secret `A` is declared, so nobody is asked for its value. Declare it: `codchi.secrets.A.description = "…";`.
        "#]],
        );
    }

    #[test]
    fn it_can_be_declared() {
        expect![[r#"
            * Declare the secret `TOKEN`
            { ... }:
            {
              codchi.secrets.TOKEN.description = "What TOKEN is and where to get it";
              codchi.initScript = "$CODCHI_TOKEN";
            }

              Allow `secret-undeclared` on this line
            { ... }:
            {
              # codchi: allow secret-undeclared
              codchi.initScript = "$CODCHI_TOKEN";
            }

        "#]]
        .assert_eq(&Fixture::new("{ ... }:\n{\n  codchi.initScript = \"$CODCHI_TOK$0EN\";\n}\n").actions());
    }

    #[test]
    fn the_secret_that_was_probably_meant_is_shown_where_it_is_declared() {
        let fixture = Fixture::new(
            "{ imports = [ ./b.nix ]; codchi.initScript = \"$CODCHI_NPM_TOKN\"; }\n//- /project/b.nix\n{ codchi.secrets.NPM_TOKEN.description = \"a\"; }",
        );
        let found = fixture.analysis().diagnostics(&fixture.path);
        let related = &found[0].related[0];
        assert_eq!(&fixture.text(&related.path)[related.range], "NPM_TOKEN");
    }
}
