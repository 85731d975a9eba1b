//! The store that machines share: this computer's own Nix where there is one, else the *store instance*.
//!
//! The store instance is an instance without a system: a root file system of empty folders, a volume with `/nix` on it, and
//! the Nix daemon of that volume as its first process. Nix runs there as it runs on a computer that has it: it sees what
//! it needs of the data folder at the path that it has on the host, reads flakes and writes locks and profile links there, as its owner. Machines
//! get the volume read-only, with the daemon's socket in it; nobody is trusted through that, not even their root.
//!
//! Each data folder has a store instance of its own, named after it: an engine may run machines of several people, and what
//! keeps a system from being collected lies in its owner's data folder.

mod collect;
mod fill;
mod kind;
mod nix;
mod place;
mod remove;
mod repair;
mod roots;
mod show;
mod system;
mod tarball;
mod tools;
mod up;

pub use collect::Collected;
pub use kind::{StoreChoice, StoreKind};
pub use show::StoreStatus;

pub(crate) use place::{ROOTS, machine_roots, root_inside, shared_volume};
pub(crate) use roots::copy_roots;
pub(crate) use tools::needs_git;

/// Hears what is under way, e.g. `Starting the store instance`.
pub(crate) type Tell<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// What the user's configuration says about the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreOptions {
    /// Which store new machines get.
    pub choice: StoreChoice,
    /// Where the Nix of the store instance comes from: the path or URL of a binary tarball; codchi's default where `None`.
    pub nix: Option<String>,
    /// Lines for the `nix.conf` of the store instance, after codchi's own.
    pub settings: String,
}
