//! What is used: secrets, packages, other options, inputs; and what is said twice.

use super::{at, check, literal, mark};
use crate::{Document, SecretUseKind};
use expect_test::expect;
use std::fmt::Write as _;

fn secrets(document: &Document) -> String {
    let mut out = String::new();
    for used in &document.facts().secret_uses {
        assert_eq!(at(document, used.range).trim_matches('"'), used.name);
        let guarded = if used.guarded { "?" } else { "" };
        let _ = match used.kind {
            SecretUseKind::Variable => writeln!(out, "${}{guarded}", used.name),
            SecretUseKind::Config(spelling) => writeln!(out, "{spelling:?} {}{guarded}", used.name),
        };
    }
    out
}

fn packages(document: &Document) -> String {
    let packages = document.facts().packages.iter();
    packages.map(|used| format!("{} at `{}`\n", used.path.join("."), at(document, used.range))).collect()
}

fn duplicates(document: &Document) -> String {
    let mut out = String::new();
    for duplicate in &document.facts().duplicates {
        let (first, second) = (at(document, duplicate.first), at(document, duplicate.second));
        let line = document.lines().line_col(duplicate.second.start()).line;
        let _ = writeln!(out, "{}: `{first}` and `{second}` on line {line}", duplicate.path.join("."));
    }
    out
}

fn settings(document: &Document) -> String {
    let mut out = String::new();
    for option in &document.facts().settings {
        let _ = writeln!(out, "{} ={} {}", option.path, mark(option.certainty), literal(&option.value));
    }
    out
}

fn inputs(document: &Document) -> String {
    let inputs = document.facts().flake_inputs.iter();
    inputs
        .map(|input| {
            let url = input.url.as_ref().map(|(url, _)| url);
            format!("{} {url:?} {:?}\n", at(document, input.range), input.follows)
        })
        .collect()
}

fn allows(document: &Document) -> String {
    let mut out = String::new();
    for allow in &document.facts().allows {
        let codes: Vec<_> = allow
            .codes
            .iter()
            .map(|(code, range)| {
                assert_eq!(at(document, *range), code);
                code.as_str()
            })
            .collect();
        let _ = writeln!(out, "{} in `{}`", codes.join(" "), at(document, allow.lines).trim());
    }
    out
}

