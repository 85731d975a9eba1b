//! At most one process changes mounts or the instance at a time.

use anyhow::{Context as _, Result};
use std::fs::File;

/// The file that is locked; nothing is in it.
const FILE: &str = "/codchi/lock";

/// Waits for the lock, which is held until the file is dropped.
pub(crate) fn lock() -> Result<File> {
    let take = || {
        let file = File::create(FILE)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    };
    take().with_context(|| format!("locking {FILE}"))
}
