//! WSL 2, through `wsl.exe`.
//!
//! An instance is a distribution `codchi-NAME`, in a folder of its own on a Windows drive. WSL keeps nothing of ours with it, so what an
//! instance was specified to be is in that folder ([`folder`]), and by it a distribution is known to be ours. What `wsl.exe` cannot
//! do is done by a program of ours in each distribution ([`session`]), which is its `/sbin/init`, too: it makes the mounts and becomes
//! the system's init.
//!
//! A volume is a folder of a distribution that shares it with the others below `/mnt/wsl`; the instance of the volume's name is in that
//! distribution, in namespaces of its own, so that ending it leaves the volume to whoever has it ([`volumes`]).
//!
//! WSL ends a distribution that no program of Windows has a session in. So for each that runs there is a `wsl.exe` that does nothing
//! ([`hold`]).
//!
//! Invariant: nothing but `codchi-*` is named to `wsl.exe`, and it is never told to shut WSL down.

mod call;
mod events;
mod folder;
mod guest;
mod hold;
mod listen;
mod make;
mod paths;
mod root;
mod session;
mod text;
mod volumes;

use crate::outlive::outlive;
use crate::types::{
    Connection, DriverKind, Event, EventKind, Exec, FileKind, FileSpec, GivenAddress, Image, Instance,
    InstanceName, InstanceSpec, ListenAt, Process, RunState, ServerInfo, Volume,
};
use crate::{Driver, DriverError};
use async_trait::async_trait;
use call::{CallError, Program};
use codchi_guest::{Entry, InstanceState, PutRequest, Request, Target};
use folder::{Folder, Kept, Mark};
use futures_util::stream::BoxStream;
use make::Source;
use paths::Drives;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use text::{Listed, ListedState, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;

/// What the names of our distributions begin with.
const PREFIX: &str = "codchi-";

/// What the driver needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WslOptions {
    /// Where the distributions lie: a folder on a Windows drive, made where it is not there.
    pub folder: PathBuf,
    /// The Linux program `codchi-guest`, which is put into each.
    pub guest: PathBuf,
    /// How long `wsl.exe` may take for what is quick, as a list is, before it is said to hang. A distribution may take twice as long to
    /// start, an archive fifteen times as long to be imported or exported.
    pub patience: Duration,
}

impl WslOptions {
    /// What it may take where nobody says otherwise: a computer that has just woken up is slow.
    pub const PATIENCE: Duration = Duration::from_secs(60);
}

/// The driver for WSL 2. A value of this type has got an answer from it.
#[derive(Debug, Clone)]
pub struct Wsl {
    program: Program,
    drives: Drives,
    options: Arc<WslOptions>,
    version: Version,
    events: broadcast::Sender<Event>,
}

/// A distribution of ours as it was found.
#[derive(Clone)]
struct Found {
    folder: Folder,
    mark: Mark,
    running: bool,
}

impl Wsl {
    /// Finds `wsl.exe`: where `CODCHI_WSL_EXE` says, on Windows among the system's programs, in a distribution through the drive with Windows; and
    /// asks for its version.
    ///
    /// # Errors
    /// [`DriverError::NotInstalled`], or [`DriverError::Unusable`] where it cannot run systemd or does not answer.
    pub async fn connect(options: WslOptions) -> Result<Self, DriverError> {
        let drives = Drives::of_this_process();
        let Some(path) = call::find(&drives) else {
            let searched = "there is no wsl.exe among the programs of Windows".into();
            return Err(DriverError::NotInstalled { wanted: Some(DriverKind::Wsl), searched });
        };
        let program = Program { path, patience: options.patience };
        let version = version(&program).await?;
        Ok(Self { program, drives, options: Arc::new(options), version, events: broadcast::channel(256).0 })
    }

    /// Whether this computer has a `wsl.exe`; nothing is run.
    #[must_use]
    pub fn is_there() -> bool {
        call::find(&Drives::of_this_process()).is_some_and(|path| path.is_file())
    }

    fn folder(&self, name: &InstanceName) -> Folder {
        Folder::of(&self.options.folder, name)
    }

    fn tell(&self, name: &InstanceName, kind: EventKind) {
        // That nobody listens is no error.
        let _ = self.events.send(Event { name: name.clone(), kind });
    }

