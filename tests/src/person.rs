//! A person at the command line, on a real engine: a home folder of their own, one project, and machines whose names begin
//! alike, which are gone when the test ends.

use crate::apart::apart;
use crate::binary::codchi;
use crate::engine::{self, Kind};
use crate::store;
use codchi_driver::{Driver, Instance, InstanceName, RunState};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The person.
pub struct Person {
    home: tempfile::TempDir,
    /// The machine's name; others begin with it.
    pub name: String,
}

/// All that there is of the person's machines: on the host, in the vault, in Nix and in the engine. Keys are places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State(BTreeMap<String, String>);

impl State {
    /// Whether there is something at a place that begins with `prefix`.
    #[must_use]
    pub fn has(&self, prefix: &str) -> bool {
        self.0.keys().any(|key| key.starts_with(prefix))
    }

    /// Where this one differs from `other`, a line for each.
    #[must_use]
    pub fn difference(&self, other: &Self) -> String {
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let shown = |state: &Self, key: &String| match state.0.get(key) {
            Some(told) => format!("{:?}", told.chars().take(200).collect::<String>()),
            None => "not there".into(),
        };
        keys.into_iter()
            .filter(|key| self.0.get(*key) != other.0.get(*key))
            .map(|key| format!("  {key}: {} and not {}\n", shown(self, key), shown(other, key)))
            .collect()
    }
}

/// What is in the machine's home folder and must stay.
const KEPT: &str = "what I made";

/// The secret that the module requires.
const SECRET: &str = "hunter2 \" ' $HOME";

