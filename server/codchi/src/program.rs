//! Programs of this computer.

use std::path::{Path, PathBuf};

/// What the names of programs end with.
const ENDINGS: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ".bat"] } else { &[""] };

/// Where the program `name` of the folder `folder` may be; on Windows its ending need not be named.
pub(crate) fn names(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let path = folder.join(name);
    let has_ending = ENDINGS.iter().any(|ending| name.ends_with(ending));
    let endings = if has_ending { &[""] } else { ENDINGS };
    endings.iter().map(move |ending| {
        let mut path = path.clone().into_os_string();
        path.push(ending);
        path.into()
    })
}

/// Whether a file can be run, as far as its permissions say; on Windows they do not.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| {
        #[cfg(unix)]
        let may = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
        #[cfg(not(unix))]
        let may = true;
        metadata.is_file() && may
    })
}

/// A program on `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).flat_map(|folder| names(&folder, name)).find(|path| is_executable(path))
}
