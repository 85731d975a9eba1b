//! Instances of a driver's tests: a static busybox, mounted into the empty root file system as a store would be, on the
//! engine that the environment names ([`crate::engine`]).

use crate::apart::apart;
use crate::engine::{self, Kind};
use codchi_driver::{
    Device, Driver, Exec, FileKind, FileSpec, InstanceName, InstanceSpec, Process, RunState,
};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

/// An init that goes down when it is asked to, as an engine asks (SIGPWR).
pub const INIT: &str = "#!/nix/busybox sh
trap 'exit 0' PWR
/nix/busybox --install -s /bin
export PATH=/bin
mount -t tmpfs tmpfs /run
echo ready >/run/booted
while :; do sleep 1 & wait $!; done
";

/// An init that does not listen.
pub const STUBBORN_INIT: &str = "#!/nix/busybox sh
trap '' PWR
/nix/busybox --install -s /bin
export PATH=/bin
echo ready >/run/booted
while :; do sleep 1; done
";

/// A second.
pub const SECOND: Duration = Duration::from_secs(1);

/// An instance of a test's own, with the folder that is its store. Deletes it when dropped.
pub struct Machine {
    /// The engine.
    pub driver: Arc<dyn Driver>,
    /// Its name.
    pub name: InstanceName,
    /// The folder that is its store.
    pub store: TempDir,
}

impl Machine {
    /// Not created yet; its init will be `init`.
    ///
    /// # Panics
    /// Where there is no busybox.
    pub async fn planned(init: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = InstanceName::new(format!("codchi-test-{}-{number}", std::process::id())).unwrap();
        let store = tempfile::tempdir().unwrap();
        fs::set_permissions(store.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy("/bin/busybox", store.path().join("busybox")).expect("busybox-static is installed");
        let path = store.path().join("init");
        fs::write(&path, init).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { driver: engine::connect().await, name, store }
    }

    /// What it is made of.
    #[must_use]
    pub fn spec(&self) -> InstanceSpec {
        let store = Device::Disk {
            source: self.store.path().to_owned(),
            path: "/nix".into(),
            read_only: true,
            shift: false,
        };
        InstanceSpec {
            labels: BTreeMap::from([("user.codchi.machine".into(), "test".into())]),
            config: match engine::kind() {
                // No systemd is waited for.
                Kind::Wsl => BTreeMap::from([("boot.initTimeout".into(), "0".into())]),
                Kind::Lxd | Kind::Incus => BTreeMap::new(),
            },
            devices: BTreeMap::from([("store".into(), store)]),
            init: "/nix/init".into(),
            user: None,
        }
    }

    /// Created.
    ///
    /// # Panics
    /// Where it cannot be.
    pub async fn stopped() -> Self {
        let machine = Self::planned(INIT).await;
        machine.driver.create(&machine.name, &machine.spec()).await.unwrap();
        machine
    }

    /// Created and started.
    ///
    /// # Panics
    /// Where it cannot be.
    pub async fn running() -> Self {
        let machine = Self::stopped().await;
        machine.boot().await;
        machine
    }

    /// Starts it, and waits until its init has put the commands in place.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn boot(&self) {
        self.driver.start(&self.name).await.unwrap();
        let command = "until [ -e /run/booted ]; do /nix/busybox sleep 0.02; done";
        let wait = Exec::root(["/nix/busybox", "sh", "-c", command]);
        let booted = self.driver.run(&self.name, &wait, b"");
        assert!(timeout(20 * SECOND, booted).await.expect("init comes up").unwrap().status.success());
    }

    /// Whether it runs; `None` where it is not there.
    ///
    /// # Panics
    /// Where the engine does not say.
    pub async fn state(&self) -> Option<RunState> {
        self.driver.instance(&self.name).await.unwrap().map(|instance| instance.state)
    }

    /// What a shell command prints; it must succeed.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn sh(&self, command: &str) -> String {
        let output = self.driver.run(&self.name, &shell(command), b"").await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {:?}: {errors}", output.status);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// A command in it.
    ///
    /// # Panics
    /// Where it cannot be begun.
    pub async fn exec(&self, exec: &Exec) -> Process {
        self.driver.exec(&self.name, exec).await.unwrap()
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

/// A command of the shell.
#[must_use]
pub fn shell(command: &str) -> Exec {
    Exec::root(["/bin/sh", "-c", command])
}

/// A file, folder or link of root's.
#[must_use]
pub fn file(path: &str, kind: FileKind) -> FileSpec {
    FileSpec { path: path.into(), uid: 0, gid: 0, mode: 0o644, kind }
}
