//! The file of an exported machine: a tar archive, so that a person can look into it and take something out by hand.
//!
//! | entry | is |
//! | --- | --- |
//! | `codchi.json` | [`Header`]: the format's version, and what to know before anything else |
//! | `machine.toml` | what it is made of |
//! | `flake.lock` | the revisions of that |
//! | `modules/INPUT/…` | its local modules as they were built last, each with the repository that it is in |
//! | `secrets.age` | its secrets, encrypted to a passphrase (age, scrypt); only where that was asked for |
//! | `root.tar.zst` | the instance's root file system, as the driver gives it, compressed |
//! | `end` | nothing: what comes before it is whole |
//!
//! The system itself is not in it: the lock gives the same one again.

mod read;
mod write;

pub(crate) use read::{Export, read_root};
pub(crate) use write::{Contents, Target, write};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

const HEADER: &str = "codchi.json";
const DEFINITION: &str = "machine.toml";
const LOCK: &str = "flake.lock";
const MODULES: &str = "modules";
const SECRETS: &str = "secrets.age";
const ROOT: &str = "root.tar.zst";
const END: &str = "end";

/// What to know of an export before anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    version: u32,
    /// The codchi that wrote it.
    codchi: String,
    /// The machine's name.
    name: String,
    /// When it was written, in seconds since 1970.
    created: u64,
    /// The local modules whose files are in it.
    modules: Vec<LocalModule>,
}

/// A local module whose files are in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalModule {
    /// Its flake input, after which its folder is named.
    input: String,
    /// The folder that was copied: where the module is in, or all of its repository.
    root: PathBuf,
}

#[cfg(test)]
mod tests;
