//! A distribution, or rather what the program sees of one: namespaces, a root file system of busybox and the program, and `/mnt/wsl`.
//! `CODCHI_TEST_GUEST` may name another program than the one that was just built, such as the static one.

#![allow(dead_code, reason = "each test file uses some of it")]

use crate::common::{self, Ended, Session, text};
use codchi_guest::{BOOT, BOOT_ERROR, BOOTED, Boot, BootMount, Entry, PENDING, PutRequest, Request, Target};
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the driver's folder is in a distribution.
const HOME: &str = "/mnt/c/Users/Jörg Ä/codchi-x";

/// Makes what a distribution is made of, in namespaces of its own, and becomes its first process, `$@`. `$1` is a folder for it, `$2` the program.
const SCRIPT: &str = r#"
set -e
world=$1 program=$2
shift 2
root=$world/root
mkdir -p "$root"
mount --bind "$root" "$root"
cd "$root"
if [ ! -e codchi ]; then
    mkdir -p bin sbin codchi dev proc sys run tmp etc mnt/c mnt/wsl
    cp "$(command -v busybox)" bin/busybox
    for name in sh cat echo ls mkdir mount umount sleep stat touch readlink id ps hostname grep env kill ln rm; do ln -s busybox bin/$name; done
    cp "$program" codchi/guest
    ln -s /codchi/guest sbin/init
    # What a program that was not linked statically needs.
    { ldd "$program" || :; } | grep -o '/[^ ]*' | while read -r library; do mkdir -p ".${library%/*}"; cp -L "$library" ".$library"; done
    printf '%s' "$WORLD_HOME" >codchi/home
fi
mount --bind "$world/c" mnt/c
mount -t tmpfs wsl mnt/wsl
mount -t tmpfs run run
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mv "$world/prepare" prepare 2>/dev/null || :
mount --make-rshared "$root"
if [ -e prepare ]; then chroot "$root" /bin/sh -e /prepare; rm prepare; fi
exec env -i container=wsl "$(command -v chroot)" "$root" "$@"
"#;

/// The init of a test's system: it says that it is up, and ends when it is asked to.
pub(crate) const INIT: &str = r#"#!/bin/sh
mount -t tmpfs run /run
env >/run/environment
trap 'exit 0' PWR
touch /run/up
while :; do sleep 0.1; done
"#;

pub(crate) struct World {
    folder: TempDir,
    holder: Option<Child>,
}

impl World {
    /// One that is made, and where nothing runs yet.
    pub(crate) fn planned() -> Self {
        assert!(rustix::process::getuid().is_root(), "these tests need root");
        let world = Self { folder: tempfile::tempdir().unwrap(), holder: None };
        fs::create_dir_all(world.home()).unwrap();
        world
    }

    /// One whose first process is WSL's own, with a volume.
    pub(crate) fn with_volume() -> Self {
        let mut world = Self::planned();
        world.prepare(
            "mkdir /codchi/volume; mount -t tmpfs volume /codchi/volume; mkdir /codchi/volume/store",
        );
        world.start(&["/bin/sh", "-c", "trap : CHLD; while :; do sleep 0.1; done"]);
        world
    }

    /// One that boots the system's own init.
    pub(crate) fn booting(boot: &Boot) -> Self {
        let world = Self::planned();
        world.put_later("00-init", &file("/own-init", 0o755), INIT.as_bytes());
        world.say(boot);
        world
    }

    pub(crate) fn say(&self, boot: &Boot) {
        fs::write(self.home().join(BOOT), serde_json::to_vec(boot).unwrap()).unwrap();
    }

    /// A script that is run in it before its first process is.
    pub(crate) fn prepare(&self, script: &str) {
        fs::write(self.folder.path().join("prepare"), script).unwrap();
    }

