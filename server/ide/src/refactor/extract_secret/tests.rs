use crate::fixture::Fixture;
use crate::{TextRange, TextSize};
use expect_test::{Expect, expect};

/// `‹` and `›` are around what is selected.
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&extracted(text));
}

fn extracted(text: &str) -> String {
    let (start, end) = (text.find('‹').unwrap(), text.find('›').unwrap() - '‹'.len_utf8());
    let text = text.replace(['‹', '›'], "");
    let fixture = Fixture::new(&text);
    let size = |n: usize| TextSize::try_from(n).unwrap();
    let range = TextRange::new(size(start), size(end));
    let Some(extraction) = fixture.analysis().extraction(&fixture.path, range) else {
        return "nothing\n".into();
    };
    let name = &extraction.suggested;
    let mut text = text;
    for edit in extraction.edits(name).iter().rev() {
        text.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
    }
    assert!(!crate::Document::new(text.as_str()).has_syntax_errors(), "{text}");
    assert!(!text.contains(extraction.value()), "the value is gone from the text");
    format!("{} = {:?}: {}\n{text}\n", name, extraction.value(), extraction.explanation(name))
}

#[test]
fn a_value_of_a_file_option_becomes_the_secrets_file() {
    check(
        "{ config, ... }:\n{\n  codchi.gpu.enable = true;\n  services.a.adminPasswordFile = \"‹›s3cret\";\n}\n",
        expect![[r#"
            ADMIN_PASSWORD = "s3cret": The path of a file with the value then stands in its place.
            { config, ... }:
            {
              codchi.secrets.ADMIN_PASSWORD.description = "What ADMIN_PASSWORD is and where to get it";
              codchi.gpu.enable = true;
              services.a.adminPasswordFile = config.codchi.secrets.ADMIN_PASSWORD.path;
            }

        "#]],
    );
    check(
        "{ pkgs, ... }: { codchi.gpu.enable = true; services.a.keyFile = pkgs.writeText \"key\" \"‹›line\\nline2\"; }",
        expect![[r#"
            A_KEY = "line\nline2": The path of a file with the value then stands in its place.
            { config, pkgs, ... }: { codchi.secrets.A_KEY = { description = "What A_KEY is and where to get it"; multiline = true; }; codchi.gpu.enable = true; services.a.keyFile = config.codchi.secrets.A_KEY.path; }
        "#]],
    );
}

#[test]
fn an_option_that_takes_a_value_becomes_the_one_that_takes_a_file() {
    check(
        "{ codchi.gpu.enable = true; services.grafana.password = \"‹hunter22›\"; }",
        expect![[r#"
        GRAFANA_PASSWORD = "hunter22": `password` takes the value itself, which would be in the Nix store. So `passwordFile` is set instead, to the path of a file with the value: see to it that this option exists.
        { config, ... }:
        { codchi.secrets.GRAFANA_PASSWORD.description = "What GRAFANA_PASSWORD is and where to get it"; codchi.gpu.enable = true; services.grafana.passwordFile = config.codchi.secrets.GRAFANA_PASSWORD.path; }
    "#]],
    );
}

#[test]
fn anything_else_becomes_the_path_of_a_file() {
    check(
        "args: { codchi.gpu.enable = true; environment.variables.API_URL = \"‹›postgres://a:b2c3@d/e\"; }",
        expect![[r#"
            API_URL = "postgres://a:b2c3@d/e": What is in a module ends in the Nix store, so the path of a file with the value then stands in its place: what reads it must read that file.
            args: { codchi.secrets.API_URL.description = "What API_URL is and where to get it"; codchi.gpu.enable = true; environment.variables.API_URL = args.config.codchi.secrets.API_URL.path; }
        "#]],
    );
    check(
        "{ codchi.gpu.enable = true; a = let config = 1; in { b = [ \"‹›hunter22\" ]; }; }",
        expect![[r#"
        B = "hunter22": What is in a module ends in the Nix store, so the path of a file with the value then stands in its place: what reads it must read that file.
        { codchi.secrets.B.description = "What B is and where to get it"; codchi.gpu.enable = true; a = let config = 1; in { b = [ "/run/codchi/secrets/B" ]; }; }
    "#]],
    );
}

#[test]
fn a_part_of_a_script_becomes_the_secrets_variable() {
    check(
        "{\n  codchi.initScript = ''\n    export API_KEY=‹abc123def›\n  '';\n}\n",
        expect![[r#"
        API_KEY = "abc123def": The script then reads the variable `$CODCHI_API_KEY`.
        {
          codchi.secrets.API_KEY.description = "What API_KEY is and where to get it";
          codchi.initScript = ''
            export API_KEY="$CODCHI_API_KEY"
          '';
        }

    "#]],
    );
    check(
        "{ codchi.initScript = \"login --token='‹abc123def›'\"; }",
        expect![[r#"
            TOKEN = "abc123def": The script then reads the variable `$CODCHI_TOKEN`.
            { codchi.secrets.TOKEN.description = "What TOKEN is and where to get it"; codchi.initScript = "login --token=\"$CODCHI_TOKEN\""; }
        "#]],
    );
    check(
        "{ codchi.initScript = ''a \"b-‹abc123def›c\"''; }",
        expect![[r#"
        INIT_SCRIPT = "abc123def": The script then reads the variable `$CODCHI_INIT_SCRIPT`.
        { codchi.secrets.INIT_SCRIPT.description = "What INIT_SCRIPT is and where to get it"; codchi.initScript = ''a "b-''${CODCHI_INIT_SCRIPT}c"''; }
    "#]],
    );
    check(
        "{\n  codchi.gpu.enable = true;\n  systemd.services.web.script = ''\n    serve --key \"‹abc123def›\"\n  '';\n}\n",
        expect![[r#"
            KEY = "abc123def": The script then reads the variable `$CODCHI_KEY`, which the service web is given.
            {
              codchi.secrets.KEY = { description = "What KEY is and where to get it"; units = [ "web" ]; };
              codchi.gpu.enable = true;
              systemd.services.web.script = ''
                serve --key "$CODCHI_KEY"
              '';
            }

        "#]],
    );
}

#[test]
fn names_that_are_taken_are_not_suggested() {
    check(
        "{ config, ... }: { codchi.secrets.API_KEY.description = \"a\"; services.a.apiKeyFile = \"‹›xyz123\"; }",
        expect![[r#"
            API_KEY_2 = "xyz123": The path of a file with the value then stands in its place.
            { config, ... }: { codchi.secrets.API_KEY_2.description = "What API_KEY_2 is and where to get it"; codchi.secrets.API_KEY.description = "a"; services.a.apiKeyFile = config.codchi.secrets.API_KEY_2.path; }
        "#]],
    );
}

#[test]
fn what_cannot_be_told_or_is_no_value_is_left_alone() {
    for text in [
        "{ codchi.initScript = ''a ‹›abc''; }",
        "{ codchi.initScript = ''a 'b ‹abc123def›' ''; }",
        "{ codchi.initScript = ''cat <<EOF\n‹abc123def›''; }",
        "{ codchi.gpu.enable = true; services.a.preStart = ''‹abc123def›''; }",
        "{ codchi.secrets.A.description = \"‹›abc\"; }",
        "{ codchi.gpu.enable = true; \"‹›abc\" = 1; }",
        "{ codchi.gpu.enable = true; a = \"‹›\"; }",
        "{ b, ... }: { codchi.gpu.enable = true; a = \"‹›x${b}\"; }",
        "{ b, ... }: { a = 1; b = ‹›2; }",
    ] {
        assert_eq!(extracted(text), "nothing\n", "{text}");
    }
    // No codchi module.
    let fixture = Fixture::new("//- /other.nix\n{ a = \"$0abc\"; }");
    let range = TextRange::empty(fixture.offset);
    assert!(fixture.analysis().extraction(&fixture.path, range).is_none());
}

#[test]
fn it_is_offered_and_answers_a_credential() {
    // Put together so that no scanner takes this file for a leak.
    let token: String = "q7Zt2Lw9XcV4bNm8RkP3".chars().collect();
    let text = format!("{{ codchi.gpu.enable = true; services.a.password = \"$0{token}\"; }}");
    let fixture = Fixture::new(&text);
    let actions = fixture.analysis().actions(&fixture.path, TextRange::empty(fixture.offset));
    let shown: Vec<_> = actions.iter().map(|it| (it.title.as_str(), it.kind, it.preferred)).collect();
    expect![[r#"
        [
            (
                "Move it into a secret…",
                QuickFix,
                true,
            ),
            (
                "Allow `secret-in-store` on this line",
                QuickFix,
                false,
            ),
        ]
    "#]]
    .assert_eq(&format!("{shown:#?}\n"));
    assert!(!format!("{actions:?}").contains(&token), "no command holds the value");
}
