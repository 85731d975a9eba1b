//! A driver in memory, for the logic around it: order, locks, journals, undoing. It keeps instances and files, and
//! records commands instead of running them.

use async_trait::async_trait;
use codchi_driver::{
    Driver, DriverError, DriverKind, Event, Exec, ExitStatus, FileKind, FileSpec, GivenAddress, Image,
    Instance, InstanceName, InstanceSpec, Process, PtySize, Resizer, RunState, ServerInfo, Volume,
};
use futures_util::stream::BoxStream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The driver.
#[derive(Default)]
pub(crate) struct Fake {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    instances: BTreeMap<String, FakeInstance>,
    volumes: BTreeSet<String>,
    starts: u32,
    /// What was called, in order: `start codchi-a`, `exec codchi-a codchi-receive`.
    calls: Vec<String>,
    failing: BTreeSet<String>,
    hanging: BTreeSet<String>,
    lose_next_look: bool,
    images: Vec<Image>,
}

/// An instance as it was last made.
#[derive(Clone)]
pub(crate) struct FakeInstance {
    pub(crate) state: RunState,
    pub(crate) spec: InstanceSpec,
    pub(crate) init: String,
    pub(crate) started: String,
    pub(crate) changed: Vec<String>,
}

impl Fake {
    /// Makes every call that begins with `call` fail from now on; commands end with exit code 1.
    pub(crate) fn fail(&self, call: &str) {
        self.inner.lock().unwrap().failing.insert(call.into());
    }

    /// Makes every call that begins with `call` hang from now on.
    pub(crate) fn hang(&self, call: &str) {
        self.inner.lock().unwrap().hanging.insert(call.into());
    }

    /// Makes the next question after an instance fail, as where the engine is restarted at that moment.
    pub(crate) fn lose_next_look(&self) {
        self.inner.lock().unwrap().lose_next_look = true;
    }

    /// Lets everything work again.
    pub(crate) fn heal(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.failing.clear();
        inner.hanging.clear();
    }

    /// Forgets and gives what was called so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().calls)
    }

    /// Puts an instance there, as somebody else would.
    pub(crate) fn insert(&self, name: &str, labels: &[(&str, &str)], state: RunState) {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let spec = InstanceSpec { labels, ..InstanceSpec::default() };
        let instance =
            FakeInstance { state, spec, init: String::new(), started: "0".into(), changed: Vec::new() };
        self.inner.lock().unwrap().instances.insert(name.into(), instance);
    }

    /// Changes something of an instance that a specification has set, as somebody else would.
    pub(crate) fn tamper(&self, name: &str, what: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.instances.get_mut(name).unwrap().changed.push(what.into());
    }

    /// Leaves an image there that nothing needs.
    pub(crate) fn leave_image(&self, name: &str, size: u64) {
        let image = Image { fingerprint: name.into(), name: name.into(), size };
        self.inner.lock().unwrap().images.push(image);
    }

    /// An instance.
    pub(crate) fn get(&self, name: &str) -> Option<FakeInstance> {
        self.inner.lock().unwrap().instances.get(name).cloned()
    }

    async fn call(&self, call: &str) -> Result<(), DriverError> {
        let (fails, hangs) = {
            let mut inner = self.inner.lock().unwrap();
            inner.calls.push(call.into());
            let matches = |set: &BTreeSet<String>| set.iter().any(|c| call.starts_with(c.as_str()));
            (matches(&inner.failing), matches(&inner.hanging))
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        if fails {
            return Err(DriverError::Engine { action: call.into(), message: "told to fail".into() });
        }
        Ok(())
    }

    fn change<T>(
        &self,
        name: &InstanceName,
        change: impl FnOnce(&mut FakeInstance) -> T,
    ) -> Result<T, DriverError> {
        let mut inner = self.inner.lock().unwrap();
        inner
            .instances
            .get_mut(name.as_str())
            .map(change)
            .ok_or_else(|| DriverError::NotFound { name: name.to_string() })
    }
}

/// What stands for the root file system of every instance.
const ARCHIVE: &[u8] = b"everything in it";

fn failure(action: &str, source: std::io::Error) -> DriverError {
    DriverError::Archive { action: action.into(), source }
}

fn public(name: &str, instance: &FakeInstance) -> Instance {
    Instance {
        name: InstanceName::new(name).unwrap(),
        state: instance.state,
        labels: instance.spec.labels.clone(),
        changed: instance.changed.clone(),
        started: instance.started.clone(),
    }
}

#[async_trait]
impl Driver for Fake {
    fn kind(&self) -> DriverKind {
        DriverKind::Lxd
    }

    async fn server(&self) -> Result<ServerInfo, DriverError> {
        Ok(ServerInfo {
            kind: DriverKind::Lxd,
            version: "0".into(),
            reached_by: "/fake".into(),
            idmapped_mounts: true,
            pools: Vec::new(),
        })
    }

    async fn instances(&self) -> Result<Vec<Instance>, DriverError> {
        self.call("instances").await?;
        Ok(self.inner.lock().unwrap().instances.iter().map(|(name, i)| public(name, i)).collect())
    }

    async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, DriverError> {
        if std::mem::take(&mut self.inner.lock().unwrap().lose_next_look) {
            return Err(DriverError::Engine { action: "look".into(), message: "restarting".into() });
        }
        Ok(self.get(name.as_str()).map(|i| public(name.as_str(), &i)))
    }

    async fn create(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        self.call(&format!("create {name}")).await?;
        let init = spec.init.clone();
        let (started, changed) = (String::new(), Vec::new());
        let instance = FakeInstance { state: RunState::Stopped, spec: spec.clone(), init, started, changed };
        self.inner.lock().unwrap().instances.insert(name.to_string(), instance);
        Ok(())
    }

