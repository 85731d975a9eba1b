//! Exporting and importing.

use super::{
    boxed, export, import, is_archive_error, is_missing, is_running, is_taken, large, nothing_is_left, small,
    stop,
};
use codchi_driver::{Device, RunState};
use codchi_tests::archive::{self, Entry};
use codchi_tests::engine::{images_of, set_mark};
use codchi_tests::instance::{INIT, Machine, shell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use tar::EntryType;

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
    assert!(images_of(&machine.name).is_empty());
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
    assert!(images_of(&machine.name).is_empty());
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
    let (out, again) = (with_file_first(out), with_file_first(again));
    for path in out.keys().chain(again.keys()) {
        assert_eq!(again.get(path), out.get(path), "{path}");
    }
    assert!(images_of(&machine.name).is_empty() && images_of(&other.name).is_empty());
}

/// Which of a file's two names comes first, and is the file, no archive promises: here it is `opt/file`.
fn with_file_first(mut entries: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    let is_link = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.kind == EntryType::Link);
    if is_link(entries.get("opt/file"))
        && let (Some(mut link), Some(file)) = (entries.remove("opt/file"), entries.remove("opt/hard"))
    {
        link.link = Some("rootfs/opt/file".into());
        entries.extend([("opt/file".into(), file), ("opt/hard".into(), link)]);
    }
    entries
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
async fn only_a_stopped_instance_of_ours_is_exported() {
    let (machine, missing) = (Machine::running().await, Machine::planned(INIT).await);
    let fail = async |machine: &Machine| {
        let mut bytes = Vec::new();
        let error = machine.driver.export(&machine.name, &mut bytes).await.unwrap_err();
        assert!(bytes.is_empty() && images_of(&machine.name).is_empty());
        error
    };
    is_running(&fail(&machine).await, &machine);
    is_missing(&fail(&missing).await, &missing);
    stop(&machine).await;
    set_mark(&machine.name, false);
    is_taken(&fail(&machine).await, &machine);
    set_mark(&machine.name, true);
}

#[tokio::test]
async fn an_export_that_cannot_be_written_leaves_no_image() {
    let machine = large().await;
    let (mut ours, theirs) = tokio::io::duplex(1 << 10);
    drop(theirs);
    let error = machine.driver.export(&machine.name, &mut ours).await.unwrap_err();
    is_archive_error(&error);
    assert!(images_of(&machine.name).is_empty());
}

#[tokio::test]
async fn what_is_no_whole_archive_is_not_imported() {
    let machine = Machine::planned(INIT).await;
    let bytes = curiosities(&machine);
    // The end of an entry, where a tar program notices nothing.
    let between = bytes.len() - 1024 - 512 - 512;
    for length in [0, 300, 512, 5000, between, bytes.len() - 1024, bytes.len() - 512] {
        let error = import(&machine, &bytes[..length]).await.unwrap_err();
        is_archive_error(&error);
        nothing_is_left(&machine).await;
    }
    let short = boxed(&bytes[..bytes.len() - 1024]);
    let error = machine.driver.import(&machine.name, &machine.spec(), short, bytes.len() as u64).await;
    let error = error.unwrap_err();
    is_archive_error(&error);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(&format!("of {} bytes", bytes.len())), "{cause}");
    let mut compressed = Vec::from(b"\x1f\x8b".as_slice());
    compressed.resize(100_000, b'z');
    is_archive_error(&import(&machine, &compressed).await.unwrap_err());
    nothing_is_left(&machine).await;
    import(&machine, &bytes).await.expect("the whole one");
}

#[tokio::test]
async fn an_import_that_cannot_be_made_leaves_nothing() {
    let (machine, free) = (Machine::stopped().await, Machine::planned(INIT).await);
    let bytes = small(&free);
    is_taken(&import(&machine, &bytes).await.unwrap_err(), &machine);
    set_mark(&machine.name, false);
    is_taken(&import(&machine, &bytes).await.unwrap_err(), &machine);
    set_mark(&machine.name, true);
    let mut spec = free.spec();
    let missing =
        Device::Disk { source: "/no/such".into(), path: "/x".into(), read_only: true, shift: false };
    spec.devices.insert("missing".into(), missing);
    let error = free.driver.import(&free.name, &spec, boxed(&bytes), bytes.len() as u64).await.unwrap_err();
    assert!(error.to_string().contains("/no/such"), "{error}");
    nothing_is_left(&free).await;
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
    // Others run beside it in this process.
    assert!(grown < SIZE as u64 * 2 / 3, "{} MiB more", grown >> 20);

    let mut archive = tar::Archive::new(fs::File::open(&target).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with("opt/large")).unwrap();
    let mut piece = vec![0; large.len()];
    for _ in 0..SIZE / large.len() {
        entry.read_exact(&mut piece).unwrap();
        assert!(piece == large);
    }
    assert!(images_of(&machine.name).is_empty());
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
