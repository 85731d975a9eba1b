//! Changing user secrets, and what becomes of machines that have them.

use super::*;
use crate::state::Lock;
use crate::{Event, Existing, LogLevel, SecretsChange};
use std::collections::BTreeMap;
use std::time::Duration;

fn own() -> Scope {
    Scope::Machine(World::name())
}

fn values(values: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    values.iter().map(|(name, value)| ((*name).into(), Secret::new(*value).unwrap())).collect()
}

impl World {
    async fn set(
        &self,
        scope: &Scope,
        given: &[(&str, &str)],
        existing: Existing,
    ) -> Result<SecretsChange, MachineError> {
        self.machines.set_secrets(scope, values(given), existing, &self.ears, &self.cancel).await
    }

    fn value(&self, name: &str) -> Option<Vec<u8>> {
        self.machines.vault().get(&World::name(), name).unwrap().map(|value| value.expose().to_vec())
    }

    /// How often it was delivered since this was asked last.
    fn deliveries(&self) -> usize {
        self.driver.calls().iter().filter(|call| call.ends_with("codchi-receive")).count()
    }

    /// Makes the current generation declare a secret like this.
    fn declare_as(&self, name: &str, spec: SecretSpec) {
        self.declare(&[name]);
        let mut generations = self.state().generations().unwrap();
        let mut generation = generations.current().unwrap().clone();
        generation.manifest.secrets.insert(name.into(), spec);
        generations.activate(generation);
        self.state().write_generations(&generations).unwrap();
    }
}

#[tokio::test]
async fn a_change_reaches_machines_that_run_and_declare_it_and_nothing_else() {
    let world = World::with_machine(RunState::Running);
    world.declare(&["ONE", "TWO"]);
    let change = world.set(&Scope::All, &[("OTHER", "x")], Existing::Replace).await.unwrap();
    assert_eq!((change.delivered, world.deliveries()), (vec![], 0));

    let change = world.set(&Scope::All, &[("ONE", "x"), ("TWO", "x")], Existing::Replace).await.unwrap();
    assert_eq!((change.delivered, world.deliveries()), (vec![World::name()], 1), "once for all of them");
    let status = || async { world.machines.status().await.unwrap().remove(0) };
    let secret = &status().await.secrets[0];
    assert_eq!((secret.set, secret.own, secret.stale), (true, false, false));

    // Its own value hides the one for all.
    let change = world.set(&own(), &[("ONE", "y")], Existing::Replace).await.unwrap();
    assert_eq!(change.delivered, [World::name()]);
    let change = world.set(&Scope::All, &[("ONE", "z")], Existing::Replace).await.unwrap();
    assert_eq!((change.delivered, world.value("ONE").unwrap()), (vec![], b"y".to_vec()));
    assert!(status().await.secrets[0].own);
    // Forgotten, it has that for all again.
    let gone =
        world.machines.remove_secret(&own(), "ONE", &world.ears, &world.cancel).await.unwrap().unwrap();
    assert_eq!((gone.delivered, world.value("ONE").unwrap()), (vec![World::name()], b"z".to_vec()));
    assert_eq!(world.machines.remove_secret(&own(), "ONE", &world.ears, &world.cancel).await.unwrap(), None);

    // One that is stopped gets it when it is started.
    world.stop().await.unwrap();
    world.driver.calls();
    let change = world.set(&own(), &[("ONE", "later")], Existing::Replace).await.unwrap();
    assert_eq!((change.delivered, change.undelivered, world.deliveries()), (vec![], vec![], 0));
}

#[tokio::test]
async fn a_machine_that_cannot_have_it_now_is_told_and_is_stale() {
    let world = World::with_machine(RunState::Running);
    world.declare(&["ONE"]);
    world.set(&own(), &[("ONE", "first")], Existing::Replace).await.unwrap();
    let lock = Lock::take(world.machines.paths(), &World::name(), Operation::Rebuild).await.unwrap();
    let change = world.set(&own(), &[("ONE", "sesame")], Existing::Replace).await.unwrap();
    drop(lock);
    assert_eq!(change.delivered, []);
    let told = &change.undelivered[0].reason;
    assert!(told.contains("(rebuild)") && told.contains("`codchi start a`"), "{told}");
    let warned = |event: &Event| matches!(event, Event::Log { level: LogLevel::Warning, line } if line.contains(told.as_str()));
    assert!(world.ears.events().iter().any(warned));
    assert_eq!(world.value("ONE").unwrap(), b"sesame");
    assert!(world.machines.status().await.unwrap()[0].secrets[0].stale);

    // What an interrupted operation has left is not undone for the sake of a secret.
    world.interrupted(Operation::Rebuild, &[]);
    let change = world.set(&own(), &[("ONE", "third")], Existing::Replace).await.unwrap();
    assert!(change.undelivered[0].reason.contains("interrupted"), "{change:?}");
    assert!(world.state().journal().unwrap().is_some());
    world.start().await.unwrap();
    assert!(!world.machines.status().await.unwrap()[0].secrets[0].stale);

    // A delivery that fails is told, and leaves nothing to be finished.
    world.driver.fail("exec codchi-a codchi-receive");
    let change = world.set(&own(), &[("ONE", "fourth")], Existing::Replace).await.unwrap();
    assert!(change.undelivered[0].reason.contains("Delivering secrets failed"), "{change:?}");
    assert!(world.state().journal().unwrap().is_none());
    assert!(!format!("{:?}", world.ears.events()).contains("fourth"));
}

