//! What the tests that cross crates share: the built program, a minimal LSP client, a user of machines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a failure is a failed test, and its message is the report"
)]

#[cfg(feature = "lab")]
pub mod agent;
#[cfg(feature = "lab")]
pub mod apart;
#[cfg(feature = "lab")]
pub mod archive;
pub mod binary;
#[cfg(feature = "lab")]
pub mod engine;
#[cfg(feature = "lab")]
pub mod instance;
#[cfg(feature = "lab")]
pub mod leaks;
pub mod lsp;
pub mod nasty;
pub mod nix;
#[cfg(feature = "lab")]
pub mod person;
pub mod program;
#[cfg(feature = "lab")]
pub mod store;
#[cfg(feature = "lab")]
pub mod user;
pub mod workspace;
#[cfg(feature = "lab")]
pub mod wsl;
