//! The Nix files of `nix/`: what the modules declare, what `lib.codeMachine` gives, and which errors it makes.
//!
//! Evaluated by a real Nix against the module system of `tests/nixpkgs`; and, where `CODCHI_TEST_NIXPKGS` names a
//! checkout of nixpkgs or nixpkgs.lib, the same against the real one. Nothing is built.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_machine::Manifest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Evaluates a Nix expression in which `nix` is the folder `nix/`, `standIn` the outputs of `tests/nixpkgs`, and
/// `machine` makes a code machine of modules with it.
fn evaluate(expression: &str) -> Result<Value, String> {
    let repository = repository();
    let repository = repository.display();
    let text = format!(
        r#"let
  nix = {repository}/nix;
  standIn = (import {repository}/tests/nixpkgs/flake.nix).outputs {{ }};
  with_ = changes: (import (nix + "/lib.nix")).codeMachine ({{
    nixpkgs = standIn // {{ outPath = "/nixpkgs"; }};
    system = "x86_64-linux";
    name = "test";
    driver = "lxd";
    user = {{ uid = 1000; gid = 1000; }};
    modules = [ ];
  }} // changes);
  # A flake whose only output is the module.
  flake = module: {{ input = {{ outPath = "/flake"; nixosModules.default = module; }}; output = "default"; }};
  machine = module: with_ {{ modules = [ (flake module) ]; }};
in {expression}"#
    );
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--read-write-mode", "--expr", &text])
        .env("NIX_CONFIG", "sandbox = false\nbuild-users-group =\nsubstituters =\n")
        .output()
        .expect("nix-instantiate is on PATH: `cargo xtask test` brings it");
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("Nix prints JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn value(expression: &str) -> Value {
    evaluate(expression).unwrap_or_else(|error| panic!("{expression}\n{error}"))
}

/// The manifest of a machine of one module; fails where it is not of the shape that the controller reads.
fn manifest(module: &str) -> Manifest {
    let value = value(&format!("(machine ({module})).manifest"));
    let manifest: Manifest = serde_json::from_value(value.clone()).expect("a manifest");
    assert_eq!(
        serde_json::to_value(&manifest).unwrap(),
        value,
        "the manifest has fields that the controller ignores"
    );
    manifest
}

/// The message of the error that an expression makes.
fn error(expression: &str) -> String {
    let error = evaluate(expression).expect_err("an error");
    let (_, message) = error.rsplit_once("error: ").unwrap_or_else(|| panic!("no error in: {error}"));
    let (message, _) = message.split_once("(use '--show-trace'").unwrap_or((message, ""));
    message.trim().to_owned()
}

fn examples() -> Vec<String> {
    let folder = repository().join("nix/examples");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["gpu", "hello", "node", "postgres", "python", "rust", "secrets"]);
    names
}

#[test]
fn options_json_is_what_nix_makes_of_the_modules() {
    // A sorted map, so that the text is the same each time.
    let made: BTreeMap<String, Value> =
        serde_json::from_value(value(r#"import (nix + "/options-json.nix") standIn.lib"#)).unwrap();
    let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
    let file = repository().join("nix/options.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap();
    assert!(
        checked_in == text,
        "nix/options.json is not what nix/modules say: write it anew with UPDATE_EXPECT=1 and this test"
    );
}

#[test]
fn a_machine_of_no_modules_asks_for_nothing() {
    let empty: Manifest = serde_json::from_value(value("(with_ { }).manifest")).unwrap();
    assert_eq!(empty, Manifest::default());
}

#[test]
fn three_spellings_of_a_secret_make_one_list() {
    let manifest = manifest(
        r#"{
          codchi.secrets.BOTH = { description = "both"; units = [ "web" "db.service" ]; pattern = "a+"; };
          codchi.secrets.env.SHELL_ONLY.description = "shell";
          codchi.secrets.file.FILE_ONLY = { description = "file"; owner = "root"; mode = "440"; multiline = true; required = false; };
          codchi.secrets.LIMITED = { description = "limited"; deliver = [ "file" ]; };
        }"#,
    );
    let delivered: Vec<_> =
        manifest.secrets.iter().map(|(name, secret)| (name.as_str(), secret.env, secret.file)).collect();
    assert_eq!(
        delivered,
        [
            ("BOTH", true, true),
            ("FILE_ONLY", false, true),
            ("LIMITED", false, true),
            ("SHELL_ONLY", true, false)
        ]
    );
    let both = &manifest.secrets["BOTH"];
    assert_eq!(
        (both.units.as_slice(), both.pattern.as_deref()),
        (["web".into(), "db".into()].as_slice(), Some("a+"))
    );
    assert_eq!((both.owner.as_str(), both.mode.as_str(), both.required), ("codchi", "0400", true));
    let file = &manifest.secrets["FILE_ONLY"];
    assert_eq!(
        (file.owner.as_str(), file.mode.as_str(), file.multiline, file.required),
        ("root", "440", true, false)
    );
}

#[test]
fn a_secret_that_is_declared_in_two_spellings_has_all_of_both() {
    let manifest = manifest(
        r#"{
          codchi.secrets.env.KEY.description = "the key";
          codchi.secrets.file.KEY = { owner = "web"; required = false; };
        }"#,
    );
    let key = &manifest.secrets["KEY"];
    assert_eq!((key.env, key.file, key.required), (true, true, true));
    assert_eq!((key.description.as_str(), key.owner.as_str()), ("the key", "web"));
}

#[test]
fn a_secret_of_several_modules_has_what_each_says_and_who_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
    write("a.nix", "{ imports = [ ./more.nix ]; codchi.secrets.TOKEN.description = \"for the tests\"; }");
    write(
        "more.nix",
        "{ lib, ... }: { codchi.secrets.env = lib.mkIf true { MORE.description = \"more\"; }; }",
    );
    let module = r#"{ lib, ... }: lib.mkMerge [
      { codchi.secrets.TOKEN.description = "for the service"; codchi.secrets.ONLY = { }; }
      { codchi.secrets.TOKEN.description = "for the service"; }
    ]"#;
    let manifest = value(&format!(
        r#"(with_ {{ modules = [
          {{ file = "a.nix"; input.outPath = "{}"; source = "/work/a"; }}
          ((flake ({module})) // {{ source = "git+https://example.org/b"; }})
        ]; }}).manifest"#,
        folder.path().display()
    ));
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    let token = &manifest.secrets["TOKEN"];
    let mut said: Vec<_> = token.description.split("; ").collect();
    said.sort_unstable();
    assert_eq!(said, ["for the service", "for the tests"]);
    let of = |name: &str| manifest.secrets[name].declared_by.clone();
    assert_eq!(of("TOKEN"), ["/work/a", "git+https://example.org/b"]);
    assert_eq!((of("MORE"), of("ONLY")), (vec!["/work/a".into()], vec!["git+https://example.org/b".into()]));
}

