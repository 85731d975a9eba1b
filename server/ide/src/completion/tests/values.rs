//! Completion of values by the types of a catalogue's options, and of its packages.

use super::{check, check_same};
use expect_test::expect;

#[test]
fn values_are_offered_by_type() {
    check(
        "{ services.nginx.enable = $0; }",
        expect![[r#"
        true
        false
    "#]],
    );
    check(
        "{ networking.mode = $0; }",
        expect![[r#"
        a: "a"
        b c: "b c"
        null
    "#]],
    );
    check(
        "{ networking.mode = \"$0\"; }",
        expect![[r#"
        a
        b c
    "#]],
    );
    check(
        "{\n  networking.mode = \"b$0\n  a = 1;\n}",
        expect![[r#"
        b -> a: a"
        b -> b c: b c"
    "#]],
    );
    check(
        "{ services.nginx.package = $0; }",
        expect![[r#"
        pkgs: pkgs.
    "#]],
    );
    check(
        "{ networking.hostName = $0; }",
        expect![[r#"
        "": "‹›"
    "#]],
    );
    check(
        "{ environment.systemPackages = $0; }",
        expect![[r#"
        [ ]: [ ‹› ]
    "#]],
    );
    check(
        "{ services.nginx.virtualHosts = $0; }",
        expect![[r#"
        { }: { ‹› }
    "#]],
    );
    check(
        "{ services.nginx.commonHttpConfig = $0; }",
        expect![[r#"
        '''': ''
          ‹›
        ''
    "#]],
    );
    check(
        "{ environment.variables.A = $0; }",
        expect![[r#"
        "": "‹›"
        null
    "#]],
    );
    check(
        "{ lib, ... }: { services.nginx.enable = lib.mkForce t$0; }",
        expect![[r#"
        t -> true
        t -> false
    "#]],
    );
    check(
        "{ users.users.me.shell = $0; }",
        expect![[r#"
        pkgs: pkgs.
        none: "none"
        other: "other"
        null
    "#]],
    );
    check("{ unheard.of = $0; }", expect![""]);
}

#[test]
fn packages_are_offered_wherever_they_can_be_named() {
    let direct = "{ pkgs, ... }: { a = pkgs.$0; }";
    check(
        direct,
        expect![[r#"
        7zip: "7zip"
        hello
        python3Packages
        ripgrep
    "#]],
    );
    for text in [
        "{ pkgs, lib, ... }: { a = lib.getExe pkgs.$0; }",
        "{ pkgs, ... }: { a = [ pkgs.$0 ]; }",
        "{ pkgs, ... }: let inherit (pkgs) $0; in { }",
        "{ pkgs, ... }: let p = pkgs; in { a = p.$0; }",
        "let pkgs = import <nixpkgs> { }; in pkgs.mkShell { packages = [ pkgs.$0 ]; }",
        "{ pkgs, ... }: { a = \"${pkgs.$0}/bin\"; }",
        "{ pkgs, ... }: {\n  environment.systemPackages = [\n    pkgs.$0\n    pkgs.hello\n  ];\n}",
    ] {
        check_same(text, direct);
    }
    check(
        "{ pkgs, ... }: { a = pkgs.python3Packages.r$0; }",
        expect![[r#"
        r -> numpy
        r -> requests
    "#]],
    );
}

#[test]
fn with_brings_packages() {
    check(
        "{ pkgs, ... }: { environment.systemPackages = with pkgs; [ $0 ]; }",
        expect![[r#"
            pkgs: pkgs.
            hello
            python3Packages
            ripgrep
        "#]],
    );
    check(
        "{ pkgs, ... }: { environment.systemPackages = with pkgs; [ hello r$0 ]; }",
        expect![[r#"
            r -> pkgs: pkgs.
            r -> hello
            r -> python3Packages
            r -> ripgrep
        "#]],
    );
    check(
        "{ pkgs, lib, ... }: { a = with lib; with pkgs; [ python3Packages.$0 ]; }",
        expect![[r#"
        numpy
        requests
    "#]],
    );
    check(
        "{ pkgs, ... }: { a = with pkgs.python3Packages; [ $0 ]; }",
        expect![[r#"
        numpy
        requests
    "#]],
    );
    for text in [
        "{ pkgs, ... }: { a = with pkgs; [ (python3.withPackages (ps: [ ps.$0 ])) ]; }",
        "{ pkgs, ... }: { a = with pkgs; x: y: \"$0\"; }",
        "{ lib, ... }: { a = with lib; [ $0 ]; }",
        "{ pkgs, ... }: { a = with pkgs; { $0 }: 1; }",
    ] {
        check(text, expect![""]);
    }
}
