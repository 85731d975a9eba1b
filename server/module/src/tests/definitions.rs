//! Definitions below `codchi.`: where they may stand, and how they are spelled.

use super::{check, declared, options};
use crate::Document;
use expect_test::{Expect, expect};

fn check_options(text: &str, expected: Expect) {
    check(options, text, expected);
}

#[test]
fn sets_may_be_nested_or_dotted_in_any_mixture() {
    let text = r#"
{ pkgs, lib, ... }: {
  codchi.secrets.TOKEN.description = "A token";
  codchi = {
    gpu.enable = true;
    "secrets".env = { OLD = { description = "old"; required = false; }; };
  };
  codchi.secrets = { file."KEY".mode = "0440"; };
  services.nginx.enable = true;
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi.secrets.TOKEN.description [codchi secrets TOKEN description] = String("A token")
            codchi [codchi] = Set
            codchi.gpu.enable [gpu enable] = Bool(true)
            codchi.secrets.env ["secrets" env] = Set
            codchi.secrets.env.OLD [OLD] = Set
            codchi.secrets.env.OLD.description [description] = String("old")
            codchi.secrets.env.OLD.required [required] = Bool(false)
            codchi.secrets [codchi secrets] = Set
            codchi.secrets.file.KEY.mode [file "KEY" mode] = String("0440")
        "#]],
    );
}

#[test]
fn a_module_may_have_config_and_options() {
    let text = r#"
{ config, ... }: {
  config.codchi.gpu.enable = true;
  config = { codchi.keyring.enable = false; };
  codchi.docker.enable = true;
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi.gpu.enable [codchi gpu enable] = Bool(true)
            codchi.keyring.enable [codchi keyring enable] = Bool(false)
        "#]],
    );
}

