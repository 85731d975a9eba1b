//! A volume, and the instance beside it: one sentence a test.

#![cfg(all(target_os = "linux", feature = "lab"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod common;
#[path = "common/world.rs"]
mod world;

use codchi_guest::{Boot, Entry, InstanceState, Kind, PutRequest, Request, Share, Shutdown, Size, Target};
use common::text;
use std::fs;
use std::time::{Duration, Instant};
use world::{World, boot, file, mount, read_only};

const INSIDE: Target = Target::Instance;
const OUTSIDE: Target = Target::Distribution;

/// An instance with a busybox, of an archive, that does not run.
fn created(world: &World) {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, contents: &[u8], link: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(contents.len() as u64);
        header.set_mtime(1);
        header.set_uid(if path.starts_with("nix") { 30_001 } else { 0 });
        header.set_gid(7);
        if link.is_empty() {
            archive.append_data(&mut header, path, contents).unwrap();
        } else {
            archive.append_link(&mut header, path, link).unwrap();
        }
    };
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    add("./", Directory, 0o755, b"", "");
    add("bin/", Directory, 0o755, b"", "");
    add(
        "bin/busybox",
        Regular,
        0o755,
        &fs::read("/bin/busybox").or_else(|_| fs::read("/usr/bin/busybox")).unwrap(),
        "",
    );
    for name in [
        "sh", "cat", "echo", "ls", "mount", "sleep", "stat", "touch", "env", "readlink", "grep", "hostname",
        "ps", "id", "mkdir",
    ] {
        add(&format!("bin/{name}"), Symlink, 0o777, b"", "busybox");
    }
    add("own-init", Regular, 0o755, world::INIT.replace("mount -t tmpfs run /run\n", "").as_bytes(), "");
    add("nix/store/", Directory, 0o1775, b"", "");
    add("nix/store/x/", Directory, 0o555, b"", "");
    add("nix/store/x/file", Regular, 0o4444, b"x", "");
    add("nix/store/x/hard", Link, 0o444, b"", "nix/store/x/file");
    add("nix/store/x/soft", Symlink, 0o777, b"", "/nix/store/x/file");
    let archive = archive.into_inner().unwrap();
    world.ask(&Request::CreateInstance, &archive).unwrap();
}

fn state(world: &World) -> InstanceState {
    serde_json::from_value(world.ask(&Request::Instance, b"").unwrap()).unwrap()
}

fn start(world: &World, boot: &Boot) -> Result<String, String> {
    let answer = world.ask(&Request::StartInstance { boot: boot.clone() }, b"")?;
    let end = Instant::now() + Duration::from_secs(5);
    while world.run(INSIDE, "ls /run/up").code != 0 {
        assert!(Instant::now() < end, "its init does not come up");
    }
    Ok(answer.as_str().unwrap().to_owned())
}

