//! What a machine is made of, changed for real: modules from git repositories and folders, the revisions of each, and
//! which nixpkgs. Whatever fails leaves the machine as it was.
//!
//! Needs what `cargo xtask lab up` sets up, as `main_job` does. Each test has machines, repositories and state of its own.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_machine::{
    Answer, CreateRequest, Event, Front, InputChange, MachineError, MachineName, MachineState, ModuleSource,
    NixpkgsChoice, Options, Question, Update,
};
use codchi_tests::store;
use codchi_tests::user::User;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A front that picks what is named `picks`, where there is such, and remembers what it was asked.
#[derive(Default)]
struct Person {
    picks: Mutex<Option<&'static str>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Front for Person {
    fn event(&self, _event: Event) {}

    async fn ask(&self, question: Question) -> Answer {
        let Question::Choice { prompt, choices } = question else { return Answer::CannotAsk };
        let labels: Vec<_> = choices.iter().map(|choice| choice.label.as_str()).collect();
        self.asked.lock().unwrap().push(format!("{prompt} {}", labels.join(" ")));
        let picks = *self.picks.lock().unwrap();
        picks
            .and_then(|picks| labels.iter().position(|l| *l == picks))
            .map_or(Answer::CannotAsk, Answer::Chosen)
    }
}

/// A user with repositories, and what they answer.
struct World {
    user: User,
    person: Person,
}

impl World {
    /// With these personal modules, which are names of repositories.
    async fn new(personal: &[&str]) -> Self {
        Self::with_nixpkgs(personal, |_| None).await
    }

