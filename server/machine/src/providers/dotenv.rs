//! Files of lines `NAME=value`, as many tools read them.

use crate::Secret;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No larger file is read.
const LARGEST: u64 = 1 << 20;

/// Where a file is that is written relative to the home folder, or with `~/`.
pub(super) fn path(file: &Path, home: &Path) -> PathBuf {
    home.join(file.strip_prefix("~").unwrap_or(file))
}

/// The values in a file; none where it is not there. Of a name that is there twice the last counts; an empty value is none.
///
/// # Errors
/// Why not, as a clause without values.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Secret>, String> {
    let shown = path.display();
    let failed = |e: io::Error| format!("reading {shown}: {e}");
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(format!("{shown} is no file")),
        Ok(metadata) if metadata.len() > LARGEST => {
            return Err(format!("{shown} is larger than {LARGEST} bytes"));
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(failed(e)),
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    let mut values = BTreeMap::new();
    for line in dotenvy::from_read_iter(bytes.as_slice()) {
        let (name, value) = line.map_err(|error| match error {
            // Its own words quote the line.
            dotenvy::Error::LineParse(..) => format!("{shown} has a line that is not `NAME=value`"),
            dotenvy::Error::Io(e) => failed(e),
            _ => format!("{shown} cannot be read"),
        })?;
        match Secret::new(value) {
            Some(value) if value.expose().is_empty() => values.remove(&name),
            Some(value) => values.insert(name, value),
            None => return Err(format!("{shown} has a value with a NUL byte")),
        };
    }
    Ok(values)
}
