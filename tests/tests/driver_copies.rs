//! What a driver promises of renaming, copying, exporting and importing ([`codchi_driver::Driver`]), on a real engine.
//!
//! Each test has instances of its own, and looks only for what is left of those: so the tests may run side by side.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::{Device, Driver, DriverError, FileKind, InstanceSpec, MARK_KEY, RunState};
use codchi_tests::archive::{self, Entry};
use codchi_tests::instance::{INIT, Machine, SECOND, client, file, shell};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tar::EntryType;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

fn query(path: &str) -> Value {
    serde_json::from_str(&client(&["query", path])).unwrap()
}

/// The engine's images that have something to do with `machine`.
fn images_of(machine: &Machine) -> Vec<String> {
    let name = machine.name.as_str();
    let images = query("/1.0/images?recursion=1");
    let images = images.as_array().unwrap().iter();
    let description =
        |image: &Value| image["properties"]["description"].as_str().unwrap_or_default().to_owned();
    images.map(description).filter(|text| text.split(' ').any(|word| word == name)).collect()
}

/// Waits until the engine has neither an instance nor an image of `machine`, and is making none.
async fn nothing_is_left(machine: &Machine) {
    let end = Instant::now() + 10 * SECOND;
    loop {
        let operations = client(&["query", "/1.0/operations?recursion=1"]);
        let (state, images) = (machine.state().await, images_of(machine));
        let busy = operations.contains(&format!("/{}\"", machine.name)) && operations.contains("\"Running\"");
        if state.is_none() && images.is_empty() && !busy {
            return;
        }
        assert!(Instant::now() < end, "left: {state:?} {images:?} {operations}");
        sleep(SECOND / 10).await;
    }
}

fn assert_taken(error: &DriverError, machine: &Machine) {
    assert!(matches!(error, DriverError::NameTaken { name } if name == machine.name.as_str()), "{error:?}");
}

fn assert_missing(error: &DriverError, machine: &Machine) {
    assert!(matches!(error, DriverError::NotFound { name } if name == machine.name.as_str()), "{error:?}");
}

fn assert_running(error: &DriverError, machine: &Machine) {
    assert!(
        matches!(error, DriverError::StillRunning { name } if name == machine.name.as_str()),
        "{error:?}"
    );
}

fn assert_archive(error: &DriverError) {
    assert!(matches!(error, DriverError::Archive { .. }), "{error:?}");
}

/// Takes the mark away, or puts one there.
fn set_mark(machine: &Machine, ours: bool) {
    if ours {
        client(&["config", "set", machine.name.as_str(), &format!("{MARK_KEY}={{}}")]);
    } else {
        client(&["config", "unset", machine.name.as_str(), MARK_KEY]);
    }
}

fn boxed(bytes: &[u8]) -> Box<Cursor<Vec<u8>>> {
    Box::new(Cursor::new(bytes.to_vec()))
}

async fn import(machine: &Machine, bytes: &[u8]) -> Result<(), DriverError> {
    machine.driver.import(&machine.name, &machine.spec(), boxed(bytes), bytes.len() as u64).await
}

async fn export(machine: &Machine) -> Vec<u8> {
    let mut bytes = Vec::new();
    machine.driver.export(&machine.name, &mut bytes).await.unwrap();
    bytes
}

async fn stop(machine: &Machine) {
    machine.driver.stop(&machine.name, 20 * SECOND).await.unwrap();
}

/// An archive of a root file system that boots and has nothing but a file in it.
fn small(machine: &Machine) -> Vec<u8> {
    let mut made = archive::begin(Vec::new(), &format!("made for {}", machine.name));
    archive::add(&mut made, "rootfs/opt/file", EntryType::Regular, (0, 0), 0o644, b"what is in it\n");
    made.into_inner().unwrap()
}

#[tokio::test]
async fn a_renamed_instance_is_what_it_was() {
    let (machine, other) = (Machine::running().await, Machine::planned(INIT).await);
    machine.sh("echo kept >/opt/file").await;
    stop(&machine).await;
    let before = settings(&machine);

    machine.driver.rename(&machine.name, &other.name).await.unwrap();
    assert_eq!((machine.state().await, other.state().await), (None, Some(RunState::Stopped)));
    assert_eq!(settings(&other), before);
    other.boot().await;
    assert_eq!(other.sh("cat /opt/file; hostname").await, format!("kept\n{}", other.name));
}

