//! What differs between a machine and what it would be, for real: secrets and instances that change behind its back.
//!
//! Needs what `cargo xtask lab up` sets up, as `main_job` does.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_machine::{
    Answer, CreateRequest, Drift, DriftKind, Event, Front, ModuleSource, Operation, Options, Question, Scope,
    Secret,
};
use codchi_tests::user::User;
use std::fs;
use std::process::Command;

/// A front that knows no answer.
struct Nobody;

#[async_trait::async_trait]
impl Front for Nobody {
    fn event(&self, _event: Event) {}

    async fn ask(&self, _question: Question) -> Answer {
        Answer::CannotAsk
    }
}

const MODULE: &str = "{
  codchi.secrets.TOKEN = { description = \"x\"; required = false; };
  codchi.secrets.OTHER = { description = \"x\"; required = false; };
}
";

struct World(User);

impl World {
    async fn drift(&self) -> Vec<Drift> {
        self.machines.status().await.unwrap().remove(0).drift
    }

    /// The only difference.
    async fn only(&self) -> (DriftKind, Option<Operation>, String) {
        let mut drift = self.drift().await;
        assert_eq!(drift.len(), 1, "{drift:?}");
        let Drift { kind, cure, message } = drift.remove(0);
        (kind, cure, message)
    }

    async fn start(&self) {
        self.machines.start(&self.name, &Nobody, &self.cancel).await.unwrap();
    }

    async fn stop(&self) {
        self.machines.stop(&self.name, &Nobody, &self.cancel).await.unwrap();
    }

    /// Changes the instance as a person does who has never heard of codchi.
    fn lxc(&self, arguments: &[&str]) {
        let words = arguments.iter().map(|word| word.replace("NAME", self.instance().as_str()));
        let output = Command::new("lxc").args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn set(&self, scope: &Scope, name: &str, value: &str) {
        self.machines.vault().set(scope, name, &Secret::new(value).unwrap()).unwrap();
    }
}

impl std::ops::Deref for World {
    type Target = User;

    fn deref(&self) -> &User {
        &self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_behind_a_machines_back_is_told_and_mended_by_what_is_offered() {
    let options = |_: &std::path::Path| Options { ssh_config: Some(false), ..Options::default() };
    let world = World(User::new("d", "project", options).await);
    fs::write(world.project().join("codchi.nix"), MODULE).unwrap();
    let own = Scope::Machine(world.name.clone());
    world.set(&Scope::All, "TOKEN", "first-value");
    let request = CreateRequest {
        name: world.name.clone(),
        modules: vec![ModuleSource::parse(".", world.project()).unwrap()],
        project: Some(world.project().into()),
        nixpkgs: None,
        checkout: None,
        allowed: Vec::new(),
    };
    world.machines.create(request, &Nobody, &world.cancel).await.unwrap();
    assert_eq!(world.drift().await, []);

    // Secrets: another value, and one more, until they are delivered.
    world.set(&own, "TOKEN", "second-value");
    world.set(&own, "OTHER", "third-value");
    let (kind, cure, message) = world.only().await;
    assert_eq!((kind, cure), (DriftKind::SecretsChanged, Some(Operation::Start)));
    assert!(message.contains("OTHER (added), TOKEN (changed)"), "{message}");
    world.start().await;
    assert_eq!(world.drift().await, []);
    let kept = fs::read_to_string(world.machines.paths().machine(&world.name).join("runtime.json")).unwrap();
    assert!(kept.contains("TOKEN") && !kept.contains("-value"), "{kept}");

    // The instance: what a person adds is theirs, what they change of ours is told, and put back.
    world.lxc(&["config", "set", "NAME", "limits.memory", "2GiB"]);
    world.lxc(&["config", "device", "add", "NAME", "mine", "disk", "source=/tmp", "path=/mnt/mine"]);
    assert_eq!(world.drift().await, []);
    world.lxc(&["config", "device", "remove", "NAME", "project"]);
    let (kind, cure, message) = world.only().await;
    assert_eq!((kind, cure), (DriftKind::InstanceChanged, Some(Operation::Rebuild)));
    assert!(message.contains("device project"), "{message}");
    world.machines.rebuild(&world.name, &Nobody, &world.cancel).await.unwrap();
    assert_eq!(world.drift().await, []);

    world.stop().await;
    world.set(&own, "OTHER", "fourth-value");
    world.lxc(&["config", "device", "set", "NAME", "nix-store", "readonly", "false"]);
    let (kind, cure, message) = world.only().await;
    assert_eq!((kind, cure), (DriftKind::InstanceChanged, Some(Operation::Start)));
    assert!(message.contains("device nix-store"), "{message}");
    world.start().await;
    assert_eq!(world.drift().await, []);

    // Started by others it has no secrets at all, which is a problem of its own.
    world.lxc(&["restart", "--force", "NAME"]);
    world.set(&own, "OTHER", "fifth-value");
    let status = world.machines.status().await.unwrap().remove(0);
    assert_eq!(status.drift, []);
    assert!(status.problems[0].contains("has no secrets yet"), "{:?}", status.problems);

    world.machines.delete(&world.name, true, &Nobody, &world.cancel).await.unwrap();
    world.nothing_is_left().await;
}