    /// The driver's folder, from here.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join(HOME.trim_start_matches("/mnt/"))
    }

    /// The drive, from here.
    pub(crate) fn drive(&self) -> PathBuf {
        self.folder.path().join("c")
    }

    pub(crate) fn put_later(&self, name: &str, entry: &PutRequest, contents: &[u8]) {
        let pending = self.home().join(PENDING);
        fs::create_dir_all(&pending).unwrap();
        let mut bytes = serde_json::to_vec(entry).unwrap();
        bytes.push(b'\n');
        bytes.extend_from_slice(contents);
        fs::write(pending.join(name), bytes).unwrap();
    }

    /// Starts its first process.
    pub(crate) fn start(&mut self, first: &[&str]) {
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            SCRIPT,
            "sh",
        ]);
        let program = std::env::var_os("CODCHI_TEST_GUEST");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_codchi-guest").into());
        command.arg(self.folder.path()).arg(program).args(first);
        command.env("WORLD_HOME", HOME).stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        self.holder = Some(command.spawn().unwrap());
    }

    /// Starts it as WSL does where it shall boot, and waits for that.
    pub(crate) fn boot(&mut self) -> String {
        self.start(&["/sbin/init"]);
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if self.holder.as_mut().unwrap().try_wait().unwrap().is_some() {
                panic!("it did not boot: {}", self.end());
            }
            let up = self.first().is_some_and(|pid| Path::new(&format!("/proc/{pid}/root/run/up")).exists());
            if up {
                return fs::read_to_string(self.home().join(BOOTED)).unwrap();
            }
            assert!(Instant::now() < end, "it does not boot");
            sleep(Duration::from_millis(20));
        }
    }

    /// Starts it where it shall fail to boot; gives why it did.
    pub(crate) fn boot_error(&mut self) -> String {
        self.start(&["/sbin/init"]);
        let errors = self.end();
        let why = fs::read_to_string(self.home().join(BOOT_ERROR)).unwrap_or_default();
        assert!(errors.contains(&why), "{errors} {why}");
        if why.is_empty() { errors } else { why }
    }

    /// Waits until its first process has ended; gives its errors.
    pub(crate) fn end(&mut self) -> String {
        let output = self.holder.take().unwrap().wait_with_output().unwrap();
        text(&output.stderr)
    }

    /// Its first process, as this computer numbers it, once it is that.
    pub(crate) fn first(&self) -> Option<u32> {
        let holder = self.holder.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{holder}/task/{holder}/children")).ok()?;
        let pid = children.trim().parse().ok()?;
        // What has its root there has done with preparing.
        let root = fs::read_link(format!("/proc/{pid}/root")).ok()?;
        (root != Path::new("/")).then_some(pid)
    }

    fn inside(&self, program: &[&str]) -> Command {
        let end = Instant::now() + Duration::from_secs(10);
        let pid = loop {
            match self.first() {
                Some(pid) => break pid,
                None => assert!(Instant::now() < end, "it does not start"),
            }
            sleep(Duration::from_millis(20));
        };
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid.to_string(), "-m", "-p", "-i", "-u", "-r", "-w"]).args(program);
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command
    }

    /// A session with the program in it.
    pub(crate) fn open(&self, request: &Request) -> Session {
        Session::open(self.inside(&["/codchi/guest"]), request)
    }

    /// What it answers.
    pub(crate) fn ask(&self, request: &Request, input: &[u8]) -> Result<Value, String> {
        self.open(request).end(input).map(|(answer, _)| answer)
    }

    /// What it answers where it is called in a mount namespace that is not the first process's.
    pub(crate) fn elsewhere(&self, request: &Request) -> Result<Value, String> {
        let program = ["/bin/busybox", "unshare", "-m", "/codchi/guest"];
        Session::open(self.inside(&program), request).end(b"").map(|(answer, _)| answer)
    }

    pub(crate) fn run(&self, target: Target, script: &str) -> Ended {
        let request = codchi_guest::ExecRequest { target, ..common::exec(["/bin/sh", "-c", script]) };
        self.open(&Request::Exec(request)).end(b"").unwrap().1
    }

    /// What a script prints, which must succeed.
    pub(crate) fn sh_in(&self, target: Target, script: &str) -> String {
        let ended = self.run(target, script);
        assert_eq!(
            (ended.code, text(&ended.errors)),
            (0, String::new()),
            "{script}: {}",
            text(&ended.output)
        );
        text(&ended.output).trim_end().to_owned()
    }

    pub(crate) fn sh(&self, script: &str) -> String {
        self.sh_in(Target::Distribution, script)
    }

    /// The same, without the program.
    pub(crate) fn raw(&self, script: &str) -> String {
        let output = self.inside(&["/bin/sh", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            // Its first process, and with that all others, are killed when it ends.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

pub(crate) fn mount(source: &str, path: &str) -> BootMount {
    BootMount { source: source.into(), path: path.into(), read_only: false }
}

pub(crate) fn read_only(source: &str, path: &str) -> BootMount {
    BootMount { read_only: true, ..mount(source, path) }
}

pub(crate) fn boot(mounts: impl Into<Vec<BootMount>>) -> Boot {
    Boot { init: "/own-init".into(), mounts: mounts.into() }
}

pub(crate) fn file(path: &str, mode: u32) -> PutRequest {
    PutRequest { path: path.into(), uid: 0, gid: 0, mode, entry: Entry::File }
}
