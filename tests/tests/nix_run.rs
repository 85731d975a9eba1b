//! The real `nix`, the distribution's and a current one, on derivations that need nothing but `/bin/sh`, in a store of
//! the test's own.
#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_nix::{Activity, CancellationToken, Nix, NixError, path_url};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

codchi_tests::with_each_nix! {
    async |folder| Nix::at(folder.join("nix")).await.unwrap();
    evaluation_gives_values_and_errors_with_their_place
    a_build_makes_generations_of_its_profile_and_tells_how_far_it_is
    a_failed_build_names_the_derivation_that_failed_and_its_last_lines
    cancelling_or_dropping_ends_the_builder_too
    locking_adds_what_is_missing_and_updates_only_what_is_named
    whether_a_tree_is_a_flake_is_found_out_without_evaluating_it
    a_locked_tree_is_taken_from_the_store_even_where_its_folder_is_gone
}

/// A flake in a folder, and a Nix whose store lies beside it.
struct Lab {
    folder: TempDir,
    nix: Nix,
    cancel: CancellationToken,
}

impl Lab {
    async fn new(nix: Nix, outputs: &str) -> Self {
        let folder = TempDir::with_prefix("codchi-nix-").unwrap();
        let nix = nix.with_environment(codchi_tests::nix::own_store(folder.path()));
        let lab = Self { folder, nix, cancel: CancellationToken::new() };
        lab.flake("main", outputs);
        lab
    }

    fn flake(&self, name: &str, text: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let prelude = r#"
            sh = name: script: extra: builtins.derivation ({
              inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" script ]; PATH = "/usr/bin:/bin";
            } // extra);
        "#;
        std::fs::write(folder.join("flake.nix"), text.replace("PRELUDE", prelude)).unwrap();
        folder
    }

    fn installable(&self, attribute: &str) -> String {
        format!("{}#{attribute}", path_url(&self.folder.path().join("main")))
    }
}

fn failed(error: NixError) -> (String, Option<codchi_nix::Position>, Option<Box<codchi_nix::FailedBuild>>) {
    match error {
        NixError::Failed { message, position, build, .. } => (message, position, build),
        other => panic!("{other:?}"),
    }
}

async fn evaluation_gives_values_and_errors_with_their_place(nix: Nix) {
    let lab = Lab::new(
        nix,
        "{ outputs = _: {\n  value = { a = [ 1 ]; };\n  half = { a = 1; b = { }.gone; };\n}; }",
    )
    .await;
    let value: serde_json::Value = lab.nix.eval(&lab.installable("value"), &lab.cancel).await.unwrap();
    assert_eq!(value, serde_json::json!({ "a": [1] }));

    // Old versions print `{"a":1,` before they fail on `b`.
    let error = lab.nix.eval::<serde_json::Value>(&lab.installable("half"), &lab.cancel).await.unwrap_err();
    let (message, position, build) = failed(error);
    assert_eq!(message, "attribute 'gone' missing");
    let position = position.unwrap();
    assert!(position.file.ends_with("flake.nix"), "{position:?}");
    assert_eq!(position.line, 3);
    assert_eq!(build, None);
    assert!(!lab.folder.path().join("main/flake.lock").exists());
}

async fn a_build_makes_generations_of_its_profile_and_tells_how_far_it_is(nix: Nix) {
    let flake = |n: u32| {
        format!(
            r#"{{ outputs = _: let PRELUDE in {{
                 top = sh "top" "echo top{n} says hello; echo $dep > $out" {{ dep = sh "dep" "echo {n} > $out" {{}}; }};
               }}; }}"#
        )
    };
    let lab = Lab::new(nix, &flake(1)).await;
    let profile = lab.folder.path().join("system");
    let mut outs = Vec::new();
    for n in 1..=2 {
        lab.flake("main", &flake(n));
        let (mut progress, mut lines) = (Vec::new(), Vec::new());
        let built = lab
            .nix
            .build(
                &lab.installable("top"),
                &profile,
                &mut |p| progress.push(p),
                &mut |line| lines.push(line.to_owned()),
                &lab.cancel,
            )
            .await
            .unwrap();
        assert!(built.out.is_file() && built.derivation.extension().is_some_and(|e| e == "drv"), "{built:?}");
        assert_eq!(std::fs::canonicalize(&profile).unwrap(), built.out);
        assert_eq!(progress.last().unwrap().built, Activity { done: 2, expected: 2 });
        assert!(lines.contains(&format!("top> top{n} says hello")), "{lines:?}");
        outs.push(built.out);
    }
    for (n, out) in [(1, &outs[0]), (2, &outs[1])] {
        let generation = lab.folder.path().join(format!("system-{n}-link"));
        assert_eq!(&std::fs::read_link(generation).unwrap(), out);
    }
    assert!(!Path::new("result").exists());
}

