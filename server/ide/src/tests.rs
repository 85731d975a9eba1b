//! What must hold for any text: nothing panics, ranges lie in the text, and half-typed text raises no false alarm.

mod deep;
mod projects;

use crate::fixture::{Fixture, Table};
use crate::{
    Availability, Diagnostic, DiagnosticCode, Evaluated, EvaluatedManifest, EvaluatedSecret, EvaluationError,
    Machine, MachineModule, MachineState, Mentions, Place, TextRange, TextSize, World,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const MODULE: &str = r#"{ config, lib, pkgs, ... }:
let
  cfg = config.services.web;
in
{
  imports = [ ./hardware.nix ];

  codchi.gpu.enable = true;
  codchi.requiredCapabilities = [ "gpu" "kvm" ];
  codchi.optionalCapabilities = [ "audio" ];
  codchi.secrets.TOKEN = {
    description = "The token. See https://example.org";
    pattern = "tok-[0-9]+";
  };
  codchi.secrets.env.OTHER.description = "Another";
  codchi.secrets = {
    file.KEY = {
      description = "A key";
      multiline = true;
    };
  };
  codchi.initScript = ''
    git clone ${cfg.url} --config "http.extraHeader=$CODCHI_TOKEN"
    ssh-add ${config.codchi.secrets.file.KEY.path}
  '';

  boot.loader.grub.enable = true;
  virtualisation.podman.enable = true;
  services.app = {
    adminPassword = "q7Zt2Lw9XcV4bNm8RkP3";
    url = "postgres://app:q7Zt2Lw9XcV4@db.internal/app";
  };

  environment.systemPackages = with pkgs; [ ripgrep nodejs ];
  services.nginx = lib.mkIf cfg.enable {
    enable = true;
    virtualHosts."example.org" = {
      root = "/srv";
      locations."/".index = "a";
    };
  };
  codchi = {
    docker.enable = true;
    hostSecrets = {
      sshAgent = true;
      caCertificates = true;
    };
  };
}
"#;

const CATALOGUE: &str = r#"
services.nginx.enable = boolean
services.nginx.virtualHosts = attribute set of (submodule)
services.nginx.virtualHosts.<name>.locations.<name>.index = null or string
  The {file}`index`, see <https://example.org>.
  at: /project/hardware.nix:1:1
services.app.url = string
virtualisation.podman.enable = boolean
environment.systemPackages = list of package
pkgs: ripgrep nodejs
"#;

fn world() -> World {
    let capability = |available| Availability {
        available,
        probed: "Looked".into(),
        remedy: Some("Do".into()),
        ..Availability::default()
    };
    World {
        capabilities: Some([("gpu".into(), capability(true)), ("audio".into(), capability(false))].into()),
        secrets: Some(["TOKEN".to_owned()].into()),
        machines: vec![Machine {
            name: "m".into(),
            state: MachineState::Running,
            modules: vec![MachineModule { path: "/project".into(), output: None }],
            secrets: ["TOKEN".to_owned(), "KEY".to_owned()].into(),
            generation: 1,
            drift: Vec::new(),
        }],
        catalogues: [(("/project".into(), None), Arc::new(Table::new(CATALOGUE)) as _)].into(),
        evaluations: [(("/project".into(), None), Arc::new(evaluated()))].into(),
        ..World::default()
    }
}

/// What an evaluation of the module found, which is of the module as it stands whatever is typed.
fn evaluated() -> Evaluated {
    let path = PathBuf::from("/project/codchi.nix");
    let error = |message: &str| EvaluationError { message: message.into(), ..EvaluationError::default() };
    let place = |line, column| Place { path: path.clone(), line, column };
    let secret = || EvaluatedSecret { description: "A secret".into(), required: true };
    let names = ["TOKEN", "OTHER", "KEY", "HIDDEN"];
    Evaluated {
        texts: [(path.clone(), MODULE.into())].into(),
        manifest: Some(EvaluatedManifest {
            secrets: names.iter().map(|&name| (name.to_owned(), secret())).collect(),
            required_capabilities: ["gpu".to_owned(), "nesting".to_owned()].into(),
            optional_capabilities: ["audio".to_owned()].into(),
        }),
        errors: vec![
            EvaluationError {
                places: vec![place(3, 9), place(24, 14), place(900, 1)],
                ..error("attribute missing")
            },
            EvaluationError {
                option: Some(vec!["codchi".into(), "hostSecrets".into(), "sshAgent".into()]),
                files: vec![path.clone()],
                ..error("not of type")
            },
            EvaluationError {
                option: Some(vec!["services".into(), "nginx".into(), "enable".into()]),
                ..error("conflicting definitions")
            },
            error("infinite recursion"),
        ],
    }
}

fn fixture(text: &str) -> Fixture {
    Fixture::of_text(text).with(world())
}

fn semantic(text: &str) -> Vec<Diagnostic> {
    let fixture = fixture(text);
    let all = fixture.analysis().diagnostics(&fixture.path);
    all.into_iter().filter(|diagnostic| diagnostic.code != DiagnosticCode::Syntax).collect()
}

/// What is reported must be reported of the whole module too, or be in the line that is being typed.
fn assert_no_false_alarm(text: &str, typed: TextRange, whole: &[Diagnostic]) {
    // While a description is typed it is missing.
    let is_description = |d: &Diagnostic| d.code == DiagnosticCode::SecretWithoutDescription;
    let in_description = MODULE.lines().any(|line| line.contains("description") && !text.contains(line));
    // While what declares something is typed, nothing declares it.
    let is_of_absence = |d: &Diagnostic| {
        matches!(d.code, DiagnosticCode::SecretUndeclared | DiagnosticCode::CapabilityUndeclared)
    };
    let declares =
        |line: &str| ["secrets", "KEY", "docker", "Capabilities"].iter().any(|it| line.contains(it));
    let in_declaration = MODULE.lines().any(|line| declares(line) && !text.contains(line));
    for diagnostic in semantic(text) {
        if in_description && is_description(&diagnostic) || in_declaration && is_of_absence(&diagnostic) {
            continue;
        }
        let known = whole.iter().any(|d| d.code == diagnostic.code && d.message == diagnostic.message);
        let is_typed = diagnostic.range.intersect(typed).is_some();
        assert!(known || is_typed, "{:?} {} in:\n{text}", diagnostic.code, diagnostic.message);
    }
}

/// Every feature at every offset that is given; ranges must lie in the text.
fn ask_everything(text: &str, offset: usize) {
    let fixture = fixture(text);
    let (analysis, path) = (fixture.analysis(), &fixture.path);
    let end = TextSize::of(text);
    let inside = |range: TextRange| {
        assert!(range.end() <= end && text.get(std::ops::Range::<usize>::from(range)).is_some())
    };
    for diagnostic in analysis.diagnostics(path) {
        inside(diagnostic.range);
    }
    for action in analysis.actions(path, TextRange::up_to(end)) {
        action.edits.iter().for_each(|edit| inside(edit.range));
    }
    analysis.lenses(path).iter().for_each(|lens| inside(lens.range));
    analysis.symbols(path).iter().for_each(|symbol| inside(symbol.range));
    let offset = TextSize::try_from(offset).expect("a small text");
    for item in analysis.completions(path, offset).items {
        inside(item.edit.range);
        assert!(item.edit.range.contains_inclusive(offset));
    }
    if let Some(hover) = analysis.hover(path, offset) {
        inside(hover.range);
    }
    analysis.definition(path, offset).iter().for_each(|target| inside(target.origin));
    analysis.references(path, offset).iter().for_each(|reference| inside(reference.range));
    analysis.folds(path).iter().for_each(|fold| inside(fold.range));
    analysis.links(path).iter().for_each(|link| inside(link.range));
    let tokens = analysis.semantic_tokens(path, None);
    tokens.iter().for_each(|token| inside(token.range));
    assert!(
        tokens.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start()),
        "none overlaps: {text:?}"
    );
    if let Some(extraction) = analysis.extraction(path, TextRange::empty(offset)) {
        extraction.edits("RENAMED_1").iter().for_each(|edit| inside(edit.range));
    }
    let hints = analysis.inlay_hints(path, TextRange::up_to(end));
    hints.iter().for_each(|hint| inside(TextRange::empty(hint.offset)));
    analysis.workspace_symbols("").iter().for_each(|symbol| inside(symbol.range));
    let selection = analysis.selection(path, offset);
    selection.iter().for_each(|range| inside(*range));
    assert!(selection.windows(2).all(|pair| pair[1].contains_range(pair[0])), "each holds the one before it");
    if let Ok((range, _)) = analysis.prepare_rename(path, offset) {
        inside(range);
    }
    rename(&fixture, text, offset);
}