#[tokio::test]
async fn a_value_that_is_not_what_a_machine_asks_for_is_refused_with_who_asks() {
    let world = World::with_machine(RunState::Running);
    world.declare_as(
        "PIN",
        SecretSpec {
            pattern: Some("[0-9]+".into()),
            declared_by: vec!["/home/me/project".into()],
            ..crate::test::secret_spec()
        },
    );
    for scope in [own(), Scope::All] {
        let given = [("OTHER", "fits"), ("PIN", "sesame")];
        let error = world.set(&scope, &given, Existing::Replace).await.unwrap_err().to_string();
        assert!(["`a`", "`[0-9]+`", "/home/me/project"].iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
    assert!(world.machines.vault().names().unwrap().is_empty(), "all or none");
    // A machine that has its own does not ask for that of all.
    world.set(&own(), &[("PIN", "12")], Existing::Replace).await.unwrap();
    world.set(&Scope::All, &[("PIN", "no number")], Existing::Replace).await.unwrap();
    // What is kept is not looked at.
    let change = world.set(&own(), &[("PIN", "x"), ("NEW", "y")], Existing::Keep).await.unwrap();
    assert_eq!((change.changed, change.kept), (vec!["NEW".to_owned()], vec!["PIN".to_owned()]));
    for (name, value) in [("EMPTY", ""), ("../x", "y"), ("env", "y"), ("1", "y")] {
        world.set(&own(), &[(name, value)], Existing::Replace).await.unwrap_err();
    }
    assert_eq!(world.value("PIN").unwrap(), b"12");
}

#[tokio::test]
async fn a_rotation_needs_a_value_and_another_one() {
    let world = World::with_machine(RunState::Running);
    let error = world.set(&own(), &[("ONE", "new")], Existing::Rotate).await.unwrap_err();
    assert!(error.to_string().contains("ONE is not set for a"), "{error}");
    world.set(&own(), &[("ONE", "old")], Existing::Replace).await.unwrap();
    let error = world.set(&own(), &[("ONE", "old")], Existing::Rotate).await.unwrap_err();
    assert!(error.to_string().contains("is the old one"), "{error}");
    world.set(&own(), &[("ONE", "new")], Existing::Rotate).await.unwrap();
    assert_eq!(world.value("ONE").unwrap(), b"new");
    // Of all machines there is none.
    world.set(&Scope::All, &[("ONE", "other")], Existing::Rotate).await.unwrap_err();
}

#[tokio::test]
async fn who_asks_second_waits_and_asks_only_where_there_was_no_answer() {
    let world = World::new();
    let turn = |wait: fn()| world.machines.turn_to_ask(&Scope::All, "ONE", wait, &world.cancel);
    let nobody = || panic!("nobody else asks");
    for answer in [None, Some("first"), None, Some("second")] {
        let first = turn(nobody).await.unwrap().unwrap();
        let second = turn(|| {});
        let answering = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            if let Some(answer) = answer {
                world.set(&Scope::All, &[("ONE", answer)], Existing::Replace).await.unwrap();
            }
            drop(first);
        };
        let (second, ()) = tokio::join!(second, answering);
        assert_eq!(second.unwrap().is_none(), answer.is_some(), "{answer:?}");
    }
    // Others, and other scopes, are other questions.
    let _first = turn(nobody).await.unwrap().unwrap();
    for (scope, name) in [(&Scope::All, "TWO"), (&own(), "ONE")] {
        let turn = world.machines.turn_to_ask(scope, name, nobody, &world.cancel).await;
        assert!(turn.unwrap().is_some());
    }
    let waiting = world.machines.turn_to_ask(&Scope::All, "ONE", || world.cancel.cancel(), &world.cancel);
    assert!(matches!(waiting.await, Err(MachineError::Cancelled)));
    assert!(world.machines.turn_to_ask(&Scope::All, "../x", nobody, &world.cancel).await.is_err());
}