async fn a_failed_build_names_the_derivation_that_failed_and_its_last_lines(nix: Nix) {
    let lab = Lab::new(
        nix,
        r#"{ outputs = _: let PRELUDE in {
             top = sh "top" "echo > $out" {
               dep = sh "dep" "for i in $(seq 40); do echo line $i; done; exit 3" { };
             };
           }; }"#,
    )
    .await;
    let profile = lab.folder.path().join("system");
    let error = lab
        .nix
        .build(&lab.installable("top"), &profile, &mut |_| {}, &mut |_| {}, &lab.cancel)
        .await
        .unwrap_err();
    let (message, _, build) = failed(error);
    assert!(message.contains("dep.drv") && message.contains("exit code 3"), "{message}");
    let build = build.unwrap();
    assert!(build.derivation.ends_with("-dep.drv"));
    assert_eq!(build.last_lines.len(), 25);
    assert_eq!(build.last_lines[24], "line 40");
    assert!(!profile.exists());
}

async fn cancelling_or_dropping_ends_the_builder_too(nix: Nix) {
    let lab = Lab::new(
        nix,
        r#"{ outputs = _: let PRELUDE in rec {
             a = sh "a" "echo $$ > PIDS/a; exec sleep 300" { };
             b = sh "b" "echo $$ > PIDS/b; exec sleep 300" { };
           }; }"#,
    )
    .await;
    let pids = lab.folder.path().join("pids");
    std::fs::create_dir(&pids).unwrap();
    let flake = lab.folder.path().join("main/flake.nix");
    let text = std::fs::read_to_string(&flake).unwrap().replace("PIDS", &format!("'{}'", pids.display()));
    std::fs::write(&flake, text).unwrap();

    let started = async |name: &str| {
        let file = pids.join(name);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "the builder did not start");
            match std::fs::read_to_string(&file) {
                Ok(pid) if pid.ends_with('\n') => break PathBuf::from("/proc").join(pid.trim()),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let ended = async |process: PathBuf| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.exists() {
            assert!(Instant::now() < deadline, "the builder outlived its build");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let profile = lab.folder.path().join("system");
    let (mut no_progress, mut no_log) = (|_| {}, |_: &str| {});

    let installable = lab.installable("a");
    let build = lab.nix.build(&installable, &profile, &mut no_progress, &mut no_log, &lab.cancel);
    let (result, process) = tokio::join!(build, async {
        let process = started("a").await;
        lab.cancel.cancel();
        process
    });
    assert!(matches!(result, Err(NixError::Cancelled)), "{result:?}");
    ended(process).await;

    let installable = lab.installable("b");
    let cancel = CancellationToken::new();
    let build = lab.nix.build(&installable, &profile, &mut no_progress, &mut no_log, &cancel);
    let process = tokio::select! {
        result = build => panic!("{result:?}"),
        process = started("b") => process,
    };
    ended(process).await;
}

async fn locking_adds_what_is_missing_and_updates_only_what_is_named(nix: Nix) {
    let lab = Lab::new(nix, "").await;
    for name in ["one", "two"] {
        lab.flake(name, "{ outputs = _: { value = 1; }; }");
    }
    let url = |name| path_url(&lab.folder.path().join(name));
    let main = lab.flake(
        "main",
        &format!(
            "{{ inputs.one.url = \"{}\"; inputs.two.url = \"{}\";\n\
             outputs = inputs: {{ values = [ inputs.one.value inputs.two.value ]; }}; }}",
            url("one"),
            url("two")
        ),
    );
    let values = async || lab.nix.eval::<Vec<u32>>(&lab.installable("values"), &lab.cancel).await.unwrap();

    lab.nix.lock(&main, &[], &lab.cancel).await.unwrap();
    assert_eq!(values().await, [1, 1]);
    for name in ["one", "two"] {
        lab.flake(name, "{ outputs = _: { value = 2; }; }");
    }
    lab.nix.lock(&main, &["two"], &lab.cancel).await.unwrap();
    assert_eq!(values().await, [1, 2]);

    std::fs::remove_dir_all(lab.folder.path().join("one")).unwrap();
    let (message, ..) = failed(lab.nix.lock(&main, &["one"], &lab.cancel).await.unwrap_err());
    assert!(message.contains("/one'"), "{message}");
    assert!(message.contains("No such file") || message.contains("does not exist"), "{message}");
}

async fn whether_a_tree_is_a_flake_is_found_out_without_evaluating_it(nix: Nix) {
    let lab = Lab::new(nix, "{ broken").await;
    let folder = lab.folder.path().join("main");
    std::fs::create_dir(folder.join("plain")).unwrap();
    std::fs::write(folder.join("plain/codchi.nix"), "{ }").unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@localhost"];
        let done =
            std::process::Command::new("git").args(identity).args(arguments).current_dir(&folder).status();
        assert!(done.unwrap().success(), "{arguments:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "x"]);
    let has_flake = async |rest: &str| {
        lab.nix.has_flake(&format!("git+file://{}{rest}", folder.display()), &lab.cancel).await
    };
    assert!(has_flake("").await.unwrap() && has_flake("?ref=main").await.unwrap());
    assert!(!has_flake("?dir=plain").await.unwrap() && !has_flake("?ref=main&dir=plain").await.unwrap());
    failed(has_flake("?ref=gone").await.unwrap_err());
}

async fn a_locked_tree_is_taken_from_the_store_even_where_its_folder_is_gone(nix: Nix) {
    let lab = Lab::new(nix, "{ outputs = _: { }; }").await;
    let folder = lab.folder.path().join("main");
    let tree = lab.nix.flake_tree(&path_url(&folder), &lab.cancel).await.unwrap();
    assert!(tree.path.join("flake.nix").is_file() && tree.hash.starts_with("sha256-"), "{tree:?}");

    let locked =
        |folder: &Path, hash: &str| serde_json::json!({ "type": "path", "path": folder, "narHash": hash });
    let gone = locked(Path::new("/no/such/folder"), &tree.hash);
    assert_eq!(lab.nix.locked_tree(&gone, &lab.cancel).await.unwrap(), tree.path);

    // Another tree: it is not in the store yet.
    let other = lab.flake("other \"${x}\"", "{ outputs = _: { other = 1; }; }");
    let unknown = serde_json::json!({ "type": "path", "path": other });
    let fetched = lab.nix.locked_tree(&unknown, &lab.cancel).await.unwrap();
    assert!(fetched != tree.path && fetched.join("flake.nix").is_file(), "{}", fetched.display());

    let wrong = locked(&folder, "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    failed(lab.nix.locked_tree(&wrong, &lab.cancel).await.unwrap_err());
    failed(lab.nix.flake_tree("path:/no/such/folder", &lab.cancel).await.unwrap_err());
}