    /// All distributions, also others'.
    async fn list(&self) -> Result<Vec<Listed>, DriverError> {
        const ACTION: &str = "listing the distributions";
        match self.program.say(["--list", "--verbose"]).await {
            Ok(text) => match text::rows(&text) {
                // Where there is none it fails; and what cannot be read is no sign that distributions are gone.
                none if none.is_empty() => {
                    Err(CallError::Unexpected("that is no list".into()).while_doing(ACTION))
                }
                rows => Ok(rows),
            },
            // It fails where there is none at all; that list is empty then.
            Err(error @ CallError::Failed(_)) if error.token().is_none() => {
                match self.program.say(["--list", "--quiet"]).await {
                    Ok(names) if names.is_empty() => Ok(Vec::new()),
                    _ => Err(error.while_doing(ACTION)),
                }
            }
            Err(error) => Err(error.while_doing(ACTION)),
        }
    }

    /// The distribution of this name, whoever's it is.
    async fn listed(&self, name: &InstanceName) -> Result<Option<Listed>, DriverError> {
        Ok(self.list().await?.into_iter().find(|listed| listed.name.eq_ignore_ascii_case(name.as_str())))
    }

    /// The distribution, if there is one; an error where it is not ours.
    async fn find(&self, name: &InstanceName) -> Result<Option<Found>, DriverError> {
        let Some(listed) = self.listed(name).await? else { return Ok(None) };
        let folder = self.folder(name);
        if folder.any_mark().is_ok_and(|mark| mark.is_some_and(|mark| mark.making)) {
            // Whoever was making it may have been killed. Where it is being made, it is not there yet.
            self.sweep_half_made(name).await?;
            return Ok(None);
        }
        let mark = folder.mark().map_err(|error| on_disk("looking for", name, &error))?;
        let ours = mark.filter(|_| name.as_str().starts_with(PREFIX));
        let Some(mark) = ours else {
            // Whoever removes one of ours takes its mark away last, and it may have been listed before.
            let is_there = self.listed(name).await?.is_some();
            return if is_there { Err(DriverError::NameTaken { name: name.to_string() }) } else { Ok(None) };
        };
        Ok(Some(Found { folder, mark, running: listed.state == ListedState::Running }))
    }

    /// The same where it has an instance.
    async fn look(&self, name: &InstanceName) -> Result<Option<(Found, Kept)>, DriverError> {
        let found = self.find(name).await?;
        Ok(found
            .and_then(|found| Some((found.mark.instance.clone()?, found)))
            .map(|(kept, found)| (found, kept)))
    }

    /// The same, which must be there.
    async fn require(&self, name: &InstanceName) -> Result<(Found, Kept), DriverError> {
        self.look(name).await?.ok_or_else(|| DriverError::NotFound { name: name.to_string() })
    }

    /// The same, which must be stopped, and a distribution's own.
    async fn require_stopped(&self, name: &InstanceName, action: &str) -> Result<(Found, Kept), DriverError> {
        let (found, kept) = self.require(name).await?;
        if found.mark.volume {
            let message = "it shares its distribution with a volume".into();
            return Err(DriverError::Engine { action: format!("{action} instance {name}"), message });
        }
        if found.running {
            return Err(DriverError::StillRunning { name: name.to_string() });
        }
        Ok((found, kept))
    }

    /// Which system of its distribution an instance is, which must run.
    async fn require_running(&self, name: &InstanceName) -> Result<Target, DriverError> {
        let (found, _) = self.require(name).await?;
        let target = if found.mark.volume { Target::Instance } else { Target::Distribution };
        let is_running =
            found.running && (target == Target::Distribution || self.beside(name, &found).await?.is_some());
        if is_running { Ok(target) } else { Err(DriverError::NotRunning { name: name.to_string() }) }
    }