impl Person {
    /// With a project whose module greets with `one`, and no machine yet.
    ///
    /// # Panics
    /// Where the test may not make that.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let person = Self { name: format!("{prefix}-{}", std::process::id()), home };
        fs::create_dir_all(person.project()).unwrap();
        chown(person.project(), Some(1000), Some(1000)).unwrap();
        person.write_module("one");
        fs::write(person.path("passphrase"), "correct horse battery staple\n").unwrap();
        person.configure("[ssh]\nconfig = true\n");
        if engine::kind() == Kind::Wsl {
            let asked = person.command(&["store", "--json"]).output().unwrap();
            let told: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("WSL answers");
            store::lay(&person.data(), told["instance"].as_str().unwrap());
        }
        person
    }

    /// Writes `config.toml`: what the engine needs, then `more`.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn configure(&self, more: &str) {
        let config = self.path(".config/codchi");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("config.toml"), format!("{}{more}", store::config())).unwrap();
    }

    /// A path below the home folder.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// The project's folder.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.path("project")
    }

    fn data(&self) -> PathBuf {
        self.path(".local/share/codchi")
    }

    /// The module, with a greeting, a service and a secret.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write_module(&self, greeting: &str) {
        let text = format!(
            "{{ ... }}: {{\n  environment.etc.greeting.text = \"{greeting}\";\n  codchi.secrets.TOKEN.description = \"A token\";\n}}\n"
        );
        fs::write(self.project().join("codchi.nix"), text).unwrap();
    }

    /// `codchi` with these arguments, in which `NAME`, `PROJECT`, `FILE` and `PASSPHRASE` stand for the person's.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(codchi());
        for argument in arguments {
            let argument = match *argument {
                "PROJECT" => self.project().display().to_string(),
                "FILE" => self.path("export.codchi").display().to_string(),
                "PASSPHRASE" => self.path("passphrase").display().to_string(),
                other => other.replace("NAME", &self.name),
            };
            command.arg(argument);
        }
        for variable in [
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "XDG_CACHE_HOME",
            "DBUS_SESSION_BUS_ADDRESS",
        ] {
            command.env_remove(variable);
        }
        command
            .env("HOME", self.home.path())
            .env("CODCHI_NIXPKGS", store::nixpkgs(&self.data()))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it with `CODCHI_FAULT` set to `fault`.
    ///
    /// # Panics
    /// Where it does not run.
    #[must_use]
    pub fn codchi_with(&self, arguments: &[&str], fault: &str) -> Output {
        self.command(arguments).env("CODCHI_FAULT", fault).output().unwrap()
    }

    /// Runs it.
    ///
    /// # Panics
    /// Where it fails.
    pub fn done(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: codchi {}: {told}", self.name, arguments.join(" "));
    }

    /// Runs it, whatever comes of that; whether it says that there is no such machine.
    ///
    /// # Panics
    /// Where it does not run.
    #[must_use]
    pub fn says_unknown(&self, arguments: &[&str]) -> bool {
        let output = self.command(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stderr).contains("There is no machine")
    }

    /// Whether an operation has left its journal.
    ///
    /// # Panics
    /// Where that cannot be seen.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        let machines = fs::read_dir(self.data().join("machines")).into_iter().flatten();
        machines.into_iter().any(|machine| machine.unwrap().path().join("journal.json").exists())
    }

    /// Sets the secret that the module requires.
    ///
    /// # Panics
    /// Where that fails.
    pub fn set_secret(&self) {
        use std::io::Write as _;
        let mut command = self.command(&["secret", "set", "TOKEN", "--machine", "NAME"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Creates the machine and makes something in it.
    ///
    /// # Panics
    /// Where that fails.
    pub fn create(&self) {
        self.set_secret();
        self.done(&["create", "--name", "NAME", "PROJECT"]);
        self.done(&["exec", "NAME", "--", "sh", "-c", &format!("echo '{KEPT}' > ~/kept")]);
    }

    /// Removes the export file.
    ///
    /// # Panics
    /// Where there is none.
    pub fn remove_export(&self) {
        fs::remove_file(self.path("export.codchi")).unwrap();
    }

    /// The fault points that a run passes, in order.
    ///
    /// # Panics
    /// Where the run fails.
    #[must_use]
    pub fn places(&self, arguments: &[&str]) -> Vec<String> {
        let list = self.path("places");
        let output = self.codchi_with(arguments, &format!("list:{}", list.display()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.listed(&list)
    }

    /// The fault points that undoing passes where a run fails at `place`.
    ///
    /// # Panics
    /// Where the run does not fail.
    #[must_use]
    pub fn places_of_failing(&self, arguments: &[&str], place: &str) -> Vec<String> {
        let list = self.path("places");
        let output = self.codchi_with(arguments, &format!("fail:{place},list:{}", list.display()));
        assert!(!output.status.success(), "nothing failed");
        self.listed(&list).into_iter().filter(|place| place.ends_with("/undo")).collect()
    }

    fn listed(&self, list: &Path) -> Vec<String> {
        let text = fs::read_to_string(list).unwrap_or_default();
        let _ = fs::remove_file(list);
        let mut seen = BTreeSet::new();
        text.lines().filter(|line| seen.insert(line.to_owned())).map(Into::into).collect()
    }

    /// Asserts that what was made in each machine is still in it.
    ///
    /// # Panics
    /// Where it is not.
    pub fn nothing_hurt(&self) {
        for instance in self.instances() {
            let name = instance.name.as_str().strip_prefix("codchi-").unwrap();
            let output = self.command(&["exec", name, "--", "sh", "-c", "cat ~/kept"]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), KEPT, "{name}: {output:?}");
        }
    }

    /// The person's machines' instances.
    fn instances(&self) -> Vec<Instance> {
        let wsl = self.data().join("wsl");
        let data = self.data().display().to_string();
        let is_own = |instance: &Instance| {
            instance.labels.get("user.codchi.data") == Some(&data)
                && instance.labels.contains_key("user.codchi.machine")
        };
        on_engine(wsl, async |driver| driver.instances().await.unwrap()).into_iter().filter(is_own).collect()
    }

    /// All that there is now.
    ///
    /// # Panics
    /// Where it cannot be read.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = BTreeMap::new();
        // Ids and dates differ from one making to the next: what of them is the same thing gets the same word.
        let mut ids = Vec::new();
        for instance in self.instances() {
            let run = if instance.state == RunState::Running { "running" } else { "stopped" };
            let machine = &instance.labels["user.codchi.machine"];
            state.insert(format!("instance {}", instance.name), format!("{run}, of {machine}"));
            ids.push((instance.labels["user.codchi.id"].clone(), instance.name.to_string()));
        }
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.home.path()).unwrap().display().to_string();
                // A backup comes with the first change of a vault, whatever becomes of that.
                if name.ends_with("/vault.age.bak") {
                    continue;
                }
                if path.is_symlink() {
                    state.insert(name, fs::read_link(&path).unwrap().display().to_string());
                } else if path.is_dir() {
                    // What the next build makes anew says nothing.
                    if !name.ends_with("/modules") && !name.ends_with("/flake") && !name.ends_with("/locks") {
                        folders.push(path);
                    }
                } else if let Some(contents) = told(&path, &ids) {
                    state.insert(name, contents);
                }
            }
        }
        for entry in fs::read_dir(self.home.path()).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.contains(".codchi") && name != "codchi" {
                state.insert(name, "an export".into());
            }
        }
        let listed = self.command(&["secret", "ls", "--json"]).output().unwrap();
        state.insert("secrets".into(), String::from_utf8(listed.stdout).unwrap());
        for root in roots(&self.data()) {
            state.insert(
                format!("root {}", root.strip_prefix(self.home.path()).unwrap().display()),
                "kept".into(),
            );
        }
        State(state)
    }
}

