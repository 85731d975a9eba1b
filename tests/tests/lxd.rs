//! What only LXD and Incus have, beside the contract that all drivers keep (`contract`): their own settings of an instance, frozen ones,
//! images, and streams that come too late.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::{Device, Driver, Image, InstanceName, InstanceSpec, Lxd, RunState};
use codchi_tests::archive;
use codchi_tests::engine::{self, ask_client as client, images_of};
use codchi_tests::instance::{INIT, Machine, SECOND, shell};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tar::EntryType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn query(path: &str) -> Value {
    serde_json::from_str(&client(&["query", path])).unwrap()
}

fn boxed(bytes: &[u8]) -> Box<Cursor<Vec<u8>>> {
    Box::new(Cursor::new(bytes.to_vec()))
}

async fn import(machine: &Machine, bytes: &[u8]) -> Result<(), codchi_driver::DriverError> {
    machine.driver.import(&machine.name, &machine.spec(), boxed(bytes), bytes.len() as u64).await
}

async fn export(machine: &Machine) -> Vec<u8> {
    let mut bytes = Vec::new();
    machine.driver.export(&machine.name, &mut bytes).await.unwrap();
    bytes
}

/// An archive of a root file system that boots and has nothing but a file in it.
fn small(machine: &Machine) -> Vec<u8> {
    let mut made = archive::begin(Vec::new(), &format!("made for {}", machine.name));
    archive::add(&mut made, "rootfs/opt/file", EntryType::Regular, (0, 0), 0o644, b"what is in it\n");
    made.into_inner().unwrap()
}

#[tokio::test]
async fn a_frozen_instance_is_woken_by_start_and_ended_by_stop() {
    let machine = Machine::running().await;
    client(&["pause", machine.name.as_str()]);
    assert_eq!(machine.state().await, Some(RunState::Changing));
    machine.driver.start(&machine.name).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Running));
    client(&["pause", machine.name.as_str()]);
    machine.driver.stop(&machine.name, 20 * SECOND).await.unwrap();
    assert_eq!(machine.state().await, Some(RunState::Stopped));
}

/// A way to the engine on which the first websockets take longer than the engine waits for them.
async fn slow_way(folder: &std::path::Path) -> std::path::PathBuf {
    let dir = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
    let engine = dir("LXD_SOCKET").or_else(|| dir("INCUS_SOCKET")).unwrap_or_else(|| {
        dir("LXD_DIR").or_else(|| dir("INCUS_DIR")).expect("an engine").join("unix.socket")
    });
    let socket = folder.join("slow.socket");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        let began = Instant::now();
        while let Ok((mut client, _)) = listener.accept().await {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let len = client.read(&mut head).await.unwrap();
                if String::from_utf8_lossy(&head[..len]).contains("/websocket?secret=")
                    && began.elapsed() < 3 * SECOND
                {
                    tokio::time::sleep(6 * SECOND).await;
                }
                let mut server = tokio::net::UnixStream::connect(engine).await.unwrap();
                server.write_all(&head[..len]).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    socket
}

#[tokio::test]
async fn a_command_whose_streams_came_too_late_for_the_engine_is_run_all_the_same() {
    let machine = Machine::running().await;
    let folder = tempfile::tempdir().unwrap();
    let slow = Lxd::connect_to(&slow_way(folder.path()).await).await.unwrap();
    let output = slow.run(&machine.name, &shell("echo once >>/tmp-once; cat /tmp-once"), b"").await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "once\n", "it ran, and it ran once: {code} {told}");
}