#[test]
fn what_a_module_declares_itself_is_left_out() {
    let text = r#"
{ lib, ... }: {
  options.codchi.mine = lib.mkOption { };
  options = with lib; { codchi = { set = { a = mkOption { }; }; inherit (x) other; }; services.gpu = mkOption { }; };
  options.codchi.dynamic.${lib.x} = lib.mkOption { };
  config.codchi = {
    mine.a.b = 1;
    set = { a = 1; b = 2; };
    other = 1;
    dynamic.x = 1;
    gpu.enable = true;
  };
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi [codchi] = Set
            codchi.gpu.enable [gpu enable] = Bool(true)
        "#]],
    );
    check_options(
        "{ lib, ... }: { options.codchi = lib.mkOption { }; config.codchi.x = 1; }",
        expect![[r#""#]],
    );
}

#[test]
fn options_that_are_declared_are_known() {
    let text = r#"
{ lib, ... }: {
  imports = [ ./a.nix { options.codchi.inline.x = lib.mkOption { }; } ];
  options.codchi.mine.port = lib.mkOption { };
  options = { codchi = { gpu = { own = 1; inherit (x) also; }; }; services.other = 1; };
}
"#;
    check(
        declared,
        text,
        expect![[r#"
            codchi.inline
            codchi.mine
            codchi.gpu.own
            codchi.gpu.also
        "#]],
    );
}

#[test]
fn what_only_evaluation_finds_may_declare_more() {
    for (more, text) in [
        (true, "{ inputs, ... }: { imports = [ inputs.a.nixosModules.b ]; }"),
        (true, "{ imports = [ (mkModule \"a\") ]; }"),
        (true, "{ inputs, ... }: { imports = [ \"${inputs.a}/b.nix\" ]; }"),
        (true, "{ imports = [ <a/b.nix> ~/c.nix ]; }"),
        (true, "{ imports = map f [ ./a.nix ]; }"),
        (true, "{ x, ... }: { inherit (x) imports; }"),
        (true, "{ x, ... }: { inherit (x) options; }"),
        (true, "{ x, ... }: { options = x; }"),
        (true, "{ x, ... }: { options = { ${x} = 1; }; }"),
        (true, "{ x, ... }: { imports = [ ({ ... }: { imports = [ x ]; }) ]; }"),
        (true, "x: { config = { }; } // x"),
        (true, "{ lib, ... }@args: import ./a.nix args"),
        (true, "{ outputs = { x, ... }: { nixosModules.a = x.nixosModules.b; }; }"),
        (false, "{ outputs = { x, ... }: { nixosModules.a = ./a.nix; packages = x.y; }; }"),
        (false, "{ lib, x, ... }: lib.mkIf x { codchi.gpu.enable = x; }"),
        (false, "{ lib, ... }: { imports = [ ./a.nix (import ./b.nix { }) ] ++ lib.optional true ./c.nix; }"),
        (false, "{ x, ... }: { options.services.${x} = 1; options.codchi.${x} = 1; config = x; }"),
    ] {
        assert_eq!(Document::new(text).facts().may_declare_more, more, "{text}");
    }
}

#[test]
fn a_module_may_be_any_function_or_a_set() {
    for head in [
        "",
        "{ ... }: ",
        "{ pkgs, lib, config, ... }@args: ",
        "args@{ pkgs ? null, ... }: ",
        "args: ",
        "{ inputs }: { pkgs, ... }: ",
        "{ lib, ... }: with lib; ",
        "{ lib, ... }: let a = 1; inherit (lib) mkIf; in ",
        "{ lib, ... }: assert true; ",
        "({ lib, ... }: (",
        "rec ",
    ] {
        let close = ")".repeat(head.matches('(').count() - head.matches("(lib)").count());
        let document = Document::new(format!("{head}{{ codchi.gpu.enable = true; }}{close}"));
        assert_eq!(document.syntax_errors(), []);
        assert_eq!(options(&document), "codchi.gpu.enable [codchi gpu enable] = Bool(true)\n", "{head}");
    }
}

#[test]
fn dynamic_names_are_not_known() {
    let text = r#"
{ name, ... }: {
  codchi.${name}.enable = true;
  codchi.secrets."A${name}".required = true;
  codchi.${"gpu"}.enable = true;
  ${name}.x = 1;
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi.gpu.enable [codchi ${"gpu"} enable] = Bool(true)
        "#]],
    );
}

#[test]
fn what_is_conditional_is_marked() {
    let text = r#"
{ config, lib, pkgs, ... }:
let inherit (lib) mkIf mkMerge; in {
  codchi = mkIf config.x {
    gpu.enable = true;
    docker = lib.mkMerge [
      { enable = true; }
      (mkIf config.y { enableNvidia = true; })
    ];
  };
  codchi.keyring.enable = lib.mkDefault true;
  codchi.initScript = lib.mkForce "a";
  codchi.java.jdks = lib.mkOverride 50 [ ];
  codchi.enableRecommendedConfig = lib.mkOverride 1000 false;
  codchi.secrets = { A = { }; } // lib.optionalAttrs config.z { B = { }; };
  codchi.hostSecrets = if config.z then { sshAgent = true; } else { sshKeys = true; };
  codchi.requiredCapabilities = pkgs.lib.modules.mkBefore [ "gpu" ];
  codchi.optionalCapabilities = lib.mkOrder 10 (lib.mkIf false [ "usb" ]);
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi [codchi] =? Set
            codchi.gpu.enable [gpu enable] =? Bool(true)
            codchi.docker [docker] =? Set
            codchi.docker [docker] =? Set
            codchi.docker.enable [enable] =? Bool(true)
            codchi.docker.enableNvidia [enableNvidia] =? Bool(true)
            codchi.keyring.enable [codchi keyring enable] =? Bool(true)
            codchi.initScript [codchi initScript] = String("a")
            codchi.java.jdks [codchi java jdks] = []
            codchi.enableRecommendedConfig [codchi enableRecommendedConfig] =? Bool(false)
            codchi.secrets [codchi secrets] =? Set
            codchi.secrets [codchi secrets] =? Set
            codchi.secrets.A [A] =? Set
            codchi.secrets.B [B] =? Set
            codchi.hostSecrets [codchi hostSecrets] =? Set
            codchi.hostSecrets [codchi hostSecrets] =? Set
            codchi.hostSecrets.sshAgent [sshAgent] =? Bool(true)
            codchi.hostSecrets.sshKeys [sshKeys] =? Bool(true)
            codchi.requiredCapabilities [codchi requiredCapabilities] = [String("gpu")]
            codchi.optionalCapabilities [codchi optionalCapabilities] =? [String("usb")]
        "#]],
    );
}

#[test]
fn a_module_may_be_made_of_conditions() {
    let text = r#"
{ lib, ... }: lib.mkMerge [
  { codchi.gpu.enable = true; }
  (lib.mkIf x { codchi.keyring.enable = true; })
]
"#;
    check_options(
        text,
        expect![[r#"
            codchi.gpu.enable [codchi gpu enable] = Bool(true)
            codchi.keyring.enable [codchi keyring enable] =? Bool(true)
        "#]],
    );
    check_options(
        "{ lib, ... }: { a = 1; } // (if x then { codchi.a = 1; } else { codchi.b = 2; })",
        expect![[r#"
            codchi.a [codchi a] =? Int(1)
            codchi.b [codchi b] =? Int(2)
        "#]],
    );
    check_options(
        "{ lib, ... }: { config = lib.mkIf x { codchi.a = 1; }; }",
        expect![[r#"
            codchi.a [codchi a] =? Int(1)
        "#]],
    );
}

#[test]
fn functions_that_only_look_like_those_of_lib_are_not_known() {
    let text = r#"
{ lib, pkgs, mine, ... }:
let
  mkIf = condition: value: { };
  inherit (mine) mkForce;
  mkDefault = lib.mkDefault;
in {
  codchi = mkIf true { gpu.enable = true; };
  codchi.keyring = mkForce { enable = true; };
  codchi.docker = mkDefault { enable = true; };
  codchi.java = mkMerge [ { jdks = [ ]; } ];
  codchi.secrets = with lib; mkIf true { };
  codchi.hostSecrets = with pkgs; optionalAttrs true { sshAgent = true; };
}
"#;
    check_options(
        text,
        expect![[r#"
            codchi [codchi] = Unknown
            codchi.keyring [codchi keyring] = Unknown
            codchi.docker [codchi docker] =? Set
            codchi.docker.enable [enable] =? Bool(true)
            codchi.java [codchi java] = Unknown
            codchi.secrets [codchi secrets] = Unknown
            codchi.hostSecrets [codchi hostSecrets] = Unknown
        "#]],
    );
}

#[test]
fn values_are_literal_as_far_as_they_are() {
    let text = r#"
{ x, ... }: {
  codchi.a = "text \"quoted\" \${x}";
  codchi.b = "text ${x}";
  codchi.c = ''
    two
      lines
  '';
  codchi.d = [ 1 -2 2.5 true null ./x "y" { } x (a: a) [ x ] ];
  codchi.e = -3;
  codchi.f = https://example.org;
  codchi.g = "a" + "b";
  codchi.h = [ 1 ] ++ [ 2 ];
  codchi.i = [ 1 ] ++ x;
  codchi.j = ./. + "/x";
  codchi.k = 9223372036854775808;
  codchi.l = a: a;
  codchi.m = !true;
  codchi.n = <nixpkgs>;
  codchi.o = x.y or 1;
  codchi.p = if x then 1 else "2";
  codchi.q = ~/x;
}
"#;
    check_options(
        &text.replace("-2 ", "(-2) "),
        expect![[r#"
            codchi.a [codchi a] = String("text \"quoted\" ${x}")
            codchi.b [codchi b] = Interpolated
            codchi.c [codchi c] = String("two\n  lines\n")
            codchi.d [codchi d] = [Int(1) Int(-2) Float Bool(true) Null Path("./x") String("y") Set Unknown Function [Unknown]]
            codchi.e [codchi e] = Int(-3)
            codchi.f [codchi f] = String("https://example.org")
            codchi.g [codchi g] = String("ab")
            codchi.h [codchi h] = [Int(1) Int(2)]
            codchi.i [codchi i] = Unknown
            codchi.j [codchi j] = Path("././x")
            codchi.k [codchi k] = Unknown
            codchi.l [codchi l] = Function
            codchi.m [codchi m] = Unknown
            codchi.n [codchi n] = Unknown
            codchi.o [codchi o] = Unknown
            codchi.p [codchi p] =? Int(1)
            codchi.p [codchi p] =? String("2")
            codchi.q [codchi q] = Path("~/x")
        "#]],
    );
}
