//! What the person answered once and is not asked again: `remembered.toml` in the data folder. What they configure
//! themselves is the front's, comes as [`Options`], and goes first.

use crate::files::{damaged, make_folder, read_optional, write_atomic};
use crate::{MachineError, Options, Paths, ssh};

/// The key of the answer to whether the ssh config may be touched.
const SSH_CONFIG: &str = "ssh-config";

/// The remembered answer to whether the ssh config may be touched; `None` where nobody was asked.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn ssh_config(paths: &Paths) -> Result<Option<bool>, MachineError> {
    Ok(read(paths)?.get(SSH_CONFIG).and_then(toml::Value::as_bool))
}

/// Remembers the answer.
///
/// # Errors
/// [`MachineError::Io`]; then the file is as before.
pub(crate) fn remember_ssh_config(paths: &Paths, allowed: bool) -> Result<(), MachineError> {
    let mut table = read(paths)?;
    table.insert(SSH_CONFIG.into(), allowed.into());
    make_folder(&paths.data)?;
    write_atomic(&file(paths), table.to_string().as_bytes(), 0o600)
}

/// Whether the ssh config may be touched: as configured, else as remembered, else only where it already includes ours.
///
/// # Errors
/// [`MachineError::Io`].
pub(crate) fn ssh_config_allowed(paths: &Paths, options: &Options) -> Result<bool, MachineError> {
    if let Some(allowed) = options.ssh_config {
        return Ok(allowed);
    }
    Ok(ssh_config(paths)?.unwrap_or_else(|| ssh::is_included(paths)))
}

fn file(paths: &Paths) -> std::path::PathBuf {
    paths.data.join("remembered.toml")
}

fn read(paths: &Paths) -> Result<toml::Table, MachineError> {
    let path = file(paths);
    let Some(contents) = read_optional(&path)? else { return Ok(toml::Table::new()) };
    let text = std::str::from_utf8(&contents)
        .map_err(|e| damaged(&path, &contents, Some(e.valid_up_to()), "this is not text (UTF-8)"))?;
    text.parse()
        .map_err(|e: toml::de::Error| damaged(&path, &contents, e.span().map(|span| span.start), e.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_remembered_until_it_is_given_anew() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        assert_eq!(ssh_config(&paths).unwrap(), None);
        for answer in [true, false] {
            remember_ssh_config(&paths, answer).unwrap();
            assert_eq!(ssh_config(&paths).unwrap(), Some(answer));
        }
    }
}
