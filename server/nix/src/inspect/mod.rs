//! What a module says, as evaluated: its manifest, and each of its options that does not evaluate.
//!
//! Nothing is built and nothing is written to the store. The work is done by `nix/inspect.nix`.

mod explain;
mod process;
mod read;
mod request;
mod survey;

use crate::Position;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// One evaluation of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspect {
    /// What is evaluated.
    pub module: InspectedModule,
    /// A folder with nixpkgs, or with nixpkgs.lib only. Where there are packages, a lenient evaluation uses them.
    pub nixpkgs: PathBuf,
    /// The folder with codchi's own Nix files (`nix/` of this repository).
    pub codchi: PathBuf,
    /// How thoroughly.
    pub depth: Depth,
    /// Attribute paths that the module's files read of their arguments; what is not there is given to them as something
    /// that says so when it is needed. Only for [`Depth::Lenient`].
    pub reads: Reads,
    /// What it may take.
    pub limits: Limits,
}

/// What is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InspectedModule {
    /// A file.
    File(PathBuf),
    /// A module output of the flake in a folder, `default` where `None`.
    Output {
        /// The folder with the `flake.nix`.
        folder: PathBuf,
        /// Which one.
        output: Option<String>,
    },
}

/// How thoroughly a module is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// codchi's options alone: some 40 ms. What NixOS would say is not known; an option that needs it is *dynamic*.
    Lenient,
    /// The whole NixOS: seconds and up to a GiB. Needs all of nixpkgs.
    Full,
}

/// Attribute paths that files read of a module's arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads {
    /// Of `pkgs`.
    pub packages: BTreeSet<Vec<String>>,
    /// Of `config`, without those below `codchi`.
    pub config: BTreeSet<Vec<String>>,
    /// Of a flake's `inputs`, the input's name first.
    pub inputs: BTreeSet<Vec<String>>,
    /// Whether something of `options` is read: which there are is known of all of NixOS only.
    pub options: bool,
}

/// What an evaluation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest time, of all its processes together.
    pub time: Duration,
    /// The most memory of a process, in bytes.
    pub memory: u64,
    /// The most that a process may print, in bytes.
    pub output: u64,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inspection {
    /// The manifest, in the shape of `codchi_machine::Manifest`, without what does not evaluate; `None` where the module
    /// does not evaluate at all.
    pub manifest: Option<serde_json::Value>,
    /// Whether `manifest` has all: no part of it failed or is dynamic, no module was left out, and none asks which options
    /// there are where that is not known.
    pub complete: bool,
    /// Options whose value needs what the evaluation does not know: of a lenient one all of NixOS, packages and inputs, of
    /// any what would have to be built or fetched. `codchi` alone where the modules as such are not known.
    pub dynamic: Vec<Vec<String>>,
    /// What does not evaluate, each option once, at most [`Inspection::MOST_ERRORS`].
    pub errors: Vec<InspectError>,
    /// The Nix files that were evaluated, without codchi's own and those of nixpkgs.
    pub files: BTreeSet<PathBuf>,
    /// What Nix itself took, of all processes together.
    pub took: Duration,
}

impl Inspection {
    /// So many options that do not evaluate are told of.
    pub const MOST_ERRORS: usize = 20;
}

/// One thing that does not evaluate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InspectError {
    /// What Nix says: the first paragraph, without colours.
    pub message: String,
    /// The option, where it is known.
    pub option: Option<Vec<String>>,
    /// Where Nix says it is, the innermost place first.
    pub places: Vec<Position>,
    /// Files that define the option, where Nix names them.
    pub files: Vec<PathBuf>,
    /// The trace, the outermost frame first.
    pub trace: Vec<String>,
}