    /// What the program in the distribution does of `request`.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        name: &InstanceName,
        action: &str,
        request: &Request,
        input: &[u8],
    ) -> Result<T, DriverError> {
        let answer = self
            .program
            .ask(name, request, input)
            .await
            .map_err(|error| self.explain(error, action, name))?;
        let engine =
            |message: String| DriverError::Engine { action: format!("{action} instance {name}"), message };
        serde_json::from_value(answer.map_err(engine)?)
            .map_err(|error| DriverError::Protocol { action: action.into(), message: error.to_string() })
    }

    /// A failed call, where the cause is that the distribution did not boot: that.
    fn explain(&self, error: CallError, action: &str, name: &InstanceName) -> DriverError {
        match self.folder(name).boot_error() {
            Some(message) if matches!(error, CallError::Failed(_) | CallError::Unexpected(_)) => {
                DriverError::Engine { action: format!("{action} instance {name}"), message }
            }
            _ => error.explain(action, name),
        }
    }

    /// How the instance of a distribution that has a volume is.
    async fn beside(&self, name: &InstanceName, found: &Found) -> Result<Option<String>, DriverError> {
        if !found.running {
            return Ok(None);
        }
        let state: InstanceState = self.ask(name, "looking for", &Request::Instance, b"").await?;
        Ok(state.running)
    }

    async fn describe(&self, name: InstanceName, found: &Found, kept: Kept) -> Result<Instance, DriverError> {
        let (running, started) = if found.mark.volume {
            let running = self.beside(&name, found).await?;
            (running.is_some(), running.unwrap_or_default())
        } else {
            (found.running, found.folder.booted())
        };
        let state = if running { RunState::Running } else { RunState::Stopped };
        Ok(Instance { name, state, labels: kept.labels, changed: Vec::new(), started })
    }

    fn keep(&self, spec: &InstanceSpec, action: &str, name: &InstanceName) -> Result<Kept, DriverError> {
        let kept = Kept::of(spec, |path| self.drives.inside(path));
        kept.map_err(|message| DriverError::Engine { action: format!("{action} instance {name}"), message })
    }
}

/// The version of WSL, which has to be able to run machines.
async fn version(program: &Program) -> Result<Version, DriverError> {
    const ACTION: &str = "asking WSL for its version";
    const UPDATE: &str = "Run `wsl --update` in a terminal of Windows.";
    let unusable =
        |reason: String| DriverError::Unusable { kind: DriverKind::Wsl, reason, remedy: UPDATE.into() };
    let said = match program.say(["--version"]).await {
        // The one that comes with Windows knows neither its version nor systemd.
        Err(error @ CallError::Failed(_)) if error.token().is_none() => {
            tracing::debug!(?error, "wsl.exe does not say its version");
            return Err(unusable(format!(
                "it does not know its version, so it is older than {}",
                Version::FIRST
            )));
        }
        said => said.map_err(|error| error.while_doing(ACTION))?,
    };
    match text::version(&said) {
        Some(version) if version < Version::FIRST => Err(unusable(format!(
            "it is version {version}, and {} is the first that runs systemd",
            Version::FIRST
        ))),
        Some(version) => Ok(version),
        None => Err(DriverError::Protocol {
            action: ACTION.into(),
            message: format!("there is no version in `{said}`"),
        }),
    }
}

/// Trouble with a distribution's folder.
fn on_disk(action: &str, name: &InstanceName, error: &std::io::Error) -> DriverError {
    DriverError::Engine { action: format!("{action} instance {name}"), message: error.to_string() }
}

fn put_request(file: &FileSpec) -> (PutRequest, &[u8]) {
    let (entry, contents): (_, &[u8]) = match &file.kind {
        FileKind::File(bytes) => (Entry::File, bytes),
        FileKind::Folder => (Entry::Folder, b""),
        FileKind::Symlink(target) => (Entry::Symlink(target.clone()), b""),
    };
    (PutRequest { path: file.path.clone(), uid: file.uid, gid: file.gid, mode: file.mode, entry }, contents)
}

#[async_trait]
impl Driver for Wsl {
    fn kind(&self) -> DriverKind {
        DriverKind::Wsl
    }

    async fn server(&self) -> Result<ServerInfo, DriverError> {
        self.drives.on_windows(&self.options.folder).map_err(|why| DriverError::Unusable {
            kind: DriverKind::Wsl,
            reason: format!("machines need a folder on a drive of Windows, and {why}"),
            remedy:
                "Name one in codchi's config.toml, e.g. `data = \"/mnt/c/Users/ME/AppData/Local/codchi\"`."
                    .into(),
        })?;
        self.list().await?;
        Ok(ServerInfo {
            kind: DriverKind::Wsl,
            version: self.version.to_string(),
            reached_by: self.program.path.clone(),
            idmapped_mounts: false,
            pools: Vec::new(),
        })
    }