/// What is renamed, and renamed back, is the text again, or a text that says the same.
fn rename(fixture: &Fixture, text: &str, offset: TextSize) {
    let (analysis, path) = (fixture.analysis(), &fixture.path);
    let Ok(edits) = analysis.rename(path, offset, "RENAMED_1") else { return };
    let places = analysis.references(path, offset).len();
    let Some(edits) = edits.get(path) else { return };
    assert!(
        edits.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start()),
        "edits do not overlap"
    );
    let mut renamed = text.to_owned();
    for edit in edits.iter().rev() {
        renamed.replace_range(std::ops::Range::<usize>::from(edit.range), &edit.new_text);
    }
    let at = renamed.find("RENAMED_1").and_then(|at| TextSize::try_from(at).ok()).expect("the new name");
    let again = Fixture::of_text(&renamed);
    assert_eq!(again.analysis().references(path, at).len(), places, "{text}\n=>\n{renamed}");
}

#[test]
fn typing_a_line_raises_no_false_alarm_elsewhere() {
    let whole = semantic(MODULE);
    let evaluated = whole.iter().filter(|diagnostic| diagnostic.code == DiagnosticCode::Evaluation);
    assert_eq!(evaluated.count(), 4, "what the evaluation found is looked at, too");
    let mut start = 0;
    for line in MODULE.split_inclusive('\n') {
        let body = line.trim_end_matches('\n');
        for typed in (0..=body.len()).filter(|&typed| body.is_char_boundary(typed)) {
            let text = [&MODULE[..start], &body[..typed], &MODULE[start + body.len()..]].concat();
            let range = TextRange::at(
                TextSize::try_from(start).expect("small"),
                TextSize::try_from(typed).expect("small"),
            );
            assert_no_false_alarm(&text, range, &whole);
        }
        start += line.len();
    }
}

