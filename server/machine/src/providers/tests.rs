use super::*;
use std::time::Instant;

fn read(text: &str) -> Result<Vec<Provider>, String> {
    #[derive(Debug, Deserialize)]
    struct Config {
        list: Providers,
    }
    toml::from_str::<Config>(text).map(|config| config.list.0).map_err(|e| e.message().to_owned())
}

/// A provider whose program is a script.
fn script(text: &str, limit: u64) -> Provider {
    let arguments = ["-c", text, "sh", "{name}", "{machine}", "[{name} {machine}]"].map(Into::into).into();
    let limit = Duration::from_secs(limit);
    let kind = ProviderKind::Command { program: "/bin/sh".into(), arguments, missing: 3, limit };
    Provider { name: "script".into(), kind }
}

async fn ask(provider: &Provider, name: &str, home: &Path) -> Result<Option<Secret>, String> {
    let machine = "web".parse().unwrap();
    let value = provider.value(name, Some(&machine), home, &CancellationToken::new()).await;
    value.map_err(|e| e.to_string())
}

#[test]
fn the_configuration_is_read_and_mistakes_are_told() {
    let providers = read(
        r#"
        [[list]]
        kind = "environment"
        [[list]]
        kind = "dotenv"
        file = "~/work/.env"
        prefix = "APP_"
        [[list]]
        kind = "command"
        command = ["/usr/bin/op", "read", "op://dev/{name}"]
        missing = 2
        timeout = 5
        "#,
    )
    .unwrap();
    assert_eq!(
        providers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["environment", "dotenv", "op"]
    );
    assert_eq!(providers[0].kind, ProviderKind::Environment { prefix: "CODCHI_SECRET_".into() });
    let ProviderKind::Command { missing, limit, arguments, .. } = &providers[2].kind else { panic!() };
    assert_eq!((*missing, limit.as_secs(), arguments.len()), (2, 5, 2));
    for (text, why) in [
        (r#"kind = "keychain""#, "unknown variant"),
        (r#"kind = "dotenv""#, "file"),
        (r#"kind = "command""#, "command"),
        ("kind = \"command\"\ncommand = []", "names no program"),
        ("kind = \"command\"\ncommand = [\"\"]", "names no program"),
        ("kind = \"command\"\ncommand = [\"a\"]\nmissing = 0", "exit code between"),
        ("kind = \"command\"\ncommand = [\"a\"]\ntimeout = 0", "at least 1"),
        ("kind = \"environment\"\nname = \" \"", "`name`"),
        ("kind = \"environment\"\nprefx = \"A\"", "prefx"),
        ("kind = \"environment\"\n[[list]]\nkind = \"environment\"", "two secret providers"),
    ] {
        let error = read(&format!("[[list]]\n{text}")).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_file_is_read_as_other_tools_read_it_and_its_mistakes_are_told_without_values() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("work.env");
    let dotenv = |file: &str, prefix: &str| Provider {
        name: "dotenv".into(),
        kind: ProviderKind::Dotenv { file: file.into(), prefix: prefix.into() },
    };
    let ours = dotenv("work.env", "");
    assert_eq!(ask(&ours, "A", home.path()).await, Ok(None), "no file, no value");
    std::fs::write(
        &file,
        "# comment\nA=plain\nexport B='single $A'\nC=\"two\\nlines\"\nAPP_D=d\nEMPTY=\nA=last # told\n",
    )
    .unwrap();
    let value = |text: &str| Ok(Secret::new(text));
    for (name, expected) in [("A", "last"), ("B", "single $A"), ("C", "two\nlines")] {
        assert_eq!(ask(&ours, name, home.path()).await, value(expected), "{name}");
    }
    assert_eq!(ask(&ours, "EMPTY", home.path()).await, Ok(None));
    assert_eq!(ask(&dotenv("~/work.env", "APP_"), "D", home.path()).await, value("d"));
    let all = Providers(vec![dotenv("~/work.env", "APP_"), ours.clone()]);
    assert_eq!(all.at_hand(home.path()).keys().collect::<Vec<_>>(), ["A", "APP_D", "B", "C", "D"]);

    std::fs::write(&file, "A='hunter2\nhunter2 hunter2\n").unwrap();
    let error = ask(&ours, "A", home.path()).await.unwrap_err();
    assert!(error.contains("work.env") && !error.contains("hunter2"), "{error}");
    assert!(!ours.status(home.path()).message.contains("hunter2"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(ask(&ours, "A", home.path()).await.unwrap_err().contains("is no file"));
}

#[tokio::test]
async fn a_program_gives_a_value_or_none_or_fails_with_what_it_said() {
    let home = tempfile::tempdir().unwrap();
    let run = |text: &'static str| {
        let home = home.path().to_owned();
        async move { ask(&script(text, 20), "TOKEN", &home).await }
    };
    let value = |bytes: &[u8]| Ok(Secret::new(bytes));
    assert_eq!(run(r#"printf '%s|' "$@""#).await, value(b"TOKEN|web|[TOKEN web]|"));
    // Names are never part of a command line that somebody takes apart.
    let name = "$(touch injected); {machine} '\"";
    let echoed = ask(&script(r#"printf '%s' "$1""#, 20), name, home.path()).await;
    assert_eq!(echoed, value(name.as_bytes()));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    assert_eq!(run("printf 'a\\n\\n'").await, value(b"a\n"));
    assert_eq!(run("printf '\\377'; pwd >&2").await, value(b"\xff"));
    assert_eq!(run("exit 3").await, Ok(None));
    assert!(run("cat").await.unwrap_err().contains("printed no value"), "nothing on standard input");
    let error = run("echo value; echo 'not signed in' >&2; exit 1").await.unwrap_err();
    assert!(
        error.contains("not signed in") && error.contains("`script`") && !error.contains("value;"),
        "{error}"
    );
    assert!(run("printf 'a\\0b'").await.unwrap_err().contains("NUL"));
    assert!(run("head -c 2000000 /dev/zero | tr '\\0' a").await.unwrap_err().contains("more than"));
    let gone = Provider {
        name: "gone".into(),
        kind: ProviderKind::Command {
            program: "no-such-program".into(),
            arguments: Vec::new(),
            missing: 1,
            limit: Duration::from_secs(1),
        },
    };
    assert!(ask(&gone, "A", home.path()).await.unwrap_err().contains("no-such-program"));
    assert!(!gone.status(home.path()).ok && script("", 1).status(home.path()).ok);
    let machineless = script("echo x", 1).value("A", None, home.path(), &CancellationToken::new()).await;
    assert!(machineless.unwrap_err().to_string().contains("{machine}"));
}

/// Whether the process with the number in this file, and what it started, is gone within a moment.
fn ends(file: &Path) -> bool {
    let id = std::fs::read_to_string(file).unwrap();
    let begun = Instant::now();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    // One that ended and was not taken note of by its parent is gone, too.
    while !(state().is_empty() || state().contains(") Z ")) {
        if begun.elapsed() > Duration::from_secs(5) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[tokio::test]
async fn a_program_that_takes_too_long_or_is_cancelled_ends_with_all_that_it_started() {
    let home = tempfile::tempdir().unwrap();
    let slow = "sleep 100 & echo $! > child; sleep 100";
    let error = ask(&script(slow, 1), "A", home.path()).await.unwrap_err();
    assert!(error.contains("within 1 s"), "{error}");
    assert!(ends(&home.path().join("child")));

    std::fs::remove_file(home.path().join("child")).unwrap();
    let (cancel, provider, machine) = (CancellationToken::new(), script(slow, 100), "web".parse().unwrap());
    let cancelling = async {
        while std::fs::read_to_string(home.path().join("child")).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    };
    let (value, ()) = tokio::join!(provider.value("A", Some(&machine), home.path(), &cancel), cancelling);
    assert!(matches!(value, Err(MachineError::Cancelled)));
    assert!(ends(&home.path().join("child")));
}
