//! Files that are put into an instance.

use codchi_driver::{DriverError, FileKind, FileSpec};
use codchi_tests::engine::configuration;
use codchi_tests::instance::{Machine, file, shell};

#[tokio::test]
async fn files_folders_and_links_are_put_into_a_stopped_and_a_running_instance() {
    let machine = Machine::stopped().await;
    let put = async |suffix: &str| {
        let folder = format!("/opt/{suffix}");
        let script = FileSpec {
            uid: 1000,
            gid: 100,
            mode: 0o750,
            ..file(&format!("{folder}/a file & more"), FileKind::File(b"#!/bin/sh\n\0\xff".as_slice().into()))
        };
        let folder = FileSpec { mode: 0o711, ..file(&folder, FileKind::Folder) };
        let link = file(&format!("{}/link", folder.path), FileKind::Symlink("a file & more".into()));
        for file in [&folder, &script, &link] {
            machine.driver.put_file(&machine.name, file).await.unwrap();
        }
    };
    put("before").await;
    machine.boot().await;
    put("after").await;
    for suffix in ["before", "after"] {
        let stat = format!(
            "cd /opt/{suffix} && stat -c '%a %u %g %s' . 'a file & more' && readlink link && cat link | od -An -tx1"
        );
        let seen = machine.sh(&stat).await;
        let lines: Vec<&str> = seen.lines().map(str::trim).collect();
        assert!(lines[0].starts_with("711 0 0 "), "{seen}");
        assert_eq!(lines[1..], ["750 1000 100 12", "a file & more", "23 21 2f 62 69 6e 2f 73 68 0a 00 ff"]);
    }
}

#[tokio::test]
async fn what_is_in_a_files_place_is_replaced() {
    let machine = Machine::running().await;
    machine
        .sh("echo long, old contents >/opt/file; ln -s /opt/victim /opt/link; echo safe >/opt/victim")
        .await;
    let new = || FileKind::File(b"new".as_slice().into());
    for path in ["/opt/file", "/opt/link"] {
        let spec = FileSpec { uid: 1000, mode: 0o600, ..file(path, new()) };
        machine.driver.put_file(&machine.name, &spec).await.unwrap();
        assert_eq!(
            machine.sh(&format!("cat {path}; stat -c ' %a %u %F' {path}")).await,
            "new 600 1000 regular file"
        );
    }
    assert_eq!(machine.sh("cat /opt/victim").await, "safe");
    machine.driver.put_file(&machine.name, &file("/opt/file", FileKind::Symlink("a".into()))).await.unwrap();
    machine.driver.put_file(&machine.name, &file("/opt/file", FileKind::Symlink("b".into()))).await.unwrap();
    assert_eq!(machine.sh("readlink /opt/file").await, "b");
}

#[tokio::test]
async fn a_file_in_a_folder_that_is_not_there_is_an_error_that_names_it() {
    let machine = Machine::running().await;
    let secret = FileKind::File(b"hunter2".as_slice().into());
    let error = machine.driver.put_file(&machine.name, &file("/no/such", secret)).await.unwrap_err();
    assert!(matches!(&error, DriverError::Engine { .. }), "{error:?}");
    assert!(error.to_string().contains("/no/such"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn nothing_of_a_commands_input_is_in_the_configuration() {
    let machine = Machine::running().await;
    machine.driver.run(&machine.name, &shell("cat >/run/secret"), b"hunter2").await.unwrap();
    let put = file("/opt/secret", FileKind::File(b"hunter2".as_slice().into()));
    machine.driver.put_file(&machine.name, &put).await.unwrap();
    let known = configuration(&machine.name);
    assert!(known.contains("user.codchi.machine") && !known.contains("hunter2"));
}
