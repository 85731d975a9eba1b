//! What an instance is made of, and whose it is.

use super::is_taken;
use codchi_driver::{Device, FileKind, RunState};
use codchi_tests::engine::{Theirs, set_mark};
use codchi_tests::instance::{INIT, Machine, SECOND, file, shell};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_changed_specification_adds_changes_and_removes() {
    let machine = Machine::running().await;
    let Machine { driver, name, store } = &machine;
    let second = store.path().join("second-init");
    fs::write(&second, INIT.replace("echo ready", "echo second")).unwrap();
    fs::set_permissions(&second, fs::Permissions::from_mode(0o755)).unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("here"), "").unwrap();
    let mut wider = machine.spec();
    wider.labels.insert("user.codchi.generation".into(), "2".into());
    let disk = Device::Disk {
        source: folder.path().into(),
        path: "/mnt/work".into(),
        read_only: false,
        shift: false,
    };
    wider.devices.insert("work".into(), disk);
    wider.init = "/nix/second-init".into();
    let label =
        async || driver.instance(name).await.unwrap().unwrap().labels.get("user.codchi.generation").cloned();

    driver.reconfigure(name, &wider).await.unwrap();
    assert_eq!(machine.sh("ls /mnt/work; cat /run/booted").await, "here\nready");
    assert_eq!(label().await.as_deref(), Some("2"));
    driver.reconfigure(name, &wider).await.expect("twice is once");
    driver.stop(name, 20 * SECOND).await.unwrap();
    machine.boot().await;
    assert_eq!(machine.sh("ls /mnt/work; cat /run/booted").await, "here\nsecond");

    driver.reconfigure(name, &machine.spec()).await.unwrap();
    assert_eq!(machine.sh("ls /mnt/work 2>/dev/null || true").await, "");
    assert_eq!((label().await, machine.state().await), (None, Some(RunState::Running)));
    driver.stop(name, 20 * SECOND).await.unwrap();
    machine.boot().await;
    assert_eq!(machine.sh("cat /run/booted").await, "ready");
}

#[tokio::test]
async fn changes_at_the_same_time_do_not_lose_each_other() {
    let machine = Machine::stopped().await;
    let change = async |number: u32| {
        let mut spec = machine.spec();
        spec.labels.insert("user.codchi.number".into(), number.to_string());
        machine.driver.reconfigure(&machine.name, &spec).await
    };
    let (a, b, c) = tokio::join!(change(1), change(2), change(3));
    for result in [a, b, c] {
        result.unwrap();
    }
    let labels = machine.driver.instance(&machine.name).await.unwrap().unwrap().labels;
    assert!(["1", "2", "3"].contains(&labels["user.codchi.number"].as_str()), "{labels:?}");
}

#[tokio::test]
async fn a_foreign_instance_is_never_touched() {
    let machine = Machine::stopped().await;
    let Machine { driver, name, .. } = &machine;
    set_mark(name, false);

    let spec = machine.spec();
    let path = file("/opt/file", FileKind::Folder);
    let errors = [
        driver.create(name, &spec).await.unwrap_err(),
        driver.reconfigure(name, &spec).await.unwrap_err(),
        driver.start(name).await.unwrap_err(),
        driver.stop(name, SECOND).await.unwrap_err(),
        driver.delete(name).await.unwrap_err(),
        driver.put_file(name, &path).await.unwrap_err(),
        driver.exec(name, &shell("true")).await.err().unwrap(),
        driver.instance(name).await.unwrap_err(),
    ];
    for error in errors {
        is_taken(&error, &machine);
    }
    assert!(driver.instances().await.unwrap().iter().all(|instance| instance.name != *name));
    // So that it can be deleted.
    set_mark(name, true);
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_taken() {
    let machine = Machine::planned(INIT).await;
    let theirs = Theirs::instance(machine.name.as_str());
    is_taken(&machine.driver.create(&machine.name, &machine.spec()).await.unwrap_err(), &machine);
    is_taken(&machine.driver.delete(&machine.name).await.unwrap_err(), &machine);
    drop(theirs);
    assert_eq!(machine.state().await, None);
}