#[test]
fn the_file_of_a_secret_is_at_its_path() {
    let module = r#"{ config, ... }: {
      codchi.secrets.A = { };
      codchi.secrets.file.B = { };
      environment.etc.paths.text = "${config.codchi.secrets.A.path} ${config.codchi.secrets.file.B.path}";
    }"#;
    let text = value(&format!("(machine ({module})).nixos.config.environment.etc.paths.text"));
    assert_eq!(text, json!("/run/codchi/secrets/A /run/codchi/secrets/B"));
}

#[test]
fn a_module_of_codchi_0_3_works_unchanged() {
    let manifest = manifest(
        r#"{ pkgs, lib, ... }: {
          codchi.secrets.env.GITLAB_TOKEN.description = "A token for GitLab";
          codchi.initScript = ''
            git clone https://example.org/project.git
          '';
          codchi.gpu.enable = true;
          codchi.docker.enable = true;
          codchi.keyring.enable = true;
          codchi.java.jdks = [ pkgs.jdk17 ];
          codchi.enableRecommendedConfig = lib.mkForce false;
          codchi.welcome.text = "Welcome!";
        }"#,
    );
    assert!(manifest.secrets["GITLAB_TOKEN"].env);
    assert_eq!(manifest.init_script, "git clone https://example.org/project.git\n");
    assert_eq!(manifest.required_capabilities, ["nesting"]);
    assert_eq!(manifest.optional_capabilities, ["gpu"]);
    assert_eq!(manifest.warnings.len(), 1);
    assert!(manifest.warnings[0].contains("`codchi.initScript`"), "{:?}", manifest.warnings);
}

