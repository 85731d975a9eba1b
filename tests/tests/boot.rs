//! A code machine's system in a real container: it boots, takes secrets, lets people in and switches.
//!
//! Built by a real Nix from `nix/` and the stand-in for nixpkgs that `CODCHI_TEST_FLAKE_NIXPKGS` names; run by the
//! engine that the environment names, unprivileged, with the store shared read-only.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::{Device, Driver, Exec, InstanceName, InstanceSpec, Output};
use codchi_nix::{CancellationToken, Nix, path_url};
use codchi_tests::apart::apart;
use codchi_tests::engine;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

const MINUTE: Duration = Duration::from_secs(60);

/// A value with everything that a shell could stumble over, and every byte that there is but NUL.
fn nasty() -> Vec<u8> {
    let mut value = b"a'b\"c $HOME `id` $(id) \\ !\nsecond line\n\n".to_vec();
    value.extend(1..=255_u8);
    value.extend(b" \n");
    value
}

/// What is delivered into a machine.
#[derive(Default, Clone)]
struct Delivery {
    env: BTreeMap<&'static str, Vec<u8>>,
    /// Owner, mode, contents.
    files: BTreeMap<&'static str, (&'static str, u32, Vec<u8>)>,
    /// Lines of systemd's environment files.
    units: BTreeMap<&'static str, &'static str>,
}

impl Delivery {
    fn archive(&self, keys: &Path) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut add = |path: String, owner: &str, mode: u32, contents: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_username(owner).unwrap();
            archive.append_data(&mut header, path, contents).unwrap();
        };
        let mut env = Vec::new();
        for (name, value) in &self.env {
            env.extend(format!("export CODCHI_{name}='").bytes());
            value.iter().for_each(|byte| match byte {
                b'\'' => env.extend(br"'\''"),
                byte => env.push(*byte),
            });
            env.extend(b"'\n");
        }
        add("env".into(), "codchi", 0o400, &env);
        for (name, (owner, mode, contents)) in &self.files {
            add(format!("secrets/{name}"), owner, *mode, contents);
        }
        for (unit, lines) in &self.units {
            add(format!("units/{unit}.env"), "root", 0o600, lines.as_bytes());
        }
        add("ssh/host_key".into(), "root", 0o600, &fs::read(keys.join("host")).unwrap());
        add("ssh/authorized_keys".into(), "root", 0o644, &fs::read(keys.join("user.pub")).unwrap());
        archive.into_inner().unwrap()
    }
}

/// A machine of a test's own; deleted when dropped.
struct Machine {
    driver: Arc<dyn Driver>,
    name: InstanceName,
    folder: TempDir,
    toplevel: PathBuf,
}

