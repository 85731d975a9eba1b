//! `unknown-option`: no such option below `codchi.`. NixOS refuses the whole module for it.
//!
//! Only where the options are listed: the members of a value of free form are nobody's business, and neither are options
//! that the module or one that may be evaluated together with it declares. Where one of these is not visible, it may
//! declare anything: then only a name that is clearly mistyped is reported.

use super::{Context, Finding, nearest};
use crate::syntax::tokens_at;
use crate::{DiagnosticCode, Edit, Facts, Severity};
use codchi_module::{Certainty, FREE_NAME, OptionPath, OptionUse, Options};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;
use std::path::Path;

/// How far from an option a name is that is clearly mistyped, in typing mistakes.
const TYPO: usize = 2;

/// How long such a name is at least: shorter ones are too often near to another.
const TYPO_LEN: usize = 4;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let options = Options::builtin();
    let unknown = cx.facts.options.iter().filter(|used| !options.exists(&used.path));
    let mut unknown = unknown.peekable();
    if unknown.peek().is_none() {
        return;
    }
    let declared = Declared::around(cx);
    for used in unknown.filter(|used| !declared.contain(&used.path)) {
        let choice = choice(cx, used);
        if choice != Choice::ByOptions {
            findings.extend(finding(options, used, declared.more || choice == Choice::Some));
        }
    }
}

/// How a definition may be left out of the module, where NixOS does not see it; `mkIf` does not hide it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Not at all.
    None,
    /// It may be: `optionalAttrs`, `if`.
    Some,
    /// It may be, and which options there are decides: `optionalAttrs (options ? codchi.new) { … }`.
    ByOptions,
}

fn choice(cx: &Context<'_>, used: &OptionUse) -> Choice {
    let (Certainty::Conditional, Some(segment)) = (used.certainty, used.segments.first()) else {
        return Choice::None;
    };
    let root = cx.document.root();
    let token = tokens_at(root.syntax(), segment.start()).right_biased();
    let mut choice = Choice::None;
    for node in token.iter().flat_map(|token| token.parent_ancestors()) {
        let parts = node.children().filter(|part| !part.text_range().contains_range(*segment));
        let parts: Vec<SyntaxNode> = parts.collect();
        let is_choice = match node.kind() {
            SyntaxKind::NODE_IF_ELSE => true,
            SyntaxKind::NODE_APPLY => parts.iter().any(|part| names(part, "optionalAttrs")),
            _ => false,
        };
        if is_choice && parts.iter().any(|part| names(part, "options")) {
            return Choice::ByOptions;
        }
        if is_choice {
            choice = Choice::Some;
        }
    }
    choice
}

/// Whether a name is in an expression.
fn names(node: &SyntaxNode, name: &str) -> bool {
    node.descendants_with_tokens().any(|it| {
        it.as_token().is_some_and(|token| token.kind() == SyntaxKind::TOKEN_IDENT && token.text() == name)
    })
}

/// The options below `codchi.` that other modules declare.
struct Declared {
    paths: Vec<OptionPath>,
    /// Whether there may be more.
    more: bool,
}

impl Declared {
    /// Those of the modules that may be evaluated together with this one.
    fn around(cx: &Context<'_>) -> Self {
        let mut declared = Self { paths: Vec::new(), more: cx.modules.may_be_part_of_more(cx.path) };
        let files = cx.modules.evaluated_with(cx.world, cx.path);
        for file in files.iter().filter(|file| cx.modules.may_declare(file)) {
            if let Some(facts) = cx.modules.facts(file) {
                declared.add(cx, file, &facts);
            }
        }
        declared
    }

    fn add(&mut self, cx: &Context<'_>, file: &Path, facts: &Facts) {
        self.paths.extend(facts.declared.iter().cloned());
        // What is half-typed may hide a declaration; in this file what it makes doubtful is left out elsewhere.
        self.more |= facts.may_declare_more
            || cx.modules.imports_unknown(file)
            || (file != cx.path && facts.has_syntax_errors);
    }

    /// Whether the path leads to one of the options, or is below one.
    fn contain(&self, path: &OptionPath) -> bool {
        self.paths.iter().any(|declared| declared.0.iter().zip(path.0.iter()).all(|(a, b)| a == b))
    }
}

