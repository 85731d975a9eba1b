use crate::fixture::Fixture;
use crate::{Mentions, World, spellings};
use expect_test::expect;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What a look through `/project` finds: the secrets of the files, each in these other files and in all Nix files that have it.
fn fixture(text: &str, elsewhere: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::new(text);
    let paths = fixture.paths();
    let mut mentions = Mentions { folders: vec!["/project".into()], ..Mentions::default() };
    for name in fixture.analysis().unused_secrets(&paths) {
        let is_in = |path: &PathBuf| {
            let text = fixture.text(path).to_ascii_lowercase();
            spellings(&name).iter().any(|spelling| text.contains(spelling.as_str()))
        };
        let mut files: BTreeSet<PathBuf> = paths.iter().filter(|path| is_in(path)).cloned().collect();
        files.extend(elsewhere.iter().filter(|(of, _)| *of == name).map(|(_, file)| PathBuf::from(file)));
        mentions.names.insert(name, files);
    }
    fixture.with(World { mentions: Some(Arc::new(mentions)), ..World::default() })
}

fn silent(text: &str) {
    assert_eq!(fixture(text, &[]).diagnostics(), "", "{text}");
}

const UNUSED: &str = "{ codchi.secrets.OLD_TOKEN.description = \"The OLD_TOKEN of the registry\"; }";

