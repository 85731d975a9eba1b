//! What can be asked of the program in a distribution.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Nothing: it is there, and speaks this protocol. Done with `null`.
    Ping,
    /// Keeps the distribution running: `WSL` ends one that no program of Windows' has a session in. Done at once, with the text of
    /// [`BOOTED`](crate::BOOTED) (`""` in a distribution that only has a volume); then it stays until it is killed, whatever becomes of its streams. With `share`,
    /// [`VOLUME`](crate::VOLUME) is first mounted below [`SHARED`](crate::SHARED) by this name; that it is already is no error. It stays then
    /// until no distribution that is kept running uses the volume, and none has for a while. Without a
    /// volume it is done when the system's own init runs.
    Hold {
        /// What is shared.
        share: Option<Share>,
        /// The names of the volumes that this distribution uses.
        uses: Vec<String>,
    },
    /// Runs a command. Done with its exit code; 127 where there is no such program, 126 where it cannot be run.
    Exec(ExecRequest),
    /// Lays down one entry, whose contents come as input. Done with `null`. A failure names the entry's path and never its contents. It means the
    /// same in every version, since the program itself is replaced by it.
    Put {
        /// Where.
        target: Target,
        /// The entry.
        entry: PutRequest,
    },
    /// Makes the mounts of the running system those of `boot`, as far as they differ from what an earlier boot or request has made. Done
    /// with `null`.
    Apply {
        /// Where.
        target: Target,
        /// What it shall have; its `init` counts at the next start.
        boot: Boot,
    },
    /// Asks the init to shut down: systemd by SIGRTMIN+4 (systemd(1)), others by SIGPWR, as engines of containers do. Done with `null` when the signal is
    /// sent.
    Stop {
        /// Which.
        target: Target,
        /// How.
        how: Shutdown,
    },
    /// Lays the root file system of the instance beside a volume down at [`INSTANCE`](crate::INSTANCE): from a tar archive that comes as
    /// input, or where that has no byte, empty folders to mount things on. Fails where there is one. Done with `null`.
    CreateInstance,
    /// Starts the instance beside a volume, in namespaces of its own. Done when its init runs, with the text that names this start. Already running is
    /// no error.
    StartInstance {
        /// Mounts and init.
        boot: Boot,
    },
    /// Whether that instance is there and runs. Done with an [`InstanceState`].
    Instance,
    /// Kills it and removes its root file system, but nothing that is mounted there. Done with `null`; none there is no error.
    DeleteInstance,
    /// The root file system of the running distribution as a tar archive, sent as output: with owners, modes, links and extended attributes (as
    /// `SCHILY.xattr.` extensions), without what is mounted in it, without sockets, and without [`FOLDER`](crate::FOLDER). A file that changes meanwhile
    /// is as it is found; one that vanishes is left out. Done with `null`.
    Pack,
    /// Listens at a unix socket and passes on who connects to it, by [`ToConnection`] and [`FromConnection`]. [`Begun`] says that it listens. It goes on
    /// until [`InputEnd`], or until who asked is gone, and then takes the socket away, unless something else has its name by then; done with `null`.
    ///
    /// [`ToConnection`]: crate::Kind::ToConnection
    /// [`FromConnection`]: crate::Kind::FromConnection
    /// [`Begun`]: crate::Kind::Begun
    /// [`InputEnd`]: crate::Kind::InputEnd
    Listen(ListenRequest),
}

/// A volume that is shared.
#[derive(Debug, Serialize, Deserialize)]
pub struct Share {
    /// The name by which others find it.
    pub name: String,
    /// For how long it is kept for nobody, in seconds.
    pub idle: u64,
}

/// Which system of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The distribution's own.
    Distribution,
    /// That of the instance beside a volume.
    Instance,
}

/// A command to run.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Where.
    pub target: Target,
    /// Program and arguments. A name without a slash is looked for in the command's `PATH`.
    pub command: Vec<String>,
    /// User id.
    pub uid: u32,
    /// Group id; there are no other groups.
    pub gid: u32,
    /// Working folder; `/` where `None`.
    pub cwd: Option<String>,
    /// The whole environment, but for `PATH`, which has the usual folders where it is not in here.
    pub environment: BTreeMap<String, String>,
    /// The size of its terminal; none and three pipes where `None`.
    pub terminal: Option<Size>,
}

/// A terminal's size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// A socket to listen at. Its parent must exist, and is not followed out of the root file system. A socket, file or link that is there is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenRequest {
    /// Where.
    pub target: Target,
    /// Absolute path.
    pub path: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits: who may write to it may connect.
    pub mode: u32,
}

/// A file, folder or link. Its parent must exist, and is not followed out of the root file system. A file or link that is there is replaced, with
/// owner and mode; a folder that is there is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRequest {
    /// Absolute path.
    pub path: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub entry: Entry,
}

/// What a [`PutRequest`] lays down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A regular file; its contents come after.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to this target.
    Symlink(String),
}

/// What a system starts with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The path of the system's own init, once all is mounted.
    pub init: String,
    /// What is mounted, in this order.
    pub mounts: Vec<BootMount>,
}

/// A folder or file that is mounted at another place, with what is mounted below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootMount {
    /// Absolute path in the distribution.
    pub source: String,
    /// Absolute path in the system; made where it is not there.
    pub path: String,
    /// Not writable there.
    pub read_only: bool,
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// Ask.
    Ask,
    /// Kill, with all that runs in it. Not for a distribution: `wsl --terminate` does that.
    Kill,
}

/// How the instance beside a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Whether its root file system is there.
    pub exists: bool,
    /// The text that names its last start, while it runs.
    pub running: Option<String>,
}