#[tokio::test]
async fn only_a_stopped_instance_of_ours_is_renamed_and_only_to_a_free_name() {
    let (machine, other) = (Machine::running().await, Machine::stopped().await);
    let free = Machine::planned(INIT).await;
    let rename = async |from: &Machine, to: &Machine| from.driver.rename(&from.name, &to.name).await;
    assert_running(&rename(&machine, &free).await.unwrap_err(), &machine);
    assert_missing(&rename(&free, &machine).await.unwrap_err(), &free);
    assert_taken(&rename(&other, &machine).await.unwrap_err(), &machine);
    assert_taken(&rename(&other, &other).await.unwrap_err(), &other);
    set_mark(&other, false);
    assert_taken(&rename(&other, &free).await.unwrap_err(), &other);
    stop(&machine).await;
    assert_taken(&rename(&machine, &other).await.unwrap_err(), &other);
    set_mark(&other, true);
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
        let seen = copy.sh("cat /opt/file; stat -c '%u %g' /opt/file; hostname; readlink /sbin/init").await;
        assert_eq!(seen, format!("{text}\n1000 100\n{}\n/nix/init", copy.name));
    }
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
async fn a_copy_that_cannot_be_made_leaves_nothing() {
    let (machine, other, free) =
        (Machine::stopped().await, Machine::stopped().await, Machine::planned(INIT).await);
    let copy = async |from: &Machine, to: &Machine| from.driver.copy(&from.name, &to.name, &to.spec()).await;
    assert_missing(&copy(&free, &other).await.unwrap_err(), &free);
    assert_taken(&copy(&machine, &other).await.unwrap_err(), &other);
    assert_taken(&copy(&machine, &machine).await.unwrap_err(), &machine);
    set_mark(&other, false);
    assert_taken(&copy(&machine, &other).await.unwrap_err(), &other);
    assert_taken(&copy(&other, &free).await.unwrap_err(), &other);
    set_mark(&other, true);

    let mut spec = free.spec();
    let missing =
        Device::Disk { source: "/no/such".into(), path: "/x".into(), read_only: true, shift: false };
    spec.devices.insert("missing".into(), missing);
    let error = machine.driver.copy(&machine.name, &free.name, &spec).await.unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    nothing_is_left(&free).await;
    assert_eq!(other.state().await, Some(RunState::Stopped));
}

#[tokio::test]
async fn a_copy_that_nobody_waits_for_leaves_nothing() {
    let (machine, copy) = (Machine::running().await, Machine::planned(INIT).await);
    for delay in [0, 5, 20, 60, 150] {
        let spec = copy.spec();
        let copying = machine.driver.copy(&machine.name, &copy.name, &spec);
        if timeout(Duration::from_millis(delay), copying).await.is_ok() {
            machine.driver.delete(&copy.name).await.unwrap();
        }
        // What was begun may not have come so far that it shows.
        sleep(SECOND / 3).await;
        nothing_is_left(&copy).await;
        assert_eq!(machine.state().await, Some(RunState::Running));
    }
}

/// A root file system with one of each that there can be in one.
fn curiosities(machine: &Machine) -> Vec<u8> {
    let mut made = archive::begin(Vec::new(), &format!("made for {}", machine.name));
    let made_of = &mut made;
    archive::add(made_of, "rootfs/opt/file", EntryType::Regular, (1234, 5678), 0o640, b"what is in it\n");
    archive::add(made_of, "rootfs/opt/setuid", EntryType::Regular, (0, 0), 0o4755, b"#!");
    archive::add(made_of, "rootfs/opt/sticky", EntryType::Directory, (65534, 65534), 0o1777, b"");
    archive::add(made_of, "rootfs/opt/pipe", EntryType::Fifo, (0, 0), 0o600, b"");
    archive::link(made_of, "rootfs/opt/hard", EntryType::Link, "rootfs/opt/file");
    archive::link(made_of, "rootfs/opt/dangling", EntryType::Symlink, "/no/such/file");
    let deep = format!("rootfs/opt/{}", ["a rather long name for a folder"; 7].join("/"));
    archive::add(made_of, &deep, EntryType::Regular, (0, 0), 0o600, b"deep");
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(EntryType::Char);
    header.set_size(0);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    // What overlay file systems, such as Docker's, put in place of a file that was removed.
    made_of.append_data(&mut header, "rootfs/opt/whiteout", [].as_slice()).unwrap();
    let attributes =
        [("SCHILY.xattr.user.note", b"kept".as_slice()), ("SCHILY.xattr.security.capability", CAPABILITY)];
    made_of.append_pax_extensions(attributes).unwrap();
    archive::add(made_of, "rootfs/opt/capable", EntryType::Regular, (0, 0), 0o755, b"#!");
    made.into_inner().unwrap()
}