    async fn with_nixpkgs(personal: &[&str], nixpkgs: impl FnOnce(&Path) -> Option<String>) -> Self {
        let options = |root: &Path| Options {
            nixpkgs: nixpkgs(root),
            personal_modules: personal.iter().map(|repository| url(root, repository)).collect(),
            ssh_config: Some(false),
            ..Options::default()
        };
        Self { user: User::new("m", "project", options).await, person: Person::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file of a repository, which is made where there is none, and commits it; gives the commit.
    fn commit(&self, repository: &str, file: &str, text: &str) -> String {
        let folder = self.path(repository);
        if !folder.exists() {
            fs::create_dir_all(&folder).unwrap();
            git(&folder, &["init", "-q", "-b", "main"]);
        }
        fs::write(folder.join(file), text).unwrap();
        git(&folder, &["add", "."]);
        git(&folder, &["commit", "-q", "-m", "x"]);
        git(&folder, &["rev-parse", "HEAD"])
    }

    /// The source of a repository, or of what `rest` says of it.
    fn source(&self, repository: &str, rest: &str) -> ModuleSource {
        parse(&format!("{}{rest}", url(self.folder(), repository)))
    }

    fn request(&self, modules: Vec<ModuleSource>, nixpkgs: Option<&str>) -> CreateRequest {
        CreateRequest {
            name: self.name.clone(),
            modules,
            project: Some(self.path("project")),
            nixpkgs: nixpkgs.map(|nixpkgs| nixpkgs.parse().unwrap()),
            checkout: None,
            allowed: Vec::new(),
        }
    }

    async fn create(&self, modules: Vec<ModuleSource>, nixpkgs: Option<&str>) -> Result<(), MachineError> {
        self.machines.create(self.request(modules, nixpkgs), &self.person, &self.cancel).await
    }

    async fn add(&self, source: ModuleSource) -> Result<usize, MachineError> {
        self.machines.add_modules(&self.name, vec![source], false, &self.person, &self.cancel).await
    }

    async fn set(&self, module: &str, source: ModuleSource) -> Result<(), MachineError> {
        self.machines.set_module(&self.name, module, source, &self.person, &self.cancel).await
    }

    async fn remove(&self, module: &str) -> Result<(), MachineError> {
        self.machines.remove_module(&self.name, module, &self.person, &self.cancel).await
    }

    async fn update(&self, what: Update, rebuild: bool) -> Result<Vec<InputChange>, MachineError> {
        self.machines.update(&self.name, &what, rebuild, &self.person, &self.cancel).await
    }

    async fn set_nixpkgs(&self, choice: &str) -> Result<(), MachineError> {
        let choice: NixpkgsChoice = choice.parse().unwrap();
        self.machines.set_nixpkgs(&self.name, &choice, &self.person, &self.cancel).await
    }

    async fn rebuild(&self) {
        self.machines.rebuild(&self.name, &self.person, &self.cancel).await.unwrap();
    }

    /// What is locked of the modules, by their sources without the folder that they are all in.
    fn locked(&self) -> BTreeMap<String, String> {
        let modules = self.machines.modules(&self.name).unwrap();
        let short = |source: &str| source.rsplit('/').next().unwrap().to_owned();
        let commit = |module: &codchi_machine::ModuleStatus| {
            module.revision.as_ref().and_then(|revision| revision.commit.clone()).unwrap_or_default()
        };
        modules.iter().map(|module| (short(&module.source), commit(module))).collect()
    }

    fn nixpkgs_hash(&self) -> String {
        self.machines.nixpkgs(&self.name).unwrap().1.unwrap().hash.unwrap()
    }

    /// Definition, lock and generation: all that a change that fails must leave alone.
    async fn made_of(&self) -> (String, String, u32) {
        let folder = self.machines.paths().machine(&self.name);
        let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        let status = self.machines.status().await.unwrap().remove(0);
        assert_eq!((status.state, status.operation), (MachineState::Running, None));
        (read("machine.toml"), read("flake/flake.lock"), status.generation)
    }

    /// What the modules have written below /etc/made, sorted.
    async fn made(&self) -> String {
        self.shell("cat /etc/made-* | sort | tr '\\n' ' '").await.trim().to_owned()
    }

    async fn delete(&self) {
        self.machines.delete(&self.name, true, &self.person, &self.cancel).await.unwrap();
        assert!(self.machines.status().await.unwrap().is_empty());
    }
}

impl std::ops::Deref for World {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

fn url(root: &Path, repository: &str) -> String {
    format!("git+file://{}", root.join(repository).display())
}

fn parse(text: &str) -> ModuleSource {
    ModuleSource::parse(text, Path::new("/")).unwrap()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").args(identity).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A module that writes `text` where the tests look.
fn module(name: &str, text: &str) -> String {
    format!("{{ environment.etc.\"made-{name}\".text = \"{text}\\n\"; }}")
}

fn flake(modules: &[(&str, &str)]) -> String {
    let modules: Vec<_> =
        modules.iter().map(|(name, text)| format!("nixosModules.{name} = {};", module(name, text))).collect();
    format!("{{ outputs = _: {{ {} }}; }}", modules.join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_are_added_switched_removed_and_updated_each_alone() {
    let world = World::new(&["me"]).await;
    fs::write(world.path("project/codchi.nix"), module("project", "project")).unwrap();
    let team = world.commit("team", "flake.nix", &flake(&[("tools", "tools-1"), ("extra", "extra-1")]));
    let me = world.commit("me", "codchi.nix", &module("me", "me-1"));

    // Two modules and a personal one.
    let project = parse(&world.path("project").display().to_string());
    world.create(vec![project, world.source("team", "#tools")], None).await.unwrap();
    assert_eq!(world.made().await, "me-1 project tools-1");
    let status = world.machines.status().await.unwrap().remove(0);
    assert_eq!(status.personal_modules, [world.source("me", "").to_string()]);
    assert_eq!(status.modules.len(), 3);
    assert_eq!(status.nixpkgs, "pin");

    // A rebuild takes what is locked.
    let team_2 = world.commit("team", "flake.nix", &flake(&[("tools", "tools-2"), ("extra", "extra-2")]));
    world.commit("me", "codchi.nix", &module("me", "me-2"));
    world.rebuild().await;
    assert_eq!(world.made().await, "me-1 project tools-1");

    // Of what is updated, the rest stays; a second output of a flake shares what is locked of it.
    let changes = world.update(Update::Module("2".into()), false).await.unwrap();
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.name, world.source("team", "#tools").to_string());
    let commits = [&change.from, &change.to].map(|r| r.as_ref().unwrap().commit.as_deref().unwrap());
    assert_eq!(commits, [team.as_str(), team_2.as_str()]);
    assert!(change.to.as_ref().unwrap().day().is_some());
    assert_eq!(world.made().await, "me-1 project tools-1", "nothing is rebuilt yet");
    assert_eq!(world.add(world.source("team", "#extra")).await.unwrap(), 1);
    assert_eq!(world.made().await, "extra-2 me-1 project tools-2");
    let locked = [("me", me.as_str()), ("project", ""), ("team#extra", &team_2), ("team#tools", &team_2)];
    assert_eq!(world.locked(), locked.map(|(source, commit)| (source.into(), commit.into())).into());
    assert_eq!(world.add(world.source("team", "#extra")).await.unwrap(), 0, "it is there already");

    // The first module gone, all others keep what is locked.
    world.remove("1").await.unwrap();
    assert_eq!(world.made().await, "extra-2 me-1 tools-2");
    let locked = [("me", me.as_str()), ("team#extra", &team_2), ("team#tools", &team_2)];
    assert_eq!(world.locked(), locked.map(|(source, commit)| (source.into(), commit.into())).into());

    // To a local clone, whose files count as they are, and back.
    git(world.folder(), &["clone", "-q", "team", "clone"]);
    fs::write(world.path("clone/flake.nix"), flake(&[("extra", "mine")])).unwrap();
    let clone = world.path("clone").display().to_string();
    world.set(&world.source("team", "#extra").to_string(), parse(&clone)).await.unwrap();
    assert_eq!(world.made().await, "me-1 mine tools-2");
    assert_eq!(world.locked()["me"], me);
    assert_eq!(world.locked()["team#tools"], team_2);
    world.set(&format!("{clone}#extra"), world.source("team", "")).await.unwrap();
    assert_eq!(world.made().await, "extra-2 me-1 tools-2");

    // All at once, and rebuilt.
    let changes = world.update(Update::All, true).await.unwrap();
    let changed: Vec<_> = changes.iter().filter(|change| change.is_new()).map(|c| c.name.clone()).collect();
    assert_eq!(changed, [world.source("me", "").to_string()]);
    assert_eq!(world.made().await, "extra-2 me-2 tools-2");
    world.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_outputs_the_person_picks_one_and_only_where_there_is_no_default() {
    let world = World::new(&[]).await;
    world.commit("many", "flake.nix", &flake(&[("a", "a"), ("b", "b")]));
    world.commit("default", "flake.nix", &flake(&[("default", "default"), ("other", "other")]));
    let folder = world.path("project");
    fs::write(folder.join("flake.nix"), flake(&[("dev", "dev"), ("ops", "ops")])).unwrap();
    let project = parse(&folder.display().to_string());

    let error = world.create(vec![world.source("many", "")], None).await.unwrap_err();
    assert!(error.to_string().contains("several modules: a, b"), "{error}");
    assert!(error.hint().unwrap().contains("many#a"), "{:?}", error.hint());
    assert!(world.machines.status().await.unwrap().is_empty());

    *world.person.picks.lock().unwrap() = Some("dev");
    world.person.asked.lock().unwrap().clear();
    world.create(vec![project, world.source("default", "")], None).await.unwrap();
    assert_eq!(world.made().await, "default dev");
    assert_eq!(
        *world.person.asked.lock().unwrap(),
        [format!("Which module of {}? dev ops", folder.display())]
    );
    *world.person.picks.lock().unwrap() = Some("b");
    world.add(world.source("many", "")).await.unwrap();
    assert_eq!(world.made().await, "b default dev");
    assert_eq!(world.person.asked.lock().unwrap().len(), 2);
    world.rebuild().await;
    assert_eq!(world.person.asked.lock().unwrap().len(), 2, "what was picked is not asked for again");
    assert_eq!(world.locked().into_keys().collect::<Vec<_>>(), ["default", "many#b", "project#dev"]);
    world.delete().await;
}

/// A nixpkgs that can be changed: a copy of the tests' own.
fn copied_nixpkgs(root: &Path) -> Option<String> {
    let copy = root.join("nixpkgs");
    store::copy_nixpkgs(&copy);
    Some(format!("path:{}", copy.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_share_a_nixpkgs_until_it_is_updated_or_follow_that_of_a_module() {
    let world = World::with_nixpkgs(&[], copied_nixpkgs).await;
    let nixpkgs = world.path("nixpkgs");
    fs::write(world.path("project/codchi.nix"), module("project", "project")).unwrap();
    let project = || parse(&world.path("project").display().to_string());
    // A flake with a nixpkgs of its own, which it has locked, and one without.
    let theirs = std::env::var("CODCHI_TEST_FLAKE_NIXPKGS").unwrap();
    let text = flake(&[("default", "with")]);
    let with = text.replacen('{', &format!("{{ inputs.nixpkgs.url = \"path:{theirs}\";"), 1);
    world.commit("with", "flake.nix", &with);
    world.commit("without", "flake.nix", &flake(&[("default", "without")]));

    world.create(vec![project(), world.source("with", ""), world.source("without", "")], None).await.unwrap();
    let first = world.nixpkgs_hash();

    // What changes does not get into a machine, nor into the next one, until it is asked for.
    fs::write(nixpkgs.join("changed"), "").unwrap();
    world.rebuild().await;
    assert_eq!(world.nixpkgs_hash(), first);
    let second = MachineName::suggest(&format!("{}-b", world.name));
    let request = CreateRequest { name: second.clone(), ..world.request(vec![project()], None) };
    world.machines.create(request, &world.person, &world.cancel).await.unwrap();
    assert_eq!(world.machines.nixpkgs(&second).unwrap().1.unwrap().hash.unwrap(), first);
    world.machines.delete(&second, true, &world.person, &world.cancel).await.unwrap();
    let moved = world.machines.move_pin(&world.cancel).await.unwrap();
    let moved = [moved.from, moved.to].map(|revision| revision.unwrap().hash.unwrap());
    assert!(moved[0] == first && moved[1] != first, "{moved:?}");
    world.rebuild().await;
    assert_eq!(world.nixpkgs_hash(), first, "moving it changes no machine");
    // Also where the lock says that it lies elsewhere, as that of another computer.
    let lock = world.machines.paths().machine(&world.name).join("flake/flake.lock");
    let (here, text) =
        (world.machines.paths().data.display().to_string(), fs::read_to_string(&lock).unwrap());
    assert!(text.contains(&here));
    fs::write(&lock, text.replace(&here, "/elsewhere")).unwrap();
    world.rebuild().await;
    assert_eq!(world.nixpkgs_hash(), first, "it is kept");
    assert!(!fs::read_to_string(&lock).unwrap().contains("/elsewhere"));
    let changes = world.update(Update::Nixpkgs, true).await.unwrap();
    assert_eq!(changes[0].name, "nixpkgs");
    assert_eq!(world.nixpkgs_hash(), moved[1]);

    // Following a module, one that has none, and back.
    let before = world.made_of().await;
    let error = world.set_nixpkgs("follow:3").await.unwrap_err();
    assert!(error.to_string().contains("has no input `nixpkgs`"), "{error}");
    assert_eq!(world.made_of().await, before);
    world.set_nixpkgs("follow:2").await.unwrap();
    assert_eq!(world.nixpkgs_hash(), first, "it is as the copy was");
    let error = world.update(Update::Nixpkgs, false).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--module"), "{error}");
    let error = world.remove("2").await.unwrap_err();
    assert!(error.to_string().contains("nixpkgs"), "{error}");
    world.set_nixpkgs("pin").await.unwrap();
    assert_eq!(world.nixpkgs_hash(), moved[1]);
    assert_eq!(world.made().await, "project with without");
    world.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_added_is_said_and_leaves_all_as_it_was() {
    let world = World::new(&[]).await;
    fs::write(world.path("project/codchi.nix"), module("project", "project")).unwrap();
    world.create(vec![parse(&world.path("project").display().to_string())], None).await.unwrap();
    let before = world.made_of().await;

    world.commit("broken", "codchi.nix", "{ broken");
    world.commit(
        "fails",
        "codchi.nix",
        "{ pkgs, ... }: { environment.etc.x.source = pkgs.runCommand \"fails\" { } \"exit 3\"; }",
    );
    world.commit("empty", "README.md", "");
    let uses = |other: &str| {
        let input = url(world.folder(), other);
        flake(&[("default", "x")]).replacen('{', &format!("{{ inputs.other.url = \"{input}\";"), 1)
    };
    world.commit("one", "flake.nix", &uses("two"));
    world.commit("two", "flake.nix", &uses("one"));
    world.commit("conflict", "flake.nix", &uses("empty"));
    world.commit("conflict", "flake.lock", "<<<<<<< HEAD\n{ \"nodes\": {} }\n=======\n{}\n>>>>>>> other\n");

    // Where it comes from, what the message or its place names, and what there is to do.
    let cases = [
        (parse("https://localhost:1/a"), "localhost", "network"),
        (world.source("gone", ""), "gone", "git ls-remote"),
        (world.source("fails", "?ref=vanished"), "vanished", "?ref="),
        (world.source("one", ""), "circular", "inputs of each other"),
        (world.source("conflict", ""), "flake.lock", "<<<<<<<"),
        (world.source("broken", ""), "codchi.nix", ""),
        (world.source("fails", ""), "fails", ""),
        (world.source("empty", ""), "no file", ""),
    ];
    for (source, expected, hint) in cases {
        let error = world.add(source.clone()).await.unwrap_err();
        let told = format!("{error:?}");
        assert!(told.contains(expected), "{source}: {told}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{source}: {:?}", error.hint());
        assert_eq!(world.made_of().await, before, "{source}");
    }
    for error in
        [world.remove("2").await.unwrap_err(), world.set("x", world.source("fails", "")).await.unwrap_err()]
    {
        assert!(error.to_string().contains("has no module"), "{error}");
        assert!(error.hint().unwrap().contains("1: "), "{:?}", error.hint());
    }
    assert_eq!(world.made_of().await, before);
    assert_eq!(world.made().await, "project");
    world.delete().await;
}

#[tokio::test]
async fn a_repository_is_cloned_into_the_machine_that_is_made_of_its_module() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let world = World::new(&[]).await;
    world.commit("tool", "codchi.nix", &module("tool", "tool"));
    let script = world.path("tool/run me");
    fs::write(&script, "#!/bin/sh\necho ran\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run me", world.path("tool/link")).unwrap();
    let commit = world.commit("tool", "text", "ä\n");
    let source = world.source("tool", "?ref=main");
    let checkout = codchi_machine::Repository::of(&source);
    let request = CreateRequest { project: None, checkout, ..world.request(vec![source], None) };

    // One that git cannot clone leaves nothing.
    let wrong =
        codchi_machine::Repository { branch: Some("vanished".into()), ..request.checkout.clone().unwrap() };
    let wrong = CreateRequest { checkout: Some(wrong), ..request.clone() };
    let error = world.machines.create(wrong, &world.person, &world.cancel).await.unwrap_err();
    assert!(error.to_string().contains("vanished"), "{error}");
    world.nothing_is_left().await;

    world.machines.create(request, &world.person, &world.cancel).await.unwrap();
    assert_eq!(world.made().await, "tool");
    let told = world
        .shell("pwd; ./link; cat text .git/refs/heads/main; stat -c %U text; grep url .git/config")
        .await;
    let origin = format!("url = file://{}", world.path("tool").display());
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert_eq!(lines, ["/home/codchi/tool", "ran", "ä", &commit, "codchi", &origin]);
    let attach = world.machines.attach(&world.name, &world.person, &world.cancel).await.unwrap();
    assert_eq!(attach.folder, "/home/codchi/tool");
    world.delete().await;
}
