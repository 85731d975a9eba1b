//! The words that a driver and its callers share.

use crate::DriverError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A kind of engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// Canonical's LXD.
    Lxd,
    /// Incus, LXD's community fork; the same REST API.
    Incus,
    /// Windows' Subsystem for Linux, version 2.
    Wsl,
}

impl DriverKind {
    /// Whether an engine of this kind passes sockets of this computer into instances, as devices of the type `proxy`. Where it does not, whoever
    /// answers [listens](crate::Driver::listen) in each instance.
    #[must_use]
    pub fn passes_sockets(self) -> bool {
        match self {
            Self::Lxd | Self::Incus => true,
            Self::Wsl => false,
        }
    }

    /// Whether folders of this computer are mounted with what Linux knows of their files. Where not, they are those of Windows: they belong
    /// to whoever uses them, and no store can be in them.
    #[must_use]
    pub fn mounts_linux_files(self) -> bool {
        match self {
            Self::Lxd | Self::Incus => true,
            Self::Wsl => false,
        }
    }

    /// Whether an engine of this kind hands devices in. Where it does not, what it offers is in every instance.
    #[must_use]
    pub fn takes_devices(self) -> bool {
        match self {
            Self::Lxd | Self::Incus => true,
            Self::Wsl => false,
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lxd => "LXD",
            Self::Incus => "Incus",
            Self::Wsl => "WSL",
        })
    }
}

/// An instance's name: `codchi-` and a machine's name. A value of this type is valid for every engine and as a host
/// name: lowercase letters, digits and single hyphens, at most 63 characters, not ending in a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct InstanceName(String);

/// A text is not an instance's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid instance name")]
pub struct InvalidName(pub String);

impl InstanceName {
    /// Checks `name` by the rules above.
    ///
    /// # Errors
    /// [`InvalidName`] where a rule is broken.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let valid = (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && !name.contains("--");
        if valid { Ok(Self(name)) } else { Err(InvalidName(name)) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ServerInfo {
    /// Which it is.
    pub kind: DriverKind,
    /// The engine's version, as it says it.
    pub version: String,
    /// How it is reached: the path of its socket, or of `wsl.exe`.
    pub reached_by: PathBuf,
    /// Whether a disk may be mounted with `shift` (idmapped mounts work here).
    pub idmapped_mounts: bool,
    /// Names of the storage pools; none where the engine has no such thing.
    pub pools: Vec<String>,
}

/// What an instance is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceSpec {
    /// Configuration keys of ours, e.g. `user.codchi.machine`; never a secret. The mark is added by the driver.
    pub labels: BTreeMap<String, String>,
    /// Engine configuration, e.g. `security.nesting` = `true`, `raw.idmap`; for WSL the settings of `/etc/wsl.conf`, e.g. `boot.initTimeout`.
    pub config: BTreeMap<String, String>,
    /// Devices by name. The root disk, and a network interface where the engine's default profile has one, come from
    /// the default profile.
    pub devices: BTreeMap<String, Device>,
    /// The first process: a path inside the instance, e.g. `/nix/store/…/init`.
    pub init: String,
    /// Whom a session is of that names no user, where the engine has such sessions (WSL).
    pub user: Option<User>,
}

/// A user inside an instance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A device of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A folder of the host.
    Disk {
        /// On the host.
        source: PathBuf,
        /// In the instance.
        path: String,
        /// Not writable from inside.
        read_only: bool,
        /// Shift owners, so that the host's uid N is uid N inside (needs idmapped mounts).
        shift: bool,
    },
    /// A volume of ours.
    Volume {
        /// The pool that it lies in.
        pool: String,
        /// Its name.
        name: InstanceName,
        /// In the instance.
        path: String,
        /// Not writable from inside.
        read_only: bool,
    },
    /// Any other device, by the engine's own keys (`type` among them).
    Raw(BTreeMap<String, String>),
}

/// A storage volume that instances can share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The pool that it lies in.
    pub pool: String,
    /// How many bytes are used, where the engine knows it.
    pub used: Option<u64>,
}

/// An address for an instance that cannot ask for one: what to add to its specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAddress {
    /// For [`InstanceSpec::config`].
    pub config: BTreeMap<String, String>,
    /// For [`InstanceSpec::devices`].
    pub devices: BTreeMap<String, Device>,
    /// The address of the name server; `None` where the engine itself tells the instance.
    pub resolver: Option<String>,
}

/// Whether an instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its init runs.
    Running,
    /// It is stopped.
    Stopped,
    /// The engine is doing something with it, or it is paused.
    Changing,
    /// The engine reports an error for it.
    Failed,
}

/// An instance as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub name: InstanceName,
    /// Whether it runs.
    pub state: RunState,
    /// Our labels (`user.codchi.*`).
    pub labels: BTreeMap<String, String>,
    /// What a specification has set of it and others have changed since: `raw.idmap`, `device project`.
    pub changed: Vec<String>,
    /// Names its last start: another text after each start (LXD and Incus: `last_used_at`).
    pub started: String,
}

