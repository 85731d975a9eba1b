//! Copies of local modules: what Nix reads, so that an edit during a build cannot tear it.

use crate::{CancellationToken, MachineError};
use std::path::Path;

/// Makes `destination` a copy of the folder `source` without what git ignores and without `.git`; what was in
/// `destination` before is gone afterwards. Blocking; stops early with [`MachineError::Cancelled`] once `cancel` is.
///
/// # Errors
/// [`MachineError::Io`] naming the file.
pub(crate) fn take(
    source: &Path,
    destination: &Path,
    cancel: &CancellationToken,
) -> Result<(), MachineError> {
    let _ = (source, destination, cancel);
    unimplemented!()
}
