//! What `nix/catalogue.nix` finds in a nixpkgs and in a flake's own modules, by a real Nix: the distribution's and a
//! current one; in `tests/nixpkgs`, and, where `CODCHI_TEST_NIXPKGS` names a checkout of nixpkgs or nixpkgs.lib, in a
//! small NixOS on the real module system. Nothing is built.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_nix::{
    CancellationToken, Declared, InspectedModule, Limits, Nix, NixError, PackageNames, Survey,
    SurveyQuestion, SurveyedOption, read_options,
};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Seek as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

codchi_tests::with_each_nix! {
    async |folder| Nix::at(folder.join("nix")).await.unwrap();
    the_options_and_packages_of_a_flake_that_makes_nixos_systems_are_found
    a_broken_module_takes_nothing_else_with_it
    types_that_have_themselves_as_a_part_come_to_an_end
    packages_are_named_without_being_evaluated
    the_modules_of_a_flake_are_read_without_what_is_not_known
    nothing_is_fetched_or_read_of_the_environment
    what_takes_too_long_too_much_or_is_no_nixpkgs_is_said
}

const LIMITS: Limits = Limits { time: Duration::from_secs(60), memory: 3 << 30, output: 32 << 20 };

fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("nixpkgs")
}

async fn ask(
    nix: &Nix,
    nixpkgs: &Path,
    question: SurveyQuestion,
    limits: Limits,
) -> Result<(File, Vec<String>), NixError> {
    let mut answer = tempfile::tempfile().unwrap();
    let survey = Survey { nixpkgs: nixpkgs.to_owned(), question, limits };
    let left_out = nix.survey(&survey, &answer, &CancellationToken::new()).await?;
    answer.rewind().unwrap();
    Ok((answer, left_out))
}

/// The options of a question, and what was left out, without the reasons.
async fn options(nix: &Nix, nixpkgs: &Path, question: SurveyQuestion) -> (Vec<SurveyedOption>, Vec<String>) {
    let (answer, left_out) = ask(nix, nixpkgs, question, LIMITS).await.unwrap();
    let mut options = Vec::new();
    read_options(answer, &mut |option| {
        options.push(option);
        Ok(())
    })
    .unwrap();
    let what = |sentence: String| sentence.split(": ").next().unwrap().to_owned();
    (options, left_out.into_iter().map(what).collect())
}

async fn packages(nix: &Nix, nixpkgs: &Path, paths: &[&str]) -> Vec<Option<Vec<String>>> {
    let path = |text: &&str| text.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let paths: Vec<Vec<String>> = paths.iter().map(path).collect();
    let (answer, _) = ask(nix, nixpkgs, SurveyQuestion::Packages(paths.clone()), LIMITS).await.unwrap();
    let answers: Vec<PackageNames> = serde_json::from_reader(answer).unwrap();
    assert_eq!(answers.iter().map(|answer| answer.path.clone()).collect::<Vec<_>>(), paths);
    answers.into_iter().map(|answer| answer.names).collect()
}

fn find<'a>(options: &'a [SurveyedOption], path: &str) -> Option<&'a SurveyedOption> {
    options.iter().find(|option| option.path.join(".") == path)
}

/// A small NixOS on the module system of the `lib` folder of a real nixpkgs.
struct Small {
    folder: TempDir,
}