/// `cap_net_bind_service=ep`, as the kernel keeps it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[tokio::test]
async fn everything_that_can_be_in_a_root_file_system_goes_out_and_comes_in() {
    let machine = Machine::planned(INIT).await;
    import(&machine, &curiosities(&machine)).await.unwrap();
    assert!(images_of(&machine).is_empty());
    assert_eq!(machine.state().await, Some(RunState::Stopped));
    machine.boot().await;
    let seen = machine
        .sh("cd /opt; stat -c '%n %u %g %a %F' file setuid sticky pipe hard whiteout; stat -c %h hard; cat hard; readlink dangling")
        .await;
    let expected = [
        "file 1234 5678 640 regular file",
        "setuid 0 0 4755 regular file",
        "sticky 65534 65534 1777 directory",
        "pipe 0 0 600 fifo",
        "hard 1234 5678 640 regular file",
        "whiteout 0 0 600 character special file",
        "2",
        "what is in it",
        "/no/such/file",
    ];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
    // A socket, which no archive can hold.
    machine
        .sh("touch /opt/socket; ln -sf /opt/socket /dev/log; syslogd; sleep 0.5; test -S /opt/socket")
        .await;
    stop(&machine).await;

    let bytes = export(&machine).await;
    assert!(images_of(&machine).is_empty());
    let out = archive::read(bytes.as_slice());
    let entry = |path: &str| out.get(path).unwrap_or_else(|| panic!("no {path} in {:?}", out.keys()));
    let is = |path: &str, kind: EntryType, owner: (u64, u64), mode: u32| {
        let Entry { kind: k, owner: o, mode: m, .. } = entry(path);
        assert_eq!((*k, *o, *m), (kind, owner, mode), "{path}");
    };
    is("opt/setuid", EntryType::Regular, (0, 0), 0o4755);
    is("opt/sticky", EntryType::Directory, (65534, 65534), 0o1777);
    is("opt/pipe", EntryType::Fifo, (0, 0), 0o600);
    is("opt/whiteout", EntryType::Char, (0, 0), 0o600);
    assert_eq!(entry("opt/whiteout").device, (Some(0), Some(0)));
    let links = [entry("opt/file"), entry("opt/hard")];
    assert!(links.iter().all(|entry| entry.owner == (1234, 5678) && entry.mode == 0o640), "{links:?}");
    assert_eq!(links.iter().filter(|entry| entry.kind == EntryType::Link).count(), 1, "{links:?}");
    assert_eq!(entry("opt/dangling").link.as_deref(), Some("/no/such/file"));
    assert_eq!(entry("sbin/init").link.as_deref(), Some("/nix/init"));
    assert_eq!(entry("opt/capable").attributes["user.note"], b"kept");
    assert_eq!(entry("opt/capable").attributes["security.capability"], archive::capabilities(CAPABILITY));
    assert!(!out.contains_key("opt/socket"));
    let mounted: Vec<&String> = out.keys().filter(|path| path.starts_with("nix/")).collect();
    assert!(mounted.is_empty(), "{mounted:?}");

    let other = Machine::planned(INIT).await;
    import(&other, &bytes).await.unwrap();
    let again = archive::read(export(&other).await.as_slice());
    for path in out.keys().chain(again.keys()) {
        assert_eq!(again.get(path), out.get(path), "{path}");
    }
    assert!(images_of(&machine).is_empty() && images_of(&other).is_empty());
}