#[test]
fn a_secret_that_nothing_mentions_is_reported() {
    expect![[r#"
        hint secret-unused at `OLD_TOKEN`: Nothing in this project mentions the secret `OLD_TOKEN`, and yet everybody is asked for its value. Remove it, or use it as `$CODCHI_OLD_TOKEN`.
    "#]].assert_eq(&fixture(UNUSED, &[]).diagnostics());
    let text = "{ codchi.secrets.env.OLD_TOKEN = { description = \"a\"; required = false; }; codchi.secrets.env.OLD_TOKEN.multiline = true; }";
    let fixture = fixture(text, &[]);
    expect![[r#"
        hint secret-unused at `OLD_TOKEN`: Nothing in this project mentions the secret `OLD_TOKEN`, and yet everybody is asked for its value. Remove it, or use it as `$CODCHI_OLD_TOKEN`.
    "#]].assert_eq(&fixture.diagnostics());
    let found = fixture.analysis().diagnostics(&fixture.path);
    assert_eq!(found[0].tags, [crate::Tag::Unnecessary]);
}

#[test]
fn a_secret_that_any_file_mentions_is_used() {
    assert_eq!(fixture(UNUSED, &[("OLD_TOKEN", "/project/src/main.py")]).diagnostics(), "");
    silent("# What OLD_TOKEN is for\n{ codchi.secrets.OLD_TOKEN.description = \"a\"; }");
    silent("{ codchi.secrets.OLD_TOKEN.description = \"a\"; a.b = \"old-token\"; }");
    silent("{ codchi.secrets.OLD_TOKEN.description = \"a\"; a.b = \"$CODCHI_OLD_TOKEN\"; }");
    silent(
        "{ config, ... }: { codchi.secrets.OLD_TOKEN.description = \"a\"; a.b = config.codchi.secrets.OLD_TOKEN.path; }",
    );
    silent(&format!("{UNUSED}\n//- /project/shell.nix\n{{ hook = \"echo $CODCHI_OLD_TOKEN\"; }}"));
}

#[test]
fn a_mention_that_is_not_saved_yet_counts() {
    let fixture = fixture("{ codchi.secrets.OLD_TOKEN.description = \"a\"; a.b = \"\"; }", &[]);
    assert!(fixture.diagnostics().contains("secret-unused"));
    assert_eq!(fixture.typed("a.b = \"\"", "a.b = \"old_token\"").diagnostics(), "");
}

#[test]
fn a_file_may_be_read_and_a_unit_may_use_it() {
    silent("{ codchi.secrets.file.OLD_TOKEN.description = \"a\"; }");
    silent("{ codchi.secrets.OLD_TOKEN = { description = \"a\"; deliver = [ \"file\" ]; }; }");
    silent("{ x, ... }: { codchi.secrets.OLD_TOKEN = { description = \"a\"; deliver = x; }; }");
    silent("{ codchi.secrets.OLD_TOKEN = { description = \"a\"; units = [ \"web\" ]; }; }");
    silent(
        "{ imports = [ ./b.nix ]; codchi.secrets.OLD_TOKEN.description = \"a\"; }\n//- /project/b.nix\n{ codchi.secrets.OLD_TOKEN.units = [ \"web\" ]; }",
    );
}

#[test]
fn what_may_use_all_secrets_may_use_this_one() {
    let with = |more: &str| {
        silent(&format!(
            "{{ config, lib, inputs, x, ... }}: {{ codchi.secrets.OLD_TOKEN.description = \"a\"; {more} }}"
        ));
    };
    with("codchi.initScript = \"git pull\";");
    with("a.b = lib.attrNames config.codchi.secrets;");
    with("a.b = lib.attrNames config.codchi.secrets.env;");
    with("a.b = let inherit (config) codchi; in codchi;");
    with("imports = [ inputs.tools.nixosModules.default ];");
    with("environment.systemPackages = [ inputs.tools.packages.x ];");
    with("\n# codchi: allow import-not-found\nimports = [ ./gone.nix ];\n");
    with("codchi.secrets.env = x;");
    silent(&format!(
        "{UNUSED}\n//- /project/lib.nix\n{{ config }}: builtins.attrNames config.codchi.secrets"
    ));
}

#[test]
fn what_is_under_a_condition_or_half_typed_or_not_looked_through_is_left_alone() {
    silent("{ lib, x, ... }: { codchi.secrets.OLD_TOKEN = lib.mkIf x { description = \"a\"; }; }");
    silent("//- /other/codchi.nix\n{ codchi.secrets.OLD_TOKEN.description = \"a\"; }");
    silent(&format!("{{ imports = [ ../other/b.nix ]; }}\n//- /other/b.nix\n{UNUSED}"));
    let half = fixture("{ codchi.secrets.OLD_TOKEN.description = \"a\"; a = }", &[]);
    assert!(!half.diagnostics().contains("secret-unused"));
    assert_eq!(Fixture::new(UNUSED).diagnostics(), "", "nothing was looked through");
}

#[test]
fn it_can_be_removed_with_all_its_parts() {
    let text = "{ ... }:\n{\n  codchi.gpu.enable = true;\n  codchi.secrets.OLD_$0TOKEN.description = \"a\";\n  codchi.secrets = {\n    OLD_TOKEN = {\n      required = false;\n    };\n    USED.description = \"b\";\n  };\n}\n";
    expect![[r#"
        Remove the secret `OLD_TOKEN`
        { ... }:
        {
          codchi.gpu.enable = true;
          codchi.secrets = {
            USED.description = "b";
          };
        }

    "#]]
    .assert_eq(&fixture(text, &[("USED", "/project/a.py")]).refactoring("Remove"));
    expect![[r#"
        Remove the secret `OLD_TOKEN`
        { codchi.gpu.enable = true; }
    "#]]
    .assert_eq(
        &fixture("{ codchi.gpu.enable = true; codchi.secrets.OLD_$0TOKEN.description = \"a\"; }", &[])
            .refactoring("Remove"),
    );
}

#[test]
fn where_another_file_declares_it_too_that_is_told() {
    let text = "{ imports = [ ./b.nix ]; codchi.secrets.OLD_$0TOKEN.description = \"a\"; }\n//- /project/b.nix\n{ codchi.secrets.OLD_TOKEN.required = false; }";
    let fixture = fixture(text, &[]);
    let found = fixture.analysis().diagnostics(&fixture.path);
    assert_eq!(found[0].related[0].path, PathBuf::from("/project/b.nix"));
    assert_eq!(fixture.refactoring("Remove"), "", "the other would stay");
}
