//! Symbolic links.
//!
//! On Windows, one can be made only by who may (in developer mode, or as administrator), and those that Linux has made on a drive of
//! Windows, as Nix does in the store's distribution, can be seen, renamed and removed, but not read: they are of a kind of their own
//! (`IO_REPARSE_TAG_LX_SYMLINK`).

use std::io;
use std::path::Path;

/// Makes `link` lead to `target`, which may be relative to the link's folder.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn make(target: &Path, link: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, link);
    #[cfg(windows)]
    {
        let leads_to = link.parent().unwrap_or(Path::new("")).join(target);
        if leads_to.is_dir() {
            std::os::windows::fs::symlink_dir(target, link)
        } else {
            std::os::windows::fs::symlink_file(target, link)
        }
    }
}
