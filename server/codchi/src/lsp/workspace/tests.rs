use super::*;
use proptest::prelude::*;
use tower_lsp::lsp_types::{Position, Range};

const TYPED: [&str; 12] = [
    "codchi.secrets.A = { };",
    "\n",
    "\r\n",
    "ü",
    "𝄞",
    "{",
    "}",
    "\"",
    "",
    "imports = [ ./b.nix ];",
    ";",
    "''",
];

#[test]
fn a_snapshot_does_not_see_later_changes() {
    let workspace = Workspace::default();
    let path = PathBuf::from("/w/a.nix");
    let uri: Url = "file:///w/a.nix".parse().unwrap();
    workspace.open(path.clone(), uri, 1, "1".into());
    let before = workspace.snapshot();
    let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: "2".into() };
    assert!(workspace.change(&path, 2, vec![whole], Encoding::Utf16));

    assert_eq!(before.document(&path).unwrap().text(), "1");
    let after = workspace.snapshot();
    assert_eq!(after.document(&path).unwrap().text(), "2");
    assert_eq!(after.open_file(&path).unwrap().version, 2);

    workspace.close(&path);
    assert!(workspace.snapshot().document(&path).is_none(), "there is none on the disk");
}

#[test]
fn the_graph_stays_the_same_until_a_text_imports_something_else() {
    let workspace = Workspace::default();
    let path = PathBuf::from("/w/a.nix");
    let type_text = |text: &str| {
        workspace.open(path.clone(), "file:///w/a.nix".parse().unwrap(), 1, text.to_owned());
        let snapshot = workspace.snapshot();
        snapshot.graph();
        snapshot.graph.get().unwrap().clone()
    };
    let first = type_text("{ imports = [ ./b.nix ]; }");
    assert!(Arc::ptr_eq(&first, &type_text("{ imports = [ ./b.nix ]; a = 1; }")));
    assert!(!Arc::ptr_eq(&first, &type_text("{ imports = [ ./c.nix ]; a = 1; }")));
}

#[test]
fn nobody_waits_until_it_is_known_what_a_large_text_imports() {
    let workspace = Workspace::default();
    let path = PathBuf::from("/w/large.nix");
    let is_imported =
        |snapshot: &Snapshot| snapshot.graph().upwards(Path::new("/w/b.nix")).contains(path.as_path());
    let large = format!("{{ imports = [ ./b.nix ]; }} # {}", " ".repeat(SLOW));
    workspace.open(path.clone(), "file:///w/large.nix".parse().unwrap(), 1, large);
    let snapshot = workspace.snapshot();
    assert!(!is_imported(&snapshot) && snapshot.open_file(&path).unwrap().document.get().is_none());
    snapshot.document(&path).unwrap();
    assert!(is_imported(&workspace.snapshot()), "it is known by now");
    // Known from before, and then from now.
    let start = Some(Range::new(Position::new(0, 2), Position::new(0, 2)));
    let change = |text: &str| {
        vec![TextDocumentContentChangeEvent { range: start, range_length: None, text: text.into() }]
    };
    assert!(workspace.change(&path, 2, change("a = 1; "), Encoding::Utf16));
    assert!(workspace.change(&path, 3, change("}"), Encoding::Utf16));
    let snapshot = workspace.snapshot();
    assert!(is_imported(&snapshot) && snapshot.open_file(&path).unwrap().document.get().is_none());
    snapshot.document(&path).unwrap();
    assert!(!is_imported(&workspace.snapshot()));
}

#[test]
fn a_text_that_lies_nowhere_is_no_file() {
    let path = path(&"untitled:Untitled-1".parse().unwrap()).unwrap();
    assert!(!path.is_absolute());
    let snapshot = Workspace::default().snapshot();
    assert!(!snapshot.exists(Path::new("Cargo.toml")) && !snapshot.is_folder(Path::new("src")));
    assert!(snapshot.document(Path::new("src/main.rs")).is_none(), "no file of the current folder is meant");
}

#[test]
fn a_text_that_grows_without_end_is_let_go_of() {
    let workspace = Workspace::default();
    let path = PathBuf::from("/w/a.nix");
    workspace.open(path.clone(), "file:///w/a.nix".parse().unwrap(), 1, "1".into());
    let whole = |text| TextDocumentContentChangeEvent { range: None, range_length: None, text };
    assert!(workspace.change(&path, 2, vec![whole(" ".repeat(LONGEST))], Encoding::Utf16));
    assert!(!workspace.change(&path, 3, vec![whole(" ".repeat(LONGEST + 1))], Encoding::Utf16));
    assert!(workspace.snapshot().open_file(&path).is_none());
}

#[tokio::test]
async fn questions_about_large_texts_take_turns_and_others_do_not_wait() {
    let workspace = Workspace::default();
    let open = |path: &str, text: String| {
        workspace.open(path.into(), format!("file://{path}").parse().unwrap(), 1, text);
    };
    open("/large.nix", " ".repeat(LARGE + 1));
    open("/small.nix", " ".repeat(LARGE));
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        turns.push(workspace.turn(Path::new("/large.nix")).await);
    }
    let next =
        tokio::time::timeout(std::time::Duration::from_millis(20), workspace.turn(Path::new("/large.nix")));
    assert!(next.await.is_err());
    assert!(workspace.turn(Path::new("/small.nix")).await.is_none());
    turns.pop();
    assert!(workspace.turn(Path::new("/large.nix")).await.is_some());
}

#[test]
fn changing_a_text_that_is_not_open_does_nothing() {
    let workspace = Workspace::default();
    assert!(!workspace.change(Path::new("/w/a.nix"), 1, Vec::new(), Encoding::Utf16));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// In an editor a text is what was typed; at the next start it is what is opened.
    #[test]
    fn a_typed_text_says_what_it_says_when_it_is_opened(
        edits in proptest::collection::vec((0..4_u32, 0..30_u32, 0..30_u32, prop::sample::select(TYPED.to_vec())), 1..12),
    ) {
        for encoding in Encoding::ALL {
            let workspace = Workspace::default();
            let path = PathBuf::from("/w/codchi.nix");
            let uri: Url = "file:///w/codchi.nix".parse().unwrap();
            workspace.open(path.clone(), uri.clone(), 0, "{\n  codchi.gpu.enable = true;\r\n  # 𝄞\n}\n".into());
            for (version, (line, from, to, text)) in (1..).zip(&edits) {
                let range = Some(Range::new(Position::new(*line, *from), Position::new(*line, *to)));
                let change = TextDocumentContentChangeEvent { range, range_length: None, text: (*text).into() };
                prop_assert!(workspace.change(&path, version, vec![change], encoding));
                // Looked at in between, as an editor does.
                let _ = workspace.snapshot().facts(&path);
            }
            let typed = workspace.snapshot().document(&path).unwrap();
            workspace.close(&path);
            workspace.open(path.clone(), uri, 0, typed.text().to_owned());
            let opened = workspace.snapshot().document(&path).unwrap();
            prop_assert_eq!(typed.facts(), opened.facts());
            prop_assert_eq!(typed.outline(), opened.outline());
            prop_assert_eq!(typed.syntax_errors(), opened.syntax_errors());
        }
    }
}
