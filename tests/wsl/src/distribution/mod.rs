//! Running distributions: what the virtual machine, its `/init` and WSL's service do.
//!
//! There is one process for the virtual machine (`vm`) and one for each running distribution (`keeper`). They end by themselves, as on
//! Windows, or when they are told to.

pub(crate) mod cgroup;
pub(crate) mod conf;
pub(crate) mod down;
pub(crate) mod drives;
pub(crate) mod init;
pub(crate) mod keeper;
pub(crate) mod login;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod rooted;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod socket;
pub(crate) mod terminal;
pub(crate) mod users;
pub(crate) mod vm;
