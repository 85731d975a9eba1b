//! What machines are given of this computer, for real: the SSH agent, git's credentials and certificates, asked for at each
//! use, taken away while machines run.
//!
//! Needs what `cargo xtask lab up` sets up, as `main_job` does.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::agent::Agent;
use codchi_tests::person::Person;
use codchi_tests::program::{self, text};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

const PASSWORD: &str = "correct-horse";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(mut done: impl FnMut() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A person with an agent.
struct World {
    person: Person,
    socket: RefCell<PathBuf>,
}

impl World {
    fn codchi(&self, arguments: &[&str]) -> Output {
        self.person.command(arguments).env("SSH_AUTH_SOCK", &*self.socket.borrow()).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.codchi(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "codchi {}: {out}{err}", arguments.join(" "));
        out + &err
    }

    /// What a shell in a machine prints, all in one, and whether it succeeds.
    fn shell(&self, machine: &str, script: &str) -> (bool, String) {
        let output = self.codchi(&["exec", machine, "--", "sh", "-c", script]);
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    /// What connects to port 8443 in a machine reaches a socket of this computer.
    fn lend_socket(&self, machine: &str, socket: &Path) {
        let client = if std::env::var_os("INCUS_DIR").is_some() { "incus" } else { "lxc" };
        let instance = format!("codchi-{}", machine.replace("NAME", &self.person.name));
        let output = Command::new(client)
            .args(["config", "device", "add", &instance, "git-server", "proxy", "bind=instance"])
            .args(["listen=tcp:127.0.0.1:8443", &format!("connect=unix:{}", socket.display())])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    fn bridges(&self) -> Vec<u32> {
        let home = format!("HOME={}", self.person.path("").display());
        let is_ours = |id: &u32| {
            let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            let lossy = |bytes: Vec<u8>| text(&bytes);
            lossy(read("cmdline")).contains("host-bridge")
                && lossy(read("environ")).split('\0').any(|line| line == home.trim_end_matches('/'))
        };
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        all.filter(is_ours).collect()
    }

    fn sockets(&self) -> Vec<String> {
        let folder = fs::read_dir(self.person.path(".local/state/codchi/bridge")).into_iter().flatten();
        let names = folder.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "lock").collect()
    }
}

/// A certificate authority of this name: `FILE.key` and `FILE.pem` in `folder`.
fn authority(folder: &Path, name: &str, file: &str) {
    let (subject, key, certificate) = (format!("/CN={name}"), format!("{file}.key"), format!("{file}.pem"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject])
        .args(["-keyout", &key, "-out", &certificate])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A git server on TLS at the socket `git` in `folder`, with a password; its certificate is for this computer by its loopback
/// address, signed by an authority of the test's own, `ca.pem`.
fn git_server(folder: &Path) -> Running {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{program}: {}", text(&output.stderr));
    };
    authority(folder, "Test authority", "ca");
    run(
        "openssl",
        &[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=git",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ],
    );
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "server.pem",
        ],
    );
    run("git", &["init", "-q", "--bare", "repo.git"]);
    run("git", &["-C", "repo.git", "update-server-info"]);
    fs::write(folder.join("server.py"), include_str!("host_secrets/server.py")).unwrap();
    let child =
        Command::new("python3").args(["server.py", "git", PASSWORD]).current_dir(folder).spawn().unwrap();
    wait(|| folder.join("git").exists(), "the server's socket");
    Running(child)
}

#[test]
fn agent_credentials_and_certificates_are_asked_for_at_each_use_and_taken_away_at_once() {
    let person = Person::new("h");
    let socket = person.path("agent-1");
    let module = "{ pkgs, ... }: {
  codchi.hostSecrets = { sshAgent = true; gitCredentials = true; caCertificates = true; sshKeys = true; };
  environment.systemPackages = [ pkgs.openssh ];
}
";
    fs::write(person.project().join("codchi.nix"), module).unwrap();
    let world = World { person, socket: RefCell::new(socket) };
    let person = &world.person;
    let first = Agent::start(&world.socket.borrow(), "first-key");

    let folder = person.path("server");
    fs::create_dir(&folder).unwrap();
    let _server = git_server(&folder);
    let config = format!("ca-certificates = [\"{}/ca.pem\"]\n[ssh]\nconfig = false\n", folder.display());
    fs::write(person.path(".config/codchi/config.toml"), config).unwrap();
    let helper = person.path("helper");
    let gives = format!("[ \"$1\" != get ] || printf 'username=me\\npassword={PASSWORD}\\n'");
    program::script(&helper, &gives);
    let gitconfig = format!(
        "[user]\n\tname = A \\\"B\\\" C\n\temail = a@b\n[credential]\n\thelper = {}\n",
        helper.display()
    );
    fs::write(person.path(".gitconfig"), gitconfig).unwrap();
    fs::create_dir(person.path(".ssh")).unwrap();
    fs::write(person.path(".ssh/id_ed25519"), "the private key").unwrap();

    // Nobody is there to be asked: nothing is given, and that is told with what to do.
    let told = world.done(&["create", "--name", "NAME", "--allow", "ca-certificates", "PROJECT"]);
    assert!(told.contains("`codchi allow") && told.contains("ssh-agent ssh-keys git-credentials"), "{told}");
    // The machine has no network: it reaches the server through a device of the person's own.
    world.lend_socket("NAME", &folder.join("git"));
    let (_, listed) = world.shell("NAME", "ssh-add -l; ls -A ~/.ssh; git config user.name");
    assert!(
        !listed.contains("first-key") && !listed.contains("id_ed25519") && !listed.contains("A \"B\""),
        "{listed}"
    );
    let fetch = "GIT_TERMINAL_PROMPT=0 git ls-remote https://127.0.0.1:8443/repo.git";
    let (fetched, why) = world.shell("NAME", fetch);
    assert!(!fetched && why.contains("could not read Username"), "only the password is missing: {why}");
    assert!(world.bridges().is_empty(), "nothing needs it");

    // Given while it runs.
    world.done(&["allow", "NAME", "ssh-agent", "git-credentials", "ssh-keys"]);
    let (listed, keys) = world.shell("NAME", "ssh-add -l");
    assert!(listed && keys.contains("first-key"), "{keys}");
    let (fetched, why) = world.shell("NAME", fetch);
    assert!(fetched, "{why}");
    let (_, identity) =
        world.shell("NAME", "git config user.name; git config user.email; cat ~/.ssh/id_ed25519");
    assert_eq!(identity, "A \"B\" C\na@b\nthe private key");
    assert_eq!(world.bridges().len(), 1);

    // Another agent at another socket, of which a process of codchi tells.
    drop(first);
    let second = person.path("agent-2");
    let _second = Agent::start(&second, "second-key");
    world.socket.replace(second);
    let (listed, keys) = world.shell("NAME", "ssh-add -l");
    assert!(listed && keys.contains("second-key"), "{keys}");

    // Another machine has sockets of its own, and what one is denied the other keeps.
    world.done(&["create", "--name", "NAME-2", "--allow", "git-credentials", "PROJECT"]);
    let (_, other) = world.shell("NAME-2", "ls /dev/codchi-*; ssh-add -l");
    assert!(other.contains("/dev/codchi-git") && !other.contains("/dev/codchi-agent"), "{other}");
    // The instance still has its device where only the answer was taken back: each request is looked at.
    let data = person.path(".local/share/codchi/machines");
    let permissions = data.join(&world.person.name).join("permissions.toml");
    let allowed = fs::read_to_string(&permissions).unwrap();
    fs::write(&permissions, allowed.replace("ssh-agent = true", "ssh-agent = false")).unwrap();
    let (listed, why) = world.shell("NAME", "ssh-add -l");
    assert!(!listed && !why.contains("second-key"), "{why}");
    world.done(&["allow", "NAME", "ssh-agent"]);
    assert!(world.shell("NAME", "ssh-add -l").0);
    world.done(&["deny", "NAME", "ssh-agent", "git-credentials", "ca-certificates", "ssh-keys"]);
    let (listed, why) = world.shell("NAME", "ls /dev/codchi-*; ssh-add -l");
    assert!(!listed && !why.contains("/dev/codchi-agent\n"), "{why}");
    let (fetched, why) = world.shell("NAME", fetch);
    assert!(!fetched && why.contains("certificate"), "{why}");
    let (_, left) = world.shell("NAME", "ls -A ~/.ssh; git config user.name");
    assert!(!left.contains("id_ed25519") && !left.contains("A \"B\""), "{left}");
    world.done(&["allow", "NAME", "ssh-agent"]);
    let (listed, keys) = world.shell("NAME", "ssh-add -l");
    assert!(listed && keys.contains("second-key"), "it can be given again: {keys}");
    let (_, still) = world.shell("NAME-2", "git config user.name");
    assert!(still.contains("A \"B\" C"), "{still}");

    // Tokens: those of the vault, and those that a tool of this computer gives; the vault goes first.
    let bin = person.path("bin");
    program::script(&bin.join("gh"), "[ \"$*\" = 'auth token' ] && echo of-gh");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let set = |name: &str, value: &str| {
        let from = format!("printf {value}");
        world.done(&["secret", "set", name, "--from-command", &from]);
    };
    set("NPM_TOKEN", "of-the-vault");
    let tokens = "echo $GH_TOKEN,$NPM_TOKEN,$GITLAB_TOKEN";
    assert_eq!(world.shell("NAME-2", tokens).1, ",,\n", "they were not asked for");
    let mut command = person.command(&["allow", "NAME-2", "tokens"]);
    assert!(command.env("PATH", path).status().unwrap().success());
    assert_eq!(world.shell("NAME-2", tokens).1, "of-gh,of-the-vault,\n");
    world.done(&["deny", "NAME-2", "tokens"]);
    assert_eq!(world.shell("NAME-2", tokens).1, ",,\n");

    // Certificates that change on this computer are told of, and delivered by a start.
    world.done(&["allow", "NAME-2", "ca-certificates"]);
    let has_changed = || world.done(&["status", "NAME-2", "--json"]).contains("host-changed");
    assert!(!has_changed());
    authority(&folder, "Second authority", "second");
    let second = fs::read_to_string(folder.join("second.pem")).unwrap();
    let both = fs::read_to_string(folder.join("ca.pem")).unwrap() + &second;
    fs::write(folder.join("ca.pem"), both).unwrap();
    assert!(has_changed());
    world.done(&["start", "NAME-2"]);
    assert!(!has_changed());
    let line = second.lines().nth(5).unwrap();
    assert!(world.shell("NAME-2", &format!("grep -qF '{line}' /etc/ssl/certs/ca-certificates.crt")).0);

    // No value is in what the engine, the log or the machine's state says.
    let status = world.done(&["status", "NAME", "--json"]);
    assert!(status.contains("\"git-credentials\"") && !status.contains(PASSWORD), "{status}");
    let log = fs::read_to_string(person.path(".local/state/codchi/logs/codchi.log")).unwrap();
    assert!(
        log.contains("asked git's credential helper (fill): answered") && !log.contains(PASSWORD),
        "{log}"
    );

    for machine in ["NAME", "NAME-2"] {
        world.done(&["delete", "--yes", machine]);
    }
    wait(|| world.bridges().is_empty(), "the bridge goes with the last machine");
    assert_eq!(world.sockets(), Vec::<String>::new());

    // A module that requires the agent is not built without.
    fs::write(person.project().join("codchi.nix"), "{ codchi.requiredCapabilities = [ \"ssh-agent\" ]; }")
        .unwrap();
    let refused = world.codchi(&["create", "--name", "NAME", "PROJECT"]);
    let why = text(&refused.stderr);
    assert!(!refused.status.success() && why.contains("--allow ssh-agent"), "{why}");
}
