//! Projects as people write them, in `projects/`, one a file: its texts as in any fixture, then the exact list of what is
//! wrong in them, each as `//= SEVERITY CODE at PLACE in FILE`. Most have none: what is right must stay quiet.
//!
//! The host offers everything and the vault is empty, so that each secret that is asked for is listed.

use crate::fixture::Fixture;
use crate::{Availability, Document, World};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn world() -> World {
    let offered = || Availability { available: true, probed: "Looked".into(), ..Availability::default() };
    let names = ["gpu", "cuda", "audio", "display", "usb", "ssh-agent", "kvm", "nesting", "fuse", "tun"];
    World {
        capabilities: Some(names.iter().map(|&name| (name.to_owned(), offered())).collect()),
        secrets: Some([].into()),
        ..World::default()
    }
}

/// The texts of a project, and what is said to be wrong in them.
fn taken_apart(project: &str) -> (String, String) {
    let (mut texts, mut wrong) = (String::new(), String::new());
    for line in project.split_inclusive('\n') {
        match line.strip_prefix("//= ") {
            Some(line) => wrong.push_str(line),
            None => texts.push_str(line),
        }
    }
    (texts, wrong)
}

fn found(fixture: &Fixture) -> String {
    let mut found = String::new();
    for path in fixture.paths() {
        for diagnostic in fixture.analysis().diagnostics(&path) {
            let place = &fixture.text(&path)[diagnostic.range];
            let severity = format!("{:?}", diagnostic.severity).to_lowercase();
            let code = diagnostic.code.name();
            writeln!(found, "{severity} {code} at `{place}` in {}", path.display()).expect("a line");
        }
    }
    found
}

fn projects(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn of_each_project_exactly_what_is_wrong_is_reported() {
    let mut differences = String::new();
    let paths = projects("src/tests/projects");
    assert!(paths.len() >= 30, "the projects are there");
    for path in paths {
        let (texts, wrong) = taken_apart(&std::fs::read_to_string(&path).expect("a project"));
        let fixture = Fixture::new(&texts).with(world());
        for path in fixture.paths() {
            let errors = Document::new(fixture.text(&path)).syntax_errors();
            assert_eq!(errors, [], "{} of the project is Nix: {texts}", path.display());
        }
        let found = found(&fixture);
        if found != wrong {
            let name = path.file_name().expect("a name").display();
            writeln!(differences, "{name}:\n--- is wrong\n{wrong}--- is reported\n{found}").expect("a line");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn of_the_examples_nothing_is_reported_but_what_is_to_be_set() {
    let mut texts = String::new();
    for folder in projects("../../nix/examples").into_iter().filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(&folder).expect("an example") {
            let file = file.expect("a file").path();
            let text = std::fs::read_to_string(&file).expect("a text");
            let folder = folder.file_name().expect("a name").display();
            let file = file.file_name().expect("a name").display();
            writeln!(texts, "//- /examples/{folder}/{file}\n{text}").expect("a text");
        }
    }
    expect_test::expect![[r#"
        warning secret-not-set at `NPM_TOKEN` in /examples/node/codchi.nix
        warning secret-not-set at `API_TOKEN` in /examples/secrets/codchi.nix
        warning secret-not-set at `TLS_KEY` in /examples/secrets/codchi.nix
    "#]]
    .assert_eq(&found(&Fixture::new(&texts).with(world())));
}
