//! A computer without Nix: the store instance, from its making to its end, on a real engine and through the program itself.
//!
//! Needs what `cargo xtask lab up` sets up: the engine, a tarball of Nix (`CODCHI_TEST_STORE_NIX`), the stand-in for nixpkgs.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::{Driver, FileKind, FileSpec, InstanceName, RunState};
use codchi_tests::binary::codchi;
use codchi_tests::engine;
use codchi_tests::program::{printed, text};
use codchi_tests::store;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What codchi and the store instance call on such a computer; no `nix` among them.
const PROGRAMS: [&str; 7] = ["curl", "git", "sh", "ssh", "ssh-keygen", "tar", "xz"];

/// A person with a project on a computer without Nix. Machine and store are gone when the test ends.
struct World {
    folder: TempDir,
    machine: String,
    driver: Arc<dyn Driver>,
}

impl World {
    async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        for made in ["bin", "config/codchi", "data/codchi/store", "project"] {
            fs::create_dir_all(root.join(made)).unwrap();
        }
        for program in PROGRAMS {
            symlink(find(program), root.join("bin").join(program)).unwrap();
        }
        // Nix in the store instance sees that of the data folder which it needs.
        let standin = root.join("data/codchi/store/standin");
        store::copy_nixpkgs(&standin);
        let nix = std::env::var("CODCHI_TEST_STORE_NIX").expect("`cargo xtask test` sets it");
        let config = format!(
            "nixpkgs = \"path:{}\"\nstore-nix = \"{nix}\"\n\
             store-settings = \"substituters =\\nsandbox-paths =\\nsandbox-fallback = false\"\n[ssh]\nconfig = false\n",
            standin.display()
        );
        fs::write(root.join("config/codchi/config.toml"), config).unwrap();
        chown(root.join("project"), Some(1000), Some(1000)).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let machine = format!("st-{}-{number}", std::process::id());
        let driver = engine::connect().await;
        let world = Self { folder, machine, driver };
        world.write("one", "");
        world
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The module with a greeting, and what else it says.
    fn write(&self, greeting: &str, more: &str) {
        let text = format!("{{ pkgs, ... }}: {{ environment.etc.greeting.text = \"{greeting}\"; {more} }}\n");
        fs::write(self.path("project/codchi.nix"), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(codchi());
        command.env_clear().args(arguments).current_dir(self.path("project"));
        command.env("HOME", self.folder.path()).env("PATH", self.path("bin"));
        command.envs(store::variables(self.folder.path()));
        for name in ["LXD_DIR", "LXD_SOCKET", "INCUS_DIR", "INCUS_SOCKET"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints; it must succeed.
    fn codchi(&self, arguments: &[&str]) -> String {
        printed(&mut self.command(arguments))
    }

    /// What a shell of the machine's user prints, errors too, and whether it succeeds.
    fn shell(&self, script: &str) -> (bool, String) {
        let output = self.run(&["exec", &self.machine, "--", "sh", "-c", &format!("({script}) 2>&1")]);
        let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.success(), printed.trim().to_owned())
    }

    /// The same for what must succeed.
    fn inside(&self, script: &str) -> String {
        let (succeeded, printed) = self.shell(script);
        assert!(succeeded, "{script}: {printed}");
        printed
    }

    /// What root's shell in the machine prints, and whether it succeeds.
    fn root(&self, script: &str) -> (bool, String) {
        let script = format!("({script}) 2>&1");
        let output = self.run(&["exec", "--root", &self.machine, "--", "sh", "-c", &script]);
        (output.status.success(), text(&output.stdout).trim().to_owned())
    }

    fn store(&self) -> Value {
        let output = self.run(&["store", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn store_instance(&self) -> InstanceName {
        InstanceName::new(self.store()["instance"].as_str().unwrap()).unwrap()
    }

    /// A script's words that make Nix build `name`, which holds a program and what its builder saw.
    fn built(command: &str, name: &str) -> String {
        format!(
            r#"nix {command} --impure --expr 'let debian = builtins.storePath "'$(cat /var/lib/debian)'"; in derivation {{
              name = "{name}"; system = "x86_64-linux"; builder = "${{debian}}/usr/bin/busybox";
              args = [ "sh" "-c" "b=${{debian}}/usr/bin/busybox; $b mkdir -p $out/bin; $b cp $b $out/bin/busybox; $b ls / >$out/root" ];
            }}'"#
        )
    }

    /// Whether a path is in the store, as the machine sees it.
    fn is_there(&self, path: &str) -> bool {
        self.inside(&format!("[ -e {path} ] && echo yes || echo no")) == "yes"
    }

    /// Waits until the machine has written down what `link` leads to.
    fn kept(&self, link: &str) {
        let script = format!(
            "for try in $(seq 100); do ls -l /var/lib/codchi/roots | grep -q -- \"-> $(readlink {link})\" && exit; sleep .1; done; exit 1"
        );
        self.inside(&script);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for arguments in [&["delete", "--yes", &self.machine][..], &["store", "delete", "--yes"]] {
            let _ = self.run(arguments);
        }
    }
}

fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is on PATH")).canonicalize().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_live_on_a_computer_without_nix() {
    let world = World::new().await;
    let machine = world.machine.as_str();
    assert_eq!(world.store()["newMachines"], "instance", "there is a Nix on this computer");
    let doctor = text(&world.run(&["doctor", "--json"]).stdout);
    let doctor: Vec<Value> = serde_json::from_str(&doctor).unwrap();
    let check = doctor.iter().find(|check| check["name"] == "store").unwrap();
    assert_eq!((&check["ok"], check["remedy"].is_null()), (&Value::Bool(true), true), "{check}");
    assert!(doctor.iter().all(|check| check["name"] != "nix"));

    // Nix gets here, the system is built, the machine runs.
    world.codchi(&["create", ".", "--name", machine, "--yes"]);
    assert_eq!(world.inside("cat /etc/greeting"), "one");
    let status = world.store();
    assert_eq!((&status["running"], &status["machines"][0]), (&true.into(), &machine.into()), "{status}");
    assert!(status["version"].is_string() && status["problems"] == Value::Array(vec![]), "{status}");
    let printed = world.codchi(&["store"]);
    assert!(printed.contains("the store instance") && printed.contains(machine), "{printed}");

    // Nix works in the machine, as its user, shut off from all but what a build needs.
    world.inside(&World::built("build -o kept", "first"));
    assert_eq!(world.inside("./kept/bin/busybox echo built"), "built");
    let seen = world.inside("cat kept/root");
    assert!(seen.contains("build") && !seen.contains("volume") && !seen.contains("home"), "{seen}");
    let shell = world.inside(&format!("{} -c sh -c 'command -v busybox'", World::built("shell", "second")));
    let program = shell.lines().next_back().unwrap_or_default();
    assert!(program.starts_with("/nix/store/") && program.ends_with("-second/bin/busybox"), "{shell}");
    world.kept("kept");

    // Neither the user nor root may do anything to the store but build.
    for who in [World::shell, World::root] {
        for script in [
            "touch /nix/store/x",
            "touch /nix/var/nix/db/x",
            "ln -s /nix/store/x /nix/var/nix/gcroots/x",
            "rm /nix/var/nix/profiles/default",
            "mount -o remount,rw /nix",
            "mount -o remount,bind,rw /nix && touch /nix/store/x",
            "unshare -m sh -c 'mount -o remount,bind,rw /nix && touch /nix/store/x'",
        ] {
            let (succeeded, printed) = who(&world, script);
            assert!(!succeeded, "{script}: {printed}");
        }
        let path = "export PATH=/run/current-system/sw/bin:$PATH NIX_REMOTE=daemon; ";
        let (_, info) = who(&world, &format!("{path}nix store info"));
        assert!(info.contains("Trusted: 0"), "{info}");
        let build = World::built("build --no-link --option sandbox false", "third");
        let (_, said) = who(&world, &format!("{path}{build}"));
        assert!(said.contains("not a trusted user"), "{said}");
    }

    // Forward and back, as everywhere.
    world.write("two", "environment.systemPackages = [ pkgs.hello ];");
    let preview = world.codchi(&["rebuild", machine, "--dry-run"]);
    assert!(preview.contains("greeting"), "{preview}");
    world.codchi(&["rebuild", machine, "--yes"]);
    assert_eq!(world.inside("cat /etc/greeting; echo; hello"), "two\nHello, world!");
    world.codchi(&["rollback", machine]);
    assert_eq!(world.inside("cat /etc/greeting"), "one");

    // A collection keeps all generations, what links in the machine lead to and what runs; the rest goes.
    let made = |name: &str| {
        world.inside(&World::built(&format!("build -o {name}"), name));
        world.inside(&format!("readlink {name} && rm {name}"))
    };
    let (gone, running) = (made("gone"), made("running"));
    world.inside(&format!("setsid {running}/bin/busybox sleep 600 >/dev/null 2>&1 </dev/null &"));
    let dry = world.codchi(&["store", "gc", "--dry-run"]);
    assert!(dry.contains("can be removed") && !dry.starts_with("0 paths"), "{dry}");
    assert!(world.is_there(&gone));
    let collected = world.codchi(&["store", "gc", "--yes"]);
    assert!(collected.contains("were removed"), "{collected}");
    assert!(!world.is_there(&gone), "what nothing needs is still there");
    assert!(world.is_there(&running), "what runs was collected");
    assert_eq!(world.inside("./kept/bin/busybox echo built"), "built");
    world.codchi(&["rollback", machine, "2"]);
    assert_eq!(world.inside("cat /etc/greeting; echo; hello"), "two\nHello, world!");

    // Also while the machine is stopped; what ran then runs no more.
    world.codchi(&["stop", machine]);
    world.codchi(&["store", "gc", "--yes"]);
    assert!(!world.is_there(&running), "what runs no more is still there");
    assert_eq!(world.inside("cat /etc/greeting; echo; ./kept/bin/busybox echo built"), "two\nbuilt");

    // Another setting is for new machines.
    let config = fs::read_to_string(world.path("config/codchi/config.toml")).unwrap();
    fs::write(world.path("config/codchi/config.toml"), format!("store = \"host\"\n{config}")).unwrap();
    world.write("three", "");
    world.codchi(&["rebuild", machine, "--yes"]);
    assert_eq!(world.inside("cat /etc/greeting"), "three");
    let refused = world.run(&["create", ".", "--name", &format!("{machine}-host"), "--yes"]);
    let told = text(&refused.stderr);
    assert!(!refused.status.success() && told.contains("Nix was not found"), "{told}");
    fs::write(world.path("config/codchi/config.toml"), config).unwrap();

    // It cannot be removed under a machine's feet, and leaves nothing.
    let instance = world.store_instance();
    let refused = world.run(&["store", "delete", "--yes"]);
    assert!(text(&refused.stderr).contains(machine), "{}", text(&refused.stderr));
    world.codchi(&["delete", machine, "--yes"]);
    world.codchi(&["store", "delete", "--yes"]);
    assert_eq!(world.store()["exists"], false);
    assert!(world.driver.instance(&instance).await.unwrap().is_none());
    assert!(world.driver.volume(&instance).await.unwrap().is_none());
    assert!(!world.path("cache/codchi/store").exists());
    let left: Vec<_> = fs::read_dir(world.path("data/codchi/machines")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_damaged_is_repaired() {
    let world = World::new().await;
    let machine = world.machine.as_str();
    world.codchi(&["create", ".", "--name", machine, "--yes"]);
    world.inside(&World::built("build -o kept", "first"));
    let instance = world.store_instance();

    // Stopped by hand: the machine's system works without, and who needs Nix starts it.
    world.driver.stop(&instance, Duration::ZERO).await.unwrap();
    assert_eq!(world.inside("cat /etc/greeting"), "one");
    assert!(!world.shell(&World::built("build --no-link", "second")).0);
    world.codchi(&["start", machine]);
    world.inside(&World::built("build --no-link", "second"));

    // Deleted by hand: it is said, and repaired.
    world.driver.delete(&instance).await.unwrap();
    let status = world.store();
    assert!(status["problems"][0].as_str().unwrap().contains("codchi store repair"), "{status}");
    assert_eq!(world.inside("cat /etc/greeting; echo; ./kept/bin/busybox echo built"), "one\nbuilt");
    let repaired = world.codchi(&["store", "repair"]);
    assert!(repaired.contains("as it should be"), "{repaired}");
    world.inside(&World::built("build --no-link", "third"));
    assert_eq!(world.driver.instance(&instance).await.unwrap().unwrap().state, RunState::Running);

    // Another Nix (here the same) takes over, and all stays.
    let updated = world.codchi(&["store", "update"]);
    assert!(updated.contains("runs Nix 2."), "{updated}");
    assert_eq!(world.inside("./kept/bin/busybox echo built"), "built");
    world.inside(&World::built("build --no-link", "fifth"));

    // A path that is not what it was.
    let path = world.inside("readlink kept");
    let kind = FileKind::File(b"something else".to_vec().into());
    let file = FileSpec { path: format!("{path}/root"), uid: 0, gid: 0, mode: 0o444, kind };
    world.driver.put_file(&instance, &file).await.unwrap();
    let damaged = world.run(&["store", "repair"]);
    let told = text(&damaged.stderr);
    assert!(!damaged.status.success() && told.contains(&path) && told.contains("--replace"), "{told}");

    // A daemon that does not start, for want of a good configuration.
    let config = fs::read_to_string(world.path("config/codchi/config.toml")).unwrap();
    let broken = config.replace("sandbox-fallback = false", "allowed-users = nobody");
    fs::write(world.path("config/codchi/config.toml"), broken).unwrap();
    let failed = world.run(&["store", "repair"]);
    let told = text(&failed.stderr);
    assert!(!failed.status.success() && told.contains("codchi store repair"), "{told}");
    assert_eq!(world.inside("cat /etc/greeting"), "one");
    fs::write(world.path("config/codchi/config.toml"), config).unwrap();
    world.run(&["store", "repair"]);
    world.inside(&World::built("build --no-link", "fourth"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_could_not_be_made_leaves_nothing_and_is_made_the_next_time() {
    let world = World::new().await;
    let machine = world.machine.as_str();
    let config = fs::read_to_string(world.path("config/codchi/config.toml")).unwrap();
    let nix = std::env::var("CODCHI_TEST_STORE_NIX").unwrap();
    let instance = world.store_instance();

    for (nix, said) in [
        (world.path("no-such-file").display().to_string(), "cannot be unpacked"),
        ("http://127.0.0.1:9/nix.tar.xz".into(), "cannot be fetched"),
        (empty_tarball(&world.path("other.tar")), "no binary tarball of Nix"),
    ] {
        fs::write(
            world.path("config/codchi/config.toml"),
            config.replace(&nix_line(&config), &format!("store-nix = \"{nix}\"")),
        )
        .unwrap();
        let failed = world.run(&["create", ".", "--name", machine, "--yes"]);
        let told = text(&failed.stderr);
        assert!(!failed.status.success() && told.contains(said), "{told}");
        assert!(world.driver.instance(&instance).await.unwrap().is_none());
        assert!(world.driver.volume(&instance).await.unwrap().is_none());
    }
    fs::write(world.path("config/codchi/config.toml"), &config).unwrap();
    assert!(config.contains(&nix));

    // Cancelled meanwhile, as by Ctrl-C.
    let mut cancelled = filling(&world, &instance).await;
    let pid = cancelled.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(cancelled.wait().unwrap().code(), Some(130));
    assert!(world.driver.instance(&instance).await.unwrap().is_none());
    assert!(world.driver.volume(&instance).await.unwrap().is_none());
    assert!(fs::read_dir(world.path("cache/codchi/store")).unwrap().next().is_none());

    // Killed while Nix is on its way into the volume.
    let mut killed = filling(&world, &instance).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let status = world.store();
    assert_eq!(
        (&status["running"], status["problems"].as_array().unwrap().len()),
        (&false.into(), 1),
        "{status}"
    );
    world.codchi(&["create", ".", "--name", machine, "--yes"]);
    assert_eq!(world.inside("cat /etc/greeting"), "one");
    world.inside(&World::built("build --no-link", "first"));
}

/// How long that may take on a computer that is busy with other tests: Nix is unpacked before.
const UNPACKED: Duration = Duration::from_secs(300);

/// A creation at the moment when Nix is on its way into the volume.
async fn filling(world: &World, instance: &InstanceName) -> std::process::Child {
    let mut create = world.command(&["create", ".", "--name", &world.machine, "--yes"]);
    let create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + UNPACKED;
    let runs = async || {
        let found = world.driver.instance(instance).await.unwrap();
        found.is_some_and(|found| found.state == RunState::Running)
    };
    while !runs().await {
        assert!(Instant::now() < end, "the volume is never filled");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    create
}

fn nix_line(config: &str) -> String {
    config.lines().find(|line| line.starts_with("store-nix")).unwrap().to_owned()
}

fn empty_tarball(path: &Path) -> String {
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    archive.append_dir("folder", "/").unwrap();
    archive.finish().unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_in_a_git_repository_is_fetched_in_the_store_instance() {
    let world = World::new().await;
    let machine = world.machine.as_str();
    // Where the store instance sees it.
    let repository = world.path("data/codchi/store/repository");
    fs::create_dir_all(&repository).unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(&repository).args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
        assert!(git.stdout(Stdio::null()).status().unwrap().success(), "{arguments:?}");
    };
    let module = "{ ... }: { environment.etc.greeting.text = \"from git\"; }\n";
    fs::write(repository.join("codchi.nix"), module).unwrap();
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=first"]);

    let url = format!("git+file://{}?ref=main", repository.display());
    world.codchi(&["create", &url, "--name", machine, "--yes"]);
    assert_eq!(world.inside("cat /etc/greeting; pwd"), "from git/home/codchi");

    // Its user works there, and Nix with it.
    world.inside(&World::built("build -o kept", "first"));
    world.kept("kept");

    // What was fetched for Nix is kept as well.
    world.codchi(&["store", "gc", "--yes"]);
    fs::write(repository.join("codchi.nix"), module.replace("from git", "newer")).unwrap();
    git(&["commit", "--quiet", "--all", "--message=second"]);
    world.codchi(&["update", machine, "--rebuild", "--yes"]);
    assert_eq!(world.inside("cat /etc/greeting; echo; ./kept/bin/busybox echo built"), "newer\nbuilt");

    // Under another name, and as a copy, it keeps what it has.
    let (renamed, copy) = (format!("{machine}-b"), format!("{machine}-c"));
    world.codchi(&["rename", machine, &renamed]);
    world.codchi(&["duplicate", &renamed, &copy]);
    world.codchi(&["delete", &renamed, "--yes"]);
    world.codchi(&["store", "gc", "--yes"]);
    let printed =
        world.run(&["exec", &copy, "--", "sh", "-c", "cat /etc/greeting; ./kept/bin/busybox echo built"]);
    assert_eq!(text(&printed.stdout).trim(), "newerbuilt", "{}", text(&printed.stderr));
    world.codchi(&["delete", &copy, "--yes"]);
}