    async fn instances(&self) -> Result<Vec<Instance>, DriverError> {
        let mut all = Vec::new();
        for listed in self.list().await? {
            let Some(name) =
                InstanceName::new(&*listed.name).ok().filter(|name| name.as_str().starts_with(PREFIX))
            else {
                continue;
            };
            let folder = self.folder(&name);
            let mark = folder.mark().map_err(|error| on_disk("looking for", &name, &error))?;
            let Some(mark) = mark else { continue };
            let Some(kept) = mark.instance.clone() else { continue };
            let found = Found { folder, mark, running: listed.state == ListedState::Running };
            all.push(self.describe(name, &found, kept).await?);
        }
        Ok(all)
    }

    async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, DriverError> {
        match self.look(name).await? {
            Some((found, kept)) => self.describe(name.clone(), &found, kept).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        const ACTION: &str = "creating";
        let kept = self.keep(spec, ACTION, name)?;
        if let Some(found) = self.find(name).await?.filter(|found| found.mark.volume) {
            return self.create_beside(name, found, kept, None).await;
        }
        let whole = self.clone().make(ACTION, name.clone(), Some(kept), Source::Nothing);
        outlive(ACTION, name, whole).await.map(make::Made::keep)
    }

    async fn reconfigure(&self, name: &InstanceName, spec: &InstanceSpec) -> Result<(), DriverError> {
        const ACTION: &str = "changing";
        let (mut found, old) = self.require(name).await?;
        let kept = self.keep(spec, ACTION, name)?;
        let (boot, conf) = (kept.boot.clone(), root::conf(name, Some(&kept)));
        let has_other_conf = conf != root::conf(name, Some(&old));
        let _used = if found.running {
            self.share_volumes(&kept, &format!("{ACTION} instance {name}")).await?
        } else {
            Vec::new()
        };
        found.mark.instance = Some(kept);
        found.folder.set_mark(&found.mark).map_err(|error| on_disk(ACTION, name, &error))?;
        if found.mark.volume {
            if self.beside(name, &found).await?.is_some() {
                self.ask::<()>(name, ACTION, &Request::Apply { target: Target::Instance, boot }, b"").await?;
            }
        } else {
            if has_other_conf {
                let kind = FileKind::File(conf.into());
                self.put_file(name, &FileSpec { path: root::CONF.into(), uid: 0, gid: 0, mode: 0o644, kind })
                    .await?;
            }
            if found.running {
                self.ask::<()>(name, ACTION, &Request::Apply { target: Target::Distribution, boot }, b"")
                    .await?;
            }
        }
        self.tell(name, EventKind::Updated);
        Ok(())
    }

    async fn start(&self, name: &InstanceName) -> Result<(), DriverError> {
        let (found, kept) = self.require(name).await?;
        self.start_found(name, &found, &kept).await
    }

    async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<(), DriverError> {
        let (found, kept) = self.require(name).await?;
        let was_running =
            if found.mark.volume { self.beside(name, &found).await?.is_some() } else { found.running };
        if was_running {
            self.stop_found(name, &found, grace).await?;
            self.tell(name, EventKind::Stopped);
        }
        self.release_volumes(name, &kept).await;
        Ok(())
    }

    async fn delete(&self, name: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "deleting";
        let Some(mut found) = self.find(name).await? else {
            // It was unregistered by hand. A folder that is not ours has no mark, and one that is being made is left to its maker.
            self.sweep_half_made(name).await?;
            let folder = self.folder(name);
            if folder.any_mark().is_ok_and(|mark| mark.is_some_and(|mark| !mark.making)) {
                folder.remove().map_err(|error| on_disk(ACTION, name, &error))?;
            }
            return Ok(());
        };
        let Some(kept) = found.mark.instance.take() else { return Ok(()) };
        if found.mark.volume {
            self.ask::<()>(name, ACTION, &Request::DeleteInstance, b"").await?;
            found.folder.set_mark(&found.mark).map_err(|error| on_disk(ACTION, name, &error))?;
        } else {
            self.unregister(name).await?;
        }
        self.release_volumes(name, &kept).await;
        self.tell(name, EventKind::Deleted);
        Ok(())
    }

    async fn rename(&self, name: &InstanceName, to: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "renaming";
        let (_, kept) = self.require_stopped(name, ACTION).await?;
        // WSL has no word for it: the new one is made of the old one, which then goes.
        let whole = self.clone().make(ACTION, to.clone(), Some(kept), Source::Stopped(name.clone()));
        let made = outlive(ACTION, name, whole).await?;
        self.unregister(name).await?;
        made.keep();
        Ok(())
    }

    async fn copy(
        &self,
        from: &InstanceName,
        to: &InstanceName,
        spec: &InstanceSpec,
    ) -> Result<(), DriverError> {
        const ACTION: &str = "copying";
        let (found, _) = self.require(from).await?;
        let source =
            if found.running { Source::Running(from.clone()) } else { Source::Stopped(from.clone()) };
        if found.mark.volume {
            self.require_stopped(from, ACTION).await?;
        }
        let kept = self.keep(spec, ACTION, to)?;
        let whole = self.clone().make(ACTION, to.clone(), Some(kept), source);
        outlive(ACTION, from, whole).await.map(make::Made::keep)
    }

    async fn export(
        &self,
        name: &InstanceName,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError> {
        let (_, kept) = self.require_stopped(name, "exporting").await?;
        self.export_stopped(name, &kept, archive).await
    }

    async fn import(
        &self,
        name: &InstanceName,
        spec: &InstanceSpec,
        archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
    ) -> Result<(), DriverError> {
        const ACTION: &str = "importing";
        let kept = self.keep(spec, ACTION, name)?;
        let (source, _cancel) = Source::archive(archive, size);
        if let Some(found) = self.find(name).await?.filter(|found| found.mark.volume) {
            return self.create_beside(name, found, kept, Some(source)).await;
        }
        let whole = self.clone().make(ACTION, name.clone(), Some(kept), source);
        outlive(ACTION, name, whole).await.map(make::Made::keep)
    }

    async fn sweep(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.sweep_half_made(name).await
    }

    async fn unused_images(&self) -> Result<Vec<Image>, DriverError> {
        Ok(Vec::new())
    }

    async fn delete_image(&self, _image: &Image) -> Result<(), DriverError> {
        Ok(())
    }

    async fn put_file(&self, name: &InstanceName, file: &FileSpec) -> Result<(), DriverError> {
        let action = format!("writing {} to", file.path);
        let (found, _) = self.require(name).await?;
        let (entry, contents) = put_request(file);
        let target = if found.mark.volume { Target::Instance } else { Target::Distribution };
        if target == Target::Distribution && !found.running {
            return found.folder.put_later(&entry, contents).map_err(|error| on_disk(&action, name, &error));
        }
        self.ask(name, &action, &Request::Put { target, entry }, contents).await
    }

    async fn exec(&self, name: &InstanceName, exec: &Exec) -> Result<Process, DriverError> {
        const ACTION: &str = "running a command in";
        let target = self.require_running(name).await?;
        self.program.execute(name, target, exec).await.map_err(|error| self.explain(error, ACTION, name))
    }

    async fn listen(
        &self,
        name: &InstanceName,
        at: &ListenAt,
    ) -> Result<Option<BoxStream<'static, Connection>>, DriverError> {
        let target = self.require_running(name).await?;
        let action = format!("listening at {} in", at.path);
        let connections = self.program.listen(name, target, at).await;
        connections.map(Some).map_err(|error| self.explain(error, &action, name))
    }

    async fn volume(&self, name: &InstanceName) -> Result<Option<Volume>, DriverError> {
        let found = self.find(name).await?;
        Ok(found.filter(|found| found.mark.volume).map(|found| volumes::described(&found.folder)))
    }

    async fn create_volume(&self, name: &InstanceName) -> Result<Volume, DriverError> {
        const ACTION: &str = "creating the volume of";
        let whole = self.clone().make(ACTION, name.clone(), None, Source::Nothing);
        outlive(ACTION, name, whole).await?.keep();
        Ok(volumes::described(&self.folder(name)))
    }

    async fn delete_volume(&self, name: &InstanceName) -> Result<(), DriverError> {
        self.delete_unused_volume(name).await
    }

    async fn given_address(&self, _name: &InstanceName) -> Result<Option<GivenAddress>, DriverError> {
        // All distributions have the network of WSL's virtual machine.
        Ok(Some(GivenAddress { config: Default::default(), devices: Default::default(), resolver: None }))
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, DriverError>>, DriverError> {
        Ok(events::of(self.clone()).await)
    }
}
