use crate::fixture::Fixture;
use crate::{
    Availability, Evaluated, EvaluatedManifest, EvaluatedSecret, EvaluationError, TextRange, TextSize, World,
};
use expect_test::{Expect, expect};
use std::sync::Arc;

/// Nothing is set, and the host offers nothing.
fn world() -> World {
    let missing = || Availability { available: false, probed: "Looked".into(), ..Availability::default() };
    let names = ["gpu", "cuda", "nesting", "kvm"];
    World {
        secrets: Some([].into()),
        capabilities: Some(names.iter().map(|&name| (name.to_owned(), missing())).collect()),
        ..World::default()
    }
}

/// Secrets, `?` after the name of one that is not required; capabilities with `!` where they are required.
fn manifest(names: &[&str]) -> EvaluatedManifest {
    let mut manifest = EvaluatedManifest::default();
    for name in names {
        let description = String::new();
        match (name.strip_suffix('?'), name.strip_suffix('!')) {
            (Some(secret), _) => {
                manifest.secrets.insert(secret.to_owned(), EvaluatedSecret { description, required: false });
            }
            (_, Some(capability)) => {
                manifest.required_capabilities.insert(capability.to_owned());
            }
            _ if name.to_lowercase() == *name => {
                manifest.optional_capabilities.insert((*name).to_owned());
            }
            _ => {
                manifest.secrets.insert((*name).to_owned(), EvaluatedSecret { description, required: true });
            }
        }
    }
    manifest
}

/// The codes and the places of what is reported.
fn found(fixture: &Fixture) -> String {
    let mut found = String::new();
    for path in fixture.paths() {
        let text = fixture.text(&path);
        for diagnostic in fixture.analysis().diagnostics(&path) {
            let line = text[..usize::from(diagnostic.range.start())].matches('\n').count() + 1;
            let place = &text[diagnostic.range];
            let severity = format!("{:?}", diagnostic.severity).to_lowercase();
            found.push_str(&format!("{line}: {severity} {} at `{place}`\n", diagnostic.code.name()));
        }
    }
    found
}

fn check(text: &str, evaluated: &[&str], expected: Expect) {
    expected.assert_eq(&found(
        &Fixture::new(text).with(world()).evaluated(Some(manifest(evaluated)), Vec::new()),
    ));
}

const CONDITIONAL: &str = "{ config, lib, ... }:\n{\n  codchi.secrets.A = lib.mkIf config.x { description = \"a\"; };\n  codchi.secrets.B.description = \"b\";\n  services.x.enable = true;\n}\n";