impl Machine {
    /// Builds the system of `module`; there is no instance yet.
    async fn built(module: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = InstanceName::new(format!("codchi-boot-{}-{number}", std::process::id())).unwrap();
        let driver = engine::connect().await;
        let folder = TempDir::with_prefix("codchi-boot-").unwrap();
        for name in ["host", "user"] {
            let key = folder.path().join(name);
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key);
            assert!(keygen.status().expect("ssh-keygen is on PATH").success());
        }
        let mut machine = Self { driver, name, folder, toplevel: PathBuf::new() };
        machine.toplevel = machine.build(module).await;
        machine
    }

    async fn build(&self, module: &str) -> PathBuf {
        let nixpkgs = std::env::var("CODCHI_TEST_FLAKE_NIXPKGS").expect(
            "CODCHI_TEST_FLAKE_NIXPKGS names the prepared tests/nixpkgs: `cargo xtask test` does that",
        );
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (flake, modules) = (self.folder.path().join("flake"), self.folder.path().join("module"));
        let _ = fs::remove_dir_all(&flake);
        fs::create_dir_all(&flake).unwrap();
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("codchi.nix"), module).unwrap();
        let text = format!(
            r#"{{
              inputs.nixpkgs.url = "{}";
              inputs.codchi = {{ url = "{}"; flake = false; }};
              inputs.module = {{ url = "{}"; flake = false; }};
              outputs = inputs: (import "${{inputs.codchi}}/lib.nix").codeMachine {{
                inherit (inputs) nixpkgs;
                system = "x86_64-linux";
                name = "boot";
                driver = "lxd";
                user = {{ uid = 1000; gid = 1000; }};
                modules = [ {{ input = inputs.module; file = "codchi.nix"; }} ];
              }};
            }}"#,
            path_url(Path::new(&nixpkgs)),
            path_url(&repository.join("nix")),
            path_url(&modules),
        );
        fs::write(flake.join("flake.nix"), text).unwrap();
        let nix = Nix::find().await.unwrap();
        let (installable, profile) =
            (format!("{}#toplevel", path_url(&flake)), self.folder.path().join("profile"));
        let (mut progress, mut log, cancel) = (|_| {}, |_: &str| {}, CancellationToken::new());
        let build = nix.build(&installable, &profile, &mut progress, &mut log, &cancel);
        timeout(5 * MINUTE, build).await.expect("a build takes minutes at most").unwrap().out
    }

    /// Makes the instance of a built system and starts it.
    async fn boot(&self) {
        let disk = |source: &Path, path: &str, read_only| Device::Disk {
            source: source.to_owned(),
            path: path.into(),
            read_only,
            shift: false,
        };
        let project = self.folder.path().join("project");
        fs::create_dir_all(&project).unwrap();
        let spec = InstanceSpec {
            devices: BTreeMap::from([
                ("store".into(), disk(Path::new("/nix/store"), "/nix/store", true)),
                ("project".into(), disk(&project, "/home/codchi/boot", false)),
            ]),
            init: self.path("init"),
            ..InstanceSpec::default()
        };
        self.driver.create(&self.name, &spec).await.unwrap();
        self.driver.start(&self.name).await.unwrap();
    }

    async fn booted(module: &str) -> Self {
        let machine = Self::built(module).await;
        machine.boot().await;
        machine
    }

    fn path(&self, below: &str) -> String {
        self.toplevel.join(below).display().to_string()
    }

    async fn run(&self, exec: &Exec, stdin: &[u8]) -> Output {
        let run = self.driver.run(&self.name, exec, stdin);
        timeout(2 * MINUTE, run).await.unwrap_or_else(|_| panic!("{:?} does not end", exec.command)).unwrap()
    }

    async fn deliver(&self, delivery: &Delivery) {
        let exec = Exec::root([self.path("sw/bin/codchi-receive")]);
        let output = self.run(&exec, &delivery.archive(self.folder.path())).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a shell command prints as root, when the system is up.
    async fn root(&self, command: &str) -> String {
        let output = self.run(&Exec::root(["/run/current-system/sw/bin/bash", "-c", command]), b"").await;
        let [printed, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{command}: {}\n{printed}{errors}", output.status.code);
        printed.trim_end().to_owned()
    }

    /// What a shell command prints in the user's session, however it ends.
    async fn session(&self, command: &str) -> Vec<u8> {
        let exec =
            Exec::root([self.path("sw/bin/codchi-session"), "bash".into(), "-c".into(), command.into()]);
        self.run(&exec, b"").await.stdout
    }

    /// Waits for the end of the boot; the names of failed units.
    async fn settled(&self) -> String {
        // Before the first process is systemd there is nobody to ask.
        self.session("true").await;
        let wait = "until [ -S /run/systemd/private ]; do sleep 0.05; done; systemctl is-system-running --wait || true";
        let state = self.root(wait).await;
        let failed = self.root("systemctl --failed --plain --no-legend").await;
        assert_eq!(state, "running", "{failed}\n{}", self.root("journalctl -b --no-pager | tail -50").await);
        failed
    }

    async fn pid(&self, unit: &str) -> String {
        self.root(&format!("systemctl show -P MainPID {unit}.service")).await
    }

    /// An OpenSSH client that reaches the machine as codchi's own configuration does: through the engine.
    fn ssh(&self, program: &str) -> Command {
        let client = if std::env::var_os("INCUS_DIR").is_some() { "incus" } else { "lxc" };
        let config = self.folder.path().join("config");
        let text = format!(
            "Host machine\n  User codchi\n  IdentityFile {}\n  IdentitiesOnly yes\n  LogLevel ERROR\n  \
             UserKnownHostsFile {}\n  StrictHostKeyChecking yes\n  \
             ProxyCommand {client} exec -T {} -- {}\n",
            self.folder.path().join("user").display(),
            self.folder.path().join("known").display(),
            self.name,
            self.path("sw/bin/codchi-sshd"),
        );
        fs::write(&config, text).unwrap();
        let host = fs::read_to_string(self.folder.path().join("host.pub")).unwrap();
        fs::write(self.folder.path().join("known"), format!("machine {host}")).unwrap();
        let mut command = Command::new("timeout");
        command.args(["120", program]).arg("-F").arg(config).stdin(Stdio::null());
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that failed is cleaned up after as well.
        let deleted = apart(async || self.driver.delete(&self.name).await);
        if !std::thread::panicking() {
            deleted.unwrap();
        }
    }
}

#[tokio::test]
async fn a_machine_boots_again_and_again_with_no_failed_unit_and_nothing_that_listens() {
    let machine = Machine::booted("{ pkgs, ... }: { environment.systemPackages = [ pkgs.hello ]; }").await;
    for _ in 0..2 {
        assert_eq!(machine.settled().await, "");
        assert_eq!(machine.root("ss -Hltnu").await, "");
        assert_eq!(machine.root("cat /proc/sys/kernel/hostname").await, "boot");
        assert_eq!(machine.root("stat -c '%U:%G %a' /home/codchi").await, "codchi:codchi 700");
        assert_eq!(machine.root("su - codchi -c 'id -un; hello'").await, "codchi\nHello, world!");
        assert_eq!(machine.session("sudo -n id -un").await, b"root\n");
        assert_eq!(machine.session("id -Gn").await, b"codchi wheel\n");
        let environment = machine.session("cd; echo $PWD $USER $XDG_RUNTIME_DIR ${NIX_LD:+ld} $LANG").await;
        assert_eq!(environment, b"/home/codchi codchi /run/user/1000 ld C.UTF-8\n");
        assert_eq!(machine.session("systemctl --user is-system-running --wait").await, b"running\n");
        // What remote editors need to install their servers.
        assert_eq!(machine.session("type -P bash tar gzip wget curl git rsync | wc -l").await, b"7\n");
        assert_eq!(machine.root("touch /nix/store/x 2>/dev/null || echo read-only").await, "read-only");
        machine.driver.stop(&machine.name, MINUTE).await.unwrap();
        machine.driver.start(&machine.name).await.unwrap();
    }
}

#[tokio::test]
async fn secrets_reach_sessions_files_and_the_units_that_ask_and_nobody_else() {
    let machine = Machine::booted(
        r#"{
          codchi.secrets.TOKEN = { description = "a token"; units = [ "asks" ]; };
          codchi.secrets.file.KEY = { description = "a key"; owner = "service"; mode = "0440"; };
          users.users.service = { isSystemUser = true; group = "service"; };
          users.groups.service = { };
          systemd.services.asks = {
            wantedBy = [ "multi-user.target" ];
            script = "printf %s \"$CODCHI_TOKEN\" >/run/asks; exec sleep infinity";
          };
          systemd.services.other = {
            wantedBy = [ "multi-user.target" ];
            script = "env >/run/other; exec sleep infinity";
          };
        }"#,
    )
    .await;

    // Before the delivery one unit waits, and all others are up.
    machine.session("true").await;
    machine.root("until systemctl -q is-active other user@1000; do sleep 0.05; done 2>/dev/null").await;
    assert_eq!(machine.root("systemctl is-active asks || true").await, "inactive");
    assert_eq!(machine.session("echo ${CODCHI_TOKEN-unset}").await, b"unset\n");

    let mut delivery = Delivery {
        env: BTreeMap::from([("TOKEN", nasty())]),
        files: BTreeMap::from([("TOKEN", ("codchi", 0o400, nasty())), ("KEY", ("service", 0o440, nasty()))]),
        units: BTreeMap::from([("asks", "CODCHI_TOKEN=\"a'b\\\"c \\\\ d\ne\"\n")]),
    };
    machine.deliver(&delivery).await;
    assert_eq!(machine.settled().await, "");

    let print = "printf %s \"$CODCHI_TOKEN\"";
    assert_eq!(machine.session(print).await, nasty());
    assert_eq!(machine.session(&format!("exec bash -lc '{print}'")).await, nasty());
    assert_eq!(machine.session("cat /run/codchi/secrets/TOKEN").await, nasty());
    assert_eq!(machine.root("cat /run/asks").await, "a'b\"c \\ d\ne");

    let secrets = machine.root("cd /run/codchi; stat -Lc '%U %a %n' . env units ssh/* secrets/*").await;
    let expected = "root 755 .\ncodchi 400 env\nroot 700 units\nroot 644 ssh/authorized_keys\nroot 600 ssh/host_key\n\
                    service 440 secrets/KEY\ncodchi 400 secrets/TOKEN";
    assert_eq!(secrets, expected);
    assert_eq!(machine.root("stat -f -c %T /run/codchi/secrets/KEY").await, "tmpfs");
    assert_eq!(machine.session("cat /run/codchi/secrets/KEY 2>/dev/null || echo denied").await, b"denied\n");

    // Nobody who did not ask: units, the system manager, root's and the service's shells.
    assert_eq!(machine.root("grep -c CODCHI /run/other || true").await, "0");
    assert_eq!(machine.root("systemctl show-environment | grep -c CODCHI || true").await, "0");
    assert_eq!(machine.root("grep -c CODCHI_ /proc/1/environ || true").await, "0");
    assert_eq!(machine.root("bash -lc 'echo ${CODCHI_TOKEN-unset}'").await, "unset");
    assert_eq!(
        machine.root("setpriv --reuid=service cat /run/codchi/env 2>/dev/null || echo denied").await,
        "denied"
    );

    // Delivered anew: what is gone is gone, and only who got another value is restarted.
    let before = [machine.pid("asks").await, machine.pid("other").await];
    delivery.env.clear();
    delivery.files.remove("TOKEN");
    machine.deliver(&delivery).await;
    assert_eq!([machine.pid("asks").await, machine.pid("other").await], before);
    assert_eq!(machine.session("echo ${CODCHI_TOKEN-unset}").await, b"unset\n");
    assert_eq!(machine.root("ls /run/codchi/secrets").await, "KEY");
    delivery.units.insert("asks", "CODCHI_TOKEN=new\n");
    machine.deliver(&delivery).await;
    machine.root("until [ \"$(cat /run/asks)\" = new ]; do sleep 0.05; done").await;
    assert_eq!(machine.pid("other").await, before[1]);
    assert_eq!(machine.root("ls -d /run/codchi.?????? | wc -l").await, "1");
    assert_eq!(machine.settled().await, "");
}