#[test]
fn a_required_capability_is_not_an_optional_one_as_well() {
    let manifest = manifest(
        r#"{ codchi.gpu.enable = true; codchi.requiredCapabilities = [ "gpu" ]; codchi.optionalCapabilities = [ "audio" ]; }"#,
    );
    assert_eq!(manifest.required_capabilities, ["gpu"]);
    assert_eq!(manifest.optional_capabilities, ["audio"]);
}

#[test]
fn a_manifest_is_there_before_the_rest_of_the_system_evaluates() {
    let manifest = manifest(
        r#"{ pkgs, ... }: {
          codchi.secrets.TOKEN.description = "a token";
          environment.systemPackages = [ pkgs.there-is-no-such-package ];
          systemd.services.broken.script = throw "not now";
          assertions = [ { assertion = false; message = "not now"; } ];
        }"#,
    );
    assert!(manifest.secrets.contains_key("TOKEN"));
}

#[test]
fn a_unit_that_asks_for_a_secret_waits_for_it_and_no_other_does() {
    let module = r#"{
      codchi.secrets.TOKEN.units = [ "asks" ];
      systemd.services.asks.script = "true";
      systemd.services.other.script = "true";
    }"#;
    let units = value(&format!(
        "let units = (machine ({module})).nixos.config.systemd.services; in
         map (unit: [ unit.requires unit.after (unit.serviceConfig.EnvironmentFile or [ ]) ]) [ units.asks units.other ]"
    ));
    let secrets = ["codchi-secrets.service"];
    assert_eq!(units, json!([[secrets, secrets, ["-/run/codchi/units/asks.env"]], [[], [], []]]));
}

#[test]
fn an_output_that_a_flake_has_not_is_an_error_that_lists_those_it_has() {
    let message = error(
        r#"(with_ { modules = [ { output = "web"; input = { outPath = "/flake"; nixosModules = { a = { }; b = { }; }; codchiModules.c = { }; }; } ]; }).manifest"#,
    );
    assert_eq!(
        message,
        "codchi: the flake /flake has no module `web' (codchiModules: c; nixosModules: a, b)."
    );
    let message =
        error(r#"(with_ { modules = [ { output = "web"; input.outPath = "/flake"; } ]; }).manifest"#);
    assert_eq!(
        message,
        "codchi: the flake /flake has no module `web' (codchiModules: none; nixosModules: none)."
    );
}

#[test]
fn a_codchi_module_comes_before_a_nixos_module_of_the_same_name() {
    let asked = value(
        r#"(with_ { modules = [ { output = "x"; input = {
          outPath = "/flake";
          codchiModules.x.codchi.requiredCapabilities = [ "kvm" ];
          nixosModules.x.codchi.requiredCapabilities = [ "tun" ];
        }; } ]; }).manifest.requiredCapabilities"#,
    );
    assert_eq!(asked, json!(["kvm"]));
}

