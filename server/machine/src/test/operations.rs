//! Operations against a driver in memory: what is left after each way in which one can end.

use super::fake::Fake;
use super::{Ears, paths};
use crate::state::{Definition, Generation, Generations, Journal, Lock, MachineFolder, NixpkgsFrom, Runtime};
use crate::{
    CancellationToken, CreateRequest, Discard, DriftKind, Event, ExecRequest, MachineError, MachineName,
    MachineState, Machines, ModuleSource, Operation, Options, Scope, Secret, SecretSpec, SourceKind, Step,
    StepState,
};
use codchi_driver::{DriverKind, RunState, Stdio};
use std::path::PathBuf;
use std::sync::Arc;

mod secrets;

/// Machines in a folder of their own, run by a fake.
struct World {
    folder: tempfile::TempDir,
    driver: Arc<Fake>,
    machines: Machines,
    ears: Ears,
    cancel: CancellationToken,
}

const A: &str = "codchi-a";

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("home")).unwrap();
        let driver = Arc::new(Fake::default());
        let options = Options { ssh_config: Some(false), ..Options::default() };
        let machines = Machines::new(paths(folder.path()), driver.clone(), options);
        Self { folder, driver, machines, ears: Ears::default(), cancel: CancellationToken::new() }
    }

    fn name() -> MachineName {
        "a".parse().unwrap()
    }

    fn state(&self) -> MachineFolder {
        MachineFolder::new(self.machines.paths(), &Self::name())
    }

    fn definition() -> Definition {
        Definition {
            nixpkgs: NixpkgsFrom::Url("x".into()),
            ..Definition::new("id-of-a".into(), DriverKind::Lxd)
        }
    }

    fn generation(number: u32) -> Generation {
        Generation {
            number,
            toplevel: PathBuf::from(format!("/nix/store/{number}")),
            uid: 1000,
            gid: 1000,
            ..Generation::default()
        }
    }

    /// The machine `a` with two generations, the second one current, and its instance.
    fn with_machine(state: RunState) -> Self {
        let world = Self::new();
        let folder = world.state();
        std::fs::create_dir_all(world.machines.paths().data.join("machines")).unwrap();
        folder.found(&Self::definition(), &Journal::new(Operation::Create)).unwrap();
        let mut generations = Generations::default();
        generations.activate(Self::generation(1));
        generations.activate(Self::generation(2));
        folder.write_generations(&generations).unwrap();
        let profile = folder.profile();
        std::fs::create_dir_all(profile.parent().unwrap()).unwrap();
        for number in [1, 2] {
            let link = profile.with_file_name(format!("system-{number}-link"));
            std::os::unix::fs::symlink(format!("/nix/store/{number}"), link).unwrap();
        }
        std::os::unix::fs::symlink("system-2-link", profile).unwrap();
        folder.close_journal().unwrap();
        world.driver.insert(A, &[("user.codchi.id", "id-of-a")], state);
        world
    }

    fn interrupted(&self, operation: Operation, begun: &[Step]) {
        let journal = Journal { begun: begun.to_vec(), ..Journal::new(operation) };
        self.state().write_journal(&journal).unwrap();
    }

    async fn start(&self) -> Result<(), MachineError> {
        self.machines.start(&Self::name(), &self.ears, &self.cancel).await
    }

    async fn rollback(&self, generation: Option<u32>) -> Result<(), MachineError> {
        self.machines.rollback(&Self::name(), generation, &self.ears, &self.cancel).await
    }

    async fn stop(&self) -> Result<(), MachineError> {
        self.machines.stop(&Self::name(), &self.ears, &self.cancel).await
    }

    async fn delete(&self) -> Result<(), MachineError> {
        self.machines.delete(&Self::name(), false, &self.ears, &self.cancel).await
    }

    async fn create(&self) -> Result<(), MachineError> {
        let module = self.folder.path().join("module");
        std::fs::create_dir_all(&module).unwrap();
        let request = CreateRequest {
            name: Self::name(),
            modules: vec![ModuleSource { kind: SourceKind::Folder(module), output: None }],
            project: None,
            nixpkgs: None,
            checkout: None,
            allowed: Vec::new(),
        };
        self.machines.create(request, &self.ears, &self.cancel).await
    }

    /// Makes the current generation declare these secrets.
    fn declare(&self, secrets: &[&str]) {
        let spec = SecretSpec { required: false, file: false, ..crate::test::secret_spec() };
        let mut generation = Self::generation(2);
        generation.manifest.secrets = secrets.iter().map(|name| ((*name).to_owned(), spec.clone())).collect();
        let mut generations = self.state().generations().unwrap();
        generations.activate(generation);
        self.state().write_generations(&generations).unwrap();
    }

    async fn only_status(&self) -> (MachineState, Vec<String>) {
        let status = self.machines.status().await.unwrap().remove(0);
        (status.state, status.problems)
    }
}

