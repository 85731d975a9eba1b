//! A distribution's first process, and what is asked of a system that runs: one sentence a test.

#![cfg(all(target_os = "linux", feature = "lab"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod common;
#[path = "common/world.rs"]
mod world;

use codchi_guest::{BOOT, BOOT_ERROR, BOOTED, Entry, Kind, PENDING, PutRequest, Request, Shutdown, Target};
use common::text;
use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};
use world::{World, boot, file, mount, read_only};

const HERE: Target = Target::Distribution;

#[test]
fn a_boot_makes_of_a_distribution_what_it_was_told() {
    let mut world = World::booting(&boot([
        mount("/mnt/c/work", "/home/me/a project"),
        read_only("/mnt/c/store", "/nix"),
        read_only("/mnt/c/one file", "/etc/one file"),
    ]));
    for folder in ["work", "store"] {
        fs::create_dir(world.drive().join(folder)).unwrap();
        fs::write(world.drive().join(folder).join("here"), folder).unwrap();
    }
    fs::write(world.drive().join("one file"), "single").unwrap();
    fs::write(world.home().join(BOOT_ERROR), "of an earlier boot").unwrap();
    let folder = PutRequest { entry: Entry::Folder, ..file("/opt", 0o711) };
    world.put_later("01", &folder, b"");
    world.put_later(
        "02",
        &PutRequest { uid: 1000, gid: 100, ..file("/opt/a file & more", 0o4750) },
        b"\n\0\xff\n",
    );
    world.put_later(
        "03",
        &PutRequest { entry: Entry::Symlink("a file & more".into()), ..file("/opt/link", 0) },
        b"",
    );
    world.put_later("04.new-1-2", &file("/half", 0o600), b"written");
    let booted = world.boot();

    assert_eq!(world.sh("cat '/home/me/a project/here' /nix/here '/etc/one file'"), "workstoresingle");
    assert_eq!(world.sh("echo new >'/home/me/a project/new'; cat /mnt/c/work/new"), "new");
    assert_eq!(world.run(HERE, "touch /nix/new").code, 1);
    assert_eq!(world.run(HERE, "echo x >'/etc/one file'").code, 1);
    world.sh("touch /mnt/c/store/new");
    let seen = world.sh("cd /opt; stat -c '%a %u %g %s' . 'a file & more'; readlink link; ls -a");
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].starts_with("711 0 0 "), "{seen}");
    assert_eq!(lines[1..], ["4750 1000 100 4", "a file & more", ".", "..", "a file & more", "link"]);
    assert!(world.sh("cat /run/environment").lines().any(|line| line == "container=wsl"));
    assert_eq!(world.run(HERE, "ls /half").code, 1);
    assert!(!world.home().join(BOOT_ERROR).exists());
    let left: Vec<_> =
        fs::read_dir(world.home().join(PENDING)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["04.new-1-2"]);

    // Who holds it is told which boot that is, and stays.
    let mut held = world.open(&Request::Hold { share: None, uses: Vec::new() });
    assert_eq!(held.receive(), Some((Kind::Done, serde_json::to_vec(&booted).unwrap())));
    held.stdin.take();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(held.child.try_wait().unwrap(), None);
    let nsenter = held.child.id();
    let program = fs::read_to_string(format!("/proc/{nsenter}/task/{nsenter}/children")).unwrap();
    for stream in 0..3 {
        let to = fs::read_link(format!("/proc/{}/fd/{stream}", program.trim())).unwrap();
        assert!(to.ends_with("dev/null"), "{}", to.display());
    }

    world.ask(&Request::Stop { target: HERE, how: Shutdown::Ask }, b"").unwrap();
    world.end();
    held.child.wait().unwrap();

    let again = world.boot();
    assert_ne!(booted, again);
    assert!(
        world
            .ask(&Request::Stop { target: HERE, how: Shutdown::Kill }, b"")
            .unwrap_err()
            .contains("terminate")
    );
}

#[test]
fn a_source_may_appear_a_little_later() {
    let mut world = World::booting(&boot([mount("/mnt/c/late", "/late")]));
    let late = world.drive().join("late");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        fs::create_dir(&late).unwrap();
    });
    world.boot();
    world.sh("touch /late/x; ls /mnt/c/late/x");
}

