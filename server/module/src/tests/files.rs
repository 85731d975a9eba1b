//! What a file is: a module, a flake, or something else.

use super::{check, options, others};
use crate::Document;
use expect_test::{Expect, expect};

fn check_others(text: &str, expected: Expect) {
    check(others, text, expected);
}

#[test]
fn packages_overlays_and_values_are_no_modules() {
    for text in [
        "{ stdenv, fetchurl }: stdenv.mkDerivation { codchi.gpu.enable = true; }",
        "{ pkgs ? import <nixpkgs> { } }: pkgs.mkShell { }",
        "final: prev: { codchi.gpu.enable = true; }",
        "[ 1 2 ]",
        "\"text\"",
        "import ./x.nix",
        "1",
        "x",
        "{ outputs = inputs: { }; }",
    ] {
        let facts = Document::new(text).facts().clone();
        assert!(!facts.may_be_module, "{text}");
        assert!(facts.options.is_empty(), "{text}");
    }
}

#[test]
fn functions_and_sets_may_be_modules() {
    for text in [
        "{ }",
        "{ pkgs, ... }: { }",
        "{ lib, ... }: lib.mkMerge [ ]",
        "let x = { }; in x",
        "x: { }",
        "inputs: { pkgs, ... }: { }",
        "{ outputs = 1; }",
        "{ pkgs, ... }: { codchi.",
    ] {
        assert!(Document::new(text).facts().may_be_module, "{text}");
    }
}

#[test]
fn flakes_name_their_modules() {
    let text = r#"
{
  description = "A flake";
  inputs.nixpkgs.url = "github:NixOS/nixpkgs";
  outputs = { self, nixpkgs, ... }@inputs:
    let
      main = ./main.nix;
      lib = nixpkgs.lib;
    in
    {
      packages.x = 1;
      nixosModules.default = import ./module.nix;
      nixosModules.path = ./path.nix;
      nixosModules.main = main;
      nixosModules.called = import ./called.nix { inherit inputs; };
      nixosModules.unknown = inputs.other.nixosModules.default;
      nixosModules.${self.name} = ./hidden.nix;
      codchiModules = {
        inline = { pkgs, ... }: {
          imports = [ ./imported.nix ];
          codchi.requiredCapabilities = [ "gpu" ];
        };
        "quoted name" = { codchi.optionalCapabilities = lib.mkIf true [ "audio" ]; };
        inherit main;
      };
    }
    // lib.optionalAttrs true { codchiModules.more = ./more.nix; };
}
"#;
    check_others(
        text,
        expect![[r#"
            no module
            import ./imported.nix at `./imported.nix`
            requires gpu at `"gpu"`
            uses? audio at `"audio"`
            nixosModules.default from Some("./module.nix") at `default`
            nixosModules.path from Some("./path.nix") at `path`
            nixosModules.main from Some("./main.nix") at `main`
            nixosModules.called from Some("./called.nix") at `called`
            nixosModules.unknown from None at `unknown`
            codchiModules.inline from None at `inline`
            codchiModules.quoted name from None at `"quoted name"`
            codchiModules.main from Some("./main.nix") at `main`
            codchiModules.more from Some("./more.nix") at `more`
        "#]],
    );
    check(
        options,
        text,
        expect![[r#"
            codchi.requiredCapabilities [codchi requiredCapabilities] = [String("gpu")]
            codchi.optionalCapabilities [codchi optionalCapabilities] =? [String("audio")]
        "#]],
    );
}

#[test]
fn outputs_may_be_made_of_other_things() {
    check_others(
        "{ outputs = { self, flake-utils }: flake-utils.lib.eachDefaultSystem (system: { nixosModules.no = ./no; }) // { nixosModules = rec { default = dev; dev = ./dev.nix; }; }; }",
        expect![[r#"
            no module
            nixosModules.default from Some("./dev.nix") at `default`
            nixosModules.dev from Some("./dev.nix") at `dev`
        "#]],
    );
    check_others(
        "{ outputs = inputs: inputs.flake-parts.lib.mkFlake { inherit inputs; } { systems = [ ]; flake.nixosModules.default = ./a.nix; flake = { codchiModules.b = ./b.nix; }; }; }",
        expect![[r#"
            no module
            nixosModules.default from Some("./a.nix") at `default`
            codchiModules.b from Some("./b.nix") at `b`
        "#]],
    );
    check_others(
        "{ outputs = x: { nixosModules.a.b = ./a; flake.nixosModules.c = ./c; }; }",
        expect![[r#"
            no module
        "#]],
    );
}

#[test]
fn modules_that_are_disabled_are_named() {
    let document = Document::new(
        "{ lib, ... }: { disabledModules = [ ./a.nix \"services/x.nix\" ] ++ lib.optional true ../b; codchi.gpu.enable = true; }",
    );
    assert_eq!(document.facts().disabled, ["./a.nix", "../b"]);
    assert_eq!(document.facts().settings, [], "it is no option");
}
