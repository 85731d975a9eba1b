use super::*;

fn lab() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["flake/flake.nix", "my app #1/codchi.nix", "my app #1/other.txt"] {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
    }
    std::os::unix::fs::symlink("flake", folder.path().join("link")).unwrap();
    folder
}

#[test]
fn folders_and_files_become_absolute_and_without_links() {
    let lab = lab();
    let root = lab.path().canonicalize().unwrap();
    let parse = |text: &str| ModuleSource::parse(text, &root.join("flake")).unwrap();
    let folder = |name: &str, output: Option<&str>| ModuleSource {
        kind: SourceKind::Folder(root.join(name)),
        output: output.map(Into::into),
    };
    let file = |name: &str| ModuleSource { kind: SourceKind::File(root.join(name)), output: None };

    assert_eq!(parse("."), folder("flake", None));
    assert_eq!(parse(".#dev"), folder("flake", Some("dev")));
    assert_eq!(parse("path:.#nixosModules.dev"), folder("flake", Some("dev")));
    assert_eq!(parse("flake.nix"), folder("flake", None));
    assert_eq!(parse("../link/#x"), folder("flake", Some("x")));
    assert_eq!(parse(root.join("link").to_str().unwrap()), folder("flake", None));
    assert_eq!(parse("../my app #1"), folder("my app #1", None));
    assert_eq!(parse("../my app #1#x"), folder("my app #1", Some("x")));
    assert_eq!(parse("../my app #1/codchi.nix"), file("my app #1/codchi.nix"));
}

#[test]
fn an_editors_uri_is_a_local_path() {
    let lab = lab();
    let root = lab.path().canonicalize().unwrap();
    let uri = |path: &str| url::Url::from_file_path(root.join(path)).unwrap();
    let parse = |text: String| ModuleSource::parse(&text, Path::new("/")).unwrap();
    assert_eq!(parse(uri("my app #1").into()).kind, SourceKind::Folder(root.join("my app #1")));
    assert_eq!(
        parse(uri("my app #1/codchi.nix").into()).kind,
        SourceKind::File(root.join("my app #1/codchi.nix"))
    );
    assert_eq!(parse(format!("{}#dev", uri("flake"))).output.as_deref(), Some("dev"));
}

#[test]
fn git_urls_become_flake_urls() {
    for (text, url, output) in [
        ("https://a.org/b/c", "git+https://a.org/b/c", None),
        (
            "https://a.org/b/c.git?ref=main&dir=sub/x#dev",
            "git+https://a.org/b/c.git?ref=main&dir=sub/x",
            Some("dev"),
        ),
        ("git+https://a.org/b/c", "git+https://a.org/b/c", None),
        ("ssh://git@a.org:22/b/c#d", "git+ssh://git@a.org:22/b/c", Some("d")),
        ("git@a.org:b/c.git", "git+ssh://git@a.org/b/c.git", None),
        ("git@a.org:b/c.git?ref=x#y", "git+ssh://git@a.org/b/c.git?ref=x", Some("y")),
        ("git://a.org/b", "git://a.org/b", None),
        ("git+file:///r/b?dir=x", "git+file:///r/b?dir=x", None),
        ("file:///r/b?ref=v1", "git+file:///r/b?ref=v1", None),
        ("github:owner/repo/main?dir=x#dev", "github:owner/repo/main?dir=x", Some("dev")),
    ] {
        let source = ModuleSource::parse(text, Path::new("/")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(source.kind, SourceKind::Git(url.into()), "{text}");
        assert_eq!(source.output.as_deref(), output, "{text}");
    }
}

#[test]
fn what_cannot_be_a_module_says_why() {
    let lab = lab();
    for (text, reason) in [
        ("", "empty"),
        ("gone", "no such file or folder"),
        ("file:///gone/x", "no such file or folder"),
        ("file://host/x", "not the URI of a file of this computer"),
        ("my app #1/other.txt", "neither a folder nor a .nix file"),
        ("my app #1/codchi.nix#x", "plain file"),
        ("flake#", "missing after `#`"),
        ("flake#a b", "not the name of an output"),
        ("untitled:Untitled-1", "no kind of URL"),
        ("vscode-remote://ssh/x", "no URLs of the kind `vscode-remote:`"),
        ("https://a.org", "names no repository"),
        ("https:///b", "names no repository"),
        ("https://user:hunter2@a.org/b", "credential helper"),
        ("https://hunter2@a.org/b", "credential helper"),
        ("https://a.org/b.tar.gz", "archive"),
        ("github:owner", "owner/repository"),
        ("git@a.org:", "git@host:path"),
    ] {
        let error = ModuleSource::parse(text, lab.path()).unwrap_err();
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let lab = lab();
    for text in ["flake#dev", "my app #1", "my app #1/codchi.nix", "git@a.org:b/c.git?ref=x#y", "github:a/b"]
    {
        let source = ModuleSource::parse(text, lab.path()).unwrap();
        assert_eq!(ModuleSource::parse(&source.to_string(), Path::new("/")).unwrap(), source);
    }
}