#[test]
fn why_a_boot_failed_is_told() {
    let mut world = World::booting(&boot([mount("/mnt/c/never", "/never")]));
    let begun = Instant::now();
    let why = world.boot_error();
    assert!(why.contains("/mnt/c/never") && begun.elapsed() < Duration::from_secs(15), "{why}");

    world.say(&boot([]));
    world.boot();
    drop(world);

    let mut world = World::booting(&codchi_guest::Boot { init: "/no/init".into(), mounts: vec![] });
    assert!(world.boot_error().contains("/no/init"));
    fs::write(world.home().join(BOOT), "{").unwrap();
    assert!(world.boot_error().contains("boot.json"));
    fs::remove_file(world.home().join(BOOT)).unwrap();
    assert!(world.boot_error().contains("boot.json"));
    world.put_later("99", &file("/no/such/folder/file", 0o600), b"hunter2");
    let why = world.boot_error();
    assert!(why.contains("/no/such/folder/file") && !why.contains("hunter2"), "{why}");

    let mut world = World::planned();
    world.prepare("rm /codchi/home");
    let why = world.boot_error();
    assert!(why.contains("/codchi/home"), "{why}");
}

#[test]
fn no_link_leads_a_mount_elsewhere() {
    for (prepare, path, says) in [
        ("ln -s /no/where /place", "/place", "leads nowhere"),
        ("ln -s /no/where /place", "/place/below", "leads nowhere"),
        ("touch /place", "/place", "no folder"),
        ("touch /place", "/place/below", ""),
        ("", "place", "no place"),
        ("", "/", "no place"),
    ] {
        let mut world = World::booting(&boot([mount("/mnt/c", path)]));
        world.prepare(prepare);
        let why = world.boot_error();
        assert!(why.contains(says) && why.contains(path), "{prepare} {path}: {why}");
    }
}

#[test]
fn what_is_mounted_changes_while_it_runs() {
    let mut world = World::booting(&boot([mount("/mnt/c/a", "/m/a"), read_only("/mnt/c/b", "/m/b")]));
    for name in ["a", "b", "c"] {
        fs::create_dir_all(world.drive().join(name).join("sub")).unwrap();
        fs::write(world.drive().join(name).join("name"), name).unwrap();
    }
    world.boot();
    let apply = |mounts: &[codchi_guest::BootMount]| {
        world.ask(&Request::Apply { target: HERE, boot: boot(mounts) }, b"").map(drop)
    };
    let mounts = || world.raw("grep -c ' /m/' /proc/1/mountinfo || :");
    let [a, b] = [mount("/mnt/c/a", "/m/a"), read_only("/mnt/c/b", "/m/b")];
    assert_eq!(mounts(), "2");
    let ids = || world.raw("grep ' /m/' /proc/1/mountinfo");
    let before = ids();
    apply(&[a.clone(), b.clone()]).unwrap();
    assert_eq!(ids(), before, "nothing was to be done");

    // One goes, one changes, one is new, and one lies on it.
    apply(&[mount("/mnt/c/b", "/m/b"), mount("/mnt/c/c", "/m/c"), read_only("/mnt/c/a", "/m/c/sub")])
        .unwrap();
    assert_eq!(world.sh("cat /m/b/name /m/c/name /m/c/sub/name; touch /m/b/x; ls /m/a"), "bca");
    assert_eq!(world.run(HERE, "touch /m/c/sub/x").code, 1);
    apply(&[mount("/mnt/c/a", "/m/c"), read_only("/mnt/c/a", "/m/c/sub")]).unwrap();
    assert_eq!(world.sh("cat /m/c/name /m/c/sub/name"), "aa");
    assert_eq!(mounts(), "2");

    // Somebody unmounts one by hand, and has another open.
    world.sh("umount /m/c/sub");
    apply(&[mount("/mnt/c/a", "/m/c"), read_only("/mnt/c/a", "/m/c/sub")]).unwrap();
    assert_eq!(mounts(), "2");
    let mut busy = world.open(&Request::Exec(common::shell("cd /m/c; echo in; exec sleep 100")));
    busy.until("in");
    apply(&[]).unwrap();
    assert_eq!(mounts(), "0");
    assert!(apply(&[mount("/mnt/c/never", "/m/x")]).is_err());
    assert_eq!(mounts(), "0");
    apply(&[a]).unwrap();
    assert_eq!(mounts(), "1");
}

#[test]
fn what_is_mounted_read_only_is_that_all_the_way_down_and_keeps_what_else_it_was() {
    let mut world = World::booting(&boot([read_only("/deep", "/ro")]));
    world.prepare(
        "mkdir -p /deep; mount -t tmpfs -o nosuid,nodev top /deep; mkdir /deep/x; mount -t tmpfs -o noexec below /deep/x",
    );
    world.boot();
    assert_eq!(world.run(HERE, "touch /ro/x/y").code, 1);
    assert_eq!(world.run(HERE, "touch /ro/y").code, 1);
    world.sh("touch /deep/y /deep/x/y");
    let options = world.raw("grep ' /ro' /proc/1/mountinfo");
    for (line, flags) in options.lines().zip(["ro,nosuid,nodev,relatime", "ro,noexec,relatime"]) {
        assert!(line.contains(flags), "{options}");
    }
}

