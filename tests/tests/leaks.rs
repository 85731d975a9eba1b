//! Where secrets are not: canaries of nasty shapes go the ways that secrets go, through the editor and the command line, and
//! then everything is searched that they must not be in. Needs what `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::engine;
use codchi_tests::leaks::{Canary, Search};
use codchi_tests::lsp::Client;
use codchi_tests::person::Person;
use codchi_tests::program;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The engine's folder as its daemon sees it, with the root file systems of instances.
fn engine_folder() -> PathBuf {
    engine::daemon().join("root").join(engine::folder().strip_prefix("/").unwrap())
}

fn store() -> BTreeSet<PathBuf> {
    fs::read_dir("/nix/store").unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a person does, and what each command told.
struct World {
    person: Person,
    /// Programs of the computer, and what they keep elsewhere than in the home folder.
    tools: tempfile::TempDir,
    told: Vec<(String, Output)>,
}

impl World {
    fn new(name: &str) -> Self {
        let (person, tools) = (Person::new(name), tempfile::tempdir().unwrap());
        fs::create_dir(person.path("tmp")).unwrap();
        Self { person, tools, told: Vec::new() }
    }

    /// Where there is a `gh` that gives this token.
    fn log_in(&self, token: &str) {
        let (gh, kept) = (self.tools.path().join("gh"), self.tools.path().join("token"));
        program::script(&gh, &format!("exec cat {}", kept.display()));
        fs::write(kept, token).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.person.command(arguments);
        let path = format!("{}:{}", self.tools.path().display(), std::env::var("PATH").unwrap());
        command.env("CODCHI_LOG", "trace").env("TMPDIR", self.person.path("tmp")).env("PATH", path);
        command
    }

    fn run(&mut self, arguments: &[&str], input: &str) -> bool {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let succeeded = output.status.success();
        self.told.push((arguments.join(" "), output));
        succeeded
    }

    fn done(&mut self, arguments: &[&str], input: &str) {
        let succeeded = self.run(arguments, input);
        let (_, output) = self.told.last().unwrap();
        assert!(succeeded, "codchi {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }

    fn write(&self, text: &str) {
        fs::write(self.person.project().join("codchi.nix"), text).unwrap();
    }

    /// What root in the machine prints.
    fn root(&self, script: &str) -> Vec<u8> {
        let output = self.command(&["exec", "--root", "NAME", "--", "sh", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        output.stdout
    }
}

fn module(more: &str) -> String {
    format!(
        "{{ ... }}: {{\n  codchi.secrets.TYPED = {{ description = \"Typed into the editor\"; pattern = \"good.*\"; units = [ \"reader\" ]; }};\n  \
         codchi.secrets.file.KEY = {{ description = \"A key of several lines\"; multiline = true; owner = \"root\"; }};\n  \
         codchi.secrets.env.PIPED = {{ description = \"Given at the command line\"; required = false; units = [ \"reader\" ]; }};\n  \
         systemd.services.reader = {{\n    wantedBy = [ \"multi-user.target\" ];\n    serviceConfig.RemainAfterExit = true;\n    \
         serviceConfig.Type = \"oneshot\";\n    script = \"test -n \\\"$CODCHI_TYPED\\\"\";\n  }};\n  {more}\n}}\n"
    )
}

#[test]
fn secrets_are_nowhere_but_in_the_vault_and_in_the_memory_of_their_machine() {
    let [wrong, typed, key, piped, rotated, token, other_token] = std::array::from_fn(|_| Canary::new());
    let mut search = Search::new(&[&wrong, &typed, &key, &piped, &rotated, &token, &other_token]);
    let mut world = World::new("leaks");
    let before = store();
    world.write(&module(""));
    let events = world.person.path("events");
    let _monitor = Ended(
        Command::new(engine::client())
            .args(["monitor", "--format=json"])
            .stdout(fs::File::create(&events).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let processes = search.processes();

    // An editor, whose person is asked: first for something that does not have the form that it must have.
    let mut editor = Client::start_with(world.command(&[]));
    let experimental = json!({ "experimental": { "codchi": { "input": true } } });
    editor.initialize(&experimental, &world.person.project());
    editor.notify("$/setTrace", &json!({ "value": "verbose" }));
    let answers = [
        wrong.within("wrong \"", "'"),
        typed.within("good \"it's $HOME `id` \\ %20 $(id) \u{20ac} ", " \\n\t!"),
    ];
    let several = key.within("-----BEGIN 'KEY'-----\n\"", "\"\n\n$x\n-----END-----\n");
    let mut attempt = 0;
    editor.answer_with(move |request| {
        let params = &request["params"];
        Some(match (request["method"].as_str()?, params["kind"].as_str()) {
            ("codchi/input", Some("secret")) if params["multiline"] == true => json!({ "value": several }),
            ("codchi/input", Some("secret")) => {
                attempt += 1;
                json!({ "value": answers[(attempt - 1).min(1)] })
            }
            ("codchi/input", Some("confirm")) => json!({ "yes": true }),
            _ => json!(null),
        })
    });
    let module_file = world.person.project().join("codchi.nix");
    editor.open(&module_file, &module(""));
    let argument = json!({ "module": module_file, "name": world.person.name });
    let command = json!({ "command": "codchi.machine.create", "arguments": [argument] });
    let created = editor.request("workspace/executeCommand", &command);
    assert!(created.is_ok(), "{created:?}");

    // The same at the command line, and what follows in a machine's life.
    world.done(&["secret", "set", "PIPED", "--machine", "NAME"], &piped.within("$(", ")\"'\\ "));
    world.done(&["rebuild", "NAME"], "");
    world.done(&["secret", "set", "PIPED", "--machine", "NAME"], &rotated.within("`", "`\n\nlast"));
    world.log_in(&token.within("gh '", "\" $x"));
    world.done(&["secret", "set", "NPM_TOKEN"], &other_token.within("npm `", "' \\"));
    world.done(&["allow", "NAME", "tokens", "ca-certificates"], "");
    world.done(&["stop", "NAME"], "");
    world.done(&["start", "NAME"], "");
    world.done(&["status", "NAME"], "");
    world.done(&["status", "--json"], "");
    world.done(&["secret", "ls"], "");
    world.done(&["doctor"], "");
    world.done(&["export", "NAME", "FILE"], "");
    fs::rename(world.person.path("export.codchi"), world.person.path("tmp/plain.codchi")).unwrap();
    world.done(&["export", "NAME", "FILE", "--secrets", "--passphrase-file", "PASSPHRASE"], "");
    world.done(&["duplicate", "NAME", "NAME-x"], "");
    let instance_name = format!("codchi-{}", world.person.name);
    let machine = json!({ "command": "codchi.machine.list", "arguments": [{}] });
    editor.request("workspace/executeCommand", &machine).unwrap();

    // They have arrived: what is searched for is what is there.
    let there = world.root("cat /run/codchi/env /run/codchi/secrets/* /run/codchi/units/*");
    let mut arrived = Search::new(&[&typed, &key, &rotated, &token, &other_token]);
    for line in there.split(|&byte| byte == b'\n') {
        arrived.bytes("machine", "", line);
    }
    assert!(arrived.found.len() >= 7, "{:?}", arrived.found);

    // The machine's disk, and what else of its memory is not the delivery's.
    let disk = "find / -xdev -type f -exec cat {} + ; find / -xdev; find /run /tmp -type f ! -path '/run/codchi.*' ! -path '/run/host/*' \
                -exec cat {} + 2>/dev/null; cat /proc/[0-9]*/cmdline; journalctl --no-pager --all -o export 2>/dev/null; true";
    search.bytes("machine: disk, journal, argv", "", &world.root(disk));

    // The engine: what it says, what it has written down, and the machines' disks as it sees them.
    for query in [
        format!("/1.0/instances/{instance_name}?recursion=1"),
        format!("/1.0/instances/{instance_name}/state"),
        "/1.0/operations?recursion=1".into(),
        "/1.0/images?recursion=1".into(),
        "/1.0/warnings?recursion=1".into(),
    ] {
        let output = Command::new(engine::client()).args(["query", &query]).output().unwrap();
        search.bytes("engine: configuration", &query, &output.stdout);
    }
    search.file("engine: events", &events);
    let folder = engine_folder();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().and_then(|name| name.to_str()) {
            // The loop device that pools are on; what is on it follows.
            Some("disks" | "storage-pools") => {}
            _ if path.is_dir() => search.folder("engine: files", &path),
            _ => search.file("engine: files", &path),
        }
    }
    let mut disks = 0;
    for pool in fs::read_dir(folder.join("storage-pools")).unwrap() {
        for instance in fs::read_dir(pool.unwrap().path().join("containers")).unwrap() {
            let disk = instance.unwrap().path();
            if disk.file_name().unwrap().to_string_lossy().starts_with(&instance_name) {
                search.folder("engine: disks", &disk);
                disks += 1;
            }
        }
    }
    assert_eq!(disks, 2, "the disks of a machine and its copy");

    // Nix.
    for path in store().difference(&before) {
        if path.is_dir() { search.folder("Nix store", path) } else { search.file("Nix store", path) }
    }
    for folder in ["/nix/var/nix/db", "/nix/var/log/nix", "/nix/var/nix/temproots"] {
        if Path::new(folder).is_dir() {
            search.folder("Nix database and logs", Path::new(folder));
        }
    }

    // What the program has said and written: protocol, output, state, logs, caches, temporary files, exports.
    for (index, message) in editor.heard().iter().enumerate() {
        search.bytes("editor: messages to it", &format!("message {index}"), message.as_bytes());
    }
    assert!(search.places["editor: messages to it"].0 > 20);
    editor.shutdown();
    for (command, output) in std::mem::take(&mut world.told) {
        search.bytes("output of commands", &command, &output.stdout);
        search.bytes("output of commands", &command, &output.stderr);
    }
    search.folder("home: state, logs, exports, caches", &world.person.path(""));
    let log = fs::read_to_string(world.person.path(".local/state/codchi/logs/codchi.log")).unwrap();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "the log is not at its finest level");

    world.done(&["delete", "--yes", "NAME-x"], "");
    world.done(&["delete", "--yes", "--secrets", "NAME"], "");
    world.done(&["secret", "rm", "NPM_TOKEN"], "");
    processes.end(&mut search);
    println!("{}", search.table());
    assert_eq!(search.found, Vec::<String>::new(), "secrets were found");
    for kind in
        ["processes (argv and environ)", "Nix store", "engine: disks", "home: state, logs, exports, caches"]
    {
        assert!(
            search.places.get(kind).is_some_and(|(count, size)| *count > 10 && *size > 1000),
            "{kind}: {}",
            search.table()
        );
    }
}

/// What a module makes of its secrets is its own business; but where it prints one, what is told and logged has a hole there.
#[test]
fn what_a_module_prints_of_its_secrets_is_told_and_logged_with_a_hole() {
    let canary = Canary::new();
    let mut search = Search::new(&[&canary]);
    let mut world = World::new("leaks-p");
    world.write(&module(
        "codchi.initScript = \"echo the init script says $CODCHI_TYPED; echo \\\"$CODCHI_TYPED\\\" >&2\";",
    ));
    world.done(&["secret", "set", "TYPED"], &canary.within("good '", "\" \\ $x"));
    world.done(&["secret", "set", "KEY"], "of no interest here\n");
    world.done(&["create", "--name", "NAME", "--verbose", "PROJECT"], "");
    // A service that fails prints what it has, and the error quotes it.
    world.write(&module(
        "systemd.services.broken = { wantedBy = [ \"multi-user.target\" ]; requires = [ \"codchi-secrets.service\" ]; \
         serviceConfig.Type = \"oneshot\"; script = \"echo it fails with $(cat /run/codchi/secrets/TYPED); exit 1\"; };",
    ));
    assert!(!world.run(&["rebuild", "NAME", "--verbose"], ""));
    let failed = String::from_utf8_lossy(&world.told.last().unwrap().1.stderr).into_owned();
    assert!(failed.contains("it fails with …"), "{failed}");
    world.done(&["log", "NAME"], "");
    world.done(&["status", "NAME"], "");
    for (command, output) in std::mem::take(&mut world.told) {
        search.bytes("output of commands", &command, &output.stdout);
        search.bytes("output of commands", &command, &output.stderr);
    }
    search.folder("home", &world.person.path(""));
    assert_eq!(search.found, Vec::<String>::new(), "secrets were found");
    world.done(&["delete", "--yes", "--secrets", "NAME"], "");
}

#[test]
fn a_crash_with_a_secret_in_memory_leaves_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    let canary = Canary::new();
    // The same crash of a program that is like all others shows whether this computer writes such files at all.
    let cores = |command: &mut Command, input: &str| -> Vec<PathBuf> {
        let place = tempfile::tempdir_in(folder.path()).unwrap().keep();
        let mut child =
            command.current_dir(&place).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
        // Once it has read that, it waits for more.
        let end = Instant::now() + Duration::from_secs(10);
        let state = format!("/proc/{}/stat", child.id());
        while Instant::now() < end && !fs::read_to_string(&state).is_ok_and(|stat| stat.contains(") S ")) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(200));
        kill_process(Pid::from_child(&child), Signal::ABORT).unwrap();
        assert!(!child.wait().unwrap().success());
        fs::read_dir(&place)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect()
    };
    let unlimited = |program: &Path, arguments: &str| {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(format!("ulimit -c unlimited; exec {} {arguments}", program.display()));
        shell
    };
    let input = canary.within("", " and more");
    let control = cores(&mut unlimited(Path::new("cat"), ""), &input);
    let mut codchi = unlimited(codchi_tests::binary::codchi(), "secret set X");
    codchi.env("HOME", folder.path()).env_remove("DBUS_SESSION_BUS_ADDRESS");
    let dumped = cores(&mut codchi, &input);
    assert!(dumped.is_empty(), "{dumped:?}");
    if control.is_empty() {
        println!("this computer writes no core dumps into a folder: not shown here");
    }
}