fn stop(world: &World, how: Shutdown) {
    world.ask(&Request::Stop { target: INSIDE, how }, b"").unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while state(world).running.is_some() {
        assert!(Instant::now() < end, "it does not stop");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn share(name: &str, idle: u64) -> Request {
    Request::Hold { share: Some(Share { name: name.into(), idle }), uses: Vec::new() }
}

#[test]
fn a_volume_is_kept_while_it_is_used_and_a_while_longer() {
    let world = World::with_volume();
    let mut held = world.open(&share("codchi-x", 1));
    assert!(held.receive().is_some());
    // As whoever keeps another distribution running has it.
    let begun = Instant::now();
    let file = format!("/proc/{}/root/mnt/wsl/codchi/codchi-x.used", world.first().unwrap());
    let used = fs::File::open(file).unwrap();
    used.lock_shared().unwrap();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(held.child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(50));
    }
    used.unlock().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while held.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it stays for nobody");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The next one keeps it again.
    let mut next = world.open(&share("codchi-x", 600));
    assert!(next.receive().is_some());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(next.child.try_wait().unwrap(), None);
    next.child.kill().unwrap();
    next.child.wait().unwrap();
}

#[test]
fn a_volume_is_shared_and_repaired() {
    let world = World::with_volume();
    let hold = || {
        let mut held = world.open(&share("codchi-x", 600));
        assert_eq!(held.receive(), Some((Kind::Done, b"\"\"".to_vec())));
        held
    };
    let mut first = hold();
    world.sh("echo x >/mnt/wsl/codchi/codchi-x/store/file; cat /codchi/volume/store/file");
    let count = || world.raw("grep -c ' /mnt/wsl/codchi/codchi-x ' /proc/1/mountinfo || :");
    // One is enough: the others mount what is not there, and go.
    let again = || assert!(hold().child.wait().unwrap().success());
    again();
    assert_eq!(count(), "1");
    world.raw("umount /mnt/wsl/codchi/codchi-x");
    again();
    assert_eq!(count(), "1");
    world.raw("umount /mnt/wsl/codchi/codchi-x; mount -t tmpfs stale /mnt/wsl/codchi/codchi-x");
    again();
    assert_eq!((count().as_str(), world.sh("cat /mnt/wsl/codchi/codchi-x/store/file").as_str()), ("1", "x"));
    for name in ["", "..", "a/b"] {
        assert!(world.ask(&share(name, 600), b"").is_err());
    }
    assert_eq!(first.child.try_wait().unwrap(), None);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
}

#[test]
fn an_archive_is_laid_down_as_it_is() {
    let world = World::with_volume();
    assert_eq!(state(&world), InstanceState { exists: false, running: None });
    created(&world);
    assert_eq!(state(&world), InstanceState { exists: true, running: None });
    let seen = world.sh(
        "cd /codchi/instance/nix/store; stat -c '%n %a %u %g %Y %h' . x x/file x/hard x/soft; readlink x/soft",
    );
    assert_eq!(
        seen,
        ". 1775 30001 7 1 3\nx 555 30001 7 1 2\nx/file 4444 30001 7 1 2\nx/hard 4444 30001 7 1 2\nx/soft 777 30001 7 1 1\n/nix/store/x/file"
    );
    assert!(world.ask(&Request::CreateInstance, b"").unwrap_err().contains("already"));
    world.ask(&Request::DeleteInstance, b"").unwrap();
    assert_eq!(state(&world), InstanceState { exists: false, running: None });
    world.ask(&Request::DeleteInstance, b"").unwrap();

    // Without one it is folders.
    world.ask(&Request::CreateInstance, b"").unwrap();
    assert_eq!(
        world.sh("cd /codchi/instance; stat -c '%n %a' nix tmp root var/tmp"),
        "nix 755\ntmp 1777\nroot 700\nvar/tmp 1777"
    );
}

#[test]
fn nothing_is_laid_down_of_an_archive_that_is_none_or_leads_out() {
    let world = World::with_volume();
    let evil = |path: &str, link: Option<&str>| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        if let Some(link) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            archive.append_link(&mut header, "out", link).unwrap();
            header.set_entry_type(tar::EntryType::Regular);
        }
        header.set_size(1);
        // Not by the library, which would refuse.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        archive.into_inner().unwrap()
    };
    for archive in [
        vec![0xff; 512],
        evil("../escaped", None),
        evil("out/escaped", Some("/tmp")),
        evil("out/escaped", Some("..")),
    ] {
        world.ask(&Request::CreateInstance, &archive).unwrap_err();
        assert_eq!(state(&world), InstanceState { exists: false, running: None });
    }
    assert_eq!(world.sh("ls -A /tmp; ls /codchi"), "guest\nhome\nlock\nvolume");
    // Nor of one that breaks off.
    let mut session = world.open(&Request::CreateInstance);
    session.send(Kind::Input, &[0; 100]);
    session.stdin.take();
    assert!(matches!(session.receive(), Some((Kind::Failed, _))));
    session.child.wait().unwrap();
    assert_eq!(world.sh("ls /codchi"), "guest\nhome\nlock\nvolume");
}

