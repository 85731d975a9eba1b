//! Completion of codchi's own options.

use crate::fixture::Fixture;
use crate::{Availability, World};
use expect_test::{Expect, expect};

fn check(before: &str, after: Expect) {
    after.assert_eq(&Fixture::new(before).completions());
}

#[test]
fn the_options_are_offered_with_their_values() {
    check(
        "{ codchi.gpu.$0 }",
        expect![[r#"
            enable: enable = ‹true›;
        "#]],
    );
    check(
        "{ codchi.secrets.TOKEN = { $0 }; }",
        expect![[r#"
            deliver: deliver = [ ‹› ];
            description: description = "‹›";
            mode: mode = "‹›";
            multiline: multiline = ‹true›;
            owner: owner = "‹›";
            pattern: pattern = "‹›";
            required: required = ‹false›;
            units: units = [ ‹› ];
        "#]],
    );
}

#[test]
fn the_word_at_the_cursor_is_replaced() {
    check(
        "{ codchi.g$0 }",
        expect![[r#"
            g -> docker
            g -> enableRecommendedConfig: enableRecommendedConfig = ‹false›;
            g -> gpu
            g -> hostSecrets
            g -> initScript: initScript = ''
              ‹›
            '';
            g -> java
            g -> keyring
            g -> optionalCapabilities: optionalCapabilities = [ ‹› ];
            g -> requiredCapabilities: requiredCapabilities = [ ‹› ];
            g -> secrets
            g -> welcome: welcome = ‹›;
        "#]],
    );
    check(
        "{ codchi.g$0pu.enable = true; }",
        expect![[r#"
            gpu -> docker
            gpu -> enableRecommendedConfig
            gpu -> gpu
            gpu -> hostSecrets
            gpu -> initScript
            gpu -> java
            gpu -> keyring
            gpu -> optionalCapabilities
            gpu -> requiredCapabilities
            gpu -> secrets
            gpu -> welcome
        "#]],
    );
}

#[test]
fn a_name_that_has_a_value_gets_no_other() {
    check(
        "{ codchi.gpu.en$0 = true; }",
        expect![[r#"
            en -> enable
        "#]],
    );
}

#[test]
fn half_a_path_does_not_swallow_the_next_line() {
    check(
        "{\n  codchi.gpu.$0\n  environment.variables.A = \"b\";\n}",
        expect![[r#"
            enable: enable = ‹true›;
        "#]],
    );
    check(
        "{\n  codchi.gpu.e$0\n  environment = { };\n}",
        expect![[r#"
            e -> enable: enable = ‹true›;
        "#]],
    );
}

#[test]
fn paths_may_be_nested_and_below_config() {
    check(
        "{ config = { codchi = { docker = { $0 }; }; }; }",
        expect![[r#"
            enable: enable = ‹true›;
            enableNvidia: enableNvidia = ‹true›;
        "#]],
    );
    check(
        "{ config.codchi.docker.$0 }",
        expect![[r#"
            enable: enable = ‹true›;
            enableNvidia: enableNvidia = ‹true›;
        "#]],
    );
    check(
        "{ lib, ... }: { config = lib.mkIf true { codchi.keyring.$0 }; }",
        expect![[r#"
            enable: enable = ‹true›;
        "#]],
    );
    check(
        "{ lib, ... }: { config = lib.mkMerge [ { codchi.keyring.$0 } ]; }",
        expect![[r#"
            enable: enable = ‹true›;
        "#]],
    );
    check(
        "{ imports = [ { codchi.keyring.$0 } ]; }",
        expect![[r#"
            enable: enable = ‹true›;
        "#]],
    );
    check(
        "//- /project/flake.nix\n{ outputs = _: { nixosModules.default = { codchi.keyring.$0 }; }; }",
        expect![[r#"
                enable: enable = ‹true›;
            "#]],
    );
    check(
        "let module = { codchi.keyring.$0 }; in module",
        expect![[r#"
            enable: enable = ‹true›;
        "#]],
    );
}

#[test]
fn an_option_that_is_set_in_the_same_set_is_left_out() {
    check(
        "{ codchi.docker.enable = true; codchi.docker.$0 }",
        expect![[r#"
            enableNvidia: enableNvidia = ‹true›;
        "#]],
    );
    check(
        "{ codchi.docker = { enable = true; $0 }; }",
        expect![[r#"
            enableNvidia: enableNvidia = ‹true›;
        "#]],
    );
}

#[test]
fn a_new_secret_is_offered() {
    check(
        "{ codchi.secrets.$0 }",
        expect![[r#"
            NAME: ‹NAME›.description = "‹›";
            env
            file
        "#]],
    );
    check(
        "{ codchi.secrets.file = { $0 }; }",
        expect![[r#"
            NAME: ‹NAME›.description = "‹›";
        "#]],
    );
}

#[test]
fn capabilities_are_offered_but_those_that_are_there() {
    check(
        "{ codchi.requiredCapabilities = [ \"gpu\" \"k$0\" ]; }",
        expect![[r#"
            k -> cuda
            k -> audio
            k -> display
            k -> usb
            k -> ssh-agent
            k -> kvm
            k -> nesting
            k -> fuse
            k -> tun
        "#]],
    );
    check(
        "{ lib, ... }: { codchi.optionalCapabilities = lib.optionals true [ \"gpu\" ssh-$0 ]; }",
        expect![[r#"
                ssh- -> cuda: "cuda"
                ssh- -> audio: "audio"
                ssh- -> display: "display"
                ssh- -> usb: "usb"
                ssh- -> ssh-agent: "ssh-agent"
                ssh- -> kvm: "kvm"
                ssh- -> nesting: "nesting"
                ssh- -> fuse: "fuse"
                ssh- -> tun: "tun"
            "#]],
    );
}

#[test]
fn a_string_without_an_end_gets_one() {
    check(
        "{\n  codchi.requiredCapabilities = [ \"k$0\n  ];\n  environment.variables.A = \"b\";\n}",
        expect![[r#"
                k -> gpu: gpu"
                k -> cuda: cuda"
                k -> audio: audio"
                k -> display: display"
                k -> usb: usb"
                k -> ssh-agent: ssh-agent"
                k -> kvm: kvm"
                k -> nesting: nesting"
                k -> fuse: fuse"
                k -> tun: tun"
            "#]],
    );
    check(
        "{\n  codchi.requiredCapabilities = [ \"k$0 ];\n}",
        expect![[r#"
            k -> gpu: gpu"
            k -> cuda: cuda"
            k -> audio: audio"
            k -> display: display"
            k -> usb: usb"
            k -> ssh-agent: ssh-agent"
            k -> kvm: kvm"
            k -> nesting: nesting"
            k -> fuse: fuse"
            k -> tun: tun"
        "#]],
    );
}

#[test]
fn values_of_booleans_and_enumerations_are_offered() {
    check(
        "{ codchi.gpu.enable = $0; }",
        expect![[r#"
            true
            false
        "#]],
    );
    check(
        "{\n  codchi.gpu.enable = t$0\n  codchi.docker.enable = true;\n}",
        expect![[r#"
            t -> true
            t -> false
        "#]],
    );
    check(
        "{ codchi.secrets.A.deliver = [ \"$0\" ]; }",
        expect![[r#"
            env
            file
        "#]],
    );
    check(
        "{ codchi.secrets.A.pattern = n$0; }",
        expect![[r#"
            n -> null
        "#]],
    );
}

#[test]
fn what_is_read_from_config_is_offered_by_name() {
    check(
        "{ config, ... }: { a = config.$0; }",
        expect![[r#"
            codchi
        "#]],
    );
    check(
        "{ config, ... }: {\n  a = config.codchi.keyring.$0\n  b = 1;\n}",
        expect![[r#"
            enable
        "#]],
    );
}

#[test]
fn codchi_is_offered_at_the_top_of_a_module_only() {
    check(
        "{ c$0 }",
        expect![[r#"
                c -> codchi
                c -> secret: codchi.secrets.‹NAME› = {
                  description = "‹What it is for, and where to get one›";
                };
                c -> capabilities: codchi.requiredCapabilities = [ "‹gpu›" ];
                c -> service with a secret: codchi.secrets.‹TOKEN› = {
                  description = "‹What it is for, and where to get one›";
                  units = [ "‹app›" ];
                };
                systemd.services.‹app› = {
                  wantedBy = [ "multi-user.target" ];
                  script = ''
                    # The secret is in the environment, as $CODCHI_‹TOKEN›.
                    exec ‹program›
                  '';
                };
                c -> imports: imports = [ ‹› ];
                c -> options: options = {
                  ‹›
                };
                c -> config: config = {
                  ‹›
                };
            "#]],
    );
    check(
        "{ pkgs, ... }: { config = { $0 }; }",
        expect![[r#"
                codchi
                secret: codchi.secrets.‹NAME› = {
                  description = "‹What it is for, and where to get one›";
                };
                capabilities: codchi.requiredCapabilities = [ "‹gpu›" ];
                service with a secret: codchi.secrets.‹TOKEN› = {
                  description = "‹What it is for, and where to get one›";
                  units = [ "‹app›" ];
                };
                systemd.services.‹app› = {
                  wantedBy = [ "multi-user.target" ];
                  script = ''
                    # The secret is in the environment, as $CODCHI_‹TOKEN›.
                    exec ‹program›
                  '';
                };
            "#]],
    );
    check("{ services = { $0 }; }", expect![[r#""#]]);
    check("{ pkgs }: pkgs.mkShell { $0 }", expect![""]);
    check("//- /project/flake.nix\n{ $0 }", expect![[r#""#]]);
    check(
        "//- /project/flake.nix\n{ outputs = _: { nixosModules.rust = { $0 }; }; }",
        expect![[r#"
                codchi
                secret: codchi.secrets.‹NAME› = {
                  description = "‹What it is for, and where to get one›";
                };
                capabilities: codchi.requiredCapabilities = [ "‹gpu›" ];
                service with a secret: codchi.secrets.‹TOKEN› = {
                  description = "‹What it is for, and where to get one›";
                  units = [ "‹app›" ];
                };
                systemd.services.‹app› = {
                  wantedBy = [ "multi-user.target" ];
                  script = ''
                    # The secret is in the environment, as $CODCHI_‹TOKEN›.
                    exec ‹program›
                  '';
                };
                imports: imports = [ ‹› ];
                options: options = {
                  ‹›
                };
                config: config = {
                  ‹›
                };
            "#]],
    );
}

#[test]
fn nothing_is_offered_in_comments_strings_and_other_options() {
    check("{ # codchi.$0\n }", expect![[r#""#]]);
    check("{ a = \"codchi.$0\"; }", expect![[r#""#]]);
    check("{ services.codchi.$0 }", expect![[r#""#]]);
    check("{ a = other.codchi.$0; }", expect![[r#""#]]);
}

#[test]
fn what_is_asked_of_the_host_has_what_it_says() {
    let answer = Availability { available: true, probed: "Looked".into(), ..Availability::default() };
    let about = |text: &str, label: &str| {
        let answers = |name: &str| Some([(name.to_owned(), answer.clone())].into());
        let world =
            World { capabilities: answers("kvm"), host_secrets: answers("tokens"), ..World::default() };
        let fixture = Fixture::new(text).with(world);
        let items = fixture.analysis().completions(&fixture.path, fixture.offset).items;
        let item = items.into_iter().find(|item| item.label == label).expect("it is there");
        item.documentation.lines().last().unwrap_or_default().to_owned()
    };
    let capability = about("{ codchi.requiredCapabilities = [ \"$0\" ]; }", "kvm");
    assert_eq!(capability, "This computer offers it. Looked.");
    assert_eq!(about("{ codchi.hostSecrets.$0 }", "tokens"), "Looked.");
    let list = about("{ codchi.$0 }", "requiredCapabilities");
    assert_eq!(list, "This computer offers: `kvm`. It does not offer: none.");
}
