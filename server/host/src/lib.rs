//! What this computer offers to a machine.
//!
//! Probes read device nodes, sockets and files; they start no process and take a few milliseconds in all.

#[cfg(unix)]
mod agent;
mod capability;
mod certificates;
mod host_secret;
mod probe;
mod ssh_files;

pub use capability::{Capability, UnknownCapability};
pub use certificates::Certificates;
pub use host_secret::{HostSecret, UnknownHostSecret};
pub use probe::{Availability, Display, Host, Sound, X11};
pub use ssh_files::SshFile;