#[test]
fn an_instance_lives_beside_the_volume() {
    let world = World::with_volume();
    let told = boot([mount("/codchi/volume/store", "/nix/store"), read_only("/mnt/c/ro", "/etc/more/ro")]);
    fs::write(world.drive().join("ro"), "read only").unwrap();
    assert!(start(&world, &told).unwrap_err().contains("no instance"));
    created(&world);
    // What does not run has its root file system.
    let link = PutRequest { entry: Entry::Symlink("own-init".into()), ..file("/other-init", 0) };
    world.ask(&Request::Put { target: INSIDE, entry: link }, b"").unwrap();

    let name = start(&world, &told).unwrap();
    assert_eq!(state(&world).running, Some(name.clone()));
    assert_eq!(start(&world, &told).unwrap(), name, "it runs already");

    // Its own processes, mounts and names; the volume is everybody's.
    assert_eq!(
        world.sh_in(INSIDE, "readlink /proc/1/exe; ls -d /sys/kernel /dev/null"),
        "/bin/busybox\n/dev/null\n/sys/kernel"
    );
    world.sh_in(INSIDE, "touch /nix/store/inner; hostname inner; mkdir -p /tmp; echo x >/tmp/x");
    assert_eq!(world.sh("ls /codchi/volume/store; ls /tmp"), "inner");
    assert_ne!(world.sh("hostname"), "inner");
    assert_eq!(world.sh_in(INSIDE, "cat /etc/more/ro"), "read only");
    assert_eq!(world.run(INSIDE, "echo x >/etc/more/ro").code, 1);
    assert_eq!(
        world.sh_in(INSIDE, "ls /codchi /mnt 2>&1 | grep -c 'No such'"),
        "2",
        "the distribution's root is gone"
    );
    assert_eq!(world.sh_in(INSIDE, "env -i /bin/cat /run/environment | grep -c '^container=wsl'"), "1");
    let pids = world.sh_in(INSIDE, "echo /proc/[0-9]*");
    assert!(pids.split(' ').count() <= 4, "{pids}");
    // Real root: it may mount, and make namespaces.
    world.sh_in(INSIDE, "mkdir /tmp/m; mount -t tmpfs m /tmp/m; touch /tmp/m/x");
    assert_eq!(world.raw("grep -c codchi/instance /proc/1/mountinfo || :"), "0");
    let request = codchi_guest::ExecRequest {
        target: INSIDE,
        terminal: Some(Size { columns: 80, rows: 24 }),
        uid: 1234,
        gid: 5,
        ..common::exec(["sh", "-c", "id -u; id -G; exit 3"])
    };
    let (_, ended) = world.open(&Request::Exec(request)).end(b"").unwrap();
    assert_eq!((ended.code, text(&ended.output)), (3, "1234\r\n5\r\n".into()));
    let session =
        |script: &str| codchi_guest::ExecRequest { target: INSIDE, ..common::exec(["sh", "-c", script]) };
    let mut sleeping = world.open(&Request::Exec(session("echo up; exec sleep 4325")));
    sleeping.until("up");
    sleeping.send(Kind::Signal, &15i32.to_be_bytes());
    assert_eq!(sleeping.end(b"").unwrap().1.code, 143);

    // Put while it runs.
    let entry = PutRequest { uid: 3, ..file("/run/put", 0o640) };
    world.ask(&Request::Put { target: INSIDE, entry }, b"put").unwrap();
    assert_eq!(world.sh_in(INSIDE, "cat /run/put; stat -c ' %a %u' /run/put"), "put 640 3");

    // Applied while it runs.
    let apply =
        |boot: &Boot| world.ask(&Request::Apply { target: INSIDE, boot: boot.clone() }, b"").map(drop);
    fs::create_dir(world.drive().join("b")).unwrap();
    fs::write(world.drive().join("b/name"), "b").unwrap();
    let other = boot([mount("/codchi/volume/store", "/nix/store"), read_only("/mnt/c/b", "/b")]);
    apply(&other).unwrap();
    apply(&other).unwrap();
    assert_eq!(
        world.sh_in(INSIDE, "cat /b/name /etc/more/ro; ls /nix/store; grep -c ' /b ' /proc/self/mountinfo"),
        "binner\n1"
    );
    assert_eq!(world.run(INSIDE, "touch /b/x").code, 1);
    assert_eq!(world.run(OUTSIDE, "ls /b").code, 1);

    stop(&world, Shutdown::Ask);
    assert!(world.ask(&Request::Exec(session("true")), b"").unwrap_err().contains("does not run"));
    assert!(apply(&other).unwrap_err().contains("does not run"));
    world.ask(&Request::Stop { target: INSIDE, how: Shutdown::Ask }, b"").unwrap();

    let again = start(&world, &Boot { init: "/other-init".into(), ..told }).unwrap();
    assert_ne!(again, name);
    let mut sleeping = world.open(&Request::Exec(session("echo up; exec sleep 4326")));
    sleeping.until("up");
    stop(&world, Shutdown::Kill);
    assert_eq!(sleeping.end(b"").unwrap().1.code, 137);
    world.ask(&Request::Stop { target: INSIDE, how: Shutdown::Kill }, b"").unwrap();

    // What is mounted there from outside is not removed.
    start(&world, &boot([mount("/codchi/volume/store", "/nix/store")])).unwrap();
    world.sh("mount -o bind /codchi/volume /codchi/instance/nix; ls /codchi/instance/nix/store/inner");
    world.ask(&Request::DeleteInstance, b"").unwrap();
    assert_eq!(state(&world), InstanceState { exists: false, running: None });
    assert_eq!(world.sh("ls /codchi/volume/store; ls /codchi"), "inner\nguest\nhome\nlock\nvolume");
}

