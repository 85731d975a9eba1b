//! Who may read, write and run a file. On Windows what lies in a person's profile is theirs alone already, by the access list that
//! it takes over from there; so modes of Unix are for Unix only, and whether a file can be run is a matter of its name.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};

/// Has a file that `options` make have these permission bits from the beginning.
pub(crate) fn with_mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    #[cfg(unix)]
    options.mode(mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
}

/// Gives the file or folder at `path` these permission bits.
///
/// # Errors
/// Where they cannot be changed.
pub(crate) fn set(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    return std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
    #[cfg(not(unix))]
    {
        let _ = (path, mode);
        Ok(())
    }
}

/// Gives `file` these permission bits.
///
/// # Errors
/// Where they cannot be changed.
pub(crate) fn set_open(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    return file.set_permissions(std::fs::Permissions::from_mode(mode));
    #[cfg(not(unix))]
    {
        let _ = (file, mode);
        Ok(())
    }
}

/// The permission bits of a file; on Windows those of one that is its person's alone.
pub(crate) fn mode(metadata: &Metadata) -> u32 {
    #[cfg(unix)]
    return metadata.permissions().mode() & 0o777;
    #[cfg(not(unix))]
    {
        let _ = metadata;
        0o600
    }
}

/// Whether a file is one that can be run, as far as its permissions say; on Windows they do not.
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    metadata.is_file() && (cfg!(windows) || mode(metadata) & 0o111 != 0)
}

/// Makes `folder` and its parents, for nobody but the person.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder)?;
    set(folder, 0o700)
}

/// Makes durable what names a folder has. Windows does so by itself, and opens no folder as a file.
///
/// # Errors
/// Where the disk says that it is not.
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}