fn request() -> ExecRequest {
    ExecRequest {
        command: vec!["true".into()],
        cwd: None,
        root: false,
        environment: Default::default(),
        stdio: Stdio::Piped,
    }
}

#[tokio::test]
async fn a_generation_goes_only_where_it_is_known_that_the_machine_does_not_use_it() {
    let world = World::with_machine(RunState::Running);
    let discard = async || world.machines.discard(&World::name(), &Discard::AllBut(1)).await;
    // The fake says nothing about what it was started with.
    let error = discard().await.unwrap_err();
    assert!(error.to_string().contains("does not say with which generation"), "{error}");
    assert_eq!(world.state().generations().unwrap().all().len(), 2);

    world.stop().await.unwrap();
    world.interrupted(Operation::Rebuild, &[Step::Build]);
    assert!(discard().await.unwrap_err().to_string().contains("was interrupted"));
    world.state().close_journal().unwrap();

    assert_eq!(discard().await.unwrap(), [1]);
    let links = world.state().profile();
    assert!(!links.with_file_name("system-1-link").is_symlink());
    assert!(links.with_file_name("system-2-link").is_symlink());
    assert_eq!(world.state().generations().unwrap().current(), Some(&World::generation(2)));
    assert_eq!(discard().await.unwrap(), [0_u32; 0]);
}

#[tokio::test]
async fn what_nothing_needs_is_told_before_it_is_freed_and_what_is_in_use_stays() {
    let world = World::with_machine(RunState::Stopped);
    let trash = world.machines.paths().data.join("machines/.removed-b");
    std::fs::create_dir_all(&trash).unwrap();
    world.driver.leave_image("codchi-skeleton-old", 500);
    let garbage = async || {
        let (which, none) = (Discard::AllBut(1), Vec::new());
        world.machines.garbage(&which, false, none, &world.cancel).await.unwrap()
    };
    let found = garbage().await;
    assert_eq!(
        (found.generations[0].machine.clone(), found.generations[0].numbers.as_slice()),
        (World::name(), [1].as_slice())
    );
    assert_eq!(found.leftovers.iter().map(|left| &left.path).collect::<Vec<_>>(), [&trash]);
    assert_eq!((found.images.len(), found.store), (1, None));
    // Nothing happened yet.
    assert_eq!(world.state().generations().unwrap().all().len(), 2);
    assert!(trash.exists());

    // An operation is under way: its machine's generations stay, and the images, one of which it may be about to need.
    let lock = Lock::take(world.machines.paths(), &World::name(), Operation::Rebuild).await.unwrap();
    let busy = garbage().await;
    assert!(busy.generations.is_empty() && busy.images.is_empty() && busy.stays.len() == 2, "{busy:?}");
    // So it is where it begins between the look and the freeing.
    let freed = world.machines.free(found.clone(), &world.ears, &world.cancel).await.unwrap();
    assert!(freed.generations.is_empty() && freed.failed.len() == 2, "{freed:?}");
    assert_eq!(world.state().generations().unwrap().all().len(), 2);
    assert!(!trash.exists(), "what others are at hinders nothing else");
    assert!(!world.driver.calls().iter().any(|call| call.starts_with("delete-image")));
    drop(lock);

    // An engine that does not answer, or an interrupted operation, hinders nothing else either.
    world.driver.fail("images");
    world.interrupted(Operation::Rebuild, &[Step::Build]);
    let told = garbage().await;
    assert!(told.is_empty() && told.stays.len() == 2, "{told:?}");
    assert!(told.stays[0].contains("rebuild of `a` was interrupted"), "{told:?}");
    world.driver.heal();
    world.state().close_journal().unwrap();

    let freed = world.machines.free(garbage().await, &world.ears, &world.cancel).await.unwrap();
    assert_eq!(
        (freed.failed.len(), freed.bytes, freed.generations[0].numbers.as_slice()),
        (0, 500, &[1][..])
    );
    assert!(!world.state().generation_link(1).is_symlink() && world.state().generation_link(2).is_symlink());
    assert!(garbage().await.is_empty());
    // What became current since it was told stays.
    let freed = world.machines.free(found, &world.ears, &world.cancel).await.unwrap();
    assert!(freed.generations.is_empty() && freed.failed[0].contains("no generation 1"), "{freed:?}");
}