/// What is said about a use of an option that does not exist; with `more` options than are known, only of mistyped ones.
fn finding(options: &Options, used: &OptionUse, more: bool) -> Option<Finding> {
    let names = &used.path.0;
    let known = (1..=names.len()).take_while(|&n| options.exists(&OptionPath::from(&names[..n]))).count();
    let unknown = names.get(known)?;
    // Where the name is in an outer set, the definition of that set is where it is reported.
    let range = *used.segments.get((known + used.segments.len()).checked_sub(names.len())?)?;

    let parent = OptionPath::from(&names[..known]);
    let children = options.children(&parent);
    let listed: Vec<&str> =
        children.iter().map(|&(name, _)| name).filter(|&name| name != FREE_NAME).collect();
    let nearest = nearest(unknown, listed.iter().copied());
    if more && !nearest.is_some_and(|near| is_typo(unknown, near)) {
        return None;
    }
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

/// Whether the name is clearly a mistyped `option`.
fn is_typo(name: &str, option: &str) -> bool {
    name.chars().count() >= TYPO_LEN && strsim::damerau_levenshtein(name, option) <= TYPO
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
    use crate::{Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};
    use std::collections::BTreeSet;

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn what_is_set_only_where_there_is_such_an_option_is_not_reported() {
        check(
            "{ lib, options, ... }: { config = lib.optionalAttrs (options ? codchi.newest) { codchi.newest = 1; }; }",
            expect![""],
        );
        check(
            "{ options, ... }: if options.codchi ? newest then { codchi.newest.a = 1; } else { }",
            expect![""],
        );
        check(
            "{ lib, config, ... }: { config = lib.mkIf config.x { codchi.gpu.enabled = 1; }; }",
            expect![[r#"
                error unknown-option at `enabled`: There is no option `codchi.gpu.enabled`. Did you mean `codchi.gpu.enable`?
            "#]],
        );
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
        check(
            r#"{ codchi.welcome = { text = "hi"; whatever.it.is = 1; }; }"#,
            expect![[r#"
            warning deprecated-option at `welcome`: `codchi.welcome` is deprecated. Use `codchi.initScript` for what the user should see or do after the machine was created.
        "#]],
        );
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

    /// `/project/codchi.nix` imports `use.nix`, which sets `codchi.own.port`, and these are the other files.
    fn set_in_one_file(codchi: &str, others: &str) -> String {
        let text = format!(
            "//- /project/codchi.nix\n{codchi}\n//- /project/use.nix\n{{ codchi.own.port = 1; }}\n{others}"
        );
        Fixture::new(&text).diagnostics()
    }

    #[test]
    fn options_that_any_file_of_the_module_declares_are_known() {
        const OPTIONS: &str = "{ lib, ... }: { options.codchi.own.port = lib.mkOption { }; }";
        // By what it is imported beside, directly and not, in place, and in what imports it.
        let beside = format!("//- /project/options.nix\n{OPTIONS}");
        assert_eq!(set_in_one_file("{ imports = [ ./use.nix ./options.nix ]; }", &beside), "");
        let far = "//- /project/a.nix\n{ imports = [ ./options.nix ]; }\n".to_owned() + &beside;
        assert_eq!(set_in_one_file("{ imports = [ ./use.nix ./a.nix ]; }", &far), "");
        let in_place =
            "{ lib, ... }: { imports = [ ./use.nix ]; options.codchi.own.port = lib.mkOption { }; }";
        assert_eq!(set_in_one_file(in_place, ""), "");
        // A module that sets none of our options itself and has no name of ours.
        let plain = "//- /project/web.nix\n{ imports = [ ./use.nix ./options.nix ]; }\n".to_owned() + &beside;
        assert_eq!(set_in_one_file("{ }", &plain), "");
        // Other outputs of the flake, as a machine may be made of several.
        let flake = "//- /project/flake.nix\n{ outputs = _: { nixosModules = { a = ./use.nix; b = ./options.nix; }; }; }\n"
            .to_owned()
            + &beside;
        assert_eq!(set_in_one_file("{ }", &flake), "");
        // Somewhere else in the workspace.
        let elsewhere = set_in_one_file("{ imports = [ ./use.nix ]; }", &beside);
        assert!(elsewhere.contains("There is no option `codchi.own`"), "{elsewhere}");
    }

    #[test]
    fn other_modules_of_a_machine_declare_options_too() {
        let text = "//- /a/codchi.nix\n{ codchi.own.port = 1; }\n//- /b/codchi.nix\n{ lib, ... }: { options.codchi.own.port = lib.mkOption { }; }";
        let module = |path: &str| MachineModule { path: path.into(), output: None };
        let machine = Machine {
            name: "both".into(),
            state: MachineState::Stopped,
            modules: vec![module("/a"), module("/b")],
            secrets: BTreeSet::new(),
            generation: 1,
            drift: Vec::new(),
        };
        let world = World { machines: vec![machine], ..World::default() };
        assert_eq!(Fixture::new(text).with(world).diagnostics(), "");
        assert!(Fixture::new(text).diagnostics().contains("There is no option `codchi.own`"));
    }

    #[test]
    fn where_an_import_is_not_visible_only_mistyped_names_are_reported() {
        const USE: &str = "codchi = { graphics.enable = true; gpu.x = 1; dokcer.enable = true; jav = 1; }";
        let expected = "error unknown-option at `dokcer`: There is no option `codchi.dokcer`. Did you mean `codchi.docker`?\n";
        for imports in ["inputs.a.nixosModules.b", "(mkModule 1)", "\"${inputs.a}/b.nix\"", "<a/b.nix>"] {
            let text = format!("{{ inputs, ... }}: {{ imports = [ {imports} ]; {USE}; }}");
            assert_eq!(Fixture::new(&text).diagnostics(), expected);
        }
        // Further down, and further up.
        for others in [
            "{ inputs, ... }: { imports = [ ./use.nix ./b.nix ]; }\n//- /project/b.nix\n{ x, ... }: { imports = x; }",
            "{ inputs, ... }: { imports = [ ./use.nix inputs.a.nixosModules.b ]; }",
            "{ imports = [ ./use.nix ./broken.nix ]; }\n//- /project/broken.nix\n{ options.codchi.gra",
        ] {
            let text = format!("//- /project/use.nix\n{{ {USE}; }}\n//- /project/codchi.nix\n{others}");
            let found = Fixture::new(&text).diagnostics();
            let found = found.lines().filter(|line| line.contains("unknown-option"));
            let found: String = found.map(|line| line.replace("/project/use.nix ", "") + "\n").collect();
            assert_eq!(found, expected, "{others}");
        }
    }

    #[test]
    fn other_options_and_computed_names_are_not_checked() {
        check(r"{ name, ... }: { services.codchi.x = 1; codchi.${name}.enable = true; }", expect![[r#""#]]);
    }
}
