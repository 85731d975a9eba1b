use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

struct Lab {
    folder: tempfile::TempDir,
    cancel: CancellationToken,
}

impl Lab {
    fn new(files: &[(&str, &str)]) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap(), cancel: CancellationToken::new() };
        fs::create_dir_all(lab.source()).unwrap();
        for (path, text) in files {
            lab.write(path, text);
        }
        lab
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("repo/module")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn take(&self) -> String {
        take(&self.source(), &self.copy(), Scope::Whole, &self.cancel).unwrap()
    }

    /// Everything in the copy, sorted.
    fn copied(&self) -> Vec<String> {
        let mut all: Vec<_> = walk(&self.copy(), &self.copy());
        all.sort();
        all
    }
}

fn walk(root: &Path, folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(walk(root, &entry.path()));
        } else {
            all.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
    all
}

#[test]
fn hidden_and_untracked_files_are_taken_and_ignored_ones_are_not() {
    let lab = Lab::new(&[
        ("codchi.nix", "{ }"),
        (".env", "x"),
        ("src/a.rs", "x"),
        ("src/.gitignore", "*.log\n"),
        ("src/a.log", "x"),
        (".gitignore", "/target\nnode_modules\n"),
        ("target/big", "x"),
        ("src/node_modules/x/y", "x"),
        (".git/config", "x"),
        (".direnv/flake-profile", "x"),
        ("result/real", "x"),
    ]);
    fs::create_dir(lab.source().join("empty")).unwrap();
    symlink("/nix/store/abc-x", lab.source().join("src/result-dev")).unwrap();
    symlink("/nix/store/abc-x", lab.source().join("kept")).unwrap();
    symlink("../../outside", lab.source().join("src/result")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(lab.source().join("socket")).unwrap();
    lab.take();
    assert_eq!(
        lab.copied(),
        [
            ".env",
            ".gitignore",
            "codchi.nix",
            "kept",
            "result/real",
            "src/.gitignore",
            "src/a.rs",
            "src/result"
        ]
    );
    assert!(!lab.copy().join("empty").exists());
    assert_eq!(fs::read_link(lab.copy().join("src/result")).unwrap(), Path::new("../../outside"));
}

#[test]
fn rules_count_from_the_folder_on_and_those_of_the_repository_itself() {
    let lab = Lab::new(&[
        ("codchi.nix", "{ }"),
        ("a", "x"),
        ("b/c", "x"),
        ("b/.gitignore", "c\n"),
        (".gitignore", "a\n"),
    ]);
    fs::write(lab.folder.path().join(".gitignore"), "*\n").unwrap();
    fs::create_dir(lab.folder.path().join(".git")).unwrap();
    lab.take();
    let expected = [".gitignore", "b/.gitignore", "codchi.nix"];
    assert_eq!(lab.copied(), expected);
    lab.write(".git/info/exclude", "private\n");
    lab.write("private", "x");
    lab.take();
    assert_eq!(lab.copied(), expected);
}

#[test]
fn the_modules_own_files_are_taken_even_where_git_ignores_them() {
    let lab = Lab::new(&[
        (".gitignore", "*\n"),
        ("flake.nix", ""),
        ("flake.lock", ""),
        ("codchi.nix", ""),
        ("notes.txt", ""),
        ("lib/x.nix", ""),
    ]);
    lab.take();
    assert_eq!(lab.copied(), ["codchi.nix", "flake.lock", "flake.nix"]);
}

#[test]
fn the_hash_changes_with_every_kind_of_change_and_with_nothing_else() {
    let lab = Lab::new(&[("codchi.nix", "{ }"), ("run", "x"), (".gitignore", "/ignored\n")]);
    let first = lab.take();
    let folder = fs::metadata(lab.copy()).unwrap().ino();
    lab.write("ignored", "x");
    lab.write("codchi.nix", "{ }");
    assert_eq!(lab.take(), first);
    assert_eq!(fs::metadata(lab.copy()).unwrap().ino(), folder, "an equal copy is left alone");

    let mut seen = vec![first];
    let mut changed = |what: &str| {
        let hash = lab.take();
        assert!(!seen.contains(&hash), "{what}");
        assert_eq!(hash.len(), 64);
        seen.push(hash);
    };
    lab.write("codchi.nix", "{}");
    changed("contents");
    fs::set_permissions(lab.source().join("run"), Permissions::from_mode(0o755)).unwrap();
    changed("executable");
    fs::rename(lab.source().join("run"), lab.source().join("run2")).unwrap();
    changed("name");
    symlink("a", lab.source().join("link")).unwrap();
    changed("link");
    fs::remove_file(lab.source().join("link")).unwrap();
    symlink("b", lab.source().join("link")).unwrap();
    changed("link target");
    fs::remove_file(lab.source().join("run2")).unwrap();
    changed("removal");
    assert!(fs::metadata(lab.copy().join("codchi.nix")).unwrap().permissions().mode() & 0o777 == 0o644);
}

#[test]
fn too_much_is_refused_with_the_names_of_what_is_large() {
    let lab = Lab::new(&[("codchi.nix", "{ }")]);
    lab.take();
    lab.write("data/small", "x");
    for name in ["data/a.bin", "data/b.bin", "movie.mp4"] {
        lab.write(name, "");
        // Sparse: takes no room on the disk.
        fs::File::options().write(true).open(lab.source().join(name)).unwrap().set_len(30 << 20).unwrap();
    }
    let error = take(&lab.source(), &lab.copy(), Scope::Whole, &lab.cancel).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("data (60 MiB in 4 files and folders), movie.mp4 (30 MiB)"), "{text}");
    assert!(error.hint().unwrap().contains(".gitignore"));
    assert_eq!(lab.copied(), ["codchi.nix"]);
}

