//! What is known about the host and the machines at this moment.

use crate::{DiagnosticCode, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What is known about the host and the machines. What is not known is absent, and nothing is reported about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    /// The host's answer per capability's name; `None` before it was asked.
    pub capabilities: Option<BTreeMap<String, Availability>>,
    /// The same per option of `codchi.hostSecrets`.
    pub host_secrets: Option<BTreeMap<String, Availability>>,
    /// Names of secrets that are set for all machines; `None` before the vault was read, or where it cannot be.
    pub secrets: Option<BTreeSet<String>>,
    /// Whether something that was not asked may have values of further secrets: then none is known to have no value.
    pub secrets_elsewhere: bool,
    /// The machines of this computer.
    pub machines: Vec<Machine>,
    /// The project folder of each machine that has one, by the machine's name.
    pub projects: BTreeMap<String, PathBuf>,
    /// The names of the machines that are made of modules of elsewhere as well, which nobody here can look into.
    pub remote: BTreeSet<String>,
    /// What the person wants reported, and how loudly.
    pub rules: Rules,
    /// Where the names of secrets are written; `None` where that is not known, or does not tell whether they are used.
    pub mentions: Option<Arc<Mentions>>,
    /// What the last evaluation of each module found.
    pub evaluations: BTreeMap<ModuleKey, Arc<Evaluated>>,
    /// The options and packages of the nixpkgs of each module.
    pub catalogues: BTreeMap<ModuleKey, Arc<dyn Catalogue>>,
}

/// A module that a machine can be made of: its folder or file, and which module output of the folder's flake (`None` for
/// the default one, or where there is no flake).
pub type ModuleKey = (PathBuf, Option<String>);

/// What the person wants reported; what is not in it is reported as it comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Levels by code.
    pub levels: BTreeMap<DiagnosticCode, Level>,
}

/// Where the names of secrets are written in the files of some folders, in Nix files or others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mentions {
    /// The folders that were looked through.
    pub folders: Vec<PathBuf>,
    /// Each name that was looked for in all its [spellings](crate::spellings), and the files that it is in.
    pub names: BTreeMap<String, BTreeSet<PathBuf>>,
}

/// How a diagnostic is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Not at all.
    Off,
    /// At this severity.
    At(Severity),
}

/// What an evaluation by Nix found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evaluated {
    /// The texts that were evaluated, of files that Nix may have read. What is said about a definition holds for as long
    /// as the definition's text is the same.
    pub texts: BTreeMap<PathBuf, Arc<str>>,
    /// What the module asks of the host; `None` where it does not evaluate that far.
    pub manifest: Option<EvaluatedManifest>,
    /// What does not evaluate, each option once.
    pub errors: Vec<EvaluationError>,
}

/// What a module asks of the host, as evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvaluatedManifest {
    /// User secrets by name.
    pub secrets: BTreeMap<String, EvaluatedSecret>,
    /// Capabilities that it requires.
    pub required_capabilities: BTreeSet<String>,
    /// Capabilities that it uses where the host has them.
    pub optional_capabilities: BTreeSet<String>,
}

/// A user secret, as evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatedSecret {
    /// Its description.
    pub description: String,
    /// Whether it is required.
    pub required: bool,
}

/// One thing that does not evaluate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvaluationError {
    /// What Nix says, without colours, store paths of copies replaced by the original ones.
    pub message: String,
    /// The option whose value does not evaluate, where that is known.
    pub option: Option<Vec<String>>,
    /// Where Nix says it is, the innermost place first; may be empty.
    pub places: Vec<Place>,
    /// Files that define the option, where Nix names them.
    pub files: Vec<PathBuf>,
    /// The trace, the outermost frame first.
    pub trace: Vec<String>,
}

/// A place as Nix gives it: line and column count from 1, columns in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The options and packages that a module can use: those of its nixpkgs and of its flake's own modules. Answers at once,
/// from a cache; `codchi.*` is not in it.
pub trait Catalogue: Send + Sync + fmt::Debug {
    /// What is directly below an option path; a free name is `<name>`. Names of the path that match no listed one are
    /// taken for free ones. Sorted by name.
    fn children(&self, path: &[String]) -> Vec<CatalogueEntry>;
    /// One option's documentation.
    fn option(&self, path: &[String]) -> Option<CatalogueOption>;
    /// Names of the packages and package sets directly below `pkgs.PATH`, sorted; `None` where that is not known.
    fn packages(&self, path: &[String]) -> Option<Vec<String>>;
    /// Which nixpkgs this is, for equality: two catalogues of one revision say the same.
    fn revision(&self) -> &str;
}

impl PartialEq for dyn Catalogue {
    fn eq(&self, other: &Self) -> bool {
        self.revision() == other.revision()
    }
}

impl Eq for dyn Catalogue {}

/// A name below an option path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The name, or `<name>`.
    pub name: String,
    /// Its type as nixpkgs describes it; `None` for what only leads to options.
    pub kind: Option<String>,
    /// Whether there are options below it.
    pub has_children: bool,
}

/// An option's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogueOption {
    /// Its path, free names as `<name>`.
    pub path: Vec<String>,
    /// Its type as nixpkgs describes it: `boolean`, `list of string`, `null or one of "a", "b"`.
    pub kind: String,
    /// In Markdown.
    pub description: String,
    /// The default, as a Nix expression.
    pub default: Option<String>,
    /// An example, as a Nix expression.
    pub example: Option<String>,
    /// Where it is declared.
    pub declarations: Vec<Place>,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// The host's answer about a capability or a host secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Availability {
    /// Whether the host offers it.
    pub available: bool,
    /// What was looked at, as a sentence.
    pub probed: String,
    /// What was found on the way, a line each.
    pub evidence: Vec<String>,
    /// What to do where it is missing, as a sentence.
    pub remedy: Option<String>,
}

/// A machine, as far as an editor cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: MachineState,
    /// The local modules it is made of.
    pub modules: Vec<MachineModule>,
    /// Names of secrets that are set for it (its own and those for all).
    pub secrets: BTreeSet<String>,
    /// Its current generation.
    pub generation: u32,
    /// What differs from what would be made now.
    pub drift: Vec<Drift>,
}

/// What differs between a machine and what it would be if it was made now, as far as that can be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// A module of it has changed since its generation.
    ModuleChanged,
    /// The vault has other secrets than those it runs with.
    SecretsChanged,
    /// Its instance was changed with the engine's own tools.
    InstanceChanged,
}

/// A local module that a machine is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineModule {
    /// Its folder or file, absolute.
    pub path: PathBuf,
    /// Which module output of the folder's flake; `None` for the default one, or where there is no flake.
    pub output: Option<String>,
}

/// How a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineState {
    /// It runs.
    Running,
    /// It is stopped.
    Stopped,
    /// Something is being done to it.
    Busy,
    /// Its instance is gone, or an operation was interrupted.
    Broken,
    /// Its driver cannot be asked.
    Unknown,
}