    async fn reconfigure(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        self.call(&format!("reconfigure {name}")).await?;
        self.change(name, |i| {
            i.spec = spec.clone();
            i.init.clone_from(&spec.init);
            i.changed.clear();
        })
    }

    async fn start(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.call(&format!("start {name}")).await?;
        let started = {
            let mut inner = self.inner.lock().unwrap();
            inner.starts += 1;
            inner.starts.to_string()
        };
        self.change(name, |i| {
            i.state = RunState::Running;
            i.started = started;
        })
    }

    async fn stop(&self, name: &InstanceName, _grace: Duration) -> Result<(), DriverError> {
        self.call(&format!("stop {name}")).await?;
        self.change(name, |i| i.state = RunState::Stopped)
    }

    async fn delete(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.call(&format!("delete {name}")).await?;
        self.inner.lock().unwrap().instances.remove(name.as_str());
        Ok(())
    }

    async fn rename(&self, name: &InstanceName, to: &InstanceName) -> Result<(), DriverError> {
        self.call(&format!("rename {name} {to}")).await?;
        if self.change(name, |i| i.state)? != RunState::Stopped {
            return Err(DriverError::StillRunning { name: name.to_string() });
        }
        let mut inner = self.inner.lock().unwrap();
        if inner.instances.contains_key(to.as_str()) {
            return Err(DriverError::NameTaken { name: to.to_string() });
        }
        let instance = inner.instances.remove(name.as_str());
        let instance = instance.ok_or_else(|| DriverError::NotFound { name: name.to_string() })?;
        inner.instances.insert(to.to_string(), instance);
        Ok(())
    }

    async fn copy(
        &self,
        from: &InstanceName,
        to: &InstanceName,
        spec: &InstanceSpec,
    ) -> Result<(), DriverError> {
        self.change(from, |_| ())?;
        if self.get(to.as_str()).is_some() {
            return Err(DriverError::NameTaken { name: to.to_string() });
        }
        self.create(to, spec).await
    }

    async fn export(
        &self,
        name: &InstanceName,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError> {
        self.call(&format!("export {name}")).await?;
        if self.change(name, |i| i.state)? != RunState::Stopped {
            return Err(DriverError::StillRunning { name: name.to_string() });
        }
        archive.write_all(ARCHIVE).await.map_err(|e| failure("export", e))
    }

    async fn import(
        &self,
        name: &InstanceName,
        spec: &InstanceSpec,
        mut archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
    ) -> Result<(), DriverError> {
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes).await.map_err(|e| failure("import", e))?;
        if bytes != ARCHIVE || size != ARCHIVE.len() as u64 {
            return Err(failure("import", std::io::Error::other("not what was exported")));
        }
        if self.get(name.as_str()).is_some() {
            return Err(DriverError::NameTaken { name: name.to_string() });
        }
        self.create(name, spec).await
    }

    async fn sweep(&self, _name: &InstanceName) -> Result<(), DriverError> {
        Ok(())
    }

    async fn unused_images(&self) -> Result<Vec<Image>, DriverError> {
        self.call("images").await?;
        Ok(self.inner.lock().unwrap().images.clone())
    }

    async fn delete_image(&self, image: &Image) -> Result<(), DriverError> {
        self.call(&format!("delete-image {}", image.name)).await?;
        self.inner.lock().unwrap().images.retain(|other| other != image);
        Ok(())
    }

    async fn put_file(&self, name: &InstanceName, file: &FileSpec) -> Result<(), DriverError> {
        self.call(&format!("put {name} {}", file.path)).await?;
        let FileKind::Symlink(target) = &file.kind else { return Ok(()) };
        self.change(name, |i| i.init.clone_from(target))
    }

    async fn exec(&self, name: &InstanceName, exec: &Exec) -> Result<Process, DriverError> {
        let program = exec.command[0].rsplit('/').next().unwrap();
        let call = format!("exec {name} {program}");
        if self.get(name.as_str()).is_none_or(|i| i.state != RunState::Running) {
            return Err(DriverError::NotRunning { name: name.to_string() });
        }
        let code = i32::from(self.call(&call).await.is_err());
        Ok(Process {
            stdin: Box::new(tokio::io::sink()),
            stdout: Box::new(tokio::io::empty()),
            stderr: Box::new(tokio::io::empty()),
            control: Arc::new(Nobody),
            exit: Box::pin(std::future::ready(Ok(ExitStatus { code }))),
        })
    }

    async fn volume(&self, name: &InstanceName) -> Result<Option<Volume>, DriverError> {
        let is_there = self.inner.lock().unwrap().volumes.contains(name.as_str());
        Ok(is_there.then(|| Volume { pool: "default".into(), used: None }))
    }

    async fn create_volume(&self, name: &InstanceName) -> Result<Volume, DriverError> {
        self.call(&format!("create-volume {name}")).await?;
        self.inner.lock().unwrap().volumes.insert(name.to_string());
        Ok(Volume { pool: "default".into(), used: None })
    }

    async fn delete_volume(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.call(&format!("delete-volume {name}")).await?;
        self.inner.lock().unwrap().volumes.remove(name.as_str());
        Ok(())
    }

    async fn given_address(&self, _name: &InstanceName) -> Result<Option<GivenAddress>, DriverError> {
        Ok(None)
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, DriverError>>, DriverError> {
        Ok(Box::pin(futures_util::stream::empty()))
    }
}

struct Nobody;

impl Resizer for Nobody {
    fn resize(&self, _size: PtySize) {}
    fn signal(&self, _signal: i32) {}
}
