//! The evaluation of modules by a real Nix, the distribution's and a current one: what they ask of the host, and each option
//! that does not evaluate. Against the module system of `tests/nixpkgs`; and, where `CODCHI_TEST_NIXPKGS` names a checkout of
//! nixpkgs or nixpkgs.lib, the same against the real one.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_machine::Manifest;
use codchi_module::Document;
use codchi_nix::{
    CancellationToken, Depth, Inspect, InspectError, InspectedModule, Inspection, Limits, Nix, NixError,
    Reads,
};
use codchi_tests::program;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

codchi_tests::with_each_nix! {
    async |folder| Nix::at(folder.join("nix")).await.unwrap();
    every_example_has_its_manifest_and_no_errors
    modules_as_people_write_them_have_no_false_errors
    all_options_that_fail_are_told_with_their_places
    an_error_that_ends_the_process_does_not_hide_the_others
    an_infinite_recursion_and_a_stack_overflow_are_errors_of_their_option
    what_is_no_module_at_all_is_one_error_with_its_place
    names_that_are_not_known_are_no_errors
    arguments_that_nixos_gives_its_modules_are_no_errors
    which_options_there_are_only_all_of_nixos_knows
    paths_may_have_any_name
    outputs_of_flakes_are_evaluated_with_the_inputs_that_there_are
    nothing_is_read_of_the_environment_or_fetched
    a_module_that_needs_too_much_memory_is_stopped
    all_of_nixos_says_what_it_has_to_say
}

/// What a module is evaluated with.
struct Lab {
    folder: TempDir,
    nix: Nix,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The stand-in, and a real one where there is one.
fn each_nixpkgs() -> Vec<PathBuf> {
    let real = std::env::var_os("CODCHI_TEST_NIXPKGS").map(PathBuf::from);
    [repository().join("tests/nixpkgs")].into_iter().chain(real).collect()
}

const LIMITS: Limits = Limits { time: Duration::from_secs(300), memory: 1 << 30, output: 16 << 20 };

impl Lab {
    fn new(nix: Nix) -> Self {
        Self { folder: TempDir::with_prefix("codchi-inspect-").unwrap(), nix }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// An evaluation of a file, knowing what its text and those beside it read.
    fn of_file(file: PathBuf, nixpkgs: &Path) -> Inspect {
        let reads = reads(file.parent().unwrap());
        Inspect {
            module: InspectedModule::File(file),
            nixpkgs: nixpkgs.to_owned(),
            codchi: repository().join("nix"),
            depth: Depth::Lenient,
            reads,
            limits: LIMITS,
        }
    }

    async fn run(&self, inspect: &Inspect) -> Inspection {
        let cancel = CancellationToken::new();
        let inspection = self.nix.inspect(inspect, &cancel).await.unwrap_or_else(|error| panic!("{error:?}"));
        if let Some(manifest) = &inspection.manifest
            && inspection.complete
        {
            let read: Manifest = serde_json::from_value(manifest.clone()).expect("a manifest");
            assert_eq!(&serde_json::to_value(read).unwrap(), manifest);
        }
        inspection
    }

    /// What a module in a file of its own is found to say, as text; the same with each nixpkgs.
    async fn say(&self, text: &str) -> String {
        let file = self.write("module/codchi.nix", text);
        self.say_file(file).await
    }

    async fn say_file(&self, file: PathBuf) -> String {
        let mut said = Vec::new();
        for nixpkgs in each_nixpkgs() {
            said.push(self.show(&self.run(&Self::of_file(file.clone(), &nixpkgs)).await));
        }
        assert!(said.iter().all(|other| *other == said[0]), "{said:#?}");
        said.remove(0)
    }

    /// Secrets and capabilities, what is dynamic, and errors.
    fn show(&self, inspection: &Inspection) -> String {
        let mut out = String::new();
        if let Some(manifest) = &inspection.manifest {
            let names: Vec<_> = manifest["secrets"].as_object().unwrap().keys().map(String::as_str).collect();
            let _ = write!(out, "secrets: {}", names.join(" "));
            if let Some(capabilities) = manifest["requiredCapabilities"].as_array()
                && !capabilities.is_empty()
            {
                let _ = write!(out, "; capabilities: {capabilities:?}");
            }
            let _ = writeln!(out, "{}", if inspection.complete { "" } else { "; and more" });
        } else {
            out.push_str("no manifest\n");
        }
        for option in &inspection.dynamic {
            let _ = writeln!(out, "dynamic: {}", option.join("."));
        }
        for error in &inspection.errors {
            let _ = writeln!(out, "{}", self.show_error(error));
        }
        out
    }

    fn show_error(&self, error: &InspectError) -> String {
        let name = |file: &Path| {
            file.strip_prefix(self.folder.path())
                .unwrap_or_else(|_| panic!("not the user's: {}", file.display()))
                .display()
                .to_string()
        };
        let option = error.option.as_ref().map_or("-".into(), |option| option.join("."));
        let place =
            error.places.first().map(|at| format!(" at {}:{}:{}", name(&at.file), at.line, at.column));
        let files: Vec<_> = error.files.iter().map(|file| name(file)).collect();
        let message = error.message.lines().next().unwrap().trim_end_matches(" Definition values:");
        // In the words of newer versions.
        let message = match message.strip_prefix("getting status of ") {
            Some(rest) => format!("path {}", rest.replace(": No such file or directory", " does not exist")),
            None => message.to_owned(),
        };
        format!("{option}:{} [{}] {message}", place.unwrap_or_default(), files.join(" "))
            .replace(&self.folder.path().display().to_string(), "")
    }
}

/// What the Nix files of a folder read of their arguments.
fn reads(folder: &Path) -> Reads {
    let mut reads = Reads::default();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "nix")
            && let Ok(text) = std::fs::read_to_string(&entry)
        {
            let document = Document::new(text.as_str());
            let facts = document.facts();
            reads.packages.extend(facts.packages.iter().map(|used| used.path.clone()));
            reads.config.extend(facts.config_reads.iter().cloned());
            reads.inputs.extend(facts.input_reads.iter().cloned());
            reads.options |= facts.reads_options;
        }
    }
    reads
}

