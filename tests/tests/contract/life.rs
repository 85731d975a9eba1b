//! Instances from their creation to their end.

use super::is_missing;
use codchi_driver::{Device, FileKind, RunState};
use codchi_driver::{DriverError, EventKind};
use codchi_tests::engine::{self, Kind, Theirs};
use codchi_tests::instance::{INIT, Machine, SECOND, STUBBORN_INIT, file, shell};
use futures_util::StreamExt;
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[tokio::test]
async fn the_engine_says_who_it_is() {
    let server = engine::connect().await.server().await.unwrap();
    assert!(!server.version.is_empty());
    assert!(server.reached_by.exists());
    assert_eq!(server.pools.is_empty(), engine::kind() == Kind::Wsl, "WSL has none");
}

#[tokio::test]
async fn an_instance_whose_start_was_cancelled_at_any_moment_can_be_deleted() {
    for milliseconds in [1, 5, 20, 60, 120, 180, 240] {
        let machine = Machine::stopped().await;
        let Machine { driver, name, .. } = &machine;
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), driver.start(name)).await;
        driver.delete(name).await.unwrap_or_else(|error| panic!("after {milliseconds} ms: {error}"));
        assert_eq!(machine.state().await, None, "after {milliseconds} ms");
    }
}

#[tokio::test]
async fn an_instance_lives_from_create_to_delete() {
    let machine = Machine::planned(INIT).await;
    let Machine { driver, name, .. } = &machine;
    assert_eq!(machine.state().await, None);

    driver.create(name, &machine.spec()).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    let all = driver.instances().await.unwrap();
    let ours = all.iter().find(|instance| instance.name == *name).unwrap();
    assert_eq!(ours.labels["user.codchi.machine"], "test");

    machine.boot().await;
    assert_eq!(machine.state().await, Some(RunState::Running));
    driver.start(name).await.expect("what runs may be started");

    driver.stop(name, 20 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    driver.stop(name, SECOND).await.expect("what is stopped may be stopped");

    machine.boot().await;
    driver.delete(name).await.expect("what runs may be deleted");
    assert_eq!(machine.state().await, None);
    driver.delete(name).await.expect("what is gone may be deleted");
}

#[tokio::test]
async fn every_start_has_a_name_of_its_own() {
    let machine = Machine::running().await;
    let started = async || machine.driver.instance(&machine.name).await.unwrap().unwrap().started;
    let first = started().await;
    assert_eq!(first, started().await);
    machine.driver.stop(&machine.name, 20 * SECOND).await.unwrap();
    machine.driver.start(&machine.name).await.unwrap();
    assert_ne!(first, started().await);
}

#[tokio::test]
async fn a_stop_right_after_a_start_is_not_lost() {
    let machine = Machine::stopped().await;
    machine.driver.start(&machine.name).await.unwrap();
    let begun = Instant::now();
    machine.driver.stop(&machine.name, 60 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    assert!(begun.elapsed() < 20 * SECOND, "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_init_that_does_not_listen_is_killed_after_the_grace() {
    let machine = Machine::planned(STUBBORN_INIT).await;
    machine.driver.create(&machine.name, &machine.spec()).await.unwrap();
    machine.boot().await;
    let begun = Instant::now();
    machine.driver.stop(&machine.name, 3 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    let took = begun.elapsed();
    assert!((3 * SECOND..15 * SECOND).contains(&took), "took {took:?}");
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_not_found() {
    let machine = Machine::planned(INIT).await;
    let Machine { driver, name, .. } = &machine;
    let errors = [
        driver.reconfigure(name, &machine.spec()).await.unwrap_err(),
        driver.start(name).await.unwrap_err(),
        driver.stop(name, SECOND).await.unwrap_err(),
        driver.put_file(name, &file("/opt/file", FileKind::Folder)).await.unwrap_err(),
        driver.exec(name, &shell("true")).await.err().unwrap(),
    ];
    for error in errors {
        is_missing(&error, &machine);
    }
}

#[tokio::test]
async fn a_create_that_fails_leaves_nothing() {
    let machine = Machine::planned(INIT).await;
    let mut spec = machine.spec();
    let missing =
        Device::Disk { source: "/no/such".into(), path: "/x".into(), read_only: true, shift: false };
    spec.devices.insert("missing".into(), missing);
    let error = machine.driver.create(&machine.name, &spec).await.unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    assert_eq!(machine.state().await, None);
}

#[tokio::test]
async fn many_are_created_at_once() {
    let machines = [
        Machine::planned(INIT).await,
        Machine::planned(INIT).await,
        Machine::planned(INIT).await,
        Machine::planned(INIT).await,
    ];
    let create = async |machine: &Machine| machine.driver.create(&machine.name, &machine.spec()).await;
    let [a, b, c, d] = &machines;
    let (a, b, c, d) = tokio::join!(create(a), create(b), create(c), create(d));
    for result in [a, b, c, d] {
        result.unwrap();
    }
    let one = &machines[0];
    let again = one.driver.create(&one.name, &one.spec()).await.unwrap_err();
    assert!(matches!(again, DriverError::NameTaken { .. }), "{again:?}");
}

#[tokio::test]
async fn what_happens_to_an_instance_is_told() {
    let machine = Machine::planned(INIT).await;
    let Machine { driver, name, .. } = &machine;
    let foreign = format!("{name}-other");
    let mut events = driver.events().await.unwrap();

    drop(Theirs::instance(&foreign));
    driver.create(name, &machine.spec()).await.unwrap();
    driver.start(name).await.unwrap();
    machine.boot().await;
    driver.stop(name, 20 * SECOND).await.unwrap();
    driver.delete(name).await.unwrap();

    // Read late: an event waits for whoever reads it.
    let mut kinds = Vec::new();
    while kinds.last() != Some(&EventKind::Deleted) {
        let event = timeout(10 * SECOND, events.next()).await.expect("an event comes").unwrap().unwrap();
        assert_ne!(event.name.as_str(), foreign);
        // Other tests run beside this one.
        if event.name == *name && event.kind != EventKind::Updated {
            kinds.push(event.kind);
        }
    }
    assert_eq!(kinds, [EventKind::Created, EventKind::Started, EventKind::Stopped, EventKind::Deleted]);
}