#[tokio::test]
async fn owners_in_an_archive_are_those_inside() {
    let machine = Machine::planned(INIT).await;
    let mut spec = machine.spec();
    spec.config.insert("raw.idmap".into(), "both 1000 1000".into());
    machine.driver.create(&machine.name, &spec).await.unwrap();
    machine.boot().await;
    machine.sh("cd /opt; for id in 0 999 1000 1001 65534; do touch $id; chown $id:$id $id; done").await;
    stop(&machine).await;
    let out = archive::read(export(&machine).await.as_slice());
    for id in [0, 999, 1000, 1001, 65534] {
        assert_eq!(out[&format!("opt/{id}")].owner, (id, id));
    }
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
    assert!(images_of(&machine).is_empty() && images_of(&other).is_empty());
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
    assert_eq!(images_of(&machine).len(), 1, "theirs stays");
    client(&["image", "delete", &alias]);
}

#[tokio::test]
async fn only_a_stopped_instance_of_ours_is_exported() {
    let (machine, missing) = (Machine::running().await, Machine::planned(INIT).await);
    let fail = async |machine: &Machine| {
        let mut bytes = Vec::new();
        let error = machine.driver.export(&machine.name, &mut bytes).await.unwrap_err();
        assert!(bytes.is_empty() && images_of(machine).is_empty());
        error
    };
    assert_running(&fail(&machine).await, &machine);
    assert_missing(&fail(&missing).await, &missing);
    stop(&machine).await;
    set_mark(&machine, false);
    assert_taken(&fail(&machine).await, &machine);
    set_mark(&machine, true);
}

/// A stopped instance with a megabyte in it.
async fn large() -> Machine {
    let machine = Machine::stopped().await;
    let contents = FileKind::File(vec![b'x'; 1 << 20].into());
    machine.driver.put_file(&machine.name, &file("/opt/large", contents)).await.unwrap();
    machine
}

#[tokio::test]
async fn an_export_that_cannot_be_written_leaves_no_image() {
    let machine = large().await;
    let (mut ours, theirs) = tokio::io::duplex(1 << 10);
    drop(theirs);
    let error = machine.driver.export(&machine.name, &mut ours).await.unwrap_err();
    assert_archive(&error);
    assert!(images_of(&machine).is_empty());
}

#[tokio::test]
async fn an_export_that_nobody_waits_for_leaves_no_image() {
    let machine = large().await;
    for delay in [0, 10, 50, 1000] {
        // Nobody reads: it does not end.
        let (mut ours, _theirs) = tokio::io::duplex(1 << 10);
        let export = machine.driver.export(&machine.name, &mut ours);
        assert!(timeout(Duration::from_millis(delay), export).await.is_err());
        sleep(SECOND / 3).await;
        let end = Instant::now() + 10 * SECOND;
        while !images_of(&machine).is_empty() {
            assert!(Instant::now() < end, "dropped after {delay} ms, the image stays");
            sleep(SECOND / 10).await;
        }
    }
    export(&machine).await;
}

#[tokio::test]
async fn what_is_no_whole_archive_is_not_imported() {
    let machine = Machine::planned(INIT).await;
    let bytes = curiosities(&machine);
    // The end of an entry, where a tar program notices nothing.
    let between = bytes.len() - 1024 - 512 - 512;
    for length in [0, 300, 512, 5000, between, bytes.len() - 1024, bytes.len() - 512] {
        let error = import(&machine, &bytes[..length]).await.unwrap_err();
        assert_archive(&error);
        nothing_is_left(&machine).await;
    }
    let short = boxed(&bytes[..bytes.len() - 1024]);
    let error = machine.driver.import(&machine.name, &machine.spec(), short, bytes.len() as u64).await;
    let error = error.unwrap_err();
    assert_archive(&error);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&format!("of {} bytes", bytes.len())), "{cause}");
    let mut compressed = Vec::from(b"\x1f\x8b".as_slice());
    compressed.resize(100_000, b'z');
    assert_archive(&import(&machine, &compressed).await.unwrap_err());
    nothing_is_left(&machine).await;
    import(&machine, &bytes).await.expect("the whole one");
}

