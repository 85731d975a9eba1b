//! What this computer offers to a machine.
//!
//! Probes read device nodes, sockets and files; they start no process and take a few milliseconds in all.

mod capability;
mod probe;

pub use capability::{Capability, UnknownCapability};
pub use probe::{Availability, Host};
