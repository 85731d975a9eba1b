use super::*;

const MODULE: (&str, &str) = ("codchi.nix", "{ codchi.secrets.API_TOKEN.description = \"a\"; }");

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn look(folder: &Path, before: &Scan) -> Scan {
    Scan::of(&[folder.to_owned()], BTreeSet::from(["API_TOKEN".to_owned()]), before)
}

/// The files that mention the secret, one a line; `None` where that is not known.
fn mentioned(files: &[(&str, &str)]) -> Option<String> {
    let folder = folder(&[&[MODULE, ("src/main.py", "print()")], files].concat());
    let scan = look(folder.path(), &Scan::default());
    let files = scan.mentions()?.names["API_TOKEN"].clone();
    let below = files.iter().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string());
    Some(below.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_name_is_found_in_any_file_and_in_any_spelling() {
    assert_eq!(mentioned(&[]).unwrap(), "codchi.nix");
    for text in ["os.environ['CODCHI_API_TOKEN']", "api.token: x", "apiToken", "--api-token"] {
        assert_eq!(mentioned(&[("a.txt", text)]).unwrap(), "a.txt codchi.nix", "{text}");
    }
    for path in [".github/workflows/ci.yml", "Makefile", "a/b/c/d.rs", ".envrc"] {
        assert_eq!(mentioned(&[(path, "$CODCHI_API_TOKEN")]).unwrap().split(' ').count(), 2, "{path}");
    }
}

#[test]
fn what_git_ignores_is_not_looked_through_but_environment_files_are() {
    let ignored = (".gitignore", "node_modules\n.env*\n");
    assert_eq!(mentioned(&[ignored, ("node_modules/a.js", "api_token")]).unwrap(), "codchi.nix");
    assert_eq!(mentioned(&[ignored, (".git/config", "api_token")]).unwrap(), "codchi.nix");
    assert_eq!(
        mentioned(&[ignored, ("web/.env.local", "A=$CODCHI_API_TOKEN")]).unwrap(),
        "codchi.nix web/.env.local"
    );
    assert_eq!(mentioned(&[("image.png", "\0 api_token")]).unwrap(), "codchi.nix", "no text");
}

#[test]
fn where_any_secret_may_be_used_nothing_is_known() {
    let unknown = |path: &str, text: &str| assert_eq!(mentioned(&[(path, text)]), None, "{path}: {text}");
    unknown("a.sh", "env | grep ^CODCHI_");
    unknown("a.py", "class Config: env_prefix = 'codchi_'");
    unknown("a.go", "viper.SetEnvPrefix(\"codchi\")");
    unknown("a.sh", ". /run/codchi/env");
    unknown("b.nix", "{ x = \"git clone https://example.org/a\"; }");

    assert_eq!(
        mentioned(&[("a.md", "git clone; see \"codchi.nix\" and CODCHI_OTHER")]).unwrap(),
        "codchi.nix"
    );
}

#[test]
fn where_something_cannot_be_looked_at_nothing_is_known() {
    let large = "x".repeat(5 << 20);
    assert_eq!(mentioned(&[("data.json", &large)]), None);
    assert!(mentioned(&[("data.bin", &format!("\0{large}"))]).is_some(), "what is no text may be large");

    let (folder, other) = (folder(&[MODULE, ("a.py", "")]), folder(&[("b.py", "api_token")]));
    assert!(look(folder.path(), &Scan::default()).mentions().is_some());
    std::os::unix::fs::symlink("/nix/store/a", folder.path().join("result")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("a.py"), folder.path().join("c.py")).unwrap();
    assert!(look(folder.path(), &Scan::default()).mentions().is_some());
    std::os::unix::fs::symlink(other.path(), folder.path().join("shared")).unwrap();
    assert!(look(folder.path(), &Scan::default()).mentions().is_none());
    assert!(look(Path::new("/nowhere/at/all"), &Scan::default()).mentions().is_none());
}

#[test]
fn where_there_are_no_programs_nothing_is_known() {
    let folder = folder(&[
        MODULE,
        ("README.md", "a"),
        ("flake.lock", "{}"),
        (".github/ci.yml", "a"),
        ("LICENSE", "a"),
    ]);
    assert!(look(folder.path(), &Scan::default()).mentions().is_none());
}

#[test]
fn only_what_changed_is_read_again() {
    let folder = folder(&[MODULE, ("a.py", ""), ("b.py", "")]);
    let (a, b) = (folder.path().join("a.py"), folder.path().join("b.py"));
    let first = look(folder.path(), &Scan::default());
    std::fs::write(&b, "api_token").unwrap();
    let second = look(folder.path(), &first);
    assert!(Arc::ptr_eq(&first.files[&a].1, &second.files[&a].1));
    assert!(second.mentions().unwrap().names["API_TOKEN"].contains(&b));
    let others = Scan::of(&[folder.path().to_owned()], BTreeSet::from(["X".to_owned()]), &second);
    assert!(!Arc::ptr_eq(&others.files[&a].1, &second.files[&a].1), "it is looked through for other names");
}

#[test]
fn text_of_two_bytes_a_letter_is_not_looked_into() {
    let folder = folder(&[MODULE, ("a.py", "")]);
    assert!(look(folder.path(), &Scan::default()).mentions().is_some());
    std::fs::write(folder.path().join("a.ps1"), [0xff, 0xfe, b'a', 0]).unwrap();
    assert!(look(folder.path(), &Scan::default()).mentions().is_none());
}

#[test]
fn the_projects_of_a_modules_machines_are_looked_through_too() {
    let folder =
        folder(&[("team/flake.nix", ""), ("team/a/b.nix", ""), ("app/a.py", ""), ("other/a.py", "")]);
    let at = |path: &str| folder.path().join(path);
    let machine = |name: &str, module: &str| Machine {
        name: name.to_owned(),
        state: codchi_ide::MachineState::Stopped,
        modules: vec![codchi_ide::MachineModule { path: at(module), output: None }],
        secrets: BTreeSet::new(),
        generation: 1,
        drift: Vec::new(),
    };
    let world = World {
        machines: vec![machine("m", "team"), machine("n", "other")],
        projects: [("m".to_owned(), at("app")), ("n".to_owned(), at("other"))].into(),
        ..World::default()
    };
    assert_eq!(roots(&[at("team/a/b.nix"), at("team")], &world), [at("app"), at("team")]);

    let of_others = |name: &str| World { remote: [name.to_owned()].into(), ..world.clone() };
    assert_eq!(roots(&[at("team")], &of_others("n")).len(), 2);
    assert_eq!(
        roots(&[at("team")], &of_others("m")),
        [] as [PathBuf; 0],
        "modules of elsewhere may use them"
    );
}

#[test]
fn a_project_is_a_repository_or_a_flake_or_a_folder() {
    let folder = folder(&[
        ("git/.git/HEAD", ""),
        ("git/a/flake.nix", ""),
        ("flake/flake.nix", ""),
        ("flake/b/c.nix", ""),
        ("d/e.nix", ""),
    ]);
    let at = |path: &str| folder.path().join(path);
    assert_eq!(project(&at("git/a/flake.nix")), at("git"));
    assert_eq!(project(&at("flake/b/c.nix")), at("flake"));
    assert_eq!(project(&at("d/e.nix")), at("d"));
    assert_eq!(project(&at("d")), at("d"));
}