#[test]
fn a_secret_under_a_condition_is_missed_where_the_evaluation_asks_for_it() {
    check(
        CONDITIONAL,
        &["A", "B"],
        expect![[r#"
        3: warning secret-not-set at `A`
        4: warning secret-not-set at `B`
    "#]],
    );
    check(
        CONDITIONAL,
        &["A?", "B"],
        expect![[r#"
        4: warning secret-not-set at `B`
    "#]],
    );
}

#[test]
fn a_secret_that_the_evaluation_does_not_ask_for_is_not_missed() {
    check(
        CONDITIONAL,
        &["A"],
        expect![[r#"
        3: warning secret-not-set at `A`
    "#]],
    );
    check(
        CONDITIONAL,
        &["A", "B?"],
        expect![[r#"
        3: warning secret-not-set at `A`
    "#]],
    );
}

#[test]
fn an_evaluation_that_did_not_get_that_far_says_nothing_of_what_it_lacks() {
    let error = EvaluationError {
        option: Some(vec!["codchi".into(), "secrets".into()]),
        ..EvaluationError::default()
    };
    let fixture = Fixture::new(CONDITIONAL).with(world()).evaluated(Some(manifest(&["A"])), vec![error]);
    expect![[r#"
        3: error evaluation at `codchi.secrets.A`
        3: warning secret-not-set at `A`
        4: warning secret-not-set at `B`
    "#]]
    .assert_eq(&found(&fixture));
}

fn typed(from: &str, to: &str, expected: Expect) {
    let fixture = Fixture::new(CONDITIONAL).with(world()).evaluated(Some(manifest(&["A", "B?"])), Vec::new());
    expected.assert_eq(&found(&fixture.typed(from, to)));
}

#[test]
fn what_an_evaluation_found_holds_while_the_definition_and_its_conditions_stand() {
    typed(
        "services.x.enable = true;",
        "services.x.enable = false;",
        expect![[r#"
        3: warning secret-not-set at `A`
    "#]],
    );
    // Neither is known now: `A` may not be asked for, and `B` is, as far as the text tells.
    typed("config.x", "config.y", expect![""]);
    typed("description = \"a\"", "description = \"a!\"", expect![""]);
    typed(
        "\"b\"",
        "\"b!\"",
        expect![[r#"
        3: warning secret-not-set at `A`
        4: warning secret-not-set at `B`
    "#]],
    );
}

#[test]
fn what_is_said_not_to_be_required_since_is_not_missed() {
    let text = "{\n  codchi.secrets.A.description = \"a\";\n}\n";
    let fixture = Fixture::new(text).with(world()).evaluated(Some(manifest(&["A"])), Vec::new());
    let fixture = fixture.typed("{\n", "{\n  codchi.secrets.A.required = false;\n");
    expect![""].assert_eq(&found(&fixture));
}

#[test]
fn secrets_that_a_function_gives_are_missed_at_the_narrowest_place() {
    // The name in what the function is given.
    check(
        "{ lib, ... }:\n{\n  codchi.secrets = lib.genAttrs [ \"A\" \"B\" ] (name: { description = name; });\n}\n",
        &["A", "B?"],
        expect![[r#"
            3: warning secret-not-set at `"A"`
        "#]],
    );
    // The name in a set elsewhere in the file.
    check(
        "{ lib, ... }:\nlet\n  all = { A = \"a\"; };\nin\n{\n  codchi.secrets.env = lib.mapAttrs (_: description: { inherit description; }) all;\n}\n",
        &["A"],
        expect![[r#"
            3: warning secret-not-set at `A`
        "#]],
    );
    // No name: the definition.
    check(
        "{ lib, ... }:\n{\n  codchi.secrets.file = import ./secrets.nix;\n}\n",
        &["A"],
        expect![[r#"
            3: warning secret-not-set at `codchi.secrets.file`
        "#]],
    );
    // Names that could be several: nowhere.
    check(
        "{ lib, f, ... }:\n{\n  codchi.secrets.env = f \"A\";\n  codchi.secrets.file = f \"A\";\n}\n",
        &["A"],
        expect![""],
    );
}

#[test]
fn what_a_function_gives_is_not_known_any_more_after_it_was_edited() {
    let text = "{ lib, ... }:\nlet\n  all = { A = \"a\"; };\nin\n{\n  codchi.secrets.env = lib.mapAttrs (_: description: { inherit description; }) all;\n}\n";
    let fixture = || Fixture::new(text).with(world()).evaluated(Some(manifest(&["A"])), Vec::new());
    expect![""].assert_eq(&found(
        &fixture().typed("inherit description;", "inherit description; required = false;"),
    ));
    expect![[r#"
        4: warning secret-not-set at `A`
    "#]]
    .assert_eq(&found(&fixture().typed("let\n", "let\n\n")));
}

#[test]
fn a_secret_of_a_function_is_missed_only_in_the_file_that_declares_it() {
    check(
        "//- /project/codchi.nix\n{ imports = [ ./a.nix ]; codchi.secrets = f x; }\n//- /project/a.nix\n{ codchi.secrets.A.description = \"a\"; b = \"A\"; }",
        &["A"],
        expect![[r#"
            1: warning secret-not-set at `A`
        "#]],
    );
}

#[test]
fn capabilities_are_those_that_the_evaluation_asks_for() {
    let text = "{ config, lib, ... }:\n{\n  codchi.requiredCapabilities = [ \"gpu\" ] ++ lib.optional config.x \"kvm\";\n  codchi.docker.enable = true;\n}\n";
    check(
        text,
        &["gpu!", "kvm!", "nesting!"],
        expect![[r#"
        3: error capability-missing at `"gpu"`
        3: error capability-missing at `"kvm"`
        4: error capability-missing at `codchi.docker.enable`
    "#]],
    );
    check(
        text,
        &["kvm"],
        expect![[r#"
        3: hint capability-missing at `"kvm"`
    "#]],
    );
    check(
        "{\n  codchi.optionalCapabilities = map f [ \"gpu\" ];\n}\n",
        &["gpu"],
        expect![[r#"
            2: hint capability-missing at `"gpu"`
        "#]],
    );
}

#[test]
fn an_optional_capability_that_is_required_elsewhere_is_missing_there() {
    check(
        "{\n  codchi.requiredCapabilities = [ \"gpu\" ];\n  codchi.optionalCapabilities = [ \"gpu\" \"kvm\" ];\n}\n",
        &["gpu!", "kvm"],
        expect![[r#"
            2: error capability-missing at `"gpu"`
            3: hint capability-missing at `"kvm"`
        "#]],
    );
}

#[test]
fn a_secret_is_undeclared_where_no_evaluation_that_saw_all_declares_it() {
    let text = "{ lib, ... }:\n{\n  codchi.secrets = lib.genAttrs [ \"A\" ] f;\n  codchi.initScript = \"$CODCHI_A $CODCHI_B\";\n}\n";
    check(
        text,
        &["A?"],
        expect![[r#"
        4: warning secret-undeclared at `B`
    "#]],
    );
    // What was typed since may declare it.
    let fixture = Fixture::new(text).with(world()).evaluated(Some(manifest(&["A?"])), Vec::new());
    expect![""].assert_eq(&found(&fixture.typed("\"A\"", "\"A\" \"B\"")));
    // An evaluation may see what the text does not show.
    check("{ codchi.initScript = \"$CODCHI_A\"; }", &["A?"], expect![""]);
}

#[test]
fn a_module_beside_which_a_file_lies_does_not_say_what_it_asks_for() {
    let text = "//- /project/flake.nix\n{ outputs = _: { nixosModules = { default = ./codchi.nix; other = ./other.nix; }; }; }\n//- /project/codchi.nix\n{ codchi.secrets.A.description = \"a\"; }\n//- /project/other.nix\n{ codchi.secrets.B.description = \"b\"; }";
    let mut fixture = Fixture::new(text).with(world()).evaluated(Some(manifest(&["A"])), Vec::new());
    let of_default = fixture.world.evaluations.values().next().expect("one").as_ref().clone();
    let of_other = Evaluated { manifest: Some(manifest(&["B"])), ..of_default };
    fixture.world.evaluations.insert(("/project".into(), Some("other".into())), Arc::new(of_other));
    expect![[r#"
        1: warning secret-not-set at `A`
        1: warning secret-not-set at `B`
    "#]]
    .assert_eq(&found(&fixture));
}

#[test]
fn hints_and_hovers_tell_what_the_evaluation_found() {
    let fixture = Fixture::new(&CONDITIONAL.replace("secrets.B", "secrets.$0B"));
    let fixture = fixture.with(world()).evaluated(Some(manifest(&["A"])), Vec::new());
    let all = TextRange::up_to(TextSize::of(fixture.text(&fixture.path)));
    let hints = fixture.analysis().inlay_hints(&fixture.path, all);
    let labels: Vec<_> = hints.iter().map(|hint| (u32::from(hint.offset), hint.label.as_str())).collect();
    assert_eq!(labels, [(42, "not set")], "only what is asked for");
    expect![[r#"
        over B

        `B`: user secret

        b

        In the machine: the environment variable `$CODCHI_B` and the file `/run/codchi/secrets/B`.

        Nobody is asked for it: the module does not declare it as it is.
    "#]]
    .assert_eq(&fixture.hover());
}