#[tokio::test]
async fn a_changed_specification_keeps_what_others_set() {
    let machine = Machine::running().await;
    let Machine { driver, name, store } = &machine;
    client(&["config", "set", name.as_str(), "user.mine=kept"]);
    fs::write(store.path().join("second-init"), "").unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("here"), "").unwrap();
    let mut wider = machine.spec();
    wider.labels.insert("user.codchi.generation".into(), "2".into());
    wider.config.insert("security.nesting".into(), "true".into());
    let disk = Device::Disk {
        source: folder.path().into(),
        path: "/mnt/work".into(),
        read_only: false,
        shift: false,
    };
    wider.devices.insert("work".into(), disk);
    wider.init = "/nix/second-init".into();
    driver.reconfigure(name, &wider).await.unwrap();
    assert_eq!(machine.sh("ls /mnt/work; readlink /sbin/init").await, "here\n/nix/second-init");
    let get = |key: &str| client(&["config", "get", name.as_str(), key]).trim().to_owned();
    assert_eq!((get("security.nesting"), get("user.codchi.generation")), ("true".into(), "2".into()));

    driver.reconfigure(name, &machine.spec()).await.unwrap();
    assert_eq!(machine.sh("ls /mnt/work 2>/dev/null; readlink /sbin/init").await, "/nix/init");
    assert_eq!((get("security.nesting"), get("user.codchi.generation")), (String::new(), String::new()));
    assert_eq!(get("user.mine"), "kept");
    assert_eq!(machine.state().await, Some(RunState::Running));
}

/// What people can set of an instance: everything but what the engine keeps for itself.
fn settings(machine: &Machine) -> (Value, Value, Value, Value) {
    let mut instance = query(&format!("/1.0/instances/{}", machine.name));
    let config = instance["config"].as_object_mut().unwrap();
    config.retain(|key, _| !key.starts_with("volatile.") && !key.starts_with("image."));
    let mut part = |key: &str| instance[key].take();
    (part("config"), part("devices"), part("profiles"), part("ephemeral"))
}

