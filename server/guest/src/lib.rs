//! What the WSL driver and the program of ours in each distribution say to each other.
//!
//! `wsl.exe` starts a program and passes three streams on; it can put no file into a distribution that is stopped, send no signal, set
//! no working folder's owner, and its own errors come on the same stream as a program's output. So each distribution of ours has a
//! program, [`PROGRAM`], which does all that. It is called as `wsl.exe -d NAME -u root --exec /codchi/guest` and serves one request:
//! what is asked never is an argument, which `wsl.exe` would take apart, and a person could read.
//!
//! Both directions are frames ([`frame`]). The program first sends [`Kind::Hello`], by which its output is told from what
//! `wsl.exe` itself says; it is sent one [`Request`], and answers with one [`Kind::Done`] or [`Kind::Failed`] as its last frame. A
//! stream that ends without one is a connection that broke. A program of an earlier codchi that does not know a request answers that it has
//! failed, and why; only where frames themselves mean something else is there a new [`VERSION`].
//!
//! The same program is the distribution's `/sbin/init`: as process 1 it makes the mounts of [`Boot`] and becomes the
//! system's own init. Where it cannot it says why in [`BOOT_ERROR`] and ends, and the distribution with it.
//!
//! What it knows is in [`FOLDER`] and, of an instance that runs beside a volume, in `/run`; each with the start that it is about, so that
//! nothing outlives that. It enters the mount namespace of process 1 before it does anything: WSL may start programs in another one.

pub mod connection;
mod folders;
pub mod frame;
mod request;

pub use folders::FOLDERS;
pub use frame::Kind;
pub use request::{
    Boot, BootMount, Entry, ExecRequest, InstanceState, ListenRequest, PutRequest, Request, Share, Shutdown,
    Size, Target,
};

/// The version of this protocol: the first byte of [`Kind::Hello`]. A distribution that another codchi has made gets this one's program
/// when it is started.
pub const VERSION: u8 = 1;

/// The folder of a distribution that is ours.
pub const FOLDER: &str = "/codchi";
/// Where the program is in a distribution.
pub const PROGRAM: &str = "/codchi/guest";
/// A text file with the path, inside, of the folder on a Windows drive where what is said to the next boot lies: [`BOOT`] and [`PENDING`].
pub const HOME: &str = "/codchi/home";
/// The volume of a distribution that has one.
pub const VOLUME: &str = "/codchi/volume";
/// The root file system of the instance that shares its distribution with a volume.
pub const INSTANCE: &str = "/codchi/instance";
/// Where volumes are shared between distributions: a folder for each, by its distribution's name. `/mnt/wsl` is a file system that
/// all distributions have (<https://learn.microsoft.com/windows/wsl/wsl2-mount-disk>).
pub const SHARED: &str = "/mnt/wsl/codchi";

/// In the folder that [`HOME`] names: a [`Boot`] as JSON.
pub const BOOT: &str = "boot.json";
/// There, too: a folder of files to lay down before the next boot goes on. Each is a [`PutRequest`] as one line of JSON with its contents
/// after it; they are taken in the order of their names and removed. One with a dot in its name is still being written, and passed over.
pub const PENDING: &str = "pending";
/// There, too: names the last boot, written by it before it mounts anything.
pub const BOOTED: &str = "booted";
/// There, too: why the last boot failed, as text; absent where it did not.
pub const BOOT_ERROR: &str = "boot-error";
