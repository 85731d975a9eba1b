//! What a machine gets of this computer, for real: devices, a sound server and a display that are started for the test.
//!
//! Needs what `cargo xtask lab up` sets up, as `main_job` does, and Debian's pulseaudio and xvfb.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_tests::person::Person;
use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const COOKIE: &[u8; 16] = b"a-cookie-of-test";

/// A program of the host's that is killed when the test ends.
struct Program(Child);

impl Program {
    /// Starts it and waits until it answers at `socket`.
    fn answering(command: &mut Command, socket: &Path) -> Self {
        let mut program = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(socket).is_err() {
            assert!(program.0.try_wait().unwrap().is_none(), "{command:?} has ended");
            assert!(Instant::now() < end, "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A person with a session: a runtime folder and a display.
struct Desk {
    person: Person,
    display: u32,
}

impl Desk {
    fn runtime(&self) -> PathBuf {
        self.person.path("runtime")
    }

    fn pulse(&self) -> Program {
        let socket = self.runtime().join("pulse/native");
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]);
        command.arg("--load=module-null-sink sink_name=codchi_test");
        command.arg(format!("--load=module-native-protocol-unix socket={}", socket.display()));
        command.env("HOME", self.person.path("")).env("XDG_RUNTIME_DIR", self.runtime());
        Program::answering(&mut command, &socket)
    }

    fn x11(&self) -> Program {
        // A record of the family "local", with this computer's name left out: servers look at the cookie alone.
        let (number, name) = (self.display.to_string(), b"MIT-MAGIC-COOKIE-1");
        let mut file = vec![1, 0];
        for field in [&b"here"[..], number.as_bytes(), name, COOKIE] {
            file.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            file.extend(field);
        }
        fs::write(self.person.path("authority"), file).unwrap();
        let mut command = Command::new("Xvfb");
        command.arg(format!(":{}", self.display)).args(["-nolisten", "tcp", "-auth"]);
        command.arg(self.person.path("authority"));
        Program::answering(&mut command, Path::new(&format!("/tmp/.X11-unix/X{}", self.display)))
    }

    fn module(&self, capabilities: &str) {
        let text = format!(
            "{{ pkgs, ... }}: {{\n  environment.systemPackages = [ pkgs.pulseaudio pkgs.xsel ];\n  {capabilities}\n}}\n"
        );
        fs::write(self.person.project().join("codchi.nix"), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.person.command(arguments);
        command.env("XDG_RUNTIME_DIR", self.runtime()).env("DISPLAY", format!(":{}", self.display));
        command.env("XAUTHORITY", self.person.path("authority"));
        for variable in ["WAYLAND_DISPLAY", "PULSE_SERVER", "PIPEWIRE_REMOTE", "SSH_AUTH_SOCK"] {
            command.env_remove(variable);
        }
        command.output().unwrap()
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// It fails; what it says.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    #[track_caller]
    fn shell(&self, script: &str) -> String {
        self.done(&["exec", "NAME", "--", "sh", "-c", script]).trim().to_owned()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.done(&["status", "NAME", "--json"])).unwrap()
    }

    /// The capabilities that work, by their names.
    fn working(&self) -> Vec<String> {
        let status = self.status();
        let capabilities = status["capabilities"].as_array().unwrap().iter();
        let working = capabilities.filter(|capability| capability["works"] == true);
        working.map(|capability| capability["name"].as_str().unwrap().to_owned()).collect()
    }

    fn drift(&self) -> Vec<String> {
        let status = self.status();
        let drift = status["drift"].as_array().unwrap().iter();
        drift.map(|drift| drift["message"].as_str().unwrap().to_owned()).collect()
    }

    fn permissions(&self, text: &str) {
        let path = format!(".local/share/codchi/machines/{}/permissions.toml", self.person.name);
        fs::write(self.person.path(&path), text).unwrap();
    }

    /// Sound and display answer to clients in the machine.
    #[track_caller]
    fn hears_and_sees(&self) {
        let sound = self.shell("pactl list short sinks");
        assert!(sound.contains("codchi_test"), "{sound}");
        // As what a pasted text is. The first xsel has it only once it is in the background.
        self.shell(
            "echo pasted | timeout 5 xsel --input --clipboard
             for _ in $(seq 50); do
               timeout 5 xsel --output --clipboard | grep -q pasted && exit
               sleep 0.1
             done
             exit 1",
        );
    }
}

#[test]
fn what_is_on_the_host_works_in_the_machine_over_restarts_and_goes_when_it_is_denied() {
    let desk = Desk { person: Person::new("caps"), display: 100 + std::process::id() % 5_000 };
    fs::create_dir_all(desk.runtime().join("pulse")).unwrap();
    let (mut pulse, _x11) = (desk.pulse(), desk.x11());
    let devices =
        ["/dev/fuse", "/dev/kvm", "/dev/net/tun"].into_iter().filter(|path| Path::new(path).exists());
    let devices: Vec<_> = devices.map(|path| (path, path.rsplit('/').next().unwrap())).collect();
    assert!(!devices.is_empty(), "there is nothing to hand in");
    let required: String = devices.iter().map(|(_, name)| format!("\"{name}\" ")).collect();
    let all = format!(
        "codchi.requiredCapabilities = [ \"nesting\" {required}]; codchi.optionalCapabilities = [ \"audio\" \"display\" \"cuda\" ];"
    );

    // What this computer has not is refused before anything is made, with what to do.
    desk.module("codchi.requiredCapabilities = [ \"cuda\" ];");
    let refused = desk.refused(&["create", "--name", "NAME", "PROJECT"]);
    assert!(
        refused.contains("`cuda` (The NVIDIA driver is not loaded") && refused.contains("nvidia-smi"),
        "{refused}"
    );

    desk.module(&all);
    desk.done(&["create", "--name", "NAME", "PROJECT"]);
    let mut names: Vec<_> = devices.iter().map(|(_, name)| (*name).to_owned()).collect();
    names.extend(["audio", "display", "nesting"].map(String::from));
    names.sort();
    let works = || {
        let mut working = desk.working();
        working.sort();
        working
    };
    assert_eq!(works(), names, "{}", desk.status()["capabilities"]);
    assert_eq!(desk.drift(), [""; 0]);
    desk.hears_and_sees();
    for (path, _) in &devices {
        desk.shell(&format!(": <>{path}"));
    }
    let doctor: Value =
        serde_json::from_str(&String::from_utf8(desk.run(&["doctor", "NAME", "--json"]).stdout).unwrap())
            .unwrap();
    let check = |name: &str| doctor.as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(check("audio")["machine"]["works"], true, "{doctor}");
    assert_eq!(check("cuda")["machine"]["required"], false, "{doctor}");
    // The cookie is the machine's user's alone, and on no disk of it.
    let file = desk.shell("stat --format '%a %U' $XAUTHORITY && stat --file-system --format %T $XAUTHORITY");
    assert_eq!(file, "400 codchi\ntmpfs");

    // A sound server that was restarted is found again, without anything done.
    drop(pulse);
    desk.shell("! timeout 5 pactl info >/dev/null 2>&1");
    pulse = desk.pulse();
    desk.hears_and_sees();
    desk.done(&["stop", "NAME"]);
    desk.done(&["start", "NAME"]);
    desk.hears_and_sees();

    // One that comes later is told and taken by the next start, also while the machine runs.
    desk.done(&["stop", "NAME"]);
    drop(pulse);
    fs::remove_file(desk.runtime().join("pulse/native")).unwrap_or_default();
    desk.done(&["start", "NAME"]);
    assert!(!works().contains(&"audio".into()));
    assert_eq!(desk.shell("echo \"${PULSE_SERVER-none}\""), "none");
    pulse = desk.pulse();
    let drift = desk.drift();
    assert!(drift[0].contains("`audio` is available now. `codchi start"), "{drift:?}");
    desk.done(&["start", "NAME"]);
    assert_eq!(desk.drift(), [""; 0]);
    desk.hears_and_sees();

    // What is denied goes, from a running machine too; and where it is required, the next start says how to get it back.
    // The engines give /dev/fuse and /dev/net/tun to every instance: of those only the answer can be tried.
    let kvm = devices.iter().find(|(_, name)| *name == "kvm");
    let (path, name) = kvm.map_or(("/dev/kvm", devices[0].1), |found| *found);
    desk.permissions(&format!("[capabilities]\naudio = false\n{name} = false\n"));
    let drift = desk.drift();
    assert!(drift[0].contains("`audio` is denied now"), "{drift:?}");
    desk.done(&["start", "NAME"]);
    // The socket's name may stay until the machine stops, with nobody behind it.
    let gone = format!(
        "test -e {path} || PULSE_SERVER=unix:/dev/codchi-pulse timeout 5 pactl info >/dev/null 2>&1 || echo gone"
    );
    assert_eq!(desk.shell(&gone), "gone");
    desk.done(&["stop", "NAME"]);
    for arguments in [&["start", "NAME"][..], &["rebuild", "NAME"]] {
        let refused = desk.refused(arguments);
        assert!(refused.contains(&format!("codchi allow {} {name}", desk.person.name)), "{refused}");
    }
    desk.permissions("");
    desk.done(&["start", "NAME"]);
    assert_eq!(works(), names);
    drop(pulse);
}
