//! Completion of the options of a catalogue.

use super::{check, check_same, fixture};
use crate::World;
use crate::fixture::{Fixture, Table};
use expect_test::expect;
use std::sync::Arc;

#[test]
fn options_are_offered_with_a_value_of_their_type() {
    check(
        "{ services.nginx.$0 }",
        expect![[r#"
        enable: enable = ‹true›;
        commonHttpConfig: commonHttpConfig = ''
          ‹›
        '';
        package: package = pkgs.‹›;
        virtualHosts: virtualHosts = {
          ‹›
        };
        workers: workers = ‹4›;
        _hidden: _hidden = ‹true›;
    "#]],
    );
    check(
        "{ networking.$0 }",
        expect![[r#"
        hostName: hostName = "‹›";
        mode: mode = "‹›";
        firewall
    "#]],
    );
}

#[test]
fn an_option_has_its_type_and_its_documentation() {
    let fixture = fixture("{ services.nginx.e$0 }");
    let items = fixture.analysis().completions(&fixture.path, fixture.offset).items;
    let enable = items.iter().find(|item| item.label == "enable").expect("it is there");
    assert_eq!(enable.detail, "boolean");
    expect![[r#"
        Whether to enable nginx.

        Default: `false`"#]]
    .assert_eq(&enable.documentation);
}

#[test]
fn paths_may_be_nested_and_stand_wherever_a_module_can_be() {
    let dotted = "{ networking.firewall.$0 }";
    check(
        dotted,
        expect![[r#"
        allowedTCPPorts: allowedTCPPorts = [ ‹› ];
    "#]],
    );
    for text in [
        "{ networking = { firewall = { $0 }; }; }",
        "{ pkgs, ... }: { networking.firewall = { $0 }; }",
        "{ config = { networking.firewall.$0 }; }",
        "{ lib, ... }: { config = lib.mkIf (a == b) { networking.firewall.$0 }; }",
        "{ lib, ... }: with lib; { config = mkMerge [ { a.b = 1; } (mkIf true { networking.firewall.$0 }) ]; }",
        "{ lib, ... }: { networking = lib.mkDefault { firewall.$0 }; }",
        "{ networking = { a = 1; } // { firewall.$0 }; }",
        "{ imports = [ ./x.nix { networking.firewall.$0 } ]; }",
        "{ imports = [ ({ pkgs, ... }: { networking.firewall.$0 }) ]; }",
        "let a = 1; in { config.networking.firewall = if a == 1 then { $0 } else { }; }",
        "{\n  networking.firewall.$0\n  services.nginx.enable = true;\n}",
        "{\n  networking.firewall = {\n    $0\n  services.nginx.enable = true;\n}",
        "//- /project/flake.nix\n{ outputs = _: { nixosModules.default = { networking.firewall.$0 }; }; }",
        "//- /project/flake.nix\n{ outputs = _: { codchiModules.x = { pkgs, ... }: { config.networking.firewall.$0 }; }; }",
        "//- /project/flake.nix\n{ outputs = { nixpkgs, ... }: { a = nixpkgs.lib.nixosSystem { modules = [ { networking.firewall.$0 } ]; }; }; }",
    ] {
        check_same(text, dotted);
    }
}

#[test]
fn nothing_is_offered_where_no_option_can_be() {
    for text in [
        "{ a = \"services.$0\"; }",
        "{ a = ''\n  services.$0\n''; }",
        "{ # services.$0\n }",
        "let services.$0 in { }",
        "let a = { services.$0 }; in { }",
        "{ pkgs }: pkgs.mkShell { services.$0 }",
        "{ pkgs, ... }: { a = pkgs.mkShell { services.$0 }; }",
        "{ services, $0 }: { }",
        "final: prev: { services.$0 }",
        "{ options.services.$0 }",
        "{ imports = { services.$0 }; }",
        "{ a = other.services.$0; }",
        "{ lib, ... }: { a = lib.services.$0; }",
        "{ a = { config, ... }: f { services.$0 }; }",
        "{ lib, ... }: { a = lib.mkIf { services.$0 } { }; }",
        "//- /project/flake.nix\n{ services.$0 }",
        "//- /project/flake.nix\n{ outputs = _: { packages.services.$0 }; }",
        "{ unheard.of.$0 }",
    ] {
        check(text, expect![""]);
    }
}

#[test]
fn what_the_same_set_already_has_is_left_out() {
    check(
        "{ networking = { hostName = \"a\"; firewall = { }; $0 }; }",
        expect![[r#"
        mode: mode = "‹›";
    "#]],
    );
    check(
        "{ networking.hostName = \"a\"; networking.$0 }",
        expect![[r#"
        mode: mode = "‹›";
        firewall
    "#]],
    );
}

#[test]
fn what_has_a_value_or_goes_on_gets_no_other() {
    check(
        "{ networking.host$0 = \"a\"; }",
        expect![[r#"
        host -> hostName
        host -> mode
        host -> firewall
    "#]],
    );
    check(
        "{ net$0.hostName = \"a\"; }",
        expect![[r#"
        net -> codchi
        net -> imports
        net -> options
        net -> config
        net -> environment
        net -> networking
        net -> services
        net -> users
    "#]],
    );
}

#[test]
fn the_top_of_a_module_offers_all_that_can_stand_there() {
    check(
        "{ $0 }",
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
            environment
            networking
            services
            users
        "#]],
    );
    check(
        "{ config = { $0 }; }",
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
            environment
            networking
            services
            users
        "#]],
    );
    check(
        "{ imports = [ ]; config = { }; options = { }; n$0 }",
        expect![[r#"
            n -> codchi
            n -> secret: codchi.secrets.‹NAME› = {
              description = "‹What it is for, and where to get one›";
            };
            n -> capabilities: codchi.requiredCapabilities = [ "‹gpu›" ];
            n -> service with a secret: codchi.secrets.‹TOKEN› = {
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
            n -> environment
            n -> networking
            n -> services
            n -> users
        "#]],
    );
}

#[test]
fn names_that_a_person_gives_are_to_be_filled_in() {
    check(
        "{ services.nginx.virtualHosts.$0 }",
        expect![[r#"
        NAME: ‹NAME› = {
          ‹›
        };
    "#]],
    );
    check(
        "{ services.nginx.virtualHosts = { $0 }; }",
        expect![[r#"
        NAME: ‹NAME› = {
          ‹›
        };
    "#]],
    );
    check(
        "{ services.nginx.virtualHosts.\"example.org\".$0 }",
        expect![[r#"
        enableACME: enableACME = ‹true›;
        locations: locations = {
          ‹›
        };
        root: root = ‹›;
    "#]],
    );
    check(
        "{ services.nginx.virtualHosts.\"example.org\".locations.\"/\" = { $0 }; }",
        expect![[r#"
        index: index = "‹›";
    "#]],
    );
    check(
        "{ services.nginx.virtualHosts.${name}.locations = { \"/\" = { $0 }; }; }",
        expect![[r#"
        index: index = "‹›";
    "#]],
    );
}

#[test]
fn elements_of_lists_have_options_too() {
    check(
        "{ services.postgresql.ensureUsers = [ { name = \"a\"; $0 } ]; }",
        expect![[r#"
        superuser: superuser = ‹false›;
    "#]],
    );
    check(
        "{ lib, ... }: { services.postgresql.ensureUsers = lib.optional true { $0 }; }",
        expect![[r#"
        name: name = "‹›";
        superuser: superuser = ‹false›;
    "#]],
    );
}

#[test]
fn what_is_read_is_offered_by_name_with_those_that_the_module_defines() {
    check(
        "{ config, ... }: { a = config.$0; }",
        expect![[r#"
        codchi
        environment
        networking
        services
        users
    "#]],
    );
    check(
        "{ config, ... }: { a = config.networking.$0; }",
        expect![[r#"
        hostName
        mode
        firewall
    "#]],
    );
    check(
        "{ config, ... }: { a = if config.services.nginx.$0 then 1 else 2; }",
        expect![[r#"
        enable
        commonHttpConfig
        package
        virtualHosts
        workers
        _hidden
    "#]],
    );
    check(
        "//- /project/codchi.nix\n{ config, ... }: { imports = [ ./b.nix ]; a = config.services.nginx.virtualHosts.$0; }\n\
         //- /project/b.nix\n{ services.nginx.virtualHosts = { \"example.org\".root = \"/\"; other = { }; }; }",
        expect![[r#"
            example.org: "example.org"
            other
        "#]],
    );
    check(
        "{ config, ... }: { a = config.services.nginx.virtualHosts.x.$0; }",
        expect![[r#"
        enableACME
        locations
        root
    "#]],
    );
    check(
        "{ config, ... }: { a = \"${config.networking.$0}\"; }",
        expect![[r#"
        hostName
        mode
        firewall
    "#]],
    );
}

#[test]
fn local_names_of_what_is_read_are_followed() {
    let direct = "{ config, ... }: { a = config.services.nginx.$0; }";
    for text in [
        "{ config, ... }: let cfg = config.services.nginx; in { a = cfg.$0; }",
        "{ config, ... }: let s = config.services; cfg = s.nginx; in { a = cfg.$0; }",
        "{ config, ... }: let inherit (config) services; in { a = services.nginx.$0; }",
        "{ config, ... }: let inherit (config.services.nginx) $0; in { }",
    ] {
        check_same(text, direct);
    }
    check("{ config, ... }: cfg: { a = cfg.$0; }", expect![""]);
}

#[test]
fn of_very_many_names_those_that_what_is_typed_may_become_are_offered() {
    let mut table: String = (0..3_000).map(|n| format!("services.s{n}.enable = boolean\n")).collect();
    table.push_str("services.nginx.enable = boolean\n");
    let catalogue: Arc<dyn crate::Catalogue> = Arc::new(Table::new(&table));
    let found = |text: &str| {
        let catalogues = [(("/project".into(), None), catalogue.clone())].into();
        let fixture = Fixture::new(text).with(World { catalogues, ..World::default() });
        fixture.analysis().completions(&fixture.path, fixture.offset)
    };
    let all = found("{ services.$0 }");
    assert_eq!((all.items.len(), all.is_incomplete), (crate::completion::MOST, true));
    let some = found("{ services.ngx$0 }");
    let labels: Vec<&str> = some.items.iter().map(|item| item.label.as_str()).collect();
    assert_eq!((labels, some.is_incomplete), (vec!["nginx"], true));
    let first = found("{ services.s12$0 }");
    assert_eq!(first.items[0].label, "s12", "what is typed whole comes first");
}
