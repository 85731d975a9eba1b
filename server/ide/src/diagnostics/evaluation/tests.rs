use crate::fixture::Fixture;
use crate::{EvaluationError, Place};
use expect_test::{Expect, expect};

fn at(path: &str, line: u32, column: u32) -> Place {
    Place { path: path.into(), line, column }
}

fn error(message: &str) -> EvaluationError {
    EvaluationError { message: message.to_owned(), ..EvaluationError::default() }
}

fn placed(message: &str, places: &[Place]) -> EvaluationError {
    EvaluationError { places: places.to_vec(), ..error(message) }
}

fn of_option(message: &str, option: &str, files: &[&str]) -> EvaluationError {
    let files = files.iter().map(Into::into).collect();
    let option = Some(option.split('.').map(str::to_owned).collect());
    EvaluationError { option, files, ..error(message) }
}

/// All diagnostics, each with the other places that it is about.
fn found(fixture: &Fixture) -> String {
    let mut found = fixture.diagnostics();
    for path in fixture.paths() {
        for related in fixture.analysis().diagnostics(&path).iter().flat_map(|it| &it.related) {
            let there = &fixture.text(&related.path)[related.range];
            found.push_str(&format!("  + `{there}` in {}: {}\n", related.path.display(), related.message));
        }
    }
    found
}

fn check(text: &str, errors: Vec<EvaluationError>, expected: Expect) {
    expected.assert_eq(&found(&Fixture::new(text).evaluated(None, errors)));
}

const LINES: &str = "{ lib, ... }:\n{\n  codchi.gpu.enable = lib.mkIf (lib.versionAtLeast lib.versoin \"24\") true;\n  services.\"é\" = \"é\" + missing;\n}\n";