#[tokio::test]
async fn a_rollback_switches_to_the_generation_before_and_a_second_one_has_nowhere_to_go() {
    let world = World::with_machine(RunState::Running);
    world.rollback(None).await.unwrap();
    assert_eq!(world.state().generations().unwrap().current(), Some(&World::generation(1)));
    assert_eq!(world.driver.get(A).unwrap().init, "/nix/store/1/init");
    assert!(world.driver.calls().iter().any(|call| call.contains("switch-to-configuration")));
    let error = world.rollback(None).await.unwrap_err();
    assert_eq!(error.to_string(), "`a` has no earlier generation");
    let error = world.rollback(Some(7)).await.unwrap_err();
    assert_eq!(error.to_string(), "`a` has no generation 7");
    assert_eq!(world.state().journal().unwrap(), None);
    // And forward again.
    world.rollback(Some(2)).await.unwrap();
    assert_eq!(world.state().generations().unwrap().current(), Some(&World::generation(2)));
}

#[tokio::test]
async fn a_machine_that_does_not_run_boots_the_other_generation_at_its_next_start() {
    let world = World::with_machine(RunState::Stopped);
    world.rollback(Some(1)).await.unwrap();
    assert_eq!(world.driver.get(A).unwrap().init, "/nix/store/1/init");
    assert_eq!(world.driver.get(A).unwrap().state, RunState::Stopped);
}

#[tokio::test]
async fn a_rollback_that_fails_leaves_the_machine_at_its_generation() {
    let world = World::with_machine(RunState::Running);
    world.driver.fail("exec codchi-a switch-to-configuration");
    world.rollback(Some(1)).await.unwrap_err();
    assert_eq!(world.state().generations().unwrap().current(), Some(&World::generation(2)));
    assert_eq!(world.driver.get(A).unwrap().init, "/nix/store/2/init");
    // Switching back was told to fail, too: the next operation does it.
    assert!(world.state().journal().unwrap().is_some());
    world.driver.heal();
    world.start().await.unwrap();
    assert_eq!(world.state().journal().unwrap(), None);
}

#[tokio::test]
async fn an_instance_whose_machine_lost_its_files_is_told_and_can_be_deleted() {
    let world = World::new();
    let data = world.machines.paths().data.display().to_string();
    let labels =
        |data| [("user.codchi.machine", "a"), ("user.codchi.id", "id-of-a"), ("user.codchi.data", data)];
    // Those of others are none of ours.
    world.driver.insert(A, &labels("/somewhere/else"), RunState::Running);
    assert_eq!(world.machines.status().await.unwrap(), []);
    assert!(world.delete().await.unwrap_err().to_string().contains("There is no machine"));
    world.driver.insert(A, &labels(&data), RunState::Running);
    let (state, problems) = world.only_status().await;
    assert_eq!(state, MachineState::Orphaned);
    assert!(problems[0].contains("`codchi delete a`"), "{problems:?}");
    world.delete().await.unwrap();
    assert!(world.driver.get(A).is_none());
    assert_eq!(world.machines.status().await.unwrap(), []);
    assert!(!world.state().exists());
}