#[test]
fn entries_are_put_into_a_system_that_runs() {
    let mut world = World::booting(&boot([]));
    world.boot();
    let put = |entry: PutRequest, contents: &[u8]| {
        world.ask(&Request::Put { target: HERE, entry }, contents).map(drop)
    };
    let folder = |path: &str, mode| PutRequest { entry: Entry::Folder, ..file(path, mode) };
    put(folder("/opt", 0o2775), b"").unwrap();
    put(folder("/opt", 0o700), b"").unwrap();
    let big: Vec<u8> = (0..5 << 20).map(|index| (index % 253) as u8).collect();
    put(PutRequest { uid: 7, gid: 8, ..file("/opt/big", 0o640) }, &big).unwrap();
    assert_eq!(world.sh("cd /opt; stat -c '%a %u %g' . big; stat -c %s big"), "2775 0 0\n640 7 8\n5242880");
    let output =
        world.open(&Request::Exec(common::exec(["/bin/cat", "/opt/big"]))).end(b"").unwrap().1.output;
    assert!(output == big);

    // What is there is replaced, and no link is followed.
    world.sh("echo safe >/opt/victim; ln -s victim /opt/link; ln -s /opt /opt-link; ln -s victim /opt/dir");
    for path in ["/opt/link", "/opt/big"] {
        put(file(path, 0o600), b"new").unwrap();
        assert_eq!(world.sh(&format!("cat {path}; stat -c ' %a %u %F' {path}")), "new 600 0 regular file");
    }
    put(folder("/opt/dir", 0o755), b"").unwrap();
    let link = |target: &str| PutRequest { entry: Entry::Symlink(target.into()), ..file("/opt-link/big", 0) };
    put(link("a"), b"").unwrap();
    put(PutRequest { uid: 5, ..link("b") }, b"").unwrap();
    assert_eq!(
        world.sh("readlink /opt/big; cat /opt/victim; stat -c '%F %u' /opt/dir /opt/big"),
        "b\nsafe\ndirectory 0\nsymbolic link 5"
    );
    // A link is followed as the system itself follows it.
    world.sh("ln -s ../../../../opt /up");
    put(file("/up/through", 0o600), b"x").unwrap();
    world.sh("ls /opt/through");

    let error = put(file("/no/such", 0o600), b"hunter2").unwrap_err();
    assert!(error.contains("/no/such") && !error.contains("hunter2"), "{error}");
    put(file("/opt", 0o600), b"x").unwrap_err();
    put(file("relative", 0o600), b"x").unwrap_err();
    put(file("/", 0o600), b"x").unwrap_err();

    // Half a file is none.
    let mut session = world.open(&Request::Put { target: HERE, entry: file("/opt/half", 0o600) });
    session.send(Kind::Input, b"half");
    session.stdin.take();
    assert!(matches!(session.receive(), Some((Kind::Failed, _))));
    session.child.wait().unwrap();
    assert_eq!(world.sh("ls -A /opt"), "big\ndir\nlink\nthrough\nvictim");
    assert!(!world.home().join(BOOTED).metadata().unwrap().permissions().readonly());
}

#[test]
fn a_system_is_packed_without_what_is_mounted_in_it() {
    let mut world = World::booting(&boot([mount("/mnt/c", "/drive")]));
    fs::write(world.drive().join("not mine"), "").unwrap();
    world.boot();
    world.sh("mkdir -p /home/me; echo hello >/home/me/file; echo x >/run/x");
    let (_, ended) = world.open(&Request::Pack).end(b"").unwrap();
    let mut archive = tar::Archive::new(ended.output.as_slice());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path == "home/me/file" {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            assert_eq!(text(&contents), "hello\n");
        }
        names.push(path);
    }
    for name in ["home/me/file", "bin/busybox", "drive", "mnt/c", "run", "dev", "proc", "sbin/init"] {
        assert!(names.iter().any(|other| other == name), "{name}: {names:?}");
    }
    for folder in ["codchi", "mnt/c/", "drive/", "run/", "dev/", "proc/"] {
        assert!(!names.iter().any(|name| name.starts_with(folder)), "{folder}: {names:?}");
    }
}

#[test]
fn programs_that_wsl_starts_in_another_mount_namespace_go_to_the_systems() {
    let mut world = World::booting(&boot([]));
    fs::create_dir(world.drive().join("a")).unwrap();
    world.boot();
    // As where a program is called with other rights on Windows.
    let request = Request::Apply { target: HERE, boot: boot([mount("/mnt/c/a", "/applied")]) };
    world.elsewhere(&request).unwrap();
    assert_eq!(world.raw("grep -c ' /applied ' /proc/1/mountinfo"), "1");
}