/// An image that instances are created from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Image {
    /// By which the engine knows it.
    pub fingerprint: String,
    /// What a person reads.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A file, folder or link to put into an instance.
#[derive(Clone)]
pub struct FileSpec {
    /// Absolute path inside.
    pub path: String,
    /// Owner inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// Permission bits, e.g. `0o644`.
    pub mode: u32,
    /// What it is.
    pub kind: FileKind,
}

/// What a [`FileSpec`] makes.
#[derive(Clone)]
pub enum FileKind {
    /// A regular file with these bytes.
    File(Bytes),
    /// A folder.
    Folder,
    /// A symbolic link to this target.
    Symlink(String),
}

impl fmt::Debug for FileSpec {
    /// Never shows contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSpec").field("path", &self.path).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// How a command's streams are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// Three pipes.
    Piped,
    /// One pseudo terminal of this size; its output is in [`Process::stdout`]. Where nobody types, use pipes: LXD 5.0
    /// may lose what a terminal's command prints right before its end, with its own client as well.
    Pty(PtySize),
}

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtySize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// A socket inside to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAt {
    /// Absolute path inside.
    pub path: String,
    /// Owner inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// Permission bits: who may write to it may connect.
    pub mode: u32,
}

/// A connection that a program in an instance has made to a socket that this process [listens](crate::Driver::listen) at. Shutting it down tells
/// the program that nothing more comes; dropping it closes it, once what was written has arrived.
#[derive(Debug)]
pub struct Connection {
    stream: DuplexStream,
    _dropped: DropGuard,
}

impl Connection {
    /// One whose other end is that of `stream`; `dropped` is cancelled when it is dropped.
    pub(crate) fn new(stream: DuplexStream, dropped: CancellationToken) -> Self {
        Self { stream, _dropped: dropped.drop_guard() }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A command to run inside.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Working folder inside; the engine's default where `None`.
    pub cwd: Option<String>,
    /// Environment; never a secret.
    pub environment: BTreeMap<String, String>,
    /// Streams.
    pub stdio: Stdio,
}

impl Exec {
    /// A piped command as root.
    #[must_use]
    pub fn root<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            uid: 0,
            gid: 0,
            cwd: None,
            environment: BTreeMap::new(),
            stdio: Stdio::Piped,
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// Its exit code; 128 + N after signal N.
    pub code: i32,
}

impl ExitStatus {
    /// Whether the exit code is 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.code == 0
    }
}

/// What a finished command printed.
#[derive(Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// Standard error, at most 1 MiB.
    pub stderr: Vec<u8>,
}

/// A running command. Dropping it kills the command.
pub struct Process {
    /// Input; shut it down or drop it to signal the end, to a terminal as Ctrl-D.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Output, or everything where there is a terminal. Read it while the command runs: one that prints much waits
    /// for its reader. Dropped, it is read and thrown away.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Errors; at its end at once where there is a terminal.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Tells the terminal's new size and sends signals.
    pub control: Arc<dyn Resizer>,
    /// Resolves when the command has ended and what it printed is on its way. Dropping it kills the command (not what
    /// that has started in the background).
    pub exit: futures_util::future::BoxFuture<'static, Result<ExitStatus, DriverError>>,
}

/// Steers a running command.
pub trait Resizer: Send + Sync {
    /// The terminal has a new size. Best effort.
    fn resize(&self, size: PtySize);
    /// Sends a Unix signal by number. Best effort.
    fn signal(&self, signal: i32);
}

/// Something happened to an instance of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which instance.
    pub name: InstanceName,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Created,
    /// Its init runs.
    Started,
    /// It is stopped.
    Stopped,
    /// It is gone.
    Deleted,
    /// Its configuration changed.
    Updated,
}

const OUTPUT_LIMIT: u64 = 1 << 20;

/// Feeds `stdin`, gathers both outputs side by side (so that no pipe can fill up) and waits for the end.
pub(crate) async fn run_to_end(process: Process, stdin: &[u8]) -> Result<Output, DriverError> {
    let Process { stdin: mut input, stdout, stderr, control: _control, exit } = process;
    let feed = async move {
        // A command may end without reading its input: a broken pipe is its own choice, told by its exit code.
        let _ = input.write_all(stdin).await;
        let _ = input.shutdown().await;
    };
    let ((), stdout, stderr, status) = tokio::join!(feed, gather(stdout), gather(stderr), exit);
    Ok(Output { status: status?, stdout, stderr })
}

async fn gather(mut stream: Box<dyn AsyncRead + Send + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = (&mut stream).take(OUTPUT_LIMIT).read_to_end(&mut bytes).await;
    // Past the limit the rest is read and dropped, so that the command is never blocked by us.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    bytes
}