#[tokio::test]
async fn an_engine_that_restarts_while_it_is_asked_costs_no_instance() {
    let world = World::with_machine(RunState::Running);
    world.driver.lose_next_look();
    world.rollback(None).await.unwrap_err();
    assert!(world.driver.get(A).is_some(), "the machine's instance was deleted");
    assert_eq!(world.state().generations().unwrap().current(), Some(&World::generation(2)));
}

#[tokio::test]
async fn damaged_generations_do_not_make_an_interrupted_change_count_as_happened() {
    let world = World::with_machine(RunState::Running);
    let before = Definition { nixpkgs: NixpkgsFrom::Url("old".into()), ..World::definition() };
    let journal = Journal { definition: Some(before), current: Some(2), ..Journal::new(Operation::Rebuild) };
    world.state().write_journal(&journal).unwrap();
    std::fs::write(world.state().root().join("generations.json"), "").unwrap();
    world.start().await.unwrap_err();
    assert_eq!(world.state().journal().unwrap(), Some(journal));
}

#[tokio::test]
async fn a_change_that_was_interrupted_after_it_had_happened_is_not_undone() {
    let world = World::with_machine(RunState::Running);
    let journal = Journal {
        definition: Some(Definition { nixpkgs: NixpkgsFrom::Url("old".into()), ..World::definition() }),
        current: Some(1),
        begun: vec![Step::Lock, Step::Build, Step::Configure, Step::Switch],
        ..Journal::new(Operation::Rebuild)
    };
    world.state().write_journal(&journal).unwrap();
    world.start().await.unwrap();
    assert_eq!(world.state().definition().unwrap(), Some(World::definition()));
    assert_eq!(world.state().generations().unwrap().current(), Some(&World::generation(2)));
    assert_eq!(world.state().journal().unwrap(), None);
}

#[tokio::test]
async fn what_a_machine_is_made_of_is_put_back_where_a_change_was_interrupted() {
    let world = World::with_machine(RunState::Running);
    let folder = world.state();
    std::fs::create_dir_all(folder.flake()).unwrap();
    folder.write_flake_lock("new").unwrap();
    folder.write_definition(&Definition { nixpkgs: NixpkgsFrom::Pin, ..World::definition() }).unwrap();
    let journal = Journal {
        definition: Some(World::definition()),
        lock: Some("old".into()),
        ..Journal::new(Operation::Rebuild)
    };
    folder.write_journal(&journal).unwrap();
    world.start().await.unwrap();
    assert_eq!(folder.definition().unwrap(), Some(World::definition()));
    assert_eq!(folder.flake_lock().unwrap().as_deref(), Some("old"));
}

#[tokio::test]
async fn starting_configures_starts_and_delivers_in_this_order() {
    let world = World::with_machine(RunState::Stopped);
    world.start().await.unwrap();
    assert_eq!(
        world.driver.calls(),
        ["reconfigure codchi-a", "start codchi-a", "exec codchi-a codchi-receive", "exec codchi-a systemctl"]
    );
    assert_eq!(world.driver.get(A).unwrap().init, "/nix/store/2/init");
    assert_eq!(world.state().journal().unwrap(), None);
    assert_eq!(world.only_status().await, (MachineState::Running, vec![]));
}

#[tokio::test]
async fn a_start_whose_delivery_fails_leaves_the_machine_stopped() {
    let world = World::with_machine(RunState::Stopped);
    world.driver.fail("exec codchi-a codchi-receive");
    let error = world.start().await.unwrap_err();
    assert!(matches!(error, MachineError::Inside { .. }), "{error}");
    assert_eq!(world.driver.get(A).unwrap().state, RunState::Stopped);
    assert_eq!(world.state().journal().unwrap(), None);
    let states: Vec<StepState> = world
        .ears
        .events()
        .iter()
        .filter_map(|e| if let Event::Step { index: 1, state } = e { Some(*state) } else { None })
        .collect();
    assert_eq!(states, [StepState::Running, StepState::Done, StepState::Undone]);
}