#[test]
fn what_has_a_place_is_shown_there() {
    check(
        LINES,
        vec![
            placed(
                "error: attribute 'versoin' missing\n\n       at /project/codchi.nix:3:52:",
                &[at("/nix/store/x/lib/modules.nix", 1, 2), at("/project/codchi.nix", 3, 52)],
            ),
            placed("undefined variable 'missing'", &[at("/project/codchi.nix", 4, 26)]),
        ],
        expect![[r#"
            error evaluation at `lib.versoin`: Attribute 'versoin' missing.
            error evaluation at `missing`: Undefined variable 'missing'.
        "#]],
    );
}

#[test]
fn the_innermost_place_that_is_known_counts_and_the_others_are_named() {
    check(
        "{ imports = [ ./a.nix ]; codchi.gpu.enable = true; }\n//- /project/a.nix\n{ x = f 1;\n  y = x; }",
        vec![placed(
            "boom",
            &[
                at("/elsewhere/lib.nix", 1, 1),
                at("/project/a.nix", 1, 7),
                at("/project/a.nix", 2, 7),
                at("/project/codchi.nix", 1, 15),
            ],
        )],
        expect![[r#"
            /project/a.nix error evaluation at `f`: Boom.
              + `x` in /project/a.nix: Nix was led here on the way to it
              + `./a.nix` in /project/codchi.nix: Nix was led here on the way to it
        "#]],
    );
}

#[test]
fn what_has_no_place_is_shown_at_the_definitions_of_its_option() {
    check(
        "{ imports = [ ./a.nix ]; codchi.initScript = x; services.app = { port = \"a\"; }; }\n//- /project/a.nix\n{ codchi.initScript = y; }",
        vec![
            of_option(
                "The option `codchi.initScript' has conflicting definitions.",
                "codchi.initScript",
                &[],
            ),
            of_option(
                "A definition for option `services.app.port' is not of type `port'. Definition values:\n- In `/project/codchi.nix': \"a\"",
                "services.app.port",
                &["/project/codchi.nix"],
            ),
        ],
        expect![[r#"
            /project/a.nix error evaluation at `codchi.initScript`: The option `codchi.initScript' has conflicting definitions.
            /project/codchi.nix error evaluation at `port`: A definition for option `services.app.port' is not of type `port'.
              + `codchi.initScript` in /project/codchi.nix: `codchi.initScript` is also defined here
        "#]],
    );
}

#[test]
fn an_option_that_is_defined_in_what_cannot_be_seen_into_is_shown_there() {
    check(
        "{ services = { a = 1; }; services.app = import ./app.nix; codchi.gpu.enable = true; }",
        vec![of_option("No.", "services.app.port", &[])],
        expect![[r#"
            error evaluation at `services.app`: No.
        "#]],
    );
}

#[test]
fn what_has_neither_is_shown_at_the_beginning_of_the_module() {
    check(
        "# A module.\n{ lib, ... }: { services = { a = 1; }; codchi.gpu.enable = true; }",
        vec![error("infinite recursion encountered"), of_option("No.", "services.app.port", &[])],
        expect![[r#"
            error evaluation at `{`: Infinite recursion encountered.
            error evaluation at `{`: No.
        "#]],
    );
}

#[test]
fn what_another_diagnostic_says_is_not_said_twice() {
    check(
        "{ imports = [ ./gone.nix ]; codchi.gpu.enabled = true; codchi.docker.enable = \"yes\"; a = 1; a = 2; }\n//- /project/other.nix\n{ }",
        vec![
            of_option(
                "The option `codchi.gpu.enabled' does not exist.",
                "codchi.gpu.enabled",
                &["/project/codchi.nix"],
            ),
            of_option("Not of type `boolean'.", "codchi.docker.enable", &["/project/codchi.nix"]),
            placed("attribute 'a' already defined", &[at("/project/codchi.nix", 1, 95)]),
            error("getting status of '/project/gone.nix': No such file or directory"),
        ],
        expect![[r#"
            /project/codchi.nix error import-not-found at `./gone.nix`: There is no `./gone.nix`: `/project/gone.nix` does not exist. Create it, or correct the path.
            /project/codchi.nix error unknown-option at `enabled`: There is no option `codchi.gpu.enabled`. Did you mean `codchi.gpu.enable`?
            /project/codchi.nix error wrong-type at `"yes"`: `codchi.docker.enable` wants `true` or `false`, but this is the string "yes".
            /project/codchi.nix error duplicate-definition at `a`: `a` is already defined on line 1, and Nix refuses a file that defines it twice. Keep one of the two.
              + `a` in /project/codchi.nix: `a` is defined here first
        "#]],
    );
}

fn edited(from: &str, to: &str, expected: Expect) {
    let errors = vec![
        placed("attribute 'versoin' missing", &[at("/project/codchi.nix", 3, 52)]),
        of_option("No.", "services.é", &[]),
        error("all of it"),
    ];
    expected.assert_eq(&found(&Fixture::new(LINES).evaluated(None, errors).typed(from, to)));
}

#[test]
fn an_error_moves_with_its_definition_and_goes_with_it() {
    edited(
        "{ lib, ... }:\n",
        "# New\n{ lib, ... }:\n",
        expect![[r#"
            error evaluation at `lib.versoin`: Attribute 'versoin' missing.
            error evaluation at `services."é"`: No.
        "#]],
    );
    edited(
        "lib.versoin",
        "lib.version",
        expect![[r#"
            error evaluation at `services."é"`: No.
        "#]],
    );
    edited(
        "+ missing",
        "",
        expect![[r#"
            error evaluation at `lib.versoin`: Attribute 'versoin' missing.
        "#]],
    );
    // A definition that is new may be what was missing.
    edited(
        "  services.\"é\" = \"é\" + missing;\n",
        "  services.\"é\" = \"é\" + missing;\n  imports = [ { services.\"é\" = lib.mkForce 1; } ];\n",
        expect![[r#"
            error evaluation at `lib.versoin`: Attribute 'versoin' missing.
        "#]],
    );
}

#[test]
fn an_error_of_two_modules_is_shown_once() {
    let mut fixture = Fixture::new(LINES)
        .evaluated(None, vec![placed("undefined variable 'missing'", &[at("/project/codchi.nix", 4, 26)])]);
    let evaluated = fixture.world.evaluations.values().next().expect("one").clone();
    fixture.world.evaluations.insert(("/project".into(), Some("other".into())), evaluated);
    expect![[r#"
        error evaluation at `missing`: Undefined variable 'missing'.
    "#]]
    .assert_eq(&found(&fixture));
}

#[test]
fn places_that_are_not_in_the_text_are_no_places() {
    check(
        LINES,
        vec![placed("odd", &[at("/project/codchi.nix", 0, 0), at("/project/codchi.nix", 99, 1)])],
        expect![[r#"
            error evaluation at `{`: Odd.
        "#]],
    );
    check(
        LINES,
        vec![placed("far right", &[at("/project/codchi.nix", 4, 4000)])],
        expect![[r#"
            error evaluation at `{`: Far right.
        "#]],
    );
}
