//! The main job for real: a module becomes a machine, in which one works, which one changes and deletes. And what is
//! left when it fails half-way.
//!
//! Needs what `cargo xtask lab up` sets up: an engine (`LXD_DIR`), Nix, and a nixpkgs that builds offline
//! (`CODCHI_TEST_FLAKE_NIXPKGS`). Each test has machines, state and project folders of its own.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::RunState;
use codchi_machine::{
    Answer, CancellationToken, CreateRequest, Drift, DriftKind, Event, Front, LogLevel, MachineError,
    MachineState, MachineStatus, ModuleSource, Options, Question, Secret, Step, StepState,
};
use codchi_tests::engine;
use codchi_tests::user::User;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const SECRET: &str = "quotes \" ' $HOME `id` \\ ü";

/// A front that answers every secret with [`SECRET`], or with nothing where it `knows` none, and remembers all.
struct Person {
    knows: bool,
    events: Mutex<Vec<Event>>,
    asked: Mutex<Vec<String>>,
    cancel_at: Mutex<Option<(String, CancellationToken)>>,
}

#[async_trait::async_trait]
impl Front for Person {
    fn event(&self, event: Event) {
        if let Event::Progress { message, .. } = &event
            && let Some((text, cancel)) = &*self.cancel_at.lock().unwrap()
            && message.contains(text)
        {
            cancel.cancel();
        }
        self.events.lock().unwrap().push(event);
    }

    async fn ask(&self, question: Question) -> Answer {
        match question {
            Question::Secret { name, .. } => {
                self.asked.lock().unwrap().push(name);
                if self.knows { Answer::Secret(Secret::new(SECRET).unwrap()) } else { Answer::CannotAsk }
            }
            _ => Answer::CannotAsk,
        }
    }
}

/// A user, and what they answer.
struct World {
    user: User,
    person: Person,
}

impl World {
    async fn new() -> Self {
        let options = |_: &std::path::Path| Options { ssh_config: Some(true), ..Options::default() };
        let user = User::new("job", "my project", options).await;
        let (events, asked, cancel_at) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { user, person: Person { knows: true, events, asked, cancel_at } }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.project().join(file), text).unwrap();
    }

    fn request(&self, module: &str) -> CreateRequest {
        CreateRequest {
            name: self.name.clone(),
            modules: vec![ModuleSource::parse(module, self.project()).unwrap()],
            project: Some(self.project().into()),
            nixpkgs: None,
            checkout: None,
            allowed: Vec::new(),
        }
    }

    async fn create(&self, module: &str) -> Result<(), MachineError> {
        self.machines.create(self.request(module), &self.person, &self.cancel).await
    }

    async fn rebuild(&self) -> Result<(), MachineError> {
        self.machines.rebuild(&self.name, &self.person, &self.cancel).await
    }

    async fn delete(&self) {
        self.machines.delete(&self.name, true, &self.person, &self.cancel).await.unwrap();
        self.nothing_is_left().await;
    }

    async fn status(&self) -> MachineStatus {
        self.machines.status().await.unwrap().remove(0)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.machines.log(&self.name).expect("there is a log")).unwrap()
    }

    fn warnings(&self) -> Vec<String> {
        let warning = |e: &Event| match e {
            Event::Log { level: LogLevel::Warning, line } => Some(line.clone()),
            _ => None,
        };
        self.person.events.lock().unwrap().iter().filter_map(warning).collect()
    }
}

