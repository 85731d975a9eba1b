//! Distributions that are made: of nothing, of an archive, or of another one.

use super::call::{self, CallError};
use super::folder::{Folder, Kept, Mark};
use super::root::{Ours, Sink, for_every_driver, root_only};
use super::session::{OutputError, Session};
use super::{PREFIX, Wsl, on_disk};
use crate::DriverError;
use crate::types::{EventKind, InstanceName};
use codchi_guest::Request;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::io::SyncIoBridge;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

/// How much waits on its way from one end to the other.
const PIPE: usize = 256 << 10;

/// What a distribution's root file system is made of.
pub(super) enum Source {
    /// Empty folders.
    Nothing,
    /// What [`crate::Driver::export`] wrote.
    Archive { archive: Box<dyn AsyncRead + Send + Unpin>, size: u64, cancel: CancellationToken },
    /// A distribution of ours that is stopped.
    Stopped(InstanceName),
    /// One that runs, and stays as it is: `wsl --export` would end it.
    Running(InstanceName),
}

impl Source {
    /// The next `size` bytes of `archive`, which is read no more when what comes with it is dropped.
    pub(super) fn archive(archive: Box<dyn AsyncRead + Send + Unpin>, size: u64) -> (Self, DropGuard) {
        let cancel = CancellationToken::new();
        (Self::Archive { archive, size, cancel: cancel.clone() }, cancel.drop_guard())
    }
}

/// A distribution that was made. It goes again when this is dropped, unless it is kept.
pub(super) struct Made {
    wsl: Wsl,
    name: InstanceName,
    kept: bool,
    runtime: Handle,
}

impl Made {
    /// Lets it stay.
    pub(super) fn keep(mut self) {
        self.kept = true;
        self.wsl.tell(&self.name, EventKind::Created);
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.kept {
            let (wsl, name) = (self.wsl.clone(), self.name.clone());
            self.runtime.spawn(async move {
                if let Err(error) = wsl.unregister(&name).await {
                    tracing::error!(%name, ?error, "a distribution that was half made could not be removed");
                }
            });
        }
    }
}

impl Wsl {
    /// Makes the distribution `name`, for the instance `kept` or else for a volume. Leaves nothing behind where it fails.
    pub(super) async fn make(
        self,
        action: &'static str,
        name: InstanceName,
        kept: Option<Kept>,
        source: Source,
    ) -> Result<Made, DriverError> {
        let taken = || DriverError::NameTaken { name: name.to_string() };
        if !name.as_str().starts_with(PREFIX) {
            return Err(taken());
        }
        self.sweep_half_made(&name).await?;
        let _lock = self.lock(&name, action).await?;
        if self.find(&name).await?.is_some() {
            return Err(taken());
        }
        let folder = self.folder(&name);
        let is_volume = kept.is_none();
        let guest = self.guest(&format!("{action} instance {name}")).await?;
        let mut mark =
            Mark { making: true, volume: is_volume, instance: kept, guest: Some(guest.digest.clone()) };
        let begun = folder.remove().and_then(|()| folder.set_mark(&mark));
        begun.map_err(|error| on_disk(action, &name, &error))?;
        let imported =
            self.import_root(action, &name, &folder, mark.instance.as_ref(), guest.bytes, source).await;
        if let Err(error) = imported {
            if let Err(left) = folder.remove() {
                tracing::warn!(%name, ?left, "a folder is left of a distribution that could not be made");
            }
            return Err(error);
        }
        let made = Made { wsl: self, name, kept: false, runtime: Handle::current() };
        mark.making = false;
        folder.set_mark(&mark).map_err(|error| on_disk(action, &made.name, &error))?;
        Ok(made)
    }