async fn every_example_has_its_manifest_and_no_errors(nix: Nix) {
    let lab = Lab::new(nix);
    let mut examples: Vec<PathBuf> = std::fs::read_dir(repository().join("nix/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    examples.sort();
    let mut out = String::new();
    for nixpkgs in each_nixpkgs() {
        out.clear();
        for example in &examples {
            let inspect = Lab::of_file(example.join("codchi.nix"), &nixpkgs);
            let module = InspectedModule::Output { folder: example.clone(), output: None };
            let said = lab.show(&lab.run(&inspect).await);
            assert_eq!(
                said,
                lab.show(&lab.run(&Inspect { module, ..inspect }).await),
                "{}",
                example.display()
            );
            let _ = write!(out, "{}: {said}", example.file_name().unwrap().display());
        }
        expect_test::expect![[r#"
            gpu: secrets: ; capabilities: [String("gpu")]
            hello: secrets: 
            node: secrets: NPM_TOKEN
            postgres: secrets: 
            python: secrets: 
            rust: secrets: 
            secrets: secrets: API_TOKEN SENTRY_DSN TLS_KEY
        "#]]
        .assert_eq(&out);
    }
}

/// Modules without errors; what is found out about them.
const STYLES: [(&str, &str, &str); 14] = [
    (
        "a condition on an option that nobody sets",
        "{ config, lib, ... }: {
           codchi.secrets.A.description = \"a\";
           codchi.requiredCapabilities = lib.mkIf config.services.pipewire.enable [ \"audio\" ];
         }",
        "secrets: A; and more\ndynamic: codchi.requiredCapabilities\n",
    ),
    (
        "a condition on an option that the module sets",
        "{ config, lib, ... }: {
           services.postgresql.enable = lib.mkDefault true;
           codchi.secrets.DB = lib.mkIf config.services.postgresql.enable { description = \"db\"; };
         }",
        "secrets: DB\n",
    ),
    (
        "with lib and with pkgs",
        "{ config, lib, pkgs, ... }: with lib; with pkgs; {
           environment.systemPackages = [ hello (python3.withPackages (ps: [ ps.numpy ])) ] ++ optional stdenv.isLinux strace;
           codchi.secrets = mkMerge [ { A = { }; } (mkIf true { env.B.description = toUpper \"b\"; }) ];
         }",
        "secrets: A B\n",
    ),
    (
        "a package in a script, and one in a list",
        "{ pkgs, ... }: {
           codchi.initScript = \"${pkgs.git}/bin/git clone x\";
           codchi.java.jdks = [ pkgs.jdk17 ];
           codchi.secrets.A = { };
         }",
        "secrets: A; and more\ndynamic: codchi.initScript\ndynamic: codchi.java.jdks\n",
    ),
    (
        "what the standard environment says",
        "{ lib, pkgs, ... }: {
           codchi.requiredCapabilities = lib.optionals pkgs.stdenv.hostPlatform.isRiscV [ \"kvm\" ];
           codchi.secrets.A = { };
         }",
        "secrets: A; and more\ndynamic: codchi.requiredCapabilities\n",
    ),
    (
        "overlays and settings of nixpkgs",
        "{ pkgs, ... }: {
           nixpkgs.overlays = [ (final: prev: { mine = prev.hello; }) ];
           nixpkgs.config.allowUnfree = true;
           environment.systemPackages = [ pkgs.mine ];
           codchi.secrets.A.description = \"${pkgs.mine.name}\";
           codchi.secrets.B = { };
         }",
        "secrets: B; and more\ndynamic: codchi.secrets.A.description\n",
    ),
    (
        "options of its own",
        "{ config, lib, ... }: {
           options.my.tokens = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
           options.services.mine.enable = lib.mkEnableOption \"mine\";
           config = {
             my.tokens = [ \"A\" \"B\" ];
             services.mine.enable = true;
             services.nginx.enable = true;
             codchi.secrets.env = lib.mkIf config.services.mine.enable (lib.genAttrs config.my.tokens (_: { }));
           };
         }",
        "secrets: A B\n",
    ),
    (
        "all users, of which NixOS has more",
        "{ config, lib, ... }: {
           users.users.alice.isNormalUser = true;
           codchi.secrets.env = lib.mapAttrs' (name: _: lib.nameValuePair \"PASSWORD_${name}\" { }) config.users.users;
         }",
        "secrets: ; and more\ndynamic: codchi.secrets.env\n",
    ),
    (
        "what a list has, of which NixOS has more",
        "{ config, lib, ... }: {
           boot.kernelModules = [ \"kvm\" ];
           codchi.initScript = toString config.boot.kernelModules;
           codchi.secrets.A.description = config.networking.hostName;
         }",
        "secrets: ; and more\ndynamic: codchi.initScript\ndynamic: codchi.secrets.A.description\n",
    ),
    (
        "a module of an input",
        "{ inputs, ... }: {
           imports = [ inputs.sops.nixosModules.sops ];
           sops.defaultSopsFile = ./x.yaml;
           codchi.mine = true;
           codchi.secrets.A = { };
         }",
        "secrets: A; and more\n",
    ),
    (
        "wholly dynamic",
        "{ inputs, ... }: { config = inputs.x.lib.config; }",
        "no manifest\ndynamic: codchi\n",
    ),
    (
        "a name that may be declared",
        "{ options, lib, ... }: {
           codchi.requiredCapabilities = lib.optional options.hardware.graphics.enable.isDefined \"gpu\";
           codchi.secrets.A = { };
         }",
        "secrets: A; and more\ndynamic: codchi.requiredCapabilities\n",
    ),
    (
        "the machine's name",
        "{ config, ... }: { codchi.secrets.A.description = \"for ${config.codchi.machine.name}\"; }",
        "secrets: ; and more\ndynamic: codchi.secrets.A.description\n",
    ),
    (
        "deprecated options",
        "{ codchi.welcome.text = \"hi\"; codchi.secrets.env.A.description = \"a\"; codchi.docker.enable = true; }",
        "secrets: A; capabilities: [String(\"nesting\")]\n",
    ),
];

async fn modules_as_people_write_them_have_no_false_errors(nix: Nix) {
    let lab = Lab::new(nix);
    for (what, text, expected) in STYLES {
        assert_eq!(lab.say(text).await, expected, "{what}");
    }

    // A folder, and a renamed option.
    lab.write("tree/default.nix", "{ imports = [ ./a.nix ./more ]; codchi.secrets.A = { }; }");
    lab.write(
        "tree/a.nix",
        "{ lib, ... }: {
           imports = [ (lib.mkRenamedOptionModule [ \"old\" \"script\" ] [ \"codchi\" \"initScript\" ]) ];
           old.script = \"x\";
         }",
    );
    lab.write("tree/more/default.nix", "{ codchi.secrets.B = import ./values.nix; }");
    lab.write("tree/more/values.nix", "{ required = false; }");
    let folder = lab.folder.path().join("tree");
    for nixpkgs in each_nixpkgs() {
        let inspection = lab.run(&Lab::of_file(folder.join("default.nix"), &nixpkgs)).await;
        assert_eq!(lab.show(&inspection), "secrets: A B\n");
        assert_eq!(inspection.manifest.unwrap()["initScript"], "x");
        let files: Vec<_> = inspection
            .files
            .iter()
            .map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(files, ["a.nix", "default.nix", "more/default.nix", "more/values.nix"]);
    }
}

async fn all_options_that_fail_are_told_with_their_places(nix: Nix) {
    let lab = Lab::new(nix);
    let said = lab
        .say(
            r#"{ lib, ... }: {
  codchi.gpu.enabel = true;
  codchi.gpu.enable = "yes";
  codchi.optionalCapabilities = [ "gpus" ];
  codchi.initScript = (assert false; { x = 1; }).x;
  codchi.secrets.A.descriptoin = "x";
  codchi.secrets.env.B = { description = 5; required = assert false; true; };
  codchi.secrets.my-token = { };
  codchi.secrets.C.mode = "rw";
  codchi.keyring.enable = lib.mkMerge [ (assert false; true) ];
  codchi.secrets.D = { };
}"#,
        )
        .await;
    expect_test::expect![[r#"
        secrets: D; and more
        codchi.gpu.enabel: [module/codchi.nix] The option `codchi.gpu.enabel' does not exist.
        codchi.gpu.enable: [module/codchi.nix] A definition for option `codchi.gpu.enable' is not of type `boolean'.
        codchi.initScript: at module/codchi.nix:5:24 [module/codchi.nix] assertion 'false' failed
        codchi.keyring.enable: at module/codchi.nix:10:42 [module/codchi.nix] assertion 'false' failed
        codchi.secrets.A.descriptoin: [module/codchi.nix] The option `codchi.secrets.A.descriptoin' does not exist.
        codchi.secrets.C.mode: [module/codchi.nix] A definition for option `codchi.secrets.C.mode' is not of type `string matching the pattern 0?[0-7]{3}'.
        codchi.secrets.env.B.description: [module/codchi.nix] A definition for option `codchi.secrets.env.B.description' is not of type `string'.
        codchi.secrets.env.B.required: at module/codchi.nix:7:56 [module/codchi.nix] assertion 'false' failed
        codchi.secrets.my-token: [] `codchi.secrets.my-token' cannot be a secret's name: it becomes an environment variable, so use letters, digits and `_', beginning with no digit.
    "#]].assert_eq(&said);
}

async fn an_error_that_ends_the_process_does_not_hide_the_others(nix: Nix) {
    let lab = Lab::new(nix);
    let said = lab
        .say(
            r#"{ config, lib, ... }: {
  codchi.docker.enable = { }.enable;
  codchi.gpu.enable = 1 + "";
  codchi.initScript = toString config.codchi.docker.enable;
  codchi.keyring.enable = "yes";
  codchi.secrets.A.required = { a = 1; }.b or (import ./missing.nix);
  codchi.secrets.B.required = lib.nothing;
  codchi.secrets.C = { };
}"#,
        )
        .await;
    expect_test::expect![[r#"
        secrets: C; and more
        codchi.docker.enable: at module/codchi.nix:2:26 [module/codchi.nix] attribute 'enable' missing
        codchi.gpu.enable: at module/codchi.nix:3:27 [module/codchi.nix] cannot add a string to an integer
        codchi.keyring.enable: [module/codchi.nix] A definition for option `codchi.keyring.enable' is not of type `boolean'.
        codchi.secrets.A.required: at module/codchi.nix:6:48 [module/codchi.nix] path '/module/missing.nix' does not exist
        codchi.secrets.B.required: at module/codchi.nix:7:31 [module/codchi.nix] attribute 'nothing' missing
    "#]].assert_eq(&said);
}

async fn an_infinite_recursion_and_a_stack_overflow_are_errors_of_their_option(nix: Nix) {
    let lab = Lab::new(nix);
    let file = lab.write(
        "module/codchi.nix",
        "{ config, ... }: {
  codchi.initScript = config.codchi.initScript + \"x\";
  codchi.keyring.enable = let f = x: 1 + f (x + 1); in f 1 == 2;
  codchi.secrets.A.description = let x = x; in x;
  codchi.secrets.B = { };
}",
    );
    for nixpkgs in each_nixpkgs() {
        let inspection = lab.run(&Lab::of_file(file.clone(), &nixpkgs)).await;
        let named: Vec<_> =
            inspection.errors.iter().map(|error| error.option.as_ref().unwrap().join(".")).collect();
        assert_eq!(named, ["codchi.initScript", "codchi.keyring.enable", "codchi.secrets.A.description"]);
        for (error, line) in inspection.errors.iter().zip([2, 3, 4]) {
            // Old versions know no place of an option that needs itself, and nothing of where the stack ended.
            let place = error.places.first().map(|at| at.line);
            let is_overflow = error.message == "stack overflow (possible infinite recursion)";
            assert!(place == Some(line) || error.files == [file.clone()] || is_overflow, "{error:?}");
        }
        assert_eq!(lab.show(&inspection).lines().next(), Some("secrets: B; and more"));
    }
}

async fn what_is_no_module_at_all_is_one_error_with_its_place(nix: Nix) {
    let lab = Lab::new(nix);
    lab.write("module/other.nix", "{\n  a = ;\n}");
    let mut out = String::new();
    for text in [
        "{ imports = [ ./other.nix ]; codchi.secrets.A = { }; }",
        "{ imports = [ ./not-there.nix ]; }",
        "{ lib, ... }:\n{ imports = lib.nothing; }",
        "{ options.a = 1; codchi.secrets.A = { }; }",
        "5",
    ] {
        out += &lab.say(text).await;
    }
    expect_test::expect![[r#"
        no manifest
        -: at module/other.nix:2:7 [] syntax error, unexpected ';'
        no manifest
        -: [] path '/module/not-there.nix' does not exist
        no manifest
        -: at module/codchi.nix:2:13 [] attribute 'nothing' missing
        no manifest
        -: [] Module `/module/codchi.nix' has an unsupported attribute `codchi'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: codchi) into the explicit `config' attribute.
        no manifest
        -: [] module /module/codchi.nix (/module/codchi.nix) does not look like a module.
    "#]].assert_eq(&out);
    // In NixOS as well, modules cannot depend on what only they say.
    for text in [
        "{ config, ... }: { imports = [ config.codchi.initScript ]; }",
        "{ pkgs, ... }: { config = if pkgs.stdenv.isLinux then { codchi.secrets.A = { }; } else { }; }",
    ] {
        for nixpkgs in each_nixpkgs() {
            let file = lab.write("module/codchi.nix", text);
            let inspection = lab.run(&Lab::of_file(file, &nixpkgs)).await;
            let errors: Vec<_> =
                inspection.errors.iter().map(|error| (&error.option, error.message.as_str())).collect();
            assert_eq!(errors, [(&None, "infinite recursion encountered")]);
        }
    }
}

async fn names_that_are_not_known_are_no_errors(nix: Nix) {
    let lab = Lab::new(nix);
    for text in [
        // Nothing of this is found by reading the text.
        "{ config, ... }: with config.services; { codchi.initScript = nginx.package; codchi.secrets.A = { }; }",
        "{ pkgs, ... }: let p = x: pkgs.${x}; in { codchi.initScript = \"${p \"hello\"}\"; codchi.secrets.A = { }; }",
        "{ pkgs, ... }: { codchi.initScript = with pkgs; \"${hello}${curl.name}\"; codchi.secrets.A = { }; }",
        "{ pkgs, ... }: { codchi.initScript = toString (builtins.attrNames pkgs.a); codchi.secrets.A = { }; }",
        "{ config, ... }: { codchi.initScript = (x: x.services.nginx.package) config; codchi.secrets.A = { }; }",
        "{ inputs, ... }: { codchi.initScript = (x: x.a.b.c) inputs; codchi.secrets.A = { x = inputs.b.x; }.y or { }; }",
    ] {
        assert_eq!(lab.say(text).await, "secrets: A; and more\ndynamic: codchi.initScript\n", "{text}");
    }
}

async fn arguments_that_nixos_gives_its_modules_are_no_errors(nix: Nix) {
    let lab = Lab::new(nix);
    let uses = |argument: &str| {
        format!(
            "{{ {argument}, ... }}: {{ codchi.secrets.A = {{ }}; codchi.initScript = toString {argument}.x; }}"
        )
    };
    for argument in ["utils", "modules", "baseModules", "extraModules", "noUserModules"] {
        let said = lab.say(&uses(argument)).await;
        assert_eq!(said, "secrets: A; and more\ndynamic: codchi.initScript\n", "{argument}");
    }
    // How exactly the place is told differs between versions.
    let file = lab.write("module/codchi.nix", &uses("nobodys"));
    for nixpkgs in each_nixpkgs() {
        let inspection = lab.run(&Lab::of_file(file.clone(), &nixpkgs)).await;
        let [error] = &inspection.errors[..] else { panic!("{inspection:?}") };
        assert_eq!(error.message, "attribute 'nobodys' missing");
        assert_eq!(error.option, Some(vec!["codchi".into(), "initScript".into()]));
    }
    let said = lab.say("{ nobodys ? 1, utils, ... }: { codchi.secrets.A = { }; }").await;
    assert_eq!(said, "secrets: A\n");
}

async fn which_options_there_are_only_all_of_nixos_knows(nix: Nix) {
    let lab = Lab::new(nix);
    let asks = "{ options, lib, ... }: { config = lib.optionalAttrs (options ? services.openssh) { codchi.secrets.A = { }; }; }";
    assert_eq!(lab.say(asks).await, "secrets: ; and more\n");
    let file = lab.write("module/codchi.nix", asks);
    let full = Inspect { depth: Depth::Full, ..Lab::of_file(file, &evaluated_only(&lab)) };
    assert_eq!(lab.show(&lab.run(&full).await), "secrets: A\n");
    let declares = "{ lib, ... }: { options.a = lib.mkEnableOption \"a\"; config = { a = true; codchi.secrets.A = { }; }; }";
    assert_eq!(lab.say(declares).await, "secrets: A\n");
}

/// The stand-in with the unpacked Debian's hash, which only evaluation asks for.
fn evaluated_only(lab: &Lab) -> PathBuf {
    let nixpkgs = lab.folder.path().join("nixpkgs");
    copy(&repository().join("tests/nixpkgs"), &nixpkgs);
    std::fs::write(nixpkgs.join("debian.json"), format!("{{ \"hash\": \"sha256-{}=\" }}", "A".repeat(43)))
        .unwrap();
    nixpkgs
}

async fn paths_may_have_any_name(nix: Nix) {
    let lab = Lab::new(nix);
    for name in ["a b", "\"q\" 'p'", "${x}", "$${y}", "ünï/日本", "back\\slash", "semi;colon", "at@:1:2"]
    {
        let file =
            lab.write(&format!("{name}/codchi.nix"), "{ codchi.secrets.A = { }; codchi.initScript = 1; }");
        let said = lab.say_file(file).await;
        assert!(said.starts_with("secrets: A; and more\ncodchi.initScript:"), "{name}: {said}");
        assert!(said.contains(&format!("[{name}/codchi.nix]")), "{name}: {said}");
    }
}

async fn outputs_of_flakes_are_evaluated_with_the_inputs_that_there_are(nix: Nix) {
    let lab = Lab::new(nix);
    let flake = |name: &str, text: &str| {
        lab.write(&format!("{name}/flake.nix"), text);
        lab.folder.path().join(name)
    };
    let say = async |folder: &Path, output: Option<&str>| {
        let mut said = Vec::new();
        for nixpkgs in each_nixpkgs() {
            let inspect = Lab::of_file(folder.join("flake.nix"), &nixpkgs);
            let module =
                InspectedModule::Output { folder: folder.to_owned(), output: output.map(str::to_owned) };
            said.push(lab.show(&lab.run(&Inspect { module, ..inspect }).await));
        }
        assert!(said.iter().all(|other| *other == said[0]), "{said:#?}");
        said.remove(0)
    };
    let folder = flake(
        "inputs",
        "{
  inputs.sops.url = \"github:a/sops\";
  outputs = { self, nixpkgs, sops, flake-utils, ... }@inputs:
    flake-utils.lib.eachDefaultSystem (system: { packages.x = nixpkgs.legacyPackages.${system}.hello; }) // {
      nixosModules.default = { ... }: {
        imports = [ sops.nixosModules.sops self.nixosModules.other ];
        codchi.secrets.A.description = nixpkgs.lib.toUpper \"a\";
        codchi.secrets.B.description = inputs.other.lib.f 1;
        codchi.gpu.enable = 7;
      };
      nixosModules.other.codchi.secrets.C = { };
      codchiModules.own.codchi.initScript = \"${self}\";
    };
}",
    );
    expect_test::expect![[r#"
        secrets: A C; and more
        dynamic: codchi.secrets.B.description
        codchi.gpu.enable: [inputs/flake.nix] A definition for option `codchi.gpu.enable' is not of type `boolean'.
    "#]].assert_eq(&say(&folder, None).await);
    expect_test::expect![[r#"
        secrets: 
    "#]]
    .assert_eq(&say(&folder, Some("own")).await);
    expect_test::expect![[r#"
        no manifest
        -: [] codchi: the flake /inputs has no module `gone' (codchiModules: own; nixosModules: default, other).
    "#]].assert_eq(&say(&folder, Some("gone")).await);
    let folder = flake(
        "parts",
        "{ outputs = { flake-parts, ... }@inputs: flake-parts.lib.mkFlake { inherit inputs; } { }; }",
    );
    assert_eq!(say(&folder, None).await, "no manifest\ndynamic: codchi\n");
    let folder = flake("broken", "{ outputs = _: {\n  nixosModules.default = { }.gone;\n}; }");
    expect_test::expect![[r#"
        no manifest
        -: at broken/flake.nix:2:26 [] attribute 'gone' missing
    "#]]
    .assert_eq(&say(&folder, None).await);
}

async fn nothing_is_read_of_the_environment_or_fetched(nix: Nix) {
    // SAFETY of the claim: the variable is this process's own and exists.
    assert!(std::env::var_os("PATH").is_some());
    let lab = Lab::new(nix);
    let said = lab
        .say(
            r#"{
  codchi.secrets.A.description = "${builtins.getEnv "PATH"}.";
  codchi.secrets.B.description = builtins.readFile (builtins.fetchurl "https://example.invalid/x");
  codchi.secrets.C.description = import (builtins.fetchTarball "https://example.invalid/x.tar.gz");
  codchi.secrets.D.description = builtins.readFile (derivation { name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; });
  codchi.secrets.E.description = "${builtins.fetchGit "https://example.invalid/x.git"}";
}"#,
        )
        .await;
    expect_test::expect![[r#"
        secrets: A; and more
        dynamic: codchi.secrets.B.description
        dynamic: codchi.secrets.C.description
        dynamic: codchi.secrets.D.description
        dynamic: codchi.secrets.E.description
    "#]]
    .assert_eq(&said);
    let file = lab.folder.path().join("module/codchi.nix");
    let inspection = lab.run(&Lab::of_file(file, &each_nixpkgs()[0])).await;
    assert_eq!(inspection.manifest.unwrap()["secrets"]["A"]["description"], ".");
}

async fn a_module_that_needs_too_much_memory_is_stopped(nix: Nix) {
    let lab = Lab::new(nix);
    let file = lab.write(
        "module/codchi.nix",
        "{ codchi.initScript = toString (builtins.length (builtins.genList (x: [ x x x x ]) 100000000)); }",
    );
    let inspect = Lab::of_file(file, &each_nixpkgs()[0]);
    let limits = Limits { memory: 256 << 20, ..LIMITS };
    let error = lab.nix.inspect(&Inspect { limits, ..inspect }, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, NixError::TooMuchMemory { .. }), "{error:?}");
    assert_eq!(error.to_string(), "Nix needed too much memory (more than 256 MiB)");
}

async fn all_of_nixos_says_what_it_has_to_say(nix: Nix) {
    let lab = Lab::new(nix);
    let nixpkgs = evaluated_only(&lab);
    let run = async |text: &str| {
        let file = lab.write("module/codchi.nix", text);
        lab.run(&Inspect { depth: Depth::Full, ..Lab::of_file(file, &nixpkgs) }).await
    };
    let good = run("{ config, lib, pkgs, ... }: {
           codchi.secrets.A.description = \"${pkgs.hello.name} ${toString config.users.users.codchi.uid}\";
           codchi.requiredCapabilities = lib.mkIf config.systemd.package.meta.available or true [ \"kvm\" ];
         }")
    .await;
    assert_eq!(lab.show(&good), "secrets: A; capabilities: [String(\"kvm\")]\n");
    assert_eq!(good.manifest.unwrap()["secrets"]["A"]["description"], "hello 1000");

    let bad = run(r#"{ config, pkgs, ... }: {
  codchi.secrets.A.description = pkgs.there-is-none.name;
  codchi.initScript = config.services.nothing.here;
  codchi.gpu.enable = "x";
  codchi.unknown = 1;
  services.nothing.enable = true;
  services.openssh.enabel = true;
  environment.systemPackages = [ pkgs.gone ];
  codchi.secrets.B = { };
}"#)
    .await;
    expect_test::expect![[r#"
        secrets: B; and more
        codchi.unknown: [module/codchi.nix] The option `codchi.unknown' does not exist.
        services.openssh.enabel: [module/codchi.nix] The option `services.openssh.enabel' does not exist.
        services.nothing: [module/codchi.nix] The option `services.nothing' does not exist.
        codchi.initScript: at module/codchi.nix:3:23 [module/codchi.nix] attribute 'nothing' missing
        codchi.secrets.A.description: at module/codchi.nix:2:34 [module/codchi.nix] attribute 'there-is-none' missing
        codchi.gpu.enable: [module/codchi.nix] A definition for option `codchi.gpu.enable' is not of type `boolean'.
    "#]].assert_eq(&lab.show(&bad));

    let asserted = run("{ assertions = [ { assertion = false; message = \"no such luck\"; } ]; }").await;
    expect_test::expect![[r#"
        secrets: 
        -: [] Failed assertions:
    "#]]
    .assert_eq(&lab.show(&asserted));

    // A nixpkgs.lib is not enough.
    let lib = lab.folder.path().join("lib-only");
    copy(&nixpkgs.join("lib"), &lib.join("lib"));
    std::fs::write(lib.join("flake.nix"), "{ outputs = _: { lib = import ./lib; }; }").unwrap();
    let file = lab.write("module/codchi.nix", "{ }");
    let inspect = Inspect { depth: Depth::Full, ..Lab::of_file(file, &lib) };
    let said = lab.show(&lab.run(&inspect).await);
    assert!(said.contains("a nixpkgs.lib alone is not enough"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A `nix` whose `nix-instantiate` is a script.
async fn fake(folder: &Path, script: &str) -> Nix {
    for (name, text) in [("nix", "echo 'nix (Nix) 2.26.3'"), ("nix-instantiate", script)] {
        program::script(&folder.join(name), text);
    }
    Nix::at(folder.join("nix")).await.unwrap()
}

#[tokio::test]
async fn a_nix_that_hangs_prints_garbage_or_is_killed_is_a_clear_error_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let module = folder.path().join("codchi.nix");
    std::fs::write(&module, "{ }").unwrap();
    let inspect = Lab::of_file(module, &repository().join("tests/nixpkgs"));
    let limits = Limits { time: Duration::from_millis(300), output: 1 << 16, ..LIMITS };
    let inspect = Inspect { limits, ..inspect };
    let pid = folder.path().join("pid");
    let cancel = CancellationToken::new();
    for (script, expected) in [
        ("sleep 300 & echo $! > PID; wait", "Nix took longer than 300 ms and was stopped"),
        (
            "cat >/dev/null; echo '{'; head -c 9 /dev/urandom",
            "`nix-instantiate --eval` printed something unexpected",
        ),
        ("exec head -c 10000000 /dev/zero", "Nix printed more than 65536 bytes and was stopped"),
        ("exec head -c 10000000 /dev/zero >&2", "Nix printed more than 65536 bytes and was stopped"),
        ("kill -9 $$", "Nix needed too much memory: it was killed"),
        ("echo 'error: what is --eval?' >&2; exit 1", "what is --eval?"),
        ("echo '@nix {broken' >&2; head -c 100 /dev/urandom >&2; exit 1", "Nix ended with exit status: 1"),
    ] {
        let nix = fake(folder.path(), &script.replace("PID", &pid.display().to_string())).await;
        let error = nix.inspect(&inspect, &cancel).await.unwrap_err();
        assert_eq!(error.to_string(), expected, "{script}");
    }
    let sleeper = Path::new("/proc").join(std::fs::read_to_string(pid).unwrap().trim());
    assert!(!is_running(&sleeper), "the process outlived its evaluation");

    let nix = fake(folder.path(), "exec sleep 300").await;
    let long = Inspect { limits: LIMITS, ..inspect };
    let (result, ()) = tokio::join!(nix.inspect(&long, &cancel), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
    });
    assert!(matches!(result, Err(NixError::Cancelled)), "{result:?}");
}

#[tokio::test]
async fn a_nixpkgs_is_not_collected_while_it_is_evaluated() {
    let folder = TempDir::new().unwrap();
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let file = folder.path().join("nixpkgs");
    std::fs::write(&file, folder.path().display().to_string()).unwrap();
    let nixpkgs = run("nix-store", &["--add".as_ref(), file.as_os_str()]);
    let roots = || run("nix-store", &["--gc".as_ref(), "--print-roots".as_ref()]);
    assert!(!roots().contains(&nixpkgs));

    let meanwhile = folder.path().join("roots");
    let script = format!("cat >/dev/null; nix-store --gc --print-roots >{}; exit 1", meanwhile.display());
    let nix = fake(folder.path(), &script).await;
    let module = folder.path().join("codchi.nix");
    std::fs::write(&module, "{ }").unwrap();
    let inspect = Lab::of_file(module, Path::new(&nixpkgs));
    nix.inspect(&inspect, &CancellationToken::new()).await.unwrap_err();
    let meanwhile = std::fs::read_to_string(meanwhile).unwrap();
    assert!(meanwhile.contains(&nixpkgs), "{meanwhile}");
    run("nix-store", &["--delete".as_ref(), nixpkgs.as_ref()]);
}

/// Whether a process runs; one that nobody waits for in this container is a zombie.
fn is_running(process: &Path) -> bool {
    std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