#[test]
fn a_file_that_is_not_there_and_a_nixpkgs_that_is_none_are_errors_that_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let message = error(&format!(
        r#"(with_ {{ modules = [ {{ file = "codchi.nix"; input.outPath = "{}"; }} ]; }}).manifest"#,
        folder.path().display()
    ));
    assert_eq!(message, format!("codchi: there is no file `codchi.nix' in {}.", folder.path().display()));
    let message = error(r#"(with_ { nixpkgs.outPath = "/other"; }).manifest"#);
    assert!(message.starts_with("codchi: the nixpkgs of this machine (/other) has no `lib'"), "{message}");
    let message = error(
        r#"(with_ { nixpkgs = { outPath = "/other"; inherit (standIn.lib) id; lib = { }; }; }).manifest"#,
    );
    assert!(message.contains("cannot make NixOS systems"), "{message}");
}

#[test]
fn an_unknown_option_and_a_wrong_type_name_the_option_and_the_users_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codchi.nix");
    for (text, expected) in [
        (
            "{ codchi.gpu.enabel = true; }",
            "The option `codchi.gpu.enabel' does not exist. Definition values:",
        ),
        (
            "{ codchi.gpu.enable = \"yes\"; }",
            "A definition for option `codchi.gpu.enable' is not of type `boolean'. Definition values:",
        ),
        (
            "{ codchi.requiredCapabilities = [ \"gpus\" ]; }",
            "A definition for option `codchi.requiredCapabilities.\"[definition 1-entry 1]\"' is not of type `one of",
        ),
        (
            "{ services.nothing.enable = true; }",
            "The option `services.nothing' does not exist. Definition values:",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let message = error(&format!(
            r#"(with_ {{ modules = [ {{ file = "codchi.nix"; input.outPath = "{}"; }} ]; }}).manifest"#,
            folder.path().display()
        ));
        assert!(message.starts_with(expected), "{message}");
        assert!(message.contains(&format!("- In `{}':", file.display())), "{message}");
    }
    // A module that is written in the flake itself.
    let message = error("(machine { codchi.gpu.enabel = true; }).manifest");
    assert!(message.contains("- In `/flake/flake.nix':"), "{message}");
}

#[test]
fn a_secret_name_that_no_shell_knows_is_an_error() {
    for (module, option) in [
        ("{ codchi.secrets.my-token = { }; }", "codchi.secrets.my-token"),
        ("{ codchi.secrets.env.\"1ST\" = { }; }", "codchi.secrets.env.1ST"),
    ] {
        let message = error(&format!("(machine {module}).manifest"));
        assert!(message.starts_with(&format!("`{option}' cannot be a secret's name")), "{message}");
    }
}

#[test]
fn a_machine_of_root_is_an_error() {
    let message = error("(with_ { user = { uid = 0; gid = 0; }; }).nixos.config.users.users.codchi.uid");
    assert!(message.contains("cannot have the id 0"), "{message}");
}

#[test]
fn the_user_is_in_the_group_of_the_project() {
    let of = |gid: u32| {
        value(&format!(
            "let config = (with_ {{ user = {{ uid = 1234; gid = {gid}; }}; }}).nixos.config;
                 group = config.users.users.codchi.group;
             in [ group (config.users.groups.${{group}}.gid or null) ]"
        ))
    };
    assert_eq!(of(1234), json!(["codchi", 1234]));
    // An id that NixOS has given to a group of its own.
    assert_eq!(of(100), json!(["users", null]));
}

#[test]
fn every_example_has_a_manifest_and_a_flake_that_gives_its_module() {
    for example in examples() {
        let manifest = value(&format!(
            r#"let folder = nix + "/examples/{example}";
                   flake = (import (folder + "/flake.nix")).outputs {{ self = {{ }}; }} // {{ outPath = "/flake"; }};
               in {CONFIGURATION} standIn.lib [ flake.nixosModules.default ]"#
        ));
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let secrets: Vec<_> = manifest.secrets.keys().map(String::as_str).collect();
        match example.as_str() {
            "secrets" => assert_eq!(secrets, ["API_TOKEN", "SENTRY_DSN", "TLS_KEY"]),
            "node" => assert_eq!(secrets, ["NPM_TOKEN"]),
            _ => assert_eq!(secrets, [""; 0]),
        }
        assert_eq!(manifest.required_capabilities == ["gpu"], example == "gpu");
        assert!(manifest.secrets.values().all(|secret| !secret.description.is_empty()));
    }
}