#[tokio::test]
async fn a_step_that_finds_nothing_to_do_never_appears_as_if_it_ran() {
    let shown = |world: &World| -> Vec<(usize, StepState)> {
        let events = world.ears.events();
        let step = |event: &Event| match event {
            Event::Step { index, state } => Some((*index, *state)),
            _ => None,
        };
        events.iter().filter_map(step).collect()
    };
    use StepState::{Done, Running, Skipped};
    let world = World::with_machine(RunState::Running);
    world.start().await.unwrap();
    assert_eq!(shown(&world), [(0, Running), (0, Done), (1, Skipped), (2, Running), (2, Done)]);
    let log = std::fs::read_to_string(world.machines.log(&World::name()).unwrap()).unwrap();
    assert!(log.contains("Starting: nothing to do\n") && log.contains("] Delivering secrets\n"), "{log}");

    let world = World::with_machine(RunState::Stopped);
    world.rollback(None).await.unwrap();
    let skipped = [0, 1, 2].map(|index| (index, Skipped));
    let after = [4, 5, 6].map(|index| (index, Skipped));
    assert_eq!(shown(&world), [&skipped[..], &[(3, Running), (3, Done)], &after].concat());

    // What fails while it looks has been at work.
    let world = World::with_machine(RunState::Running);
    world.driver.lose_next_look();
    world.stop().await.unwrap_err();
    assert_eq!(shown(&world), [(0, Running), (0, StepState::Failed)]);
}

#[tokio::test]
async fn an_instance_that_cannot_be_configured_is_not_started() {
    let world = World::with_machine(RunState::Stopped);
    world.driver.fail("reconfigure");
    world.start().await.unwrap_err();
    assert_eq!(world.driver.calls(), ["reconfigure codchi-a"]);
}

#[tokio::test]
async fn a_second_operation_finds_the_machine_busy_and_changes_nothing() {
    let world = World::with_machine(RunState::Running);
    let lock = Lock::take(world.machines.paths(), &World::name(), Operation::Rebuild).await.unwrap();
    for result in [world.start().await, world.stop().await, world.delete().await, world.create().await] {
        assert!(
            matches!(result.unwrap_err(), MachineError::Busy { operation, .. } if operation == "rebuild")
        );
    }
    assert_eq!(world.driver.calls(), [""; 0]);
    drop(lock);
    world.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_name_is_refused_before_anything_is_made() {
    let world = World::new();
    world.driver.insert(A, &[("user.codchi.id", "somebody else's")], RunState::Running);
    let error = world.create().await.unwrap_err();
    assert!(error.to_string().contains("already taken"), "{error}");
    assert!(!world.state().exists());
    assert_eq!(world.driver.calls(), [""; 0]);

    let world = World::with_machine(RunState::Running);
    let error = world.create().await.unwrap_err();
    assert!(error.to_string().contains("already is a machine"), "{error}");
    assert_eq!(world.driver.calls(), [""; 0]);
}

#[tokio::test]
async fn an_interrupted_creation_is_undone_by_whatever_comes_next() {
    for next in ["start", "delete"] {
        let world = World::with_machine(RunState::Running);
        std::fs::remove_file(world.state().root().join("generations.json")).unwrap();
        world.interrupted(Operation::Create, &[Step::Build, Step::CreateInstance, Step::StartInstance]);
        let (state, problems) = world.only_status().await;
        assert_eq!(state, MachineState::Interrupted);
        assert!(problems.len() == 1 && problems[0].contains("creation was interrupted"), "{problems:?}");
        let result = if next == "start" { world.start().await } else { world.delete().await };
        assert_eq!(result.is_ok(), next == "delete");
        assert!(world.driver.get(A).is_none() && !world.state().exists());
    }
}

#[tokio::test]
async fn a_creation_that_ended_before_its_journal_did_is_one() {
    let world = World::with_machine(RunState::Running);
    world.interrupted(Operation::Create, &[Step::Build, Step::CreateInstance, Step::SshConfig]);
    world.start().await.unwrap();
    assert!(world.driver.get(A).is_some());
    assert_eq!(world.state().journal().unwrap(), None);
}

#[tokio::test]
async fn an_instance_that_an_interrupted_rebuild_may_have_made_stays() {
    let world = World::with_machine(RunState::Stopped);
    let journal = Journal {
        current: Some(2),
        begun: vec![Step::Lock, Step::Build, Step::CreateInstance],
        ..Journal::new(Operation::Rebuild)
    };
    world.state().write_journal(&journal).unwrap();
    world.start().await.unwrap();
    assert_eq!(world.driver.get(A).unwrap().init, "/nix/store/2/init");
}

#[tokio::test]
async fn a_deletion_with_secrets_takes_them_also_where_one_without_was_interrupted() {
    let world = World::with_machine(RunState::Running);
    let value = Secret::new("value").unwrap();
    let scope = Scope::Machine(World::name());
    world.machines.vault().set(&scope, "TOKEN", &value).unwrap();
    world.driver.fail("delete");
    world.delete().await.unwrap_err();
    world.driver.heal();
    world.machines.delete(&World::name(), true, &world.ears, &world.cancel).await.unwrap();
    assert!(world.machines.vault().names().unwrap().is_empty());
}

#[tokio::test]
async fn a_machine_of_a_newer_codchi_can_be_deleted_whatever_was_interrupted() {
    let world = World::with_machine(RunState::Running);
    std::fs::write(world.state().root().join("machine.toml"), "version = 99\n").unwrap();
    world.interrupted(Operation::Rebuild, &[Step::Build]);
    world.start().await.unwrap_err();
    world.delete().await.unwrap();
    assert!(world.driver.get(A).is_none() && !world.state().exists());
}

#[tokio::test]
async fn what_killed_processes_have_left_goes_with_the_next_operation() {
    let world = World::with_machine(RunState::Running);
    let machines = world.machines.paths().data.join("machines");
    for left in [".removed-b/flake", ".new-c", "a/.new-Xy", "a/profile/.new-system"] {
        std::fs::create_dir_all(machines.join(left)).unwrap();
    }
    world.interrupted(Operation::Rebuild, &[Step::Lock]);
    world.stop().await.unwrap();
    let left = |folder: &std::path::Path| {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with('.')).count()
    };
    assert_eq!([&machines, &machines.join("a"), &machines.join("a/profile")].map(|f| left(f)), [0, 0, 0]);
}