    async fn import_root(
        &self,
        action: &str,
        name: &InstanceName,
        folder: &Folder,
        kept: Option<&Kept>,
        guest: Vec<u8>,
        source: Source,
    ) -> Result<(), DriverError> {
        let engine =
            |message: String| DriverError::Engine { action: format!("{action} instance {name}"), message };
        let home = self.drives.inside(&folder.path).map_err(engine)?;
        let on_windows = self.drives.on_windows(&folder.path).map_err(engine)?;
        let arguments = ["--import", name.as_str(), &on_windows, "-", "--version", "2"];
        let mut import = self.program.command(arguments);
        let mut import = import
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| CallError::Run(error).explain(action, name))?;
        let Some(stdin) = import.stdin.take() else {
            return Err(engine("wsl.exe was started without streams".into()));
        };
        let below: &[u8] = if matches!(source, Source::Archive { .. }) { b"rootfs" } else { b"" };
        let Feed { archive, end } = self.feed(action, source);
        let (name_in, kept_in) = (name.clone(), kept.cloned());
        let (stdin, archive) = (SyncIoBridge::new(stdin), archive.map(SyncIoBridge::new));
        let write = tokio::task::spawn_blocking(move || {
            let ours = Ours { name: &name_in, home: &home, guest: &guest, kept: kept_in.as_ref() };
            let mut sink = Sink::new(stdin);
            let written = match archive {
                None => ours.skeleton(&mut sink),
                Some(archive) => ours.instead(archive, below, &mut sink),
            };
            if written.is_err() {
                // It must not be taken for a whole archive: no header has this sum.
                let _ = sink.into_inner().write_all(&[0xff; 512]);
            }
            written
        });
        let (written, ended) = tokio::join!(write, call::ended(import, self.program.archive_limit()));
        let written = written.unwrap_or_else(|error| Err(Error::other(error)));
        let fed = end.await.unwrap_or_else(|error| Err(engine(error.to_string())));
        let said = ended.and_then(call::said);
        if (written.is_err() || fed.is_err()) && said.is_ok() {
            self.unregister(name).await?;
        }
        match (fed, written, said) {
            (Err(error), ..) => Err(error),
            // It ended before it had taken everything: why, it says itself.
            (_, Err(error), Err(said)) if error.kind() == ErrorKind::BrokenPipe => {
                Err(said.explain(action, name))
            }
            (_, Err(source), _) => {
                Err(DriverError::Archive { action: format!("{action} instance {name}"), source })
            }
            (_, Ok(()), said) => said.map(drop).map_err(|error| error.explain(action, name)),
        }
    }

    /// What there is to import.
    fn feed(&self, action: &str, source: Source) -> Feed {
        let (mut ours, theirs) = tokio::io::duplex(PIPE);
        let (wsl, action) = (self.clone(), action.to_owned());
        let end = match source {
            Source::Nothing => return Feed { archive: None, end: tokio::spawn(async { Ok(()) }) },
            Source::Archive { mut archive, size, cancel } => tokio::spawn(async move {
                let copied = cancel.run_until_cancelled(pass_on(&mut archive, size, &mut ours)).await;
                let copied = copied.unwrap_or_else(|| Err(Error::other("it was cancelled")));
                match copied {
                    // Nobody takes it any more: the other end knows why.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                    copied => copied.map_err(|source| DriverError::Archive { action, source }),
                }
            }),
            Source::Stopped(from) => {
                tokio::spawn(async move { wsl.export_root(&from, &action, &mut ours).await })
            }
            Source::Running(from) => {
                tokio::spawn(async move { wsl.pack_root(&from, &action, &mut ours).await })
            }
        };
        Feed { archive: Some(Box::new(theirs)), end }
    }

    /// Writes the root file system of a stopped distribution to `archive`, as `wsl.exe` makes it.
    async fn export_root(
        &self,
        from: &InstanceName,
        action: &str,
        archive: &mut DuplexStream,
    ) -> Result<(), DriverError> {
        let export = self.program.command(["--export", from.as_str(), "-"]).spawn();
        let mut export = export.map_err(|error| CallError::Run(error).explain(action, from))?;
        let Some(mut stdout) = export.stdout.take() else { return Ok(()) };
        // Its errors come where the archive would.
        let mut begin = vec![0; 4096];
        let mut length = 0;
        let copied = async {
            while length < begin.len() {
                match stdout.read(&mut begin[length..]).await? {
                    0 => break,
                    read => length += read,
                }
            }
            archive.write_all(&begin[..length]).await?;
            tokio::io::copy(&mut stdout, archive).await
        };
        let copied = copied.await;
        if copied.is_err() {
            // Nobody takes it any more: the other end knows why.
            return Ok(());
        }
        let mut output = call::ended(export, self.program.archive_limit())
            .await
            .map_err(|error| error.explain(action, from))?;
        output.stdout = if output.status.success() { Vec::new() } else { begin[..length].to_vec() };
        call::said(output).map(drop).map_err(|error| error.explain(action, from))
    }

    /// The same of one that runs.
    async fn pack_root(
        &self,
        from: &InstanceName,
        action: &str,
        archive: &mut DuplexStream,
    ) -> Result<(), DriverError> {
        let explain = |error: CallError| error.explain(action, from);
        let mut session = Session::open(&self.program, from).await.map_err(explain)?;
        session.request(&Request::Pack).await.map_err(explain)?;
        match session.output(archive).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(message)) => {
                Err(DriverError::Engine { action: format!("{action} instance {from}"), message })
            }
            Err(OutputError::Write) => Ok(()),
            Err(OutputError::Call(error)) => Err(explain(error)),
        }
    }

    /// See [`crate::Driver::export`].
    pub(super) async fn export_stopped(
        &self,
        name: &InstanceName,
        kept: &Kept,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), DriverError> {
        const ACTION: &str = "exporting";
        let Feed { archive: root, end } = self.feed(ACTION, Source::Stopped(name.clone()));
        let Some(root) = root else { return Ok(()) };
        let end = AbortOnDropHandle::new(end);
        let (made, mut ready) = tokio::io::duplex(PIPE);
        let (root, made, init) = (SyncIoBridge::new(root), SyncIoBridge::new(made), kept.boot.init.clone());
        let written =
            tokio::task::spawn_blocking(move || for_every_driver(root, &init, &mut Sink::new(made)));
        let failed = |source| DriverError::Archive { action: format!("{ACTION} instance {name}"), source };
        let copied = tokio::io::copy(&mut ready, archive).await;
        drop(ready);
        let written = written.await.unwrap_or_else(|error| Err(Error::other(error)));
        if let Err(error) = copied {
            // Gone when this returns: nobody can do anything else with the distribution before.
            end.abort();
            let _ = end.await;
            return Err(failed(error));
        }
        end.await.unwrap_or_else(|error| Err(failed(Error::other(error))))?;
        archive.flush().await.map_err(failed)?;
        written.map_err(failed)
    }

    /// Makes the root file system of the instance beside a volume.
    pub(super) async fn create_beside(
        &self,
        name: &InstanceName,
        mut found: super::Found,
        kept: Kept,
        source: Option<Source>,
    ) -> Result<(), DriverError> {
        const ACTION: &str = "creating";
        if found.mark.instance.is_some() {
            return Err(DriverError::NameTaken { name: name.to_string() });
        }
        // One that was half made is nobody's.
        self.ask::<()>(name, ACTION, &Request::DeleteInstance, b"").await?;
        match source {
            None => self.ask::<()>(name, ACTION, &Request::CreateInstance, b"").await?,
            Some(source) => self.unpack_beside(name, source).await?,
        }
        found.mark.instance = Some(kept);
        found.folder.set_mark(&found.mark).map_err(|error| on_disk(ACTION, name, &error))?;
        self.tell(name, EventKind::Created);
        Ok(())
    }

    async fn unpack_beside(&self, name: &InstanceName, source: Source) -> Result<(), DriverError> {
        const ACTION: &str = "importing";
        let explain = |error: CallError| error.explain(ACTION, name);
        let Feed { archive, end } = self.feed(ACTION, source);
        let Some(archive) = archive else { return Ok(()) };
        let (made, ready) = tokio::io::duplex(PIPE);
        let (archive, made) = (SyncIoBridge::new(archive), SyncIoBridge::new(made));
        let written = tokio::task::spawn_blocking(move || root_only(archive, &mut Sink::new(made)));
        let mut session = Session::open(&self.program, name).await.map_err(explain)?;
        session.request(&Request::CreateInstance).await.map_err(explain)?;
        let sent = session.input(ready).await;
        let failed = |source| DriverError::Archive { action: format!("{ACTION} instance {name}"), source };
        let written = written.await.unwrap_or_else(|error| Err(Error::other(error)));
        end.await.unwrap_or_else(|error| Err(failed(Error::other(error))))?;
        let done = session.done().await.map_err(explain)?;
        done.map_err(|message| DriverError::Engine { action: format!("{ACTION} instance {name}"), message })?;
        written.map_err(failed)?;
        sent.map_err(failed)
    }

    /// Held while a distribution is being made, and by whoever must know that none is.
    async fn lock(&self, name: &InstanceName, action: &str) -> Result<File, DriverError> {
        let file = self.lock_file(name).map_err(|error| on_disk(action, name, &error))?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        let locked = locked.unwrap_or_else(|error| Err(Error::other(error)));
        locked.map_err(|error| on_disk(action, name, &error))
    }

    pub(super) fn lock_file(&self, name: &InstanceName) -> io::Result<File> {
        // No distribution's name begins with a dot.
        let locks = self.options.folder.join(".locks");
        std::fs::create_dir_all(&locks)?;
        File::options().create(true).truncate(false).write(true).open(locks.join(name.as_str()))
    }

    /// Removes what is left of a distribution whose maker was killed; not while somebody makes it.
    pub(super) async fn sweep_half_made(&self, name: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "removing what is left of";
        let folder = self.folder(name);
        let is_half_made = || folder.any_mark().is_ok_and(|mark| mark.is_some_and(|mark| mark.making));
        if !is_half_made() {
            return Ok(());
        }
        let file = self.lock_file(name).map_err(|error| on_disk(ACTION, name, &error))?;
        if file.try_lock().is_err() || !is_half_made() {
            return Ok(());
        }
        if folder.disk_size().is_some() {
            self.unregister(name).await
        } else {
            folder.remove().map_err(|error| on_disk(ACTION, name, &error))
        }
    }

    /// Removes a distribution of ours, running or not, with its folder.
    pub(super) async fn unregister(&self, name: &InstanceName) -> Result<(), DriverError> {
        const ACTION: &str = "deleting";
        // Something else may be done with it.
        let end = Instant::now() + self.program.patience;
        loop {
            let Err(error) =
                self.program.say_within(self.program.archive_limit(), ["--unregister", name.as_str()]).await
            else {
                break;
            };
            // It is being exported, or another process is about to remove it.
            if error.token() == Some("E_ILLEGAL_STATE_CHANGE") && Instant::now() < end {
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            match error.explain(ACTION, name) {
                DriverError::NotFound { .. } => break,
                error => return Err(error),
            }
        }
        self.folder(name).remove().map_err(|error| on_disk(ACTION, name, &error))
    }
}

/// A tar archive that comes from somewhere, and whether all of it did.
struct Feed {
    archive: Option<Box<DuplexStream>>,
    end: JoinHandle<Result<(), DriverError>>,
}

/// Exactly `size` bytes.
async fn pass_on(
    from: &mut (dyn AsyncRead + Send + Unpin),
    size: u64,
    to: &mut DuplexStream,
) -> io::Result<()> {
    let copied = tokio::io::copy(&mut from.take(size), to).await?;
    if copied < size {
        let message = format!("it ends after {copied} of {size} bytes");
        return Err(Error::new(ErrorKind::UnexpectedEof, message));
    }
    Ok(())
}
