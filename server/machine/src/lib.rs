//! Code machines: what they are made of, their state on disk, the plans that change them, and the secret vault.
//!
//! Everything that a front (the language server, the command line) can do goes through [`Machines`]; what it hears
//! while that happens, and what it is asked, goes through [`Front`]. This crate never sees LSP and never prints.
//!
//! Invariants:
//! - A plan is data (`Vec<Step>`) before anything happens.
//! - Nothing is built before capabilities were checked and secrets asked for.
//! - A failed or cancelled operation is undone or can be resumed; the journal in the machine's folder says which.
//! - A [`Secret`] cannot be printed, and reaches a machine only through the standard input of a command inside it.

mod access;
mod bridge;
mod capabilities;
mod copies;
mod delivery;
mod drift;
mod enter;
mod error;
mod explain;
mod export;
mod fault;
mod files;
mod flake;
mod front;
mod gc;
mod generations;
mod host_secrets;
mod host_tool;
mod inputs;
mod instance;
mod links;
mod locate;
mod locked;
mod log;
mod machines;
mod manifest;
mod modules;
mod name;
mod nixpkgs;
mod operate;
mod ops;
mod our_nix;
mod passphrase;
mod paths;
mod permissions;
mod plan;
mod preview;
mod process_group;
mod providers;
mod remembered;
mod run;
mod secret;
mod secrets;
mod snapshot;
mod source;
mod ssh;
mod state;
mod status;
mod store;
#[cfg(test)]
mod test;
mod values;
mod vault;

pub use capabilities::CapabilityStatus;
pub use copies::{ExportRequest, ExportStatus, ImportRequest};
pub use drift::{Drift, DriftKind};
pub use error::MachineError;
pub use front::{Answer, Choice, Event, Front, LogLevel, Question, StepState};
pub use gc::{Freed, Garbage, Guard, Leftover, OldGenerations, Unused};
pub use generations::{Discard, GenerationStatus};
pub use host_secrets::HostSecretStatus;
pub use inputs::{Input, InputChange};
pub use machines::{Attach, CreateRequest, ExecRequest, Machines, Options};
pub use manifest::{HostSecrets, Manifest, SecretSpec};
pub use modules::{ModuleStatus, Update};
pub use name::{InvalidMachineName, MachineName};
pub use nixpkgs::{DEFAULT_NIXPKGS, InvalidNixpkgs, NixpkgsChoice, nixpkgs_pin};
pub use our_nix::our_nix;
pub use paths::Paths;
pub use permissions::Offer;
pub use plan::{Operation, Step};
pub use preview::{PackageChange, PackageChanges, Preview, UnitChanges};
pub use process_group::ProcessGroup;
pub use providers::{Provider, ProviderAnswer, ProviderKind, ProviderStatus, Providers};
pub use secret::Secret;
pub use secrets::{
    Existing, SecretForm, SecretsChange, Turn, Undelivered, is_secret_name, matches_pattern, not_set,
};
pub use source::{InvalidSource, ModuleSource, Repository, SourceKind};
pub use state::Permissions;
pub use status::{MachineState, MachineStatus, SecretStatus};
pub use store::{Collected, StoreChoice, StoreKind, StoreOptions, StoreStatus};
pub use values::{Origin, Values};
pub use vault::{
    Backup, Entry, KeyPlace, LockedBy, Repaired, Scope, Vault, VaultError, VaultState, VaultStatus,
};

pub use tokio_util::sync::CancellationToken;