#[tokio::test]
async fn an_interrupted_rebuild_is_taken_back_before_the_next_operation() {
    let world = World::with_machine(RunState::Running);
    // Nix has already moved on to what the rebuild has built.
    let links = world.state().profile();
    std::os::unix::fs::symlink("/nix/store/3", links.with_file_name("system-3-link")).unwrap();
    std::fs::remove_file(&links).unwrap();
    std::os::unix::fs::symlink("system-3-link", &links).unwrap();
    world.interrupted(
        Operation::Rebuild,
        &[Step::Lock, Step::Build, Step::Configure, Step::Deliver, Step::Switch],
    );
    world.stop().await.unwrap();
    assert_eq!(
        world.driver.calls(),
        [
            "exec codchi-a switch-to-configuration",
            "exec codchi-a codchi-receive",
            "exec codchi-a codchi-receive",
            "exec codchi-a systemctl",
            "reconfigure codchi-a",
            "stop codchi-a"
        ]
    );
    assert_eq!(world.driver.get(A).unwrap().init, "/nix/store/2/init");
    assert_eq!(world.state().profile_number(), 2);
    assert!(!links.with_file_name("system-3-link").is_symlink());
}

#[tokio::test]
async fn a_deletion_that_fails_goes_on_the_next_time() {
    let world = World::with_machine(RunState::Running);
    world.driver.fail("delete");
    world.delete().await.unwrap_err();
    assert_eq!(world.driver.get(A).unwrap().state, RunState::Stopped);
    assert_eq!(world.only_status().await.0, MachineState::Interrupted);
    world.driver.heal();
    world.start().await.unwrap_err();
    assert!(world.driver.get(A).is_none() && !world.state().exists());
    assert!(world.machines.log(&World::name()).is_some(), "its log stays");
}