#[test]
fn typing_a_new_line_raises_no_false_alarm_elsewhere() {
    let whole = semantic(MODULE);
    let typed = [
        "codchi.",
        "codchi.secrets.",
        "codchi.gpu.enable =",
        "codchi = {",
        "foo = [",
        "x = \"",
        "y = ''",
        "codchi.secrets.NEW = {",
        "}",
        "};",
        "with",
        "a.b.c",
        "(",
        "\"",
        "''",
        "/*",
    ];
    let mut start = 0;
    for line in MODULE.split_inclusive('\n').skip(5) {
        start = MODULE[start..].find(line).expect("a line") + start;
        for typed in typed {
            let text = format!("{}  {typed}\n{}", &MODULE[..start], &MODULE[start..]);
            let range = TextRange::at(
                TextSize::try_from(start).expect("small"),
                TextSize::of(typed) + TextSize::from(2),
            );
            assert_no_false_alarm(&text, range, &whole);
        }
        start += line.len();
    }
}

#[test]
fn a_token_that_is_missing_raises_no_false_alarm_elsewhere() {
    let whole = semantic(MODULE);
    let mut start = 0;
    for (_, token) in rnix::tokenize(MODULE) {
        let text = [&MODULE[..start], &MODULE[start + token.len()..]].concat();
        let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let offset = |at: usize| TextSize::try_from(at).expect("small");
        assert_no_false_alarm(&text, TextRange::new(offset(line), offset(end)), &whole);
        start += token.len();
    }
}