#[test]
fn the_hello_example_is_a_whole_system_with_the_stand_in() {
    let kind = value(
        r#"builtins.typeOf (with_ { modules = [ { file = "codchi.nix"; input.outPath = nix + "/examples/hello"; } ]; })
             .nixos.config.environment.etc."codchi/init-script".text"#,
    );
    assert_eq!(kind, json!("string"));
}

/// The manifest of modules whose options beside `codchi.*` are not declared: what a module system alone can evaluate.
const CONFIGURATION: &str = r#"(lib: modules: (lib.evalModules {
  specialArgs.pkgs = throw "a manifest needs no packages";
  modules = [ (nix + "/modules") {
    _module.freeformType = lib.types.lazyAttrsOf lib.types.anything;
    codchi.machine = { name = "test"; driver = "lxd"; user = { uid = 1000; gid = 1000; }; };
  } ({ lib, ... }: {
    # What the modules look for before they choose between names of several NixOS releases.
    options = {
      hardware.graphics.enable = lib.mkOption { type = lib.types.bool; };
      boot.nixStoreMountOpts = lib.mkOption { type = lib.types.anything; };
      programs.bash.completion.enable = lib.mkOption { type = lib.types.bool; };
      services.resolved.settings = lib.mkOption { type = lib.types.anything; };
    };
  }) ] ++ modules;
}).config.codchi.manifest)"#;

/// The `lib` of a real nixpkgs; without one the test that asks passes, having said so.
fn real_lib() -> Option<String> {
    let Some(path) = std::env::var_os("CODCHI_TEST_NIXPKGS") else {
        eprintln!("skipped: CODCHI_TEST_NIXPKGS names no checkout of nixpkgs or nixpkgs.lib");
        return None;
    };
    let lib = PathBuf::from(path).join("lib");
    assert!(lib.join("modules.nix").exists(), "{} is not nixpkgs' lib", lib.display());
    Some(format!("(import {})", lib.display()))
}

#[test]
fn the_real_module_system_of_nixpkgs_makes_the_same_options_json() {
    let Some(lib) = real_lib() else { return };
    let table = |lib: &str| value(&format!(r#"import (nix + "/options-json.nix") {lib}"#));
    assert_eq!(table(&lib), table("standIn.lib"));
}

#[test]
fn the_real_module_system_of_nixpkgs_gives_the_same_manifests() {
    let Some(lib) = real_lib() else { return };
    let spellings = r#"{
      codchi.secrets.BOTH = { description = "both"; units = [ "web.service" ]; };
      codchi.secrets.env.BOTH.required = false;
      codchi.secrets.env.SHELL_ONLY.description = "shell";
      codchi.secrets.file.FILE_ONLY = { mode = "0440"; multiline = true; };
      codchi.docker.enable = true;
      codchi.welcome = { text = "hi"; };
      codchi.initScript = "true";
    }"#;
    let modules = examples()
        .into_iter()
        .map(|example| format!(r#"(nix + "/examples/{example}/codchi.nix")"#))
        .chain([spellings.to_owned()]);
    for module in modules {
        let of = |lib: &str| value(&format!("{CONFIGURATION} {lib} [ {module} ]"));
        assert_eq!(of(&lib), of("standIn.lib"), "{module}");
    }
}

#[test]
fn the_real_module_system_of_nixpkgs_makes_the_same_errors() {
    let Some(lib) = real_lib() else { return };
    for module in ["{ codchi.gpu.enable = \"yes\"; }", "{ codchi.secrets.my-token = { }; }"] {
        let of = |lib: &str| {
            let message = error(&format!(
                r#"{CONFIGURATION} {lib} [ {{ _file = "/user/codchi.nix"; imports = [ {module} ]; }} ]"#
            ));
            message.lines().take(1).collect::<String>()
        };
        assert_eq!(of(&lib), of("standIn.lib"), "{module}");
    }
}