#[tokio::test]
async fn an_instance_of_the_same_name_that_is_not_ours_survives_everything() {
    let world = World::with_machine(RunState::Running);
    world.driver.insert(A, &[("user.codchi.id", "somebody else's")], RunState::Running);
    let (state, problems) = world.only_status().await;
    assert_eq!(state, MachineState::Missing);
    assert!(problems[0].contains("another machine"), "{problems:?}");
    world.start().await.unwrap_err();
    world.delete().await.unwrap();
    assert_eq!(world.driver.get(A).unwrap().state, RunState::Running);
    assert!(!world.state().exists());
}

#[tokio::test]
async fn a_cancelled_operation_is_undone() {
    let world = World::with_machine(RunState::Stopped);
    world.driver.hang("exec codchi-a codchi-receive");
    let cancel = world.cancel.clone();
    let canceller = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        cancel.cancel();
    });
    assert!(matches!(world.start().await.unwrap_err(), MachineError::Cancelled));
    canceller.await.unwrap();
    assert_eq!(world.driver.get(A).unwrap().state, RunState::Stopped);
    assert_eq!(world.state().journal().unwrap(), None);
}

#[tokio::test]
async fn a_dropped_operation_leaves_no_lock_and_a_journal_that_the_next_one_closes() {
    let world = World::with_machine(RunState::Running);
    world.driver.hang("stop");
    tokio::time::timeout(std::time::Duration::from_millis(50), world.stop()).await.unwrap_err();
    assert!(!Lock::is_held(world.machines.paths(), &World::name()));
    assert_eq!(world.only_status().await.0, MachineState::Interrupted);
    world.driver.heal();
    world.stop().await.unwrap();
    assert_eq!(world.only_status().await, (MachineState::Stopped, vec![]));
}

#[tokio::test]
async fn a_command_in_a_ready_machine_needs_one_call() {
    let world = World::with_machine(RunState::Running);
    world.state().write_runtime(&Runtime { start: "0".into(), ..Runtime::default() }).unwrap();
    world.machines.exec(&World::name(), request()).await.unwrap();
    assert_eq!(world.driver.calls(), ["exec codchi-a codchi-session"]);
}

#[tokio::test]
async fn a_command_finds_its_secrets_however_the_machine_was_started() {
    let world = World::with_machine(RunState::Running);
    world.state().write_runtime(&Runtime { start: "an earlier one".into(), ..Runtime::default() }).unwrap();
    assert!(world.only_status().await.1[0].contains("no secrets"));
    world.machines.exec(&World::name(), request()).await.unwrap();
    assert_eq!(
        world.driver.calls()[1..],
        [
            "reconfigure codchi-a",
            "exec codchi-a codchi-receive",
            "exec codchi-a systemctl",
            "exec codchi-a codchi-session"
        ]
    );
}

#[tokio::test]
async fn secrets_that_the_machine_does_not_run_with_are_told_until_they_are_delivered() {
    let world = World::with_machine(RunState::Stopped);
    world.declare(&["KEPT", "OWN", "SHARED", "GONE", "NEW"]);
    let (vault, own) = (world.machines.vault().clone(), Scope::Machine(World::name()));
    let set = |scope, name, value: &str| vault.set(scope, name, &Secret::new(value).unwrap()).unwrap();
    for name in ["KEPT", "SHARED", "GONE", "OTHER"] {
        set(&Scope::All, name, "sesame-of-all");
    }
    set(&own, "OWN", "sesame-of-a");
    let drift = async || world.machines.status().await.unwrap().remove(0).drift;
    // What does not run has nothing.
    assert_eq!(drift().await, []);
    world.start().await.unwrap();
    assert_eq!(drift().await, []);

    set(&Scope::All, "OTHER", "of no use to it");
    set(&Scope::All, "OWN", "hidden by its own");
    assert_eq!(drift().await, []);
    set(&own, "SHARED", "sesame-of-a");
    set(&own, "OWN", "another");
    set(&Scope::All, "NEW", "x");
    vault.remove(&Scope::All, "GONE").unwrap();
    let found = drift().await;
    assert_eq!(
        (found.len(), found[0].kind, found[0].cure),
        (1, DriftKind::SecretsChanged, Some(Operation::Start))
    );
    let names = "GONE (removed), NEW (added), OWN (changed), SHARED (changed). `codchi start a`";
    assert!(found[0].message.contains(names), "{}", found[0].message);
    // The same value again is no other.
    set(&own, "OWN", "sesame-of-a");
    assert!(!drift().await[0].message.contains("OWN"));

    world.start().await.unwrap();
    assert_eq!(drift().await, []);
    // After a start by others what was delivered before is not what it runs with.
    set(&own, "OWN", "another");
    world.driver.insert(A, &[("user.codchi.id", "id-of-a")], RunState::Running);
    assert_eq!(drift().await, []);
}