#[test]
fn why_an_instance_does_not_start_is_told() {
    let world = World::with_volume();
    created(&world);
    let fails = |boot: Boot| world.ask(&Request::StartInstance { boot }, b"").unwrap_err();
    let error = fails(Boot { init: "/no/init".into(), ..boot([]) });
    assert!(error.contains("/no/init"), "{error}");
    let error = fails(boot([mount("/codchi/volume/never", "/x")]));
    assert!(error.contains("/codchi/volume/never"), "{error}");
    let link = PutRequest { entry: Entry::Symlink("/no/where".into()), ..file("/place", 0) };
    world.ask(&Request::Put { target: INSIDE, entry: link }, b"").unwrap();
    let error = fails(boot([mount("/codchi/volume", "/place")]));
    assert!(error.contains("leads nowhere"), "{error}");
    assert_eq!(state(&world), InstanceState { exists: true, running: None });
    // Nothing is left of them in the distribution.
    assert_eq!(world.raw("grep -c codchi/instance /proc/1/mountinfo || :"), "0");
    start(&world, &boot([])).unwrap();
}

#[test]
fn who_connects_inside_is_passed_on() {
    let world = World::with_volume();
    created(&world);
    let listen = || {
        world.open(&Request::Listen(codchi_guest::ListenRequest {
            target: INSIDE,
            path: "/out/there/socket".into(),
            uid: 5,
            gid: 6,
            mode: 0o600,
        }))
    };
    assert!(listen().end(b"").unwrap_err().contains("does not run"));
    start(&world, &boot([])).unwrap();
    world.sh_in(INSIDE, "mkdir -p /run/there; busybox ln -s /../../run /out");
    let mut session = listen();
    assert_eq!(session.receive(), Some((Kind::Begun, Vec::new())));
    assert_eq!(world.sh_in(INSIDE, "stat -c '%F %u %g %a' /run/there/socket"), "socket 5 6 600");
    assert_eq!(world.run(OUTSIDE, "ls /run/there").code, 1, "it is inside alone");
    session.send(Kind::InputEnd, b"");
    assert_eq!(session.receive(), Some((Kind::Done, b"null".to_vec())));
    assert_eq!(world.sh_in(INSIDE, "ls /run/there"), "");
}