#[test]
fn a_copy_that_fails_or_is_cancelled_leaves_nothing() {
    let lab = Lab::new(&[("codchi.nix", "{ }")]);
    let beside = || fs::read_dir(lab.folder.path()).unwrap().count();
    let before = beside();
    lab.cancel.cancel();
    assert!(matches!(
        take(&lab.source(), &lab.copy(), Scope::Whole, &lab.cancel),
        Err(MachineError::Cancelled)
    ));
    let error =
        take(Path::new("/nonexistent/x"), &lab.copy(), Scope::Whole, &CancellationToken::new()).unwrap_err();
    assert!(matches!(&error, MachineError::Io { path, .. } if path.contains("/nonexistent/x")), "{error}");
    assert_eq!(beside(), before);
}

#[test]
fn of_a_home_folder_only_what_nix_files_name_is_taken() {
    let lab = Lab::new(&[
        ("me.nix", "{ imports = [ ./nix/shell.nix ../outside.nix ./. ]; x = ./dot/bashrc; y = ./missing; }"),
        ("nix/shell.nix", "{ imports = [ ../linked.nix ]; z = builtins.readFile ./motd; }"),
        ("nix/motd", "hello"),
        ("nix/other.nix", "{ }"),
        ("dot/bashrc", ""),
        ("dot/history", "private"),
        ("real/linked.nix", "{ a = ./data; }"),
        ("real/data/deep/file", "x"),
        (".ssh/id_ed25519", "private"),
        (".config/token", "private"),
    ]);
    symlink("real/linked.nix", lab.source().join("linked.nix")).unwrap();
    let paths = crate::test::paths(&lab.source());
    assert_eq!(Scope::of(&lab.source(), &paths), Scope::Named);
    assert_eq!(Scope::of(lab.folder.path(), &paths), Scope::Named);
    assert_eq!(Scope::of(&lab.source().join("nix"), &paths), Scope::Whole);
    take(&lab.source(), &lab.copy(), Scope::Named, &lab.cancel).unwrap();
    let copied = lab.copied();
    for path in [
        "me.nix",
        "nix/shell.nix",
        "nix/motd",
        "dot/bashrc",
        "linked.nix",
        "real/linked.nix",
        "real/data/deep/file",
    ] {
        assert!(copied.iter().any(|copied| copied.contains(path)), "{path}: {copied:?}");
    }
    for path in ["history", "id_ed25519", "token", "other.nix"] {
        assert!(!copied.iter().any(|copied| copied.contains(path)), "{path}: {copied:?}");
    }
}
