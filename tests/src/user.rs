//! A user of machines on a real engine: folders of their own, one project and one machine, which is gone when the test ends.

use crate::apart::apart;
use crate::engine::{self, Kind};
use crate::{binary, program, store};
use codchi_driver::{Driver, InstanceName, Stdio};
use codchi_machine::{CancellationToken, ExecRequest, MachineName, Machines, Options, Paths};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The user.
pub struct User {
    folder: tempfile::TempDir,
    project: PathBuf,
    /// The machine.
    pub name: MachineName,
    /// The engine.
    pub driver: Arc<dyn Driver>,
    /// What runs it.
    pub machines: Machines,
    /// Cancels what is done for them.
    pub cancel: CancellationToken,
}

impl User {
    /// With a machine whose name begins with `prefix`, a project in the folder `project` that a person owns, and what
    /// `options` says, given the folder that all of this is in; where that says no nixpkgs, the one that builds offline. Machines have a
    /// store to live in.
    ///
    /// # Panics
    /// Where there is no engine.
    pub async fn new(prefix: &str, project: &str, options: impl FnOnce(&Path) -> Options) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{number}", std::process::id()).parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        let project = root.join(project);
        for made in [&root.join("home"), &project] {
            fs::create_dir_all(made).unwrap();
        }
        let paths = Paths {
            data: root.join("data/codchi"),
            config: root.join("config/codchi"),
            state: root.join("state/codchi"),
            cache: root.join("cache/codchi"),
            home: root.join("home"),
        };
        let options = options(root);
        let options = Options {
            program: program_for(root),
            nixpkgs: options.nixpkgs.or_else(|| Some(store::nixpkgs(&paths.data))),
            store: store::options(),
            ..options
        };
        let driver = engine::connect_in(paths.data.join("wsl")).await;
        let machines = Machines::new(paths, driver.clone(), options);
        if engine::kind() == Kind::Wsl {
            store::lay(&machines.paths().data, &machines.store_status().await.unwrap().instance);
        }
        let user = Self { folder, project, name, driver, machines, cancel: CancellationToken::new() };
        user.own(1000);
        user
    }

    /// The folder that all of this is in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The project's folder.
    #[must_use]
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// Gives the project to the person with this id.
    ///
    /// # Panics
    /// Where the test may not do that.
    pub fn own(&self, owner: u32) {
        chown(&self.project, Some(owner), Some(owner)).unwrap();
    }

    /// The machine's instance.
    ///
    /// # Panics
    /// Never for a machine's name.
    #[must_use]
    pub fn instance(&self) -> InstanceName {
        InstanceName::new(self.name.host_alias()).unwrap()
    }

    /// What a shell in the machine prints, in the folder where one works, without the last newline.
    ///
    /// # Panics
    /// Where it fails, or prints errors.
    pub async fn shell(&self, script: &str) -> String {
        let request = ExecRequest {
            command: ["sh", "-c", script].map(Into::into).into(),
            cwd: None,
            root: false,
            environment: BTreeMap::new(),
            stdio: Stdio::Piped,
        };
        let mut process = self.machines.exec(&self.name, request).await.unwrap();
        process.stdin.shutdown().await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        let (read_out, read_err, exit) = tokio::join!(
            process.stdout.read_to_string(&mut out),
            process.stderr.read_to_string(&mut err),
            process.exit
        );
        read_out.unwrap();
        read_err.unwrap();
        assert_eq!(exit.unwrap().code, 0, "{script}: {err}");
        assert_eq!(err, "", "{script}");
        out.trim_end().to_owned()
    }

    /// Asserts that there is no instance and no file of the machine, and the project still is.
    ///
    /// # Panics
    /// Where something is left.
    pub async fn nothing_is_left(&self) {
        assert!(self.driver.instance(&self.instance()).await.unwrap().is_none(), "an instance is left");
        let left: Vec<_> = fs::read_dir(self.machines.paths().data.join("machines"))
            .into_iter()
            .flatten()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert!(left.is_empty(), "{left:?} is left");
        assert!(self.project.is_dir());
    }
}

impl Drop for User {
    /// A test that failed must not leave its instance to the next run.
    fn drop(&mut self) {
        let _ = apart(async || self.driver.delete(&self.instance()).await);
        engine::forget_in(&self.machines.paths().data.join("wsl"));
    }
}

/// `codchi` as a process of the person at `root`: what `machine` runs in a store's distribution goes through it.
fn program_for(root: &Path) -> PathBuf {
    if engine::kind() != Kind::Wsl {
        return "/usr/bin/codchi".into();
    }
    let variables = store::variables(root).map(|(name, folder)| format!("{name}='{}'", folder.display()));
    let (home, codchi) = (root.join("home"), binary::codchi());
    let script =
        format!("exec env HOME='{}' {} '{}' \"$@\"", home.display(), variables.join(" "), codchi.display());
    let path = root.join("codchi");
    program::script(&path, &script);
    path
}