#[test]
fn secrets_are_used_as_variables_in_strings() {
    check(
        secrets,
        r#"{ a = "$CODCHI_A \${CODCHI_B} ${x} $$CODCHI_NO CODCHI_NO $CODCHI_ $CODCHI_1 x"; b = ''
          curl -H "$CODCHI_C" ''${CODCHI_D:-} ''${#CODCHI_E}
        ''; }
        # $CODCHI_NO"#,
        expect![[r#"
            $A
            $B
            $C
            $D?
            $E
        "#]],
    );
}

#[test]
fn what_happens_without_a_secret_may_be_said() {
    check(
        secrets,
        r#"{ config, ... }: let s = config.codchi.secrets; in {
          a = "\${CODCHI_A:-a} \${CODCHI_B-} \${CODCHI_C:+c} \${CODCHI_D:=d} \${CODCHI_E:?e} \${CODCHI_F%f} $CODCHI_G-";
          h = (config.codchi.secrets.H or { }).path;
          i = config.codchi.secrets.env ? I && s ? J;
        }"#,
        expect![[r#"
            $A?
            $B?
            $C?
            $D?
            $E
            $F
            $G
            Plain H?
            Env I?
            Plain J?
        "#]],
    );
}

#[test]
fn secrets_are_used_as_configuration() {
    check(
        secrets,
        r#"{ config, ... }@args:
        let cfg = config.codchi; inherit (config.codchi) secrets; inherit (config.codchi.secrets) D; in {
          a = config.codchi.secrets.A.path;
          b = cfg.secrets.env.B;
          c = secrets.file.C.path or null;
          e = args.config.codchi.secrets."E".path;
          f = other.config.codchi.secrets.NO.path;
          g = config.codchi.secrets.env;
          h = config.codchi.secrets.${name}.path;
        }"#,
        expect![[r#"
            Plain D
            Plain A
            Env B
            File C?
            Plain E
        "#]],
    );
    check(
        secrets,
        "config: map (config: config.codchi.secrets.A) x",
        expect![
            "
        Plain A
    "
        ],
    );
    check(secrets, "let config = { }; in config.codchi.secrets.NO.path", expect![""]);
}

#[test]
fn packages_are_named_below_pkgs_and_in_lists_of_with() {
    check(
        packages,
        r#"{ pkgs, lib, ... }@args: let inherit (pkgs) git; ps = pkgs.python3Packages; in {
          a = with pkgs; [ hello cudaPackages.cudatoolkit (python3.withPackages (p: [ p.numpy ])) ];
          b = [ pkgs.vim args.pkgs.jq ps.numpy ];
          c = with lib; with pkgs; [ curl lib.x ];
          d = with lib; [ no ];
          e = lib.getExe pkgs.bash;
        }"#,
        expect![[r#"
            git at `git`
            python3Packages at `python3Packages`
            hello at `hello`
            cudaPackages.cudatoolkit at `cudaPackages.cudatoolkit`
            python3.withPackages at `python3.withPackages`
            vim at `vim`
            jq at `jq`
            python3Packages.numpy at `numpy`
            curl at `curl`
            bash at `bash`
        "#]],
    );
    check(packages, "let pkgs = { }; in [ pkgs.no ]", expect![""]);
}

/// What is read of `config`, then of inputs.
fn reads(document: &Document) -> String {
    let line = |kind: &str, path: &Vec<String>| format!("{kind} {}\n", path.join(" "));
    let facts = document.facts();
    let config = facts.config_reads.iter().map(|path| line("config", path));
    config.chain(facts.input_reads.iter().map(|path| line("input", path))).collect()
}

#[test]
fn other_options_are_read_up_to_what_is_computed() {
    check(
        reads,
        r#"{ config, ... }@args:
        let cfg = config.services.web; inherit (config.networking) hostName; in {
          a = lib.mkIf cfg.enable config.codchi.initScript;
          b = config.users.users.${name}.home or config."a b".c;
          c = args.config.system.stateVersion + hostName;
          d = map (config: config.no) other.config.no;
          e = config.services ? web;
        }"#,
        expect![[r#"
            config a b c
            config networking
            config networking hostName
            config no
            config services
            config services web
            config services web enable
            config system stateVersion
            config users users
        "#]],
    );
    check(reads, "let config = { }; in config.no.path", expect![""]);
}

#[test]
fn inputs_are_read_by_name_in_a_flake_and_below_inputs_everywhere() {
    check(
        reads,
        r#"{
          inputs.a.url = "github:a/a";
          outputs = { self, b, nixpkgs, ... }@inputs:
            let inherit (inputs.a.nixosModules) one; lib = nixpkgs.lib; in {
              nixosModules.default = { config, ... }: {
                imports = [ b.nixosModules.two inputs.a.nixosModules.three one self.nixosModules.no ];
                x = lib.mkIf config.y.z 1;
              };
            };
        }"#,
        expect![[r#"
            config y z
            input a nixosModules
            input a nixosModules one
            input a nixosModules three
            input b nixosModules two
            input nixpkgs lib
            input nixpkgs lib mkIf
        "#]],
    );
    check(
        reads,
        "{ inputs, b, ... }: { imports = [ inputs.a.nixosModules.x b.c ]; }",
        expect![[r#"
            input a nixosModules x
        "#]],
    );
}

#[test]
fn other_options_are_settings() {
    check(
        settings,
        r#"{ lib, config, ... }: {
          imports = [ ];
          _module.args.x = 1;
          options.mine.enable = lib.mkEnableOption "it";
          config = lib.mkMerge [
            { boot.loader.grub.enable = true; codchi.gpu.enable = true; }
            (lib.mkIf config.mine.enable { services = { docker.enable = true; }; })
          ];
        }"#,
        expect![[r#"
            boot.loader.grub.enable = Bool(true)
            services =? Set
            services.docker.enable =? Bool(true)
        "#]],
    );
}

#[test]
fn what_nix_refuses_is_a_duplicate_and_what_it_merges_is_not() {
    check(
        duplicates,
        "{ a = 1;\n a = 2; }",
        expect![
            "
        a: `a` and `a` on line 1
    "
        ],
    );
    check(
        duplicates,
        "{ a.b = 1;\n a = { b = 2; c = 3; }; }",
        expect![
            "
        a.b: `a.b` and `b` on line 1
    "
        ],
    );
    check(duplicates, "{ a = { b = 1; };\n a.c = 2; a = { d.e = 1; }; a.d.f = 2; }", expect![""]);
    check(
        duplicates,
        "{ a = x;\n a.b = 2; }",
        expect![
            "
        a: `a` and `a.b` on line 1
    "
        ],
    );
    check(
        duplicates,
        "{ inherit a;\n a = 1;\n inherit (x) a b; inherit b; }",
        expect![
            "
        a: `a` and `a` on line 1
        a: `a` and `a` on line 2
        b: `b` and `b` on line 2
    "
        ],
    );
    check(
        duplicates,
        "let a = 1;\n a = 2; in { ${a} = 1; ${b} = 2; ${a} = 3; }",
        expect![
            "
        a: `a` and `a` on line 1
    "
        ],
    );
    check(
        duplicates,
        "{ a, b,\n a }@b: { x = { y = 1;\n y = 2; }; }",
        expect![
            "
        a: `a` and `a` on line 1
        b: `b` and `b` on line 1
        x.y: `y` and `y` on line 2
    "
        ],
    );
}

#[test]
fn inputs_of_a_flake_have_their_urls() {
    check(
        inputs,
        r#"{
          inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
          inputs = {
            a = { url = "path:./a"; inputs.nixpkgs.follows = "nixpkgs"; };
            b.follows = "a/b";
          };
          outputs = { self, ... }: { };
        }"#,
        expect![[r#"
            nixpkgs Some("github:NixOS/nixpkgs/nixos-unstable") None
            a Some("path:./a") None
            b None Some("a/b")
        "#]],
    );
    check(inputs, "{ inputs.a.url = \"b\"; }", expect![""]);
}

#[test]
fn comments_allow_codes_on_their_line_or_the_next() {
    check(
        allows,
        "{
          a = 1; # codchi: allow secret-in-store, no-effect because of x
          # codchi: allow wrong-type: it is right

          # another comment
          b = \"# codchi: allow no\";
          c = 1; # see codchi: allow no
          # codchi: allow wrong-type
        }",
        expect![[r##"
            secret-in-store no-effect in `a = 1; # codchi: allow secret-in-store, no-effect because of x`
            wrong-type in `b = "# codchi: allow no";`
            wrong-type in `}`
        "##]],
    );
}

#[test]
fn to_read_what_all_secrets_are_in_is_to_read_them_all() {
    let reads_all = |text: &str| Document::new(text).facts().reads_all_secrets;
    for all in [
        "config.codchi.secrets",
        "config.codchi.secrets.env",
        "f config.codchi",
        "let inherit (config) codchi; in codchi",
    ] {
        assert!(reads_all(&format!("{{ config, ... }}: {{ a = {all}; }}")), "{all}");
    }
    assert!(!reads_all(
        "{ config, ... }: { a = config.codchi.secrets.env.A.path; b = config.codchi.gpu.enable; }"
    ));
    assert!(!reads_all("{ codchi.secrets.A.description = \"a\"; }"));
}

#[test]
fn a_module_that_asks_which_options_there_are_is_known() {
    for asks in [
        "{ options, lib, ... }: { config = lib.optionalAttrs (options ? services.docker) { }; }",
        "{ options, ... }: { a = options.services.x.isDefined or false; }",
        "{ options, ... }: let opt = options; in { a = opt ? b; }",
        "{ options, ... }: { a = builtins.attrNames options; }",
        "{ options, ... }: { imports = [ (import ./x.nix { inherit options; }) ]; }",
        "{ ... }@args: { a = args.options ? b; }",
        "args: { a = args.options.b; }",
        "args: { a = args ? options.b; }",
        "args: let inherit (args) options; in { }",
        "args: with args; { a = options ? b; }",
    ] {
        assert!(Document::new(asks).facts().reads_options, "{asks}");
    }
    for does_not in [
        "{ options, lib, ... }: { options.a = lib.mkOption { }; config.a = 1; }",
        "{ lib, ... }: { options = { a = lib.options.mkOption { }; }; }",
        "{ lib, ... }: { a = lib.types.submodule { options.b = lib.mkOption { }; }; inherit (lib) options; }",
        "{ config, ... }: let cfg = config.services.x; in { a = cfg.options; b = config.options; c = cfg ? options; }",
        "{ ... }: let options = { b = 1; }; in { a = options.b; c = options ? b; }",
        "{ ... }: { a = \"options ? b\"; }",
    ] {
        assert!(!Document::new(does_not).facts().reads_options, "{does_not}");
    }
}