#[test]
fn everything_can_be_asked_at_every_offset_of_a_module_that_ends_there() {
    for offset in (0..=MODULE.len()).step_by(3) {
        ask_everything(MODULE, offset);
        ask_everything(&MODULE[..offset], offset);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_text(text in ".{0,200}", at in any::<prop::sample::Index>()) {
        ask_everything(&text, at.index(text.len() + 1));
    }

    #[test]
    fn nothing_panics_on_pieces_of_modules(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "codchi", ".", "secrets", "env", "file", "TOKEN", " = ", "{", "}", ";", "[", "]", "\"", "''", "${", "gpu", "enable",
            "requiredCapabilities", "(", ")", " ", "\n", "imports", "./a.nix", "config", "let ", " in ", "with ", "inherit ", ":",
            "lib.mkIf ", "//", "# é\n", "$CODCHI_TOKEN", "pkgs", "rec ", "# codchi: allow syntax\n", "boot.loader", "1", "true", "outputs", "nixosModules", "default", "@", ",", "?", "ü",
        ]), 0..60),
        at in any::<prop::sample::Index>(),
    ) {
        let text = pieces.concat();
        ask_everything(&text, at.index(text.len() + 1));
    }

    #[test]
    fn nothing_panics_on_a_module_with_a_hole(
        from in any::<prop::sample::Index>(),
        length in 0_usize..80,
        at in any::<prop::sample::Index>(),
    ) {
        let from = from.index(MODULE.len());
        let to = (from + length).min(MODULE.len());
        let text = [&MODULE[..from], &MODULE[to..]].concat();
        ask_everything(&text, at.index(text.len() + 1));
    }
}

#[test]
fn the_documentation_has_a_section_for_each_code_with_an_example_that_raises_it() {
    let page = include_str!("../../../docs/diagnostics.md");
    let capability = Availability { available: false, probed: "Looked".into(), ..Availability::default() };
    let world = World {
        capabilities: Some([("kvm".to_owned(), capability)].into()),
        secrets: Some(BTreeSet::new()),
        mentions: Some(Arc::new(Mentions {
            folders: vec!["/project".into()],
            names: [("OLD_REGISTRY_TOKEN".to_owned(), BTreeSet::new())].into(),
        })),
        machines: vec![Machine {
            name: "m".into(),
            state: MachineState::Stopped,
            modules: vec![MachineModule { path: "/project".into(), output: None }],
            secrets: BTreeSet::new(),
            generation: 1,
            drift: Vec::new(),
        }],
        ..World::default()
    };
    for code in DiagnosticCode::ALL {
        let name = serde_json::to_value(code).expect("a name");
        let title = format!("\n## {}\n", name.as_str().expect("a name"));
        let section = page.split(&title).nth(1).unwrap_or_else(|| panic!("no section {title}"));
        let section = section.split("\n## ").next().expect("a section");
        let example = section.split("```nix\n").nth(1).and_then(|rest| rest.split("```").next());
        let is_flake = code == DiagnosticCode::FlakeOutputMissing;
        let file = if is_flake { "//- /project/flake.nix\n" } else { "" };
        let example = format!("{file}{}", example.expect("an example"));
        let fixture = Fixture::new(&example).with(world.clone());
        let fixture = if code == DiagnosticCode::Evaluation {
            let error = EvaluationError { message: "No".into(), ..EvaluationError::default() };
            fixture.evaluated(None, vec![error])
        } else {
            fixture
        };
        let found = fixture.analysis().diagnostics(&fixture.path);
        assert!(found.iter().any(|diagnostic| diagnostic.code == code), "{title}{found:?}");
        let line = format!("| [`{0}`](#{0}) |", name.as_str().expect("a name"));
        assert!(page.contains(&line), "no line {line} in the table");
    }
}