impl Small {
    /// `modules` are files below nixos/modules, all of them in the list.
    fn new(modules: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("codchi nixpkgs ").unwrap();
        let nixpkgs = std::env::var_os("CODCHI_TEST_NIXPKGS").map_or_else(stand_in, PathBuf::from);
        let lib = nixpkgs.join("lib");
        symlink(lib, folder.path().join("lib")).unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("nixos/lib/utils.nix", "{ lib, config, pkgs }: { inherit (lib) id; }");
        write("default.nix", PACKAGES);
        let mut list = String::from("[ ");
        for (name, text) in modules {
            write(&format!("nixos/modules/{name}"), text);
            write!(list, "./{name} ").unwrap();
        }
        write("nixos/modules/module-list.nix", &(list + "]"));
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Nothing of it may be evaluated further than to what it is.
const PACKAGES: &str = r#"
{ system, overlays, config }:
let
  lib = import ./lib;
  package = name: { type = "derivation"; inherit name; outPath = abort "evaluated"; drvPath = abort "evaluated"; };
  pkgs = {
    inherit lib pkgs;
    hello = package "hello";
    broken = throw "it is marked as broken";
    writeText = name: text: abort "written";
    python3Packages = { requests = package "requests"; recurseForDerivations = true; override = x: x; _internal = 1; };
  } // (if config.allowAliases or true then { oldHello = throw "renamed"; python2Packages = pkgs.python3Packages; } else { });
in
pkgs
"#;

const WEB: &str = r#"{ config, lib, pkgs, utils, modulesPath, ... }:
let
  inherit (lib) mkOption types;
in
{
  imports = [ (modulesPath + "/imported.nix") ];
  options.services.web = {
    enable = lib.mkEnableOption "the web";
    package = mkOption { type = types.package; default = pkgs.hello; description = "The package."; };
    path = mkOption { type = types.str; default = "${pkgs.hello}/share"; description = "A path of the store."; };
    text = mkOption { type = types.lines; default = "a \${b}\n"; example = lib.literalExpression "''\n  x\n''"; description = "A text."; };
    hosts = mkOption {
      type = types.attrsOf (types.submodule ({ name, ... }: {
        options.root = mkOption { type = types.path; default = "/${name}"; description = "The root."; };
      }));
      default = { };
      description = "The hosts.";
    };
    hidden = mkOption { type = types.int; visible = false; description = "Nobody's."; };
    internal = mkOption { type = types.int; internal = true; description = "Nobody's."; };
    state = mkOption { type = types.int; readOnly = true; default = 1; description = "To be read."; };
    throws = mkOption { type = types.str; default = throw "not now"; description = "It throws."; };
  };
  config = lib.mkIf config.services.web.enable { networking.hostName = abort "evaluated"; unknown.option = 1; };
}
"#;

async fn the_options_and_packages_of_a_flake_that_makes_nixos_systems_are_found(nix: Nix) {
    let (options, left_out) = options(&nix, &stand_in(), SurveyQuestion::Options).await;
    assert_eq!(left_out, [""; 0]);
    assert!(options.len() > 100, "{}", options.len());
    let enable = find(&options, "services.openssh.enable").unwrap();
    assert_eq!((enable.kind.as_str(), enable.default.as_deref()), ("boolean", Some("false")));
    let user = find(&options, "users.users.<name>.extraGroups").unwrap();
    assert_eq!(user.kind, "list of string");
    let name = find(&options, "networking.hostName").unwrap();
    let [Declared::At(file, line, _)] = &name.declared[..] else { panic!("{:?}", name.declared) };
    assert_eq!(*file, stand_in().join("nixos/networking.nix"));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.lines().nth(*line as usize - 1).unwrap().contains("hostName = mkOption"), "{line}");
    assert!(options.iter().all(|option| option.path[0] != "codchi"));
    let names = packages(&nix, &stand_in(), &["", "gone"]).await;
    let top = names[0].as_ref().unwrap();
    assert!(top.contains(&"hello".to_owned()) && !top.contains(&"lib".to_owned()), "{top:?}");
    assert_eq!(names[1], None);
}

async fn a_broken_module_takes_nothing_else_with_it(nix: Nix) {
    let small = Small::new(&[
        ("web.nix", WEB),
        (
            "imported.nix",
            "{ lib, ... }: { options.imported = lib.mkOption { type = lib.types.str; description = \"I\"; }; }",
        ),
        (
            "half.nix",
            "{ config, lib, ... }: let inherit (lib) mkOption types; in {\n\
            options.half.gone = mkOption { type = types.str; default = config.gone.gone; description = \"G\"; };\n\
            options.half.aborts = mkOption { type = types.str; description = abort \"no\"; };\n\
            options.half.endless = mkOption { type = types.str; default = let x = x; in x; description = \"E\"; };\n\
            options.half.sub = mkOption { type = types.submodule { imports = [ (abort \"no\") ]; }; description = \"S\"; };\n\
            options.half.fine = mkOption { type = types.str; description = \"F\"; };\n}",
        ),
        ("broken.nix", "{ lib, ... }: { options.broken = lib.mkOption { }; } // { }.gone"),
    ]);
    let (options, left_out) = options(&nix, small.path(), SurveyQuestion::Options).await;
    for fine in ["services.web.enable", "imported", "half.fine", "half.gone", "half.endless"] {
        assert!(find(&options, fine).is_some(), "{fine} is not there");
    }
    for gone in ["broken", "half.aborts", "services.web.hidden", "services.web.internal", "codchi"] {
        assert!(find(&options, gone).is_none(), "{gone} is there");
    }
    let broken = small.path().join("nixos/modules/broken.nix");
    for part in [
        format!("the module {}", broken.display()),
        "default and example of half.gone".into(),
        "default and example of half.endless".into(),
        "the option half.aborts".into(),
        "what is below the option half.sub".into(),
    ] {
        assert!(left_out.contains(&part), "{part} in {left_out:?}");
    }
    let web = |name: &str| find(&options, &format!("services.web.{name}")).unwrap();
    assert_eq!(web("enable").description.trim_end_matches('.'), "Whether to enable the web");
    assert_eq!(web("package").default.as_deref(), Some("<derivation hello>"));
    assert_eq!((web("path").default.as_deref(), web("throws").default.as_deref()), (None, None));
    assert_eq!(web("text").default.as_deref(), Some(r#""a \${b}\n""#));
    assert_eq!(web("text").example.as_deref(), Some("''\n  x\n''"));
    // How the free name is written in a value differs between versions.
    assert!(web("hosts.<name>.root").default.as_deref().is_some_and(|text| text.contains("name")));
    assert!(web("state").read_only && !web("enable").read_only);
    let file = small.path().join("nixos/modules/web.nix");
    assert_eq!(web("enable").declared, [Declared::At(file, 8, 5)]);
}

async fn types_that_have_themselves_as_a_part_come_to_an_end(nix: Nix) {
    let small = Small::new(&[(
        "tree.nix",
        "{ lib, ... }: let\n\
           inherit (lib) mkOption types;\n\
           node = types.submodule { options = {\n\
             left = mkOption { type = types.attrsOf node; description = \"L\"; };\n\
             right = mkOption { type = types.nullOr node; description = \"R\"; };\n\
           }; };\n\
         in { options.tree = mkOption { type = node; description = \"T\"; }; }",
    )]);
    let (options, _) = options(&nix, small.path(), SurveyQuestion::Options).await;
    assert!(find(&options, "tree.left.<name>.right").is_some());
    assert!(options.len() < 1000, "{}", options.len());
}

async fn packages_are_named_without_being_evaluated(nix: Nix) {
    let small = Small::new(&[]);
    let names = packages(
        &nix,
        small.path(),
        &["", "python3Packages", "python2Packages", "hello", "broken", "gone.x"],
    )
    .await;
    let names: Vec<Option<String>> = names.into_iter().map(|names| Some(names?.join(" "))).collect();
    let expected = [
        Some("broken hello pkgs python3Packages writeText"),
        Some("requests"),
        // By an old name, which is not offered itself.
        Some("requests"),
        Some(""),
        None,
        None,
    ];
    assert_eq!(names.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
}

async fn the_modules_of_a_flake_are_read_without_what_is_not_known(nix: Nix) {
    let folder = TempDir::with_prefix("codchi ${own} ").unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "flake.nix",
        "{ inputs.other.url = \"github:x/y\";\n\
           outputs = { self, nixpkgs, other }: { nixosModules.default = { lib, inputs, ... }: {\n\
             imports = [ ./mine.nix ./gone.nix other.nixosModules.x (throw \"not now\") ];\n\
             options.inline.x = lib.mkOption { type = lib.types.int; description = \"Inline\"; };\n\
             config.services.openssh.enable = true;\n\
           }; }; }",
    );
    write(
        "mine.nix",
        "{ config, lib, pkgs, inputs, osConfig, given ? 1, ... }: let inherit (lib) mkOption types; in {\n\
           options.mine = {\n\
             enable = lib.mkEnableOption \"mine\";\n\
             input = mkOption { type = types.str; default = inputs.secrets.x; description = \"I\"; };\n\
             other = mkOption { type = types.str; default = config.services.nginx.package; description = \"O\"; };\n\
             free = mkOption { type = types.attrsOf (types.submodule { options.y = mkOption { type = types.bool; description = \"Y\"; }; }); description = \"F\"; };\n\
           };\n\
           options.codchi.extra = mkOption { type = types.str; description = \"Not ours to tell\"; };\n\
           config = lib.mkIf config.mine.enable { codchi.gpu.enable = true; codchi.secrets.A = { }; services.x = 1; };\n\
         }",
    );
    let modules = vec![
        InspectedModule::Output { folder: folder.path().to_owned(), output: None },
        InspectedModule::File(folder.path().join("mine.nix")),
    ];
    let mut places = vec![stand_in()];
    places.extend(std::env::var_os("CODCHI_TEST_NIXPKGS").map(PathBuf::from));
    for nixpkgs in places {
        let (options, left_out) = options(&nix, &nixpkgs, SurveyQuestion::Own(modules.clone())).await;
        let mut paths: Vec<String> = options.iter().map(|option| option.path.join(".")).collect();
        paths.sort();
        assert_eq!(
            paths,
            ["inline.x", "mine.enable", "mine.free", "mine.free.<name>.y", "mine.input", "mine.other"]
        );
        assert_eq!(left_out, ["default and example of mine.other"]);
    }
}

async fn nothing_is_fetched_or_read_of_the_environment(nix: Nix) {
    let small = Small::new(&[(
        "a.nix",
        "{ lib, pkgs, ... }: let inherit (lib) mkOption types; in { options.a = {\n\
           path = mkOption { type = types.str; default = \"<${builtins.getEnv \"PATH\"}>\"; description = \"P\"; };\n\
           file = mkOption { type = types.str; default = builtins.readFile (builtins.fetchurl \"https://example.invalid/x\"); description = \"F\"; };\n\
           tree = mkOption { type = types.str; default = import (builtins.fetchTarball \"https://example.invalid/x.tar.gz\"); description = \"T\"; };\n\
           build = mkOption { type = types.str; default = builtins.readFile (derivation { name = \"x\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; }); description = \"B\"; };\n\
         }; }",
    )]);
    let (answer, left_out) = ask(&nix, small.path(), SurveyQuestion::Options, LIMITS).await.unwrap();
    let mut options = Vec::new();
    read_options(answer, &mut |option| {
        options.push(option);
        Ok(())
    })
    .unwrap();
    for (name, default) in [("path", Some("\"<>\"")), ("file", None), ("tree", None), ("build", None)] {
        assert_eq!(find(&options, &format!("a.{name}")).unwrap().default.as_deref(), default, "{name}");
    }
    let is_forbidden = |sentence: &String| sentence.contains("in restricted mode");
    assert_eq!(left_out.iter().filter(|sentence| is_forbidden(sentence)).count(), 2, "{left_out:?}");
}

async fn what_takes_too_long_too_much_or_is_no_nixpkgs_is_said(nix: Nix) {
    let failing = async |modules: &[(&str, &str)], limits: Limits| {
        let small = Small::new(modules);
        let error = ask(&nix, small.path(), SurveyQuestion::Options, limits).await.unwrap_err();
        let source =
            std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    };
    let slow = "{ lib, ... }: { options.x = lib.mkOption { description = toString (builtins.foldl' (a: b: builtins.foldl' (a: b: a + b) a (builtins.genList (x: x) 100000)) 0 (builtins.genList (x: x) 100000)); }; }";
    let error = failing(&[("a.nix", slow)], Limits { time: Duration::from_secs(1), ..LIMITS }).await;
    assert!(error.contains("longer than"), "{error}");

    let large = "{ lib, ... }: { options.x = lib.mkOption { description = toString (builtins.genList (x: toString x) 100000000); }; }";
    let error = failing(&[("a.nix", large)], Limits { memory: 600 << 20, ..LIMITS }).await;
    assert_eq!(error, "Nix needed too much memory (more than 600 MiB)");

    let long = "{ lib, ... }: { options = lib.genAttrs (map (n: \"o${toString n}\") (lib.range 0 5000)) (n: lib.mkOption { description = n; }); }";
    let error = failing(&[("a.nix", long)], Limits { output: 64 << 10, ..LIMITS }).await;
    assert!(error.contains("more than"), "{error}");

    // What nixpkgs does where Nix is too old for it, at whatever needs its packages.
    let small = Small::new(&[(
        "a.nix",
        "{ lib, pkgs, ... }: { options = lib.genAttrs (map (n: \"o${toString n}\") (lib.range 0 50)) (n: lib.mkOption { default = pkgs.hello; }); }",
    )]);
    std::fs::write(small.path().join("default.nix"), "_: abort \"This nixpkgs needs a newer Nix\"").unwrap();
    let error = ask(&nix, small.path(), SurveyQuestion::Options, LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("needs a newer Nix"), "{error}");

    let empty = tempfile::tempdir().unwrap();
    let error = ask(&nix, empty.path(), SurveyQuestion::Options, LIMITS).await.unwrap_err();
    assert!(error.to_string().contains("is no nixpkgs"), "{error}");
}