#[tokio::test]
async fn a_copy_is_made_of_its_specification_and_nothing_else() {
    let machine = Machine::planned(INIT).await;
    let gone = tempfile::tempdir().unwrap();
    fs::set_permissions(gone.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let disk = |path: &str| Device::Disk {
        source: gone.path().into(),
        path: path.into(),
        read_only: false,
        shift: false,
    };
    let mut spec = machine.spec();
    spec.labels.insert("user.codchi.only".into(), "here".into());
    spec.config.insert("security.nesting".into(), "true".into());
    spec.config.insert("raw.idmap".into(), "both 1000 1000".into());
    spec.devices.insert("work".into(), disk("/mnt/work"));
    let Machine { driver, name, .. } = &machine;
    driver.create(name, &spec).await.unwrap();
    for setting in ["user.mine=1", "limits.processes=500", "security.protection.delete=true"] {
        client(&["config", "set", name.as_str(), setting]);
    }
    machine.boot().await;
    machine.sh("mkdir /opt/owned; chown 1000:1000 /opt/owned").await;
    // A device whose folder is no more would not let the engine make another instance with it.
    gone.close().unwrap();

    let (copy, created) = (Machine::planned("#!/nix/busybox sh\n").await, Machine::planned(INIT).await);
    let spec = InstanceSpec {
        config: BTreeMap::from([("security.nesting".into(), "false".into())]),
        init: "/nix/other-init".into(),
        ..created.spec()
    };
    driver.copy(name, &copy.name, &spec).await.unwrap();
    driver.create(&created.name, &spec).await.unwrap();
    assert_eq!(settings(&copy), settings(&created));
    driver.reconfigure(&copy.name, &created.spec()).await.unwrap();
    copy.boot().await;
    assert_eq!(copy.sh("stat -c '%u %g' /opt/owned; ls /mnt").await, "1000 1000\nwork");
    assert_eq!(machine.state().await, Some(RunState::Running));
    client(&["config", "unset", name.as_str(), "security.protection.delete"]);
}

#[tokio::test]
async fn instances_that_are_alike_are_exported_at_once_and_the_image_that_they_began_with_stays() {
    let (machine, other) = (Machine::stopped().await, Machine::stopped().await);
    let skeleton =
        query(&format!("/1.0/instances/{}", machine.name))["config"]["volatile.base_image"].clone();
    let (one, two, three) = tokio::join!(export(&machine), export(&machine), export(&other));
    for bytes in [&one, &two, &three] {
        assert_eq!(archive::read(bytes.as_slice())["sbin/init"].link.as_deref(), Some("/nix/init"));
    }
    query(&format!("/1.0/images/{}", skeleton.as_str().unwrap()));
    assert!(images_of(&machine.name).is_empty() && images_of(&other.name).is_empty());
}

#[tokio::test]
async fn one_archive_is_imported_by_two_at_once_though_the_engine_has_an_image_of_it() {
    let (machine, other) = (Machine::planned(INIT).await, Machine::planned(INIT).await);
    let bytes = small(&machine);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    fs::write(&path, &bytes).unwrap();
    let alias = format!("{}-theirs", machine.name);
    client(&["image", "import", path.to_str().unwrap(), "--alias", &alias]);
    let (one, two) = tokio::join!(import(&machine, &bytes), import(&other, &bytes));
    one.unwrap();
    two.unwrap();
    for machine in [&machine, &other] {
        machine.boot().await;
        assert_eq!(machine.sh("cat /opt/file").await, "what is in it");
    }
    assert_eq!(images_of(&machine.name).len(), 1, "theirs stays");
    client(&["image", "delete", &alias]);
}

#[tokio::test]
async fn a_foreign_volume_is_never_touched() {
    let machine = Machine::planned(INIT).await;
    let (driver, name) = (&machine.driver, &machine.name);
    let pool = {
        let volume = driver.create_volume(name).await.unwrap();
        driver.delete_volume(name).await.unwrap();
        volume.pool
    };
    client(&["storage", "volume", "create", &pool, name.as_str()]);
    for result in [
        driver.volume(name).await.map(drop),
        driver.create_volume(name).await.map(drop),
        driver.delete_volume(name).await,
    ] {
        assert!(matches!(result, Err(codchi_driver::DriverError::NameTaken { .. })), "{result:?}");
    }
    client(&["storage", "volume", "delete", &pool, name.as_str()]);
}

#[tokio::test]
async fn no_address_is_given_where_the_default_profile_has_no_network() {
    let profile = client(&["profile", "show", "default"]);
    let address = engine::connect()
        .await
        .given_address(&InstanceName::new("codchi-test-address").unwrap())
        .await
        .unwrap();
    assert_eq!(address.is_some(), profile.contains("network: "), "{profile}");
}

/// Imports an empty image that says this of itself, under an alias.
fn import_image(folder: &Path, alias: &str, description: &str) {
    let root = folder.join(alias);
    std::fs::create_dir_all(root.join("rootfs")).unwrap();
    let metadata = format!(
        "architecture: x86_64\ncreation_date: 1\nproperties:\n  os: codchi\n  description: {description}\n  serial: {alias}\n"
    );
    std::fs::write(root.join("metadata.yaml"), metadata).unwrap();
    let archive = folder.join(format!("{alias}.tar"));
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&archive)
        .args(["metadata.yaml", "rootfs"])
        .status();
    assert!(packed.unwrap().success());
    client(&["image", "import", archive.to_str().unwrap(), "--alias", alias]);
}

#[tokio::test]
async fn skeletons_of_other_versions_are_found_and_deleted_and_nothing_else_is() {
    let driver = engine::connect().await;
    let folder = tempfile::tempdir().unwrap();
    let number = std::process::id();
    let (old, own) = (format!("codchi-skeleton-old-{number}"), format!("codchi-my-own-{number}"));
    import_image(folder.path(), &old, "codchi, empty root file system");
    import_image(folder.path(), &own, "a person's own");
    let found = driver.unused_images().await.unwrap();
    let image = found.iter().find(|image| image.name == old).unwrap().clone();
    assert!(image.size > 0 && !found.iter().any(|image| image.name == own), "{found:?}");
    driver.delete_image(&image).await.unwrap();
    driver.delete_image(&image).await.unwrap();
    assert!(!driver.unused_images().await.unwrap().contains(&image));
    // Not even where somebody takes another image for one of ours.
    let text = client(&["image", "info", &own]);
    let fingerprint = text.lines().find_map(|line| line.strip_prefix("Fingerprint: ")).unwrap().to_owned();
    driver.delete_image(&Image { fingerprint, name: own.clone(), size: 1 }).await.unwrap();
    client(&["image", "delete", &own]);
}