#[tokio::test]
async fn an_import_that_cannot_be_made_leaves_nothing() {
    let (machine, free) = (Machine::stopped().await, Machine::planned(INIT).await);
    let bytes = small(&free);
    assert_taken(&import(&machine, &bytes).await.unwrap_err(), &machine);
    set_mark(&machine, false);
    assert_taken(&import(&machine, &bytes).await.unwrap_err(), &machine);
    set_mark(&machine, true);
    let mut spec = free.spec();
    let missing =
        Device::Disk { source: "/no/such".into(), path: "/x".into(), read_only: true, shift: false };
    spec.devices.insert("missing".into(), missing);
    let error = free.driver.import(&free.name, &spec, boxed(&bytes), bytes.len() as u64).await.unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    nothing_is_left(&free).await;
}

#[tokio::test]
async fn an_import_that_nobody_waits_for_leaves_nothing() {
    let machine = Machine::planned(INIT).await;
    let (driver, spec) = (machine.driver.clone(), machine.spec());
    let bytes = small(&machine);
    for delay in [0, 5, 20, 60, 150] {
        let size = bytes.len() as u64;
        let import = driver.import(&machine.name, &spec, boxed(&bytes), size);
        if timeout(Duration::from_millis(delay), import).await.is_ok() {
            driver.delete(&machine.name).await.unwrap();
        }
        sleep(SECOND / 3).await;
        nothing_is_left(&machine).await;
    }
    // In the middle of the archive.
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let import = driver.import(&machine.name, &spec, Box::new(ours), bytes.len() as u64);
    let feed = async {
        theirs.write_all(&bytes[..bytes.len() / 2]).await.unwrap();
        sleep(SECOND / 2).await;
    };
    tokio::select! {
        result = import => panic!("{result:?}"),
        () = feed => {}
    }
    nothing_is_left(&machine).await;
    let end = theirs.write_all(&bytes).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::BrokenPipe, "it is read no more");
}

/// How much memory this process has had at most.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn a_large_file_passes_both_ways_without_being_in_memory() {
    const SIZE: usize = 200 << 20;
    let machine = Machine::planned(INIT).await;
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("in.tar"), folder.path().join("out.tar"));
    let large: Vec<u8> =
        (0..1_u32 << 18).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut made = archive::begin(fs::File::create(&source).unwrap(), &format!("made for {}", machine.name));
    let mut header = tar::Header::new_ustar();
    header.set_size(SIZE as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    let contents = std::iter::repeat_n(large.as_slice(), SIZE / large.len());
    made.append_data(&mut header, "rootfs/opt/large", Pieces(contents, &[])).unwrap();
    made.into_inner().unwrap().flush().unwrap();

    let before = most_memory();
    let size = fs::metadata(&source).unwrap().len();
    let archive = tokio::fs::File::open(&source).await.unwrap();
    machine.driver.import(&machine.name, &machine.spec(), Box::new(archive), size).await.unwrap();
    let mut archive = tokio::fs::File::create(&target).await.unwrap();
    machine.driver.export(&machine.name, &mut archive).await.unwrap();
    let grown = most_memory() - before;
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);

    let mut archive = tar::Archive::new(fs::File::open(&target).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with("opt/large")).unwrap();
    let mut piece = vec![0; large.len()];
    for _ in 0..SIZE / large.len() {
        entry.read_exact(&mut piece).unwrap();
        assert!(piece == large);
    }
    assert!(images_of(&machine).is_empty());
}

/// Pieces of bytes, one after the other.
struct Pieces<'a, I: Iterator<Item = &'a [u8]>>(I, &'a [u8]);

impl<'a, I: Iterator<Item = &'a [u8]>> Read for Pieces<'a, I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.next().unwrap_or_default();
        }
        self.1.read(buffer)
    }
}

#[tokio::test]
async fn an_instance_works_on_after_all_that() {
    let (machine, copy) = (Machine::stopped().await, Machine::planned(INIT).await);
    let bytes = export(&machine).await;
    machine.boot().await;
    import(&copy, &bytes).await.unwrap();
    copy.boot().await;
    for machine in [&machine, &copy] {
        let output = machine.driver.run(&machine.name, &shell("cat"), b"hello").await.unwrap();
        assert_eq!(output.stdout, b"hello");
    }
}
