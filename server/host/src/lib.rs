//! What this computer offers to a machine.
//!
//! Probes read device nodes, sockets and files; they start no process and take a few milliseconds in all.

mod capability;
mod host_secret;
mod probe;

pub use capability::{Capability, UnknownCapability};
pub use host_secret::{HostSecret, UnknownHostSecret};
pub use probe::{Availability, Host};
