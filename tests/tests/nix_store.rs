//! What the store holds and what a build would do, asked of the real `nix`, the distribution's and a current one, in a store
//! of the test's own.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_nix::{CancellationToken, Nix, path_url};

codchi_tests::with_each_nix! {
    async |folder| Nix::at(folder.join("nix")).await.unwrap();
    a_build_is_told_before_it_happens_and_its_closure_after
}

const FLAKE: &str = r#"{ outputs = _: let
  sh = name: script: extra: builtins.derivation ({
    inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" script ];
  } // extra);
in { top = sh "top-2.0" "echo $dep > $out" { dep = sh "dep-1.0" "echo 12345678 > $out" { }; }; }; }
"#;

async fn a_build_is_told_before_it_happens_and_its_closure_after(nix: Nix) {
    let folder = tempfile::tempdir().unwrap();
    let nix = nix.with_environment(codchi_tests::nix::own_store(folder.path()));
    let cancel = CancellationToken::new();
    let flake = folder.path().join("flake");
    std::fs::create_dir_all(&flake).unwrap();
    std::fs::write(flake.join("flake.nix"), FLAKE).unwrap();
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