impl Drop for Person {
    /// A test that failed must not leave its instances to the next run.
    fn drop(&mut self) {
        let names: Vec<InstanceName> = self.instances().into_iter().map(|instance| instance.name).collect();
        on_engine(self.data().join("wsl"), async |driver| {
            for name in names {
                let _ = driver.delete(&name).await;
            }
        });
        engine::forget_in(&self.data().join("wsl"));
    }
}

/// What a file says that is to stay the same; `None` for what differs each time and matters to nobody.
fn told(path: &Path, ids: &[(String, String)]) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    match name {
        // Keys and what is encrypted to them; what was found out about a start; logs of locks.
        "vault.age" | "vault.key" | "runtime.json" | "ssh_host_key" | "ssh_host_key.pub" | "known_hosts"
        | "lock" | "vault.lock" => Some("there".into()),
        "machine.toml" => {
            let mut text = fs::read_to_string(path).ok()?;
            for (id, instance) in ids {
                text = text.replace(id, instance);
            }
            Some(text.lines().filter(|line| !line.starts_with("created")).collect::<Vec<_>>().join("\n"))
        }
        "generations.json" => {
            let all: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            let one = |generation: &serde_json::Value| {
                format!("{}: {}", generation["number"], generation["toplevel"])
            };
            let systems: Vec<String> = all["generations"].as_array()?.iter().map(one).collect();
            Some(format!("{} of {}", all["current"], systems.join(", ")))
        }
        _ => fs::read_to_string(path).ok().or(Some("bytes".into())),
    }
}

/// The links below `folder` that keep what they point at in the Nix store.
fn roots(folder: &Path) -> BTreeSet<PathBuf> {
    let all = fs::read_dir("/nix/var/nix/gcroots/auto").into_iter().flatten();
    let targets = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(folder) && target.exists()).collect()
}

/// Does something with the engine.
fn on_engine<T: Send>(wsl: PathBuf, work: impl AsyncFnOnce(Arc<dyn Driver>) -> T + Send) -> T {
    apart(async || work(engine::connect_in(wsl).await).await)
}

/// A process that stopped itself at a fault point.
pub struct Stopped(Child);

impl Stopped {
    /// Runs `codchi` and waits until it comes to `place`.
    ///
    /// # Panics
    /// Where it does not come there within a minute.
    #[must_use]
    pub fn at(person: &Person, arguments: &[&str], place: &str) -> Self {
        let mut command = person.command(arguments);
        command.env("CODCHI_FAULT", format!("stop:{place}")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", child.id()));
        let end = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")) {
            assert!(Instant::now() < end, "it does not come to {place}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self(child)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to cancel, which it hears once it goes on.
    ///
    /// # Panics
    /// Where it is gone.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
    }

    /// Lets it go on, and waits for its end.
    ///
    /// # Panics
    /// Where it is gone.
    #[must_use]
    pub fn go_on(self) -> Output {
        kill_process(Pid::from_child(&self.0), Signal::CONT).unwrap();
        self.0.wait_with_output().unwrap()
    }
}

/// The fingerprints of the engine's images, each with the instance that it is for, but for the one of an empty root file
/// system, which stays.
///
/// # Panics
/// Where the engine's own client cannot be asked.
#[must_use]
pub fn images() -> BTreeMap<String, String> {
    let output = Command::new(engine::client()).args(["query", "/1.0/images?recursion=1"]).output().unwrap();
    let images: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let skeleton = "codchi, empty root file system";
    let others = images.iter().filter(|image| image["properties"]["description"] != skeleton);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    others.map(|image| (text(&image["fingerprint"]), text(&image["properties"]["codchi.for"]))).collect()
}
