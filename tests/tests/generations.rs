//! Generations for real: what a rebuild would change, a rebuild that fails and takes itself back, rollbacks, deletion.
//!
//! Needs what `cargo xtask lab up` sets up, as `main_job` does.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::Exec;
use codchi_machine::{
    Answer, CreateRequest, Discard, Event, Front, LogLevel, MachineError, ModuleSource, Options, Question,
    Step,
};
use codchi_tests::engine;
use codchi_tests::user::User;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

/// A front that knows no answer and remembers the warnings, and the steps of the last plan.
#[derive(Default)]
struct Ears(Mutex<Vec<String>>, Mutex<Vec<Step>>);

#[async_trait::async_trait]
impl Front for Ears {
    fn event(&self, event: Event) {
        match event {
            Event::Log { level: LogLevel::Warning, line } => self.0.lock().unwrap().push(line),
            Event::Began { steps, .. } => *self.1.lock().unwrap() = steps,
            _ => {}
        }
    }

    async fn ask(&self, _question: Question) -> Answer {
        Answer::CannotAsk
    }
}

/// A user, and what they hear.
struct World {
    user: User,
    ears: Ears,
}

impl World {
    async fn new() -> Self {
        let options = |_: &std::path::Path| Options { ssh_config: Some(false), ..Options::default() };
        Self { user: User::new("g", "project", options).await, ears: Ears::default() }
    }

    /// The module with a greeting, and what else it says.
    fn write(&self, greeting: &str, more: &str) {
        let text = format!(
            "{{ pkgs, ... }}: {{\n  environment.etc.greeting.text = \"{greeting}\";\n  systemd.services.web = {{\n    \
             wantedBy = [ \"multi-user.target\" ];\n    script = \"echo {greeting}; exec sleep infinity\";\n  }};\n{more}}}\n"
        );
        fs::write(self.project().join("codchi.nix"), text).unwrap();
    }

    async fn rebuild(&self) -> Result<(), MachineError> {
        self.machines.rebuild(&self.name, &self.ears, &self.cancel).await
    }

    async fn rollback(&self, generation: Option<u32>) {
        self.machines.rollback(&self.name, generation, &self.ears, &self.cancel).await.unwrap();
    }

    /// What root's shell in the machine prints.
    async fn shell(&self, script: &str) -> String {
        let path = "PATH=/run/current-system/sw/bin:$PATH; ";
        let exec = Exec::root(["/bin/sh", "-c", &format!("{path}{script}")]);
        let output = self.driver.run(&self.instance(), &exec, &[]).await.unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Greeting, whether the service runs (a switch does not wait for all that the targets want), and which system it is.
    async fn is(&self) -> (String, String, String) {
        (
            self.shell("cat /etc/greeting").await,
            self.shell(
                "for try in $(seq 50); do systemctl is-active --quiet web.service && break; sleep .1; done; \
                 systemctl is-active web.service",
            )
            .await,
            self.shell("readlink -f /run/current-system").await,
        )
    }

    async fn numbers(&self) -> Vec<(u32, bool)> {
        let list = self.machines.generations(&self.name, &self.cancel).await.unwrap();
        list.iter().map(|generation| (generation.number, generation.current)).collect()
    }

    /// The machine's files with their contents, and what links point at.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &std::path::Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    let target = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
                    found.push((path, target));
                } else if path.is_dir() {
                    walk(&path, found);
                } else {
                    let text = fs::read(&path).unwrap();
                    found.push((path, text));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.machines.paths().machine(&self.name), &mut found);
        found.sort();
        found
    }
}

impl std::ops::Deref for World {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}

const BROKEN: &str = "  systemd.services.broken = {
    wantedBy = [ \"multi-user.target\" ];
    serviceConfig.Type = \"oneshot\";
    script = \"echo this is why; exit 3\";
  };
