//! What the store holds and what a build would do, asked of the real `nix`, the distribution's and a current one, in a store
//! of the test's own.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_nix::{CancellationToken, Nix, path_url};

codchi_tests::with_each_nix! {
    async |folder| Nix::at(folder.join("nix")).await.unwrap();
    a_build_is_told_before_it_happens_and_its_closure_after
    what_nothing_keeps_is_told_with_its_size_and_collected
    what_only_some_links_keep_is_told_without_what_others_need
}

const FLAKE: &str = r#"{ outputs = _: let
  sh = name: script: extra: builtins.derivation ({
    inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" script ];
  } // extra);
in { top = sh "top-2.0" "echo $dep > $out" { dep = sh "dep-1.0" "echo 12345678 > $out" { }; }; }; }
"#;

/// A Nix with a store of its own, and the flake, all below a folder.
fn world(nix: Nix) -> (tempfile::TempDir, Nix, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let nix = nix.with_environment(codchi_tests::nix::own_store(folder.path()));
    let flake = folder.path().join("flake");
    std::fs::create_dir_all(&flake).unwrap();
    std::fs::write(flake.join("flake.nix"), FLAKE).unwrap();
    (folder, nix, flake)
}

async fn a_build_is_told_before_it_happens_and_its_closure_after(nix: Nix) {
    let (folder, nix, flake) = world(nix);
    let cancel = CancellationToken::new();
    let installable = format!("{}#top", path_url(&flake));

    let (out, planned) = nix.planned(&installable, &cancel).await.unwrap();
    let names = |end: &str| planned.builds.iter().any(|path| path.to_string_lossy().ends_with(end));
    assert!(names("-top-2.0.drv") && names("-dep-1.0.drv"), "{planned:?}");
    assert!(planned.fetches.is_empty() && !out.exists());
    assert!(nix.closure(&out, &cancel).await.is_err());

    let link = folder.path().join("result");
    nix.build_at(&installable, &link, &mut |_| {}, &cancel).await.unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), out);
    let (_, planned) = nix.planned(&installable, &cancel).await.unwrap();
    assert!(planned.is_empty(), "{planned:?}");
    let closure = nix.closure(&out, &cancel).await.unwrap();
    assert_eq!(closure.len(), 2, "{closure:?}");
    assert!(closure[&out].is_some_and(|size| size > 0));
    assert!(!flake.join("flake.lock").exists());
}

async fn what_nothing_keeps_is_told_with_its_size_and_collected(nix: Nix) {
    let (folder, nix, flake) = world(nix);
    let cancel = CancellationToken::new();
    // As profiles lie below folders that a person may call anything.
    let link = folder.path().join("a -> b");
    nix.build_at(&format!("{}#top", path_url(&flake)), &link, &mut |_| {}, &cancel).await.unwrap();
    let out = std::fs::read_link(&link).unwrap();
    let needed = nix.requisites(std::slice::from_ref(&out), &cancel).await.unwrap();
    assert_eq!(needed, nix.closure(&out, &cancel).await.unwrap().into_keys().collect());
    let root = nix.roots(&cancel).await.unwrap().into_iter().find(|root| root.path == out).unwrap();
    assert_eq!(root.by.file_name(), link.file_name());
    let garbage = nix.garbage(&cancel).await.unwrap();
    assert!(needed.iter().all(|path| !garbage.contains_key(path)), "{garbage:?}");

    std::fs::remove_file(&link).unwrap();
    // Something that was interrupted has no size, and hides nobody else's.
    let unfinished = out.with_file_name("00000000000000000000000000000000-unfinished");
    std::fs::write(&unfinished, "").unwrap();
    let garbage = nix.garbage(&cancel).await.unwrap();
    assert!(needed.iter().all(|path| garbage[path].is_some_and(|size| size > 0)), "{garbage:?}");
    assert!(
        garbage.iter().any(|(path, size)| path.extension().is_some_and(|it| it == "drv") && size.is_some())
    );
    assert!(garbage.get(&unfinished).is_none_or(Option::is_none));
    let said = nix.collect_garbage(&mut |_| {}, &cancel).await.unwrap().unwrap();
    assert!(said.contains("store paths deleted"), "{said}");
    assert!(needed.iter().all(|path| !path.exists()));
    assert!(nix.garbage(&cancel).await.unwrap().is_empty());
}

async fn what_only_some_links_keep_is_told_without_what_others_need(nix: Nix) {
    let folder = tempfile::tempdir().unwrap();
    let nix = nix.with_environment(codchi_tests::nix::own_store(folder.path()));
    let cancel = CancellationToken::new();
    let flake = folder.path().join("flake");
    std::fs::create_dir_all(&flake).unwrap();
    // Two systems that share what they need, but for one part.
    let text = FLAKE.replace(
        "in { top",
        "shared = sh \"shared\" \"echo 1 > $out\" { };\nin {\n  one = sh \"one\" \"echo $dep > $out\" { dep = [ shared (sh \"own\" \"echo 2 > $out\" { }) ]; };\n  two = sh \"two\" \"echo $dep > $out\" { dep = shared; };\n  top",
    );
    std::fs::write(flake.join("flake.nix"), text).unwrap();
    // Named by a folder that is a link, as a data folder may be.
    let links = folder.path().join("links");
    std::fs::create_dir_all(&links).unwrap();
    std::os::unix::fs::symlink(&links, folder.path().join("other-name")).unwrap();
    for name in ["one", "two"] {
        let installable = format!("{}#{name}", path_url(&flake));
        nix.build_at(&installable, &links.join(name), &mut |_| {}, &cancel).await.unwrap();
    }
    let only = async |names: &[&str]| -> Vec<String> {
        let links: Vec<_> = names.iter().map(|name| folder.path().join("other-name").join(name)).collect();
        let closure = nix.kept_only_by(&links, &cancel).await.unwrap();
        assert!(closure.values().all(|size| size.is_some_and(|size| size > 0)), "{closure:?}");
        let name = |path: std::path::PathBuf| path.to_str().unwrap().rsplit_once('-').unwrap().1.to_owned();
        let mut names: Vec<String> = closure.into_keys().map(name).collect();
        names.sort();
        names
    };
    assert_eq!(only(&["one"]).await, ["one", "own"]);
    assert_eq!(only(&["two"]).await, ["two"]);
    assert_eq!(only(&["one", "two"]).await, ["one", "own", "shared", "two"]);
    // A link that keeps nothing any more, and none at all.
    std::fs::remove_file(links.join("two")).unwrap();
    assert_eq!(only(&["two"]).await, [""; 0]);
    assert_eq!(only(&["one"]).await, ["one", "own", "shared"]);
}
