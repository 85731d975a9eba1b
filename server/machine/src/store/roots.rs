//! What a machine has written down of what it uses of the store: links, each beside the place that it is for
//! (`nix/modules/machine/store.nix` writes them).

use crate::files::{io_error, make_folder, remove_file};
use crate::{MachineError, links};
use std::path::Path;

/// What the names of those begin with that are for processes.
const RUNNING: &str = "running-";

/// Removes what a machine that is stopped has written down of its processes.
///
/// # Errors
/// [`MachineError::Io`].
pub(super) fn forget_running(roots: &Path) -> Result<(), MachineError> {
    for entry in std::fs::read_dir(roots).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(RUNNING) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Copies what a machine has written down, for a copy of the machine, which has the same links.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn copy_roots(from: &Path, to: &Path) -> Result<(), MachineError> {
    make_folder(to)?;
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        let link = to.join(entry.file_name());
        links::make(&target, &link).map_err(|e| io_error("Writing", &link, e))?;
    }
    forget_running(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_copy_keeps_what_links_lead_to_and_not_what_ran_in_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        std::fs::write(from.join(".lock"), "").unwrap();
        for (name, target) in
            [("h", "/nix/store/x"), ("h.from", "/home/codchi/result"), ("running-y", "/nix/store/y")]
        {
            symlink(target, from.join(name)).unwrap();
        }
        copy_roots(&from, &to).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["h", "h.from"]);
        assert_eq!(std::fs::read_link(to.join("h")).unwrap(), Path::new("/nix/store/x"));
        assert!(from.join("running-y").is_symlink());
        copy_roots(&folder.path().join("nothing"), &folder.path().join("other")).unwrap();
    }
}