";

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_goes_forward_and_back_and_what_fails_takes_itself_back() {
    let world = World::new().await;
    world.write("one", "");
    let request = CreateRequest {
        name: world.name.clone(),
        modules: vec![ModuleSource::parse(".", world.project()).unwrap()],
        project: Some(world.project().into()),
        nixpkgs: None,
        checkout: None,
        allowed: Vec::new(),
    };
    world.machines.create(request, &world.ears, &world.cancel).await.unwrap();
    let first = world.is().await;
    assert_eq!((first.0.as_str(), first.1.as_str()), ("one", "active"));

    // Nothing has changed, and a preview says so.
    let preview =
        async |build| world.machines.preview(&world.name, build, &world.ears, &world.cancel).await.unwrap();
    let same = preview(false).await;
    assert!(same.same, "{}", same.markdown());

    // What would change is told, and neither machine nor files change.
    // A package that no earlier run has left in the store.
    let text = world.folder().file_name().unwrap().to_str().unwrap();
    let tool =
        format!("pkgs.runCommand \"tool-1.2\" {{ }} \"mkdir -p $out/bin; echo {text} >$out/bin/tool\"");
    let more = format!(
        "  codchi.secrets.TOKEN = {{ description = \"x\"; required = false; }};
  codchi.optionalCapabilities = [ \"fuse\" ];
  systemd.services.more = {{ wantedBy = [ \"multi-user.target\" ]; script = \"exec sleep infinity\"; }};
  environment.systemPackages = [ ({tool}) ];\n"
    );
    world.write("two", &more);
    let before = world.files();
    let told = preview(false).await;
    assert_eq!((told.same, &told.packages, &told.units), (false, &None, &None));
    assert_eq!(
        world.ears.1.lock().unwrap().last(),
        Some(&Step::Compare),
        "nothing is built, so nothing says so"
    );
    assert!(told.builds.iter().any(|path| path.to_string_lossy().contains("tool-1.2")), "{:?}", told.builds);
    let told = preview(true).await;
    let packages = told.packages.clone().unwrap();
    let added = &packages.added[0];
    assert_eq!((added.name.as_str(), added.after.as_slice()), ("tool", &["1.2".to_owned()][..]));
    assert!(added.size.is_some_and(|size| size > 0));
    let units = told.units.clone().unwrap();
    assert!(units.said_by_machine);
    assert_eq!((units.restart, units.start), (vec!["web.service".into()], vec!["more.service".into()]));
    assert_eq!(told.secrets.added, ["TOKEN"]);
    assert_eq!(told.capabilities.added, ["fuse"]);
    assert_eq!(world.files(), before, "a preview has changed the machine's files");
    assert_eq!(world.is().await, first);

    // The rebuild does what was told.
    world.rebuild().await.unwrap();
    let second = world.is().await;
    assert_eq!((second.0.as_str(), second.1.as_str()), ("two", "active"));
    assert_eq!(second.2, told.toplevel.display().to_string());
    assert_eq!(world.shell("systemctl is-active more.service").await, "active");
    let list = world.machines.generations(&world.name, &world.cancel).await.unwrap();
    let project = world.project().display().to_string();
    assert_eq!(list[1].changes(), format!("1 package added; {project} changed"));
    let made_of: Vec<_> = list[1].made_of.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(made_of, [project.as_str(), "nixpkgs"]);

    // A unit that fails takes the whole switch back, services included, and is named with its definition and its words.
    world.write("three", BROKEN);
    let units = preview(true).await.units.unwrap();
    assert_eq!((units.stop, units.start), (vec!["more.service".into()], vec!["broken.service".into()]));
    let error = world.rebuild().await.unwrap_err();
    let message = error.to_string();
    let at = format!("broken.service (defined at {}:7:3)", world.project().join("codchi.nix").display());
    assert!(message.contains(&at), "{message}");
    assert!(message.contains("broken.service> this is why"), "{message}");
    assert!(matches!(error, MachineError::Activation { definition: Some(_), .. }));
    assert_eq!(world.is().await, second);
    assert_eq!(world.shell("systemctl is-active more.service").await, "active");
    assert_eq!(world.shell("systemctl --failed --plain --no-legend").await, "");
    assert_eq!(world.numbers().await, [(1, false), (2, true)]);
    assert!(world.ears.0.lock().unwrap().iter().any(|line| line.contains("generation 2 again")));

    // So does one that ran before, and it runs again.
    world.write("three", "  systemd.services.web.preStart = \"exit 3\";\n");
    let message = world.rebuild().await.unwrap_err().to_string();
    assert!(message.contains("web.service (defined at"), "{message}");
    assert_eq!(world.is().await, second);

    // Back while it runs; what was started stays until it is stopped.
    world.rollback(None).await;
    assert_eq!(world.is().await, first);
    assert_eq!(world.numbers().await, [(1, true), (2, false)]);
    // And forward while it is stopped.
    world.machines.stop(&world.name, &world.ears, &world.cancel).await.unwrap();
    world.rollback(Some(2)).await;
    let units = preview(true).await.units;
    assert_eq!(units.is_some(), engine::shows_store());
    if let Some(units) = units {
        assert!(!units.said_by_machine && units.restart.contains(&"web.service".into()), "{units:?}");
    }
    world.machines.start(&world.name, &world.ears, &world.cancel).await.unwrap();
    assert_eq!(world.is().await, second);

    // What it was started with stays, even where it is another generation now.
    world.rollback(Some(1)).await;
    let refused = world.machines.discard(&world.name, &Discard::Numbers(vec![2])).await.unwrap_err();
    assert!(refused.to_string().contains("was started with generation 2"), "{refused}");
    assert_eq!(world.machines.discard(&world.name, &Discard::AllBut(1)).await.unwrap(), [0_u32; 0]);
    world.machines.stop(&world.name, &world.ears, &world.cancel).await.unwrap();
    // What that frees is told before.
    let garbage =
        world.machines.garbage(&Discard::AllBut(0), false, Vec::new(), &world.cancel).await.unwrap();
    assert_eq!(garbage.generations[0].numbers, [2], "{garbage:?}");
    assert!(garbage.generations_bytes.is_some_and(|size| size > 0), "{garbage:?}");
    let freed = world.machines.free(garbage, &world.ears, &world.cancel).await.unwrap();
    assert_eq!((freed.generations[0].numbers.as_slice(), freed.failed.len()), (&[2][..], 0));
    let links = world.machines.paths().machine(&world.name).join("profile");
    assert!(!links.join("system-2-link").is_symlink());
    assert_eq!(fs::read_link(links.join("system")).unwrap().to_str(), Some("system-1-link"));
    world.machines.start(&world.name, &world.ears, &world.cancel).await.unwrap();
    assert_eq!(world.is().await, first);

    world.machines.delete(&world.name, true, &world.ears, &world.cancel).await.unwrap();
    assert!(world.driver.instance(&world.instance()).await.unwrap().is_none());
}
