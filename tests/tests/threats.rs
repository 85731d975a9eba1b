//! What docs/security.md says of modules and machines that mean harm, tried by root in a machine and by a module's own code. Needs
//! what `cargo xtask lab up` sets up.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::engine;
use codchi_tests::person::Person;
use codchi_tests::program::{self, text};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Output;

/// What root in a machine prints, and what its commands complain about.
fn root(person: &Person, machine: &str, script: &str) -> String {
    let arguments = ["exec", "--root", machine, "--", "sh", "-c", script];
    let Output { stdout, stderr, .. } = person.command(&arguments).output().unwrap();
    text(&stdout) + &text(&stderr)
}

/// The processes of this computer whose command line is this one.
fn processes(command: &str) -> Vec<u32> {
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_it = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        text(&line).replace('\0', " ").trim() == command
    };
    all.filter(is_it).collect()
}

/// The user of this computer that a process runs as.
fn user(process: u32) -> u32 {
    fs::metadata(format!("/proc/{process}")).unwrap().uid()
}

/// The mount points in a machine with something of this computer's disks, by `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn disks(mountinfo: &str) -> BTreeSet<&str> {
    const OF_THE_KERNEL: [&str; 19] = [
        "autofs",
        "binfmt_misc",
        "cgroup",
        "cgroup2",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fuse.lxcfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "proc",
        "pstore",
        "ramfs",
        "securityfs",
        "sysfs",
        "tmpfs",
        "tracefs",
    ];
    let mount = |line| {
        let (before, after): (&str, &str) = str::split_once(line, " - ")?;
        let (at, kind) = (before.split(' ').nth(4)?, after.split(' ').next()?);
        (!OF_THE_KERNEL.contains(&kind)).then_some(at)
    };
    mountinfo.lines().filter_map(mount).collect()
}

#[test]
fn root_in_a_machine_reaches_nothing_of_the_computer_or_of_other_machines() {
    let person = Person::new("threat");
    person.create();
    let other = person.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(
        other.join("codchi.nix"),
        "{ pkgs, ... }: { environment.systemPackages = [ pkgs.util-linux ]; }",
    )
    .unwrap();
    person.done(&["create", "--name", "NAME-2", other.to_str().unwrap()]);
    let [victim, malicious] = ["NAME", "NAME-2"];
    let tried = |script: &str| root(&person, malicious, script);

    // Its own disk, the store and the project, and nothing else.
    let mountinfo = tried("cat /proc/self/mountinfo");
    assert_eq!(disks(&mountinfo), BTreeSet::from(["/", "/nix/store", "/home/codchi/other"]), "{mountinfo}");
    let secret = "cat /run/codchi/secrets/TOKEN";
    assert!(root(&person, victim, secret).contains("hunter2"), "whose secret it is has it");
    assert!(tried(secret).contains("No such file"));
    for folder in [person.path(""), engine::folder()] {
        let told = tried(&format!("ls {}", folder.display()));
        assert!(told.contains("No such file"), "{told}");
    }

    // Sockets: the engine's and that of Nix would each be a way out.
    let sockets = tried(
        "find / -xdev -name '*.sock*' -type s; ls -d /dev/lxd /dev/incus /nix/var/nix/daemon-socket/socket",
    );
    assert!(!sockets.contains("unix.socket") && !sockets.contains("lxc"), "{sockets}");
    assert_eq!(sockets.matches("No such file").count(), 3, "{sockets}");

    // The store is everybody's.
    let written = "touch /nix/store/written-by-a-machine; chmod u+w \"$(readlink -f /run/current-system)\"";
    let told = tried(written);
    assert_eq!(told.matches("Read-only file system").count(), 2, "{told}");
    for way in [
        "mount -o remount,rw /nix/store",
        "mount -o remount,bind,rw /nix/store",
        "mkdir -p /tmp/m; mount --bind /nix/store /tmp/m; mount -o remount,bind,rw /tmp/m",
        "unshare --mount mount -o remount,bind,rw /nix/store",
    ] {
        let told = tried(&format!("{way}; {written}; touch /tmp/m/written-by-a-machine"));
        assert!(!Path::new("/nix/store/written-by-a-machine").exists(), "{way}: {told}");
    }

    // Processes: it sees its own, and root in there is nobody here.
    let mut sleeping = person.command(&["exec", "--root", victim, "--", "sleep", "4207"]).spawn().unwrap();
    let found = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        processes("sleep 4207").first().copied()
    });
    let process = found.expect("it runs");
    assert!(!tried("cat /proc/*/cmdline").contains("4207"));
    assert!(user(process) >= 100_000, "{}", user(process));
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();

    // The kernel and its devices are this computer's.
    let disk = fs::metadata("/").unwrap().dev();
    let (major, minor) = (rustix::fs::major(disk), rustix::fs::minor(disk));
    for (way, refusal) in [
        (format!("mknod /tmp/disk b {major} {minor} && head -c 1 /tmp/disk"), "not permitted"),
        ("echo 1 > /proc/sys/kernel/panic".into(), "cannot create"),
        ("echo b > /proc/sysrq-trigger".into(), "cannot create"),
        ("echo x > /proc/sys/kernel/core_pattern".into(), "cannot create"),
        ("ls /dev/mem /dev/kvm /dev/dri 2>&1 | grep -c 'No such file'".into(), "3"),
    ] {
        let told = tried(&way);
        assert!(told.contains(refusal), "{way}: {told}");
    }
    for machine in [victim, malicious] {
        person.done(&["delete", "--yes", machine]);
    }
}

#[test]
fn a_modules_code_reads_nothing_of_the_computer_and_runs_nothing_on_it() {
    let person = Person::new("evil");
    let secret = person.path("diary");
    fs::write(&secret, "dear diary").unwrap();
    let project = person.project();
    symlink(&secret, project.join("link")).unwrap();
    let diary = secret.display();
    for expression in [format!("builtins.readFile \"{diary}\""), "builtins.readFile ./link".into()] {
        fs::write(project.join("codchi.nix"), format!("{{ environment.etc.diary.text = {expression}; }}"))
            .unwrap();
        let output = person.command(&["create", "--name", "NAME", "PROJECT"]).output().unwrap();
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success() && told.contains("forbidden"), "{expression}: {told}");
        assert!(!told.contains("dear diary"), "{told}");
    }
    assert!(!person.state().has("instance"));

    // A flake's settings for Nix would name programs to run here; the environment of who builds is not the module's to read.
    let hook = person.path("hook");
    program::script(&hook, &format!("touch {}", person.path("it-ran").display()));
    fs::remove_file(project.join("link")).unwrap();
    let flake = format!(
        "{{\n  nixConfig.post-build-hook = \"{}\";\n  nixConfig.diff-hook = \"{0}\";\n  \
         outputs = _: {{ codchiModules.default = ./codchi.nix; }};\n}}\n",
        hook.display()
    );
    fs::write(project.join("flake.nix"), flake).unwrap();
    let module =
        "{ environment.etc.environment-of-the-host.text = \"<\" + builtins.getEnv \"HOME\" + \">\"; }";
    fs::write(project.join("codchi.nix"), module).unwrap();
    person.done(&["create", "--name", "NAME", "PROJECT"]);
    assert_eq!(root(&person, "NAME", "cat /etc/environment-of-the-host"), "<>");
    assert!(!person.path("it-ran").exists(), "a module's flake has run a program");
    person.done(&["delete", "--yes", "NAME"]);
}