impl std::ops::Deref for World {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

const MODULE: &str = r#"{ pkgs, ... }: {
  codchi.secrets.API_TOKEN.description = "What the tests call a token";
  codchi.initScript = ''
    echo "initialised by $(id -un) in $PWD" > ~/initialised
    echo "the token is $CODCHI_API_TOKEN"
  '';
  environment.etc."flavour".text = "one";
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_module_becomes_a_machine_that_can_be_changed_and_deleted() {
    let world = World::new().await;
    world.write("codchi.nix", MODULE);
    world.write("from-host", "host");
    chown(world.project().join("from-host"), Some(1000), Some(1000)).unwrap();

    world.create(".").await.unwrap();
    assert_eq!(world.warnings(), [""; 0]);
    assert_eq!(*world.person.asked.lock().unwrap(), ["API_TOKEN"]);
    let status = world.status().await;
    assert_eq!((status.state, status.generation, status.operation), (MachineState::Running, 1, None));
    assert_eq!(status.problems, [""; 0]);
    assert_eq!(status.workspace, "/home/codchi/my project");
    assert!(status.secrets[0].set);

    // The secret is there byte for byte, and in no file of ours but the vault.
    assert_eq!(world.shell("printf %s \"$CODCHI_API_TOKEN\"").await, SECRET);
    assert!(!world.log().contains(SECRET), "the log holds the secret");
    assert!(world.log().contains("the token is …"));
    assert_eq!(world.shell("cat ~/initialised").await, "initialised by codchi in /home/codchi/my project");

    // The project is the host's, both ways.
    assert_eq!(world.shell("pwd; id -u; id -un").await, "/home/codchi/my project\n1000\ncodchi");
    world.shell("echo more >> from-host; mkdir made; echo x > made/inside").await;
    assert_eq!(fs::read_to_string(world.project().join("from-host")).unwrap(), "hostmore\n");
    for made in ["made", "made/inside"] {
        let metadata = fs::metadata(world.project().join(made)).unwrap();
        assert!(
            !engine::keeps_owners() || (metadata.uid(), metadata.gid()) == (1000, 1000),
            "{made}: {metadata:?}"
        );
    }

    // A rebuild changes the running machine, and asks for nothing that is known.
    assert_eq!(world.status().await.drift, []);
    world.write("codchi.nix", &MODULE.replace("\"one\"", "\"two\""));
    assert_eq!(world.shell("cat /etc/flavour").await, "one");
    let drift = world.status().await.drift;
    assert!(matches!(drift.as_slice(), [Drift { kind: DriftKind::ModuleChanged, .. }]), "{drift:?}");
    world.rebuild().await.unwrap();
    assert_eq!(world.status().await.drift, []);
    assert_eq!(world.shell("cat /etc/flavour").await, "two");
    assert_eq!(world.status().await.generation, 2);
    assert_eq!(world.person.asked.lock().unwrap().len(), 1);

    // Stopped, a command starts it; started with the engine's own tools, it gets its secrets all the same.
    world.machines.stop(&world.name, &world.person, &world.cancel).await.unwrap();
    assert_eq!(world.status().await.state, MachineState::Stopped);
    let secret_length = format!("two{}", SECRET.len());
    assert_eq!(world.shell("cat /etc/flavour; printf %s \"$CODCHI_API_TOKEN\" | wc -c").await, secret_length);
    world.driver.stop(&world.instance(), Duration::from_secs(20)).await.unwrap();
    world.driver.start(&world.instance()).await.unwrap();
    assert!(world.status().await.problems[0].contains("no secrets yet"));
    assert_eq!(world.shell("printf %s \"$CODCHI_API_TOKEN\"").await, SECRET);
    assert_eq!(world.status().await.problems, [""; 0]);

    // A rebuild of a stopped machine counts from its next start.
    world.machines.stop(&world.name, &world.person, &world.cancel).await.unwrap();
    world.write("codchi.nix", &MODULE.replace("\"one\"", "\"three\""));
    world.rebuild().await.unwrap();
    assert_eq!(world.status().await.state, MachineState::Stopped);
    assert_eq!(world.shell("cat /etc/flavour").await, "three");

    // Its instance gone, a rebuild makes it again.
    world.driver.delete(&world.instance()).await.unwrap();
    assert_eq!(world.status().await.state, MachineState::Missing);
    world.rebuild().await.unwrap();
    assert_eq!(world.shell("cat /etc/flavour from-host").await, "threehostmore");

    world.delete().await;
    assert!(world.project().join("made/inside").is_file());
    assert!(world.machines.vault().names().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_root_belongs_to_the_machines_user_inside() {
    let world = World::new().await;
    world.own(0);
    world.write("codchi.nix", "{ }");
    world.create(".").await.unwrap();
    world.shell("test \"$(id -u)\" = 1000; echo x > inside; cat codchi.nix").await;
    let owner = fs::metadata(world.project().join("inside")).unwrap().uid();
    assert!(!engine::keeps_owners() || owner == 0, "{owner}");
    assert_eq!(world.status().await.problems, [""; 0]);
    world.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_the_engine_may_not_map_is_refused_with_what_to_do() {
    if !engine::keeps_owners() {
        return;
    }
    let world = World::new().await;
    world.own(33);
    world.write("codchi.nix", "{ }");
    let error = world.create(".").await.unwrap_err();
    assert!(error.to_string().contains("user 33"), "{error}");
    assert!(error.hint().unwrap().contains("`root:33:1` to /etc/subuid"), "{:?}", error.hint());
    world.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_module_is_said_on_the_users_file_and_leaves_nothing() {
    let flake = "{ outputs = _: { nixosModules.dev = { }; codchiModules.other = { }; }; }";
    let broken = "{ pkgs, ... }: { environment.etc.x.source = \
                  pkgs.runCommand \"broken\" { } \"echo the reason why; exit 3\"; }";
    // Whose folder lacks a file, only the store tells.
    let gone = if engine::shows_store() { "my project/gone.nix" } else { "/gone.nix" };
    let cases = [
        ("flake.nix", flake, ".#unknown", ["dev", "other"]),
        ("codchi.nix", "{ pkgs, ... }: {\n  environment = ;\n}", ".", ["my project/codchi.nix", ""]),
        ("codchi.nix", "{ codchi.unknown = 1; }", ".", ["codchi.unknown", "my project/codchi.nix"]),
        ("codchi.nix", "{ codchi.requiredCapabilities = 1; }", ".", ["not of type", "my project/codchi.nix"]),
        ("codchi.nix", "{ imports = [ ./gone.nix ]; }", ".", [gone, ""]),
        ("codchi.nix", broken, ".", ["broken", ""]),
    ];
    for (file, text, module, expected) in cases {
        let world = World::new().await;
        world.write(file, text);
        let error = world.create(module).await.unwrap_err();
        let MachineError::Nix(codchi_nix::NixError::Failed { message, position, .. }) = &error else {
            panic!("{text}: {error:?}")
        };
        let place = position.as_ref().map(|p| p.file.display().to_string()).unwrap_or_default();
        for part in expected {
            assert!(message.contains(part) || place.contains(part), "{part}: {message} at {place}");
        }
        world.nothing_is_left().await;
        assert!(!world.log().is_empty());
    }
}

/// Whether some process builds the derivation `name`, told by the environment that Nix gives to builders.
fn builds(name: &str) -> bool {
    let environments =
        fs::read_dir("/proc").unwrap().filter_map(|e| fs::read(e.ok()?.path().join("environ")).ok());
    let variable = format!("name={name}");
    environments.into_iter().any(|e| e.split(|b| *b == 0).any(|v| v == variable.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cancelled_leaves_nothing() {
    let mut world = World::new().await;
    let slow = format!("slow-{}", world.name);
    world.write(
        "codchi.nix",
        &format!(
            "{{ pkgs, ... }}: {{ environment.etc.x.source = pkgs.runCommand \"{slow}\" {{ }} \"sleep 60; echo > $out\"; }}"
        ),
    );
    world.person.cancel_at = Mutex::new(Some((slow.clone(), world.cancel.clone())));
    assert!(matches!(world.create(".").await.unwrap_err(), MachineError::Cancelled));
    let events = world.person.events.lock().unwrap().clone();
    let failed = events.iter().any(|e| matches!(e, Event::Step { state: StepState::Failed, .. }));
    assert!(failed, "the build is told to have ended");
    let end = Instant::now() + Duration::from_secs(5);
    while builds(&slow) {
        assert!(Instant::now() < end, "the builder still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_nobody_can_be_asked_for_stops_it_before_the_build() {
    let mut world = World::new().await;
    world.person.knows = false;
    world.write("codchi.nix", MODULE);
    let error = world.create(".").await.unwrap_err();
    assert!(error.to_string().contains("API_TOKEN"), "{error}");
    assert!(error.hint().unwrap().contains("codchi secret set API_TOKEN"), "{:?}", error.hint());
    let events = world.person.events.lock().unwrap().clone();
    let build = events.iter().find_map(|e| match e {
        Event::Began { steps, .. } => steps.iter().position(|s| *s == Step::Build),
        _ => None,
    });
    assert!(events.iter().all(|e| !matches!(e, Event::Step { index, .. } if Some(*index) == build)));
    world.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_of_the_same_name_changes_nothing() {
    let world = World::new().await;
    world.write("codchi.nix", "{ }");
    world.create(".").await.unwrap();
    let before = world.status().await;
    assert!(world.create(".").await.unwrap_err().to_string().contains("already is a machine"));
    assert_eq!(world.status().await, before);
    // Another user of the same engine.
    let mut other = World::new().await;
    other.write("codchi.nix", "{ }");
    let own = std::mem::replace(&mut other.user.name, world.name.clone());
    assert!(other.create(".").await.unwrap_err().to_string().contains("already taken"));
    other.user.name = own;
    other.nothing_is_left().await;
    assert_eq!(world.status().await.state, MachineState::Running);
    world.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_fails_leaves_the_machine_as_it_was() {
    let world = World::new().await;
    world.write("codchi.nix", MODULE);
    world.create(".").await.unwrap();

    world.write("codchi.nix", "{ broken");
    world.rebuild().await.unwrap_err();
    assert_eq!(world.shell("cat /etc/flavour").await, "one");

    // It builds, and only its switch fails.
    let failing = MODULE.replace("\"one\"", "\"two\"").replace(
        "environment.etc",
        "systemd.services.fails = { wantedBy = [ \"multi-user.target\" ]; serviceConfig.Type = \"oneshot\"; \
         script = \"exit 1\"; };\n  environment.etc",
    );
    world.write("codchi.nix", &failing);
    let error = world.rebuild().await.unwrap_err();
    assert!(error.to_string().contains("fails.service"), "{error}");
    assert_eq!(
        world.shell("cat /etc/flavour; printf %s \"$CODCHI_API_TOKEN\"").await,
        format!("one{SECRET}")
    );
    let status = world.status().await;
    assert_eq!((status.state, status.generation), (MachineState::Running, 1));
    // Also after a restart.
    world.machines.stop(&world.name, &world.person, &world.cancel).await.unwrap();
    assert_eq!(world.shell("cat /etc/flavour").await, "one");
    assert_eq!(world.driver.instance(&world.instance()).await.unwrap().unwrap().state, RunState::Running);

    world.write("codchi.nix", &MODULE.replace("\"one\"", "\"two\""));
    world.rebuild().await.unwrap();
    assert_eq!(world.shell("cat /etc/flavour").await, "two");
    assert_eq!(world.status().await.generation, 2);
    world.delete().await;
}