#[tokio::test]
async fn what_was_delivered_is_kept_so_that_the_disk_tells_nothing_of_it() {
    let world = World::with_machine(RunState::Stopped);
    world.declare(&["ONE", "TWO"]);
    for secret in ["ONE", "TWO"] {
        world.machines.vault().set(&Scope::All, secret, &Secret::new("1234").unwrap()).unwrap();
    }
    world.start().await.unwrap();
    let first = world.state().runtime().unwrap().unwrap().secrets.unwrap();
    assert_ne!(first["ONE"], first["TWO"], "that two are the same would be told");
    let text = std::fs::read_to_string(world.state().root().join("runtime.json")).unwrap();
    assert!(!text.contains("1234"), "{text}");
    // Nor can a value be tried without the key: another vault has another digest of it.
    let elsewhere = World::new();
    elsewhere.machines.vault().set(&Scope::All, "ONE", &Secret::new("1234").unwrap()).unwrap();
    let there = elsewhere.machines.vault().open().unwrap().digests(&World::name(), [&"ONE".to_owned()]);
    assert_ne!(first["ONE"], there["ONE"]);
}

#[tokio::test]
async fn what_others_change_of_an_instance_is_told_with_what_puts_it_back() {
    for (state, cure) in [(RunState::Stopped, Operation::Start), (RunState::Running, Operation::Rebuild)] {
        let world = World::with_machine(state);
        world.driver.tamper(A, "device project");
        let drift = world.machines.status().await.unwrap().remove(0).drift;
        assert_eq!((drift.len(), drift[0].kind, drift[0].cure), (1, DriftKind::InstanceChanged, Some(cure)));
        let told = format!("device project. `codchi {cure} a` puts");
        assert!(drift[0].message.contains(&told), "{}", drift[0].message);
        if cure == Operation::Start {
            world.start().await.unwrap();
            assert_eq!(world.machines.status().await.unwrap()[0].drift, []);
        }
        // One that is not ours is none of ours.
        world.driver.insert(A, &[("user.codchi.id", "somebody else's")], state);
        world.driver.tamper(A, "device project");
        assert_eq!(world.machines.status().await.unwrap()[0].drift, []);
    }
}

#[tokio::test]
async fn an_unknown_machine_is_told_with_those_that_there_are() {
    let world = World::with_machine(RunState::Running);
    let other: MachineName = "b".parse().unwrap();
    let error = world.machines.start(&other, &world.ears, &world.cancel).await.unwrap_err();
    assert_eq!(error.hint().unwrap(), "There are `a`.");
    assert!(world.machines.log(&other).is_none());
    assert!(world.machines.exec(&other, request()).await.is_err());
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_a_problem_of_each_machine() {
    let world = World::with_machine(RunState::Running);
    world.driver.fail("instances");
    let (state, problems) = world.only_status().await;
    assert_eq!((state, problems.len()), (MachineState::Unknown, 1));
}

#[tokio::test]
async fn a_machine_whose_files_are_damaged_can_be_deleted() {
    for damaged in [&["machine.toml"][..], &["journal.json"], &["machine.toml", "journal.json"]] {
        let world = World::with_machine(RunState::Running);
        for file in damaged {
            std::fs::write(world.state().root().join(file), "garbage").unwrap();
        }
        assert!(!world.only_status().await.1.is_empty());
        world.start().await.unwrap_err();
        world.delete().await.unwrap();
        assert!(world.driver.get(A).is_none() && !world.state().exists(), "{damaged:?}");
    }
}