#[tokio::test]
async fn ssh_and_what_builds_on_it_work_through_the_engine_alone() {
    let machine = Machine::booted("{ }").await;
    let token = Delivery { env: BTreeMap::from([("TOKEN", nasty())]), ..Delivery::default() };
    machine.deliver(&token).await;
    assert_eq!(machine.settled().await, "");

    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let print = "printf %s \"$CODCHI_TOKEN\"; exit 7";
    assert_eq!(run(machine.ssh("ssh").args(["machine", print])), (Some(7), nasty(), String::new()));

    // With a terminal, a login shell of the user's with a session of its own.
    let (code, printed, _) =
        run(machine.ssh("ssh").args(["-tt", "machine", "tty; echo ${#XDG_SESSION_ID}; shopt login_shell"]));
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.starts_with("/dev/pts/"), "{code:?} {printed}");
    let mut shell = machine
        .ssh("ssh")
        .args(["-tt", "machine"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(
        &mut shell.stdin.take().unwrap(),
        b"shopt -q login_shell && echo log-in; exit 5\n",
    )
    .unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("\rlog-in\r\n"),
        "{:?}",
        String::from_utf8_lossy(&output.stdout)
    );

    // Files, by all ways that there are.
    let big: Vec<u8> = (0..3_000_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(5_000_000)
        .collect();
    let local = machine.folder.path().join("big");
    fs::write(&local, &big).unwrap();
    let path = local.display().to_string();
    let ssh = format!("timeout 120 ssh -F {}", machine.folder.path().join("config").display());
    assert_eq!(run(machine.ssh("scp").args(["-q", &path, "machine:scp"])).0, Some(0));
    assert_eq!(run(machine.ssh("scp").args(["-q", "-O", &path, "machine:old-scp"])).0, Some(0));
    assert_eq!(run(Command::new("rsync").args(["-e", &ssh, &path, "machine:rsync"])).0, Some(0));
    for name in ["scp", "old-scp", "rsync"] {
        assert_eq!(run(machine.ssh("ssh").args(["machine", &format!("cat {name}")])).1, big, "{name}");
    }
    let back = machine.folder.path().join("back");
    assert_eq!(run(machine.ssh("scp").args(["-q", "machine:scp", &back.display().to_string()])).0, Some(0));
    assert_eq!(fs::read(back).unwrap(), big);

    // A wrong key does not get in; and for all that nothing listens.
    fs::rename(machine.folder.path().join("host"), machine.folder.path().join("user")).unwrap();
    let (code, _, errors) = run(machine.ssh("ssh").args(["machine", "true"]));
    assert_eq!(code, Some(255), "{errors}");
    assert!(errors.contains("Permission denied (publickey)"), "{errors}");
    assert_eq!(machine.root("ss -Hltnu").await, "");
}

#[tokio::test]
async fn before_the_delivery_ssh_says_what_is_missing() {
    let machine = Machine::booted("{ }").await;
    machine.settled().await;
    let output = machine.ssh("ssh").args(["machine", "true"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("codchi-sshd: the machine has not got its keys yet"), "{errors}");
}

#[tokio::test]
async fn a_switch_changes_files_and_restarts_what_changed_and_nothing_else() {
    let module = |more: &str| {
        format!(
            r#"{{ pkgs, ... }}: {{
              systemd.services.steady = {{ wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity"; }};
              {more}
            }}"#
        )
    };
    let mut machine = Machine::booted(&module(
        r#"
          environment.etc.marker.text = "first";
          environment.etc."folder/gone".text = "here";
          systemd.services.changing = { wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity # first"; };
          systemd.services.leaving = { wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity"; };
        "#,
    ))
    .await;
    machine.deliver(&Delivery::default()).await;
    assert_eq!(machine.settled().await, "");
    assert_eq!(machine.root("cat /etc/marker /etc/folder/gone").await, "firsthere");
    let units = ["steady", "changing", "leaving"];
    let mut before = Vec::new();
    for unit in units {
        before.push(machine.pid(unit).await);
    }

    machine.toplevel = machine
        .build(&module(
            r#"
              environment.systemPackages = [ pkgs.hello ];
              environment.etc.marker.text = "second";
              codchi.secrets.TOKEN = { description = "a token"; units = [ "coming" ]; };
              users.users.new = { isNormalUser = true; };
              systemd.services.changing = { wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity # second"; };
              systemd.services.coming = {
                wantedBy = [ "multi-user.target" ];
                script = "[ \"$CODCHI_TOKEN\" = value ] && exec sleep infinity";
              };
            "#,
        ))
        .await;
    let token =
        Delivery { units: BTreeMap::from([("coming", "CODCHI_TOKEN=value\n")]), ..Delivery::default() };
    machine.deliver(&token).await;
    let switch = machine.path("bin/switch-to-configuration");
    machine.root(&format!("{switch} switch")).await;

    assert_eq!(
        machine.root("cat /etc/marker; ls -d /etc/folder/gone 2>/dev/null || echo gone").await,
        "secondgone"
    );
    assert_eq!(machine.root("readlink /run/current-system").await, machine.toplevel.display().to_string());
    assert_eq!(machine.session("hello").await, b"Hello, world!\n");
    assert_eq!(machine.root("su - new -c 'echo $HOME'").await, "/home/new");
    assert_eq!(machine.pid("steady").await, before[0]);
    let changed = machine.pid("changing").await;
    assert!(changed != before[1] && changed != "0", "{changed}");
    assert_eq!(machine.root("systemctl is-active leaving coming || true").await, "inactive\nactive");
    assert_eq!(machine.settled().await, "");

    // Again to the same: nothing happens.
    machine.root(&format!("{switch} switch")).await;
    assert_eq!([machine.pid("steady").await, machine.pid("changing").await], [before[0].clone(), changed]);
}
