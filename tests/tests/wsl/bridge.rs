//! What a machine asks of this computer at each use: the SSH agent and git's credentials.

use super::Person;
use codchi_tests::agent::Agent;
use codchi_tests::program::text;
use codchi_tests::{engine, program};
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

const MODULE: &str = "{ pkgs, ... }: {
  codchi.hostSecrets = { sshAgent = true; gitCredentials = true; };
  environment.systemPackages = [ pkgs.openssh ];
}
";
const PASSWORD: &str = "correct-horse";
const FILL: &str =
    "printf 'protocol=https\\nhost=git.example\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill";

/// Somebody with an agent and a credential helper.
struct World {
    person: Person,
    socket: PathBuf,
}

impl World {
    fn codchi(&self, arguments: &[&str]) -> Output {
        self.person.command(arguments).env("SSH_AUTH_SOCK", &self.socket).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.codchi(arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "codchi {arguments:?}: {said}");
    }

    /// What a shell in the machine prints, all in one.
    fn shell(&self, script: &str) -> String {
        let output = self.codchi(&["exec", "asks", "--", "sh", "-c", script]);
        text(&output.stdout) + &text(&output.stderr)
    }

    /// Both answer.
    #[track_caller]
    fn is_answered(&self) {
        let keys = self.shell("ssh-add -l");
        assert!(keys.contains("the-key"), "{keys}");
        let filled = self.shell(FILL);
        assert!(filled.contains(&format!("password={PASSWORD}")), "{filled}");
    }

    fn bridges(&self) -> Vec<String> {
        let home = self.person.path("home").display().to_string();
        let is_ours = |process: &PathBuf| {
            let read = |file: &str| fs::read(process.join(file)).unwrap_or_default();
            text(&read("cmdline")).contains("host-bridge")
                && text(&read("environ")).split('\0').any(|line| line == format!("HOME={home}"))
        };
        let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        all.filter(is_ours).map(|process| process.display().to_string()).collect()
    }
}

#[test]
fn agent_and_credentials_reach_a_machine_for_as_long_as_it_may_have_them() {
    let person = Person::with_module(MODULE);
    let socket = person.path("agent");
    let _agent = Agent::start(&socket, "the-key");
    let world = World { person, socket };
    let person = &world.person;
    let helper = person.path("helper.sh");
    program::script(&helper, &format!("[ \"$1\" != get ] || printf 'username=me\\npassword={PASSWORD}\\n'"));
    // git gives it to a shell: the path has a space in it.
    let config = format!("[credential]\n\thelper = \"!'{}'\"\n", helper.display());
    fs::write(person.path("home/.gitconfig"), config).unwrap();

    // Another name than in the other tests, which run meanwhile on the same WSL.
    world.done(&["create", ".", "--name", "asks", "--allow", "ssh-agent", "--allow", "git-credentials"]);
    // What a session of `wsl.exe` has is there as soon as the command that makes it returns.
    let inside = |script: &str| {
        engine::ask_client(&["-d", "codchi-asks", "--exec", "/run/current-system/sw/bin/bash", "-lc", script])
    };
    let seen = inside("stat -c '%U %a' $SSH_AUTH_SOCK; ssh-add -l");
    assert!(seen.starts_with("codchi 600\n") && seen.contains("the-key"), "{seen}");
    world.is_answered();
    assert_eq!(world.bridges().len(), 1);

    // Nothing of this is where other distributions see it.
    assert_eq!(world.shell("ls -d /dev/codchi-* /mnt/wsl/codchi-* 2>/dev/null; true"), "");

    world.done(&["deny", "asks", "ssh-agent", "git-credentials"]);
    let denied = world.shell(&format!("SSH_AUTH_SOCK=/var/codchi-agent ssh-add -l; {FILL}; ls /var"));
    let is_there = ["the-key", PASSWORD, "codchi-agent", "codchi-git"].iter().any(|it| denied.contains(it));
    assert!(!is_there, "{denied}");
    world.done(&["allow", "asks", "ssh-agent", "git-credentials"]);
    world.is_answered();

    let begun = Instant::now();
    world.done(&["stop", "asks"]);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "stopping waits for nobody who listens: {:?}",
        begun.elapsed()
    );
    let end = Instant::now() + Duration::from_secs(20);
    while !world.bridges().is_empty() {
        assert!(Instant::now() < end, "the bridge ends with the last machine");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        person.distributions().contains(&("codchi-asks".into(), "Stopped".into())),
        "and does not start it"
    );
    world.done(&["start", "asks"]);
    world.is_answered();

    // Ended behind our back, and used again.
    engine::ask_client(&["--terminate", "codchi-asks"]);
    world.is_answered();

    world.done(&["delete", "--yes", "asks"]);
}
