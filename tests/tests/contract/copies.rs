//! Renaming and copying.

use super::{is_missing, is_running, is_taken, nothing_is_left, stop};
use codchi_driver::{Device, RunState};
use codchi_tests::engine::set_mark;
use codchi_tests::instance::{INIT, Machine};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_renamed_instance_is_what_it_was() {
    let (machine, other) = (Machine::running().await, Machine::planned(INIT).await);
    machine.sh("echo kept >/opt/file").await;
    stop(&machine).await;
    let before = machine.driver.instance(&machine.name).await.unwrap().unwrap().labels;

    machine.driver.rename(&machine.name, &other.name).await.unwrap();
    assert_eq!((machine.state().await, other.state().await), (None, Some(RunState::Stopped)));
    assert_eq!(other.driver.instance(&other.name).await.unwrap().unwrap().labels, before);
    other.boot().await;
    assert_eq!(other.sh("cat /opt/file; hostname").await, format!("kept\n{}", other.name));
}

#[tokio::test]
async fn only_a_stopped_instance_of_ours_is_renamed_and_only_to_a_free_name() {
    let (machine, other) = (Machine::running().await, Machine::stopped().await);
    let free = Machine::planned(INIT).await;
    let rename = async |from: &Machine, to: &Machine| from.driver.rename(&from.name, &to.name).await;
    is_running(&rename(&machine, &free).await.unwrap_err(), &machine);
    is_missing(&rename(&free, &machine).await.unwrap_err(), &free);
    is_taken(&rename(&other, &machine).await.unwrap_err(), &machine);
    is_taken(&rename(&other, &other).await.unwrap_err(), &other);
    set_mark(&other.name, false);
    is_taken(&rename(&other, &free).await.unwrap_err(), &other);
    stop(&machine).await;
    is_taken(&rename(&machine, &other).await.unwrap_err(), &other);
    set_mark(&other.name, true);
    assert_eq!(other.state().await, Some(RunState::Stopped));
    assert_eq!(free.state().await, None);
}

#[tokio::test]
async fn a_running_and_a_stopped_instance_are_copied_and_stay_as_they_are() {
    let machine = Machine::running().await;
    let Machine { driver, name, .. } = &machine;
    machine
        .sh("echo first >/opt/file; chown 1000:100 /opt/file; (while :; do date; done) >/opt/busy 2>&1 </dev/null &")
        .await;
    let started = driver.instance(name).await.unwrap().unwrap().started;
    let while_running = Machine::planned(INIT).await;
    driver.copy(name, &while_running.name, &while_running.spec()).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Running));
    assert_eq!(driver.instance(name).await.unwrap().unwrap().started, started);

    machine.sh("echo second >/opt/file").await;
    stop(&machine).await;
    let while_stopped = Machine::planned(INIT).await;
    driver.copy(name, &while_stopped.name, &while_stopped.spec()).await.unwrap();
    driver.delete(name).await.unwrap();

    for (copy, text) in [(&while_running, "first"), (&while_stopped, "second")] {
        assert_eq!(copy.state().await, Some(RunState::Stopped));
        copy.boot().await;
        let seen = copy.sh("cat /opt/file; stat -c '%u %g' /opt/file; hostname; cat /run/booted").await;
        assert_eq!(seen, format!("{text}\n1000 100\n{}\nready", copy.name));
    }
}

#[tokio::test]
async fn a_copy_is_made_of_its_specification_and_nothing_else() {
    let machine = Machine::planned(INIT).await;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("here"), "").unwrap();
    let mut spec = machine.spec();
    spec.labels.insert("user.codchi.only".into(), "here".into());
    let disk = Device::Disk {
        source: folder.path().into(),
        path: "/mnt/work".into(),
        read_only: false,
        shift: false,
    };
    spec.devices.insert("work".into(), disk);
    let Machine { driver, name, .. } = &machine;
    driver.create(name, &spec).await.unwrap();
    machine.boot().await;
    machine.sh("mkdir /opt/owned; chown 1000:1000 /opt/owned").await;

    let copy = Machine::planned(INIT).await;
    driver.copy(name, &copy.name, &copy.spec()).await.unwrap();
    let labels = driver.instance(&copy.name).await.unwrap().unwrap().labels;
    assert_eq!(labels, copy.spec().labels);
    copy.boot().await;
    assert_eq!(copy.sh("stat -c '%u %g' /opt/owned; ls /mnt/work").await, "1000 1000");
    assert_eq!(machine.state().await, Some(RunState::Running));
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_leaves_nothing() {
    let (machine, other, free) =
        (Machine::stopped().await, Machine::stopped().await, Machine::planned(INIT).await);
    let copy = async |from: &Machine, to: &Machine| from.driver.copy(&from.name, &to.name, &to.spec()).await;
    is_missing(&copy(&free, &other).await.unwrap_err(), &free);
    is_taken(&copy(&machine, &other).await.unwrap_err(), &other);
    is_taken(&copy(&machine, &machine).await.unwrap_err(), &machine);
    set_mark(&other.name, false);
    is_taken(&copy(&machine, &other).await.unwrap_err(), &other);
    is_taken(&copy(&other, &free).await.unwrap_err(), &other);
    set_mark(&other.name, true);

    let mut spec = free.spec();
    let missing =
        Device::Disk { source: "/no/such".into(), path: "/x".into(), read_only: true, shift: false };
    spec.devices.insert("missing".into(), missing);
    let error = machine.driver.copy(&machine.name, &free.name, &spec).await.unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    nothing_is_left(&free).await;
    assert_eq!(other.state().await, Some(RunState::Stopped));
}
