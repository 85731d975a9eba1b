//! Watches the folders that hold the machines' state, the locks and the vault, and those of the workspace.

#[cfg(not(windows))]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
pub(crate) use linux::{FolderWatch, Watch};
#[cfg(windows)]
pub(crate) use windows::{FolderWatch, Watch};

/// So many of a workspace's folders are watched: the host has a limit, which others need too.
const FOLDERS: usize = 4096;

/// Whether a file of this name is about modules: a Nix file, a lock, or what git ignores.
fn is_about_modules(name: &[u8]) -> bool {
    name.ends_with(b".nix") || [b"flake.lock".as_slice(), b".gitignore", b".ignore"].contains(&name)
}
