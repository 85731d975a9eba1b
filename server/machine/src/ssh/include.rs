//! The `Include` of our config in the user's.

use super::config;
use crate::files::{io_error, make_folder, read_optional, remove_file, write_atomic};
use crate::{MachineError, Paths, access};
use std::path::{Path, PathBuf};

const BEGIN: &str = "# codchi: begin (removed with the last code machine)";
const END: &str = "# codchi: end";

/// The user's config.
pub(super) fn user_config(paths: &Paths) -> PathBuf {
    paths.home.join(".ssh/config")
}

/// Whether the config `text` includes `ours`, by our hand or the user's.
pub(super) fn contains(text: &[u8], ours: &Path, home: &Path) -> bool {
    String::from_utf8_lossy(text).lines().any(|line| {
        let line = line.trim();
        let Some((keyword, rest)) = line.split_once([' ', '\t', '=']) else { return false };
        let named = rest.trim_start_matches(['=', ' ', '\t']).trim_end();
        keyword.eq_ignore_ascii_case("include") && named_paths(named, home).any(|path| path == ours)
    })
}

/// The paths of an `Include`: words, in double quotes where they hold spaces.
fn named_paths<'a>(text: &'a str, home: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let whole = text.trim_matches('"');
    let unescaped = whole.replace("\\\"", "\"").replace("\\\\", "\\");
    text.split_whitespace().map(|word| word.trim_matches('"').to_owned()).chain([unescaped]).map(|path| {
        match path.strip_prefix("~/") {
            Some(below) => home.join(below),
            // A relative path is taken from the folder of the user's config.
            None => home.join(".ssh").join(path),
        }
    })
}

/// Adds it at the top, where it is not there yet.
pub(super) fn add(paths: &Paths, ours: &Path) -> Result<(), MachineError> {
    let path = target(&user_config(paths))?;
    let before = read_optional(&path)?;
    let text = before.as_deref().unwrap_or_default();
    if contains(text, ours, &paths.home) {
        return Ok(());
    }
    let include = format!("Include {}", config::quoted(&config::text(ours)?));
    let mut after = format!("{BEGIN}\n{include}\n{END}\n").into_bytes();
    // A block that names another file is one of ours from before the data folder moved.
    after.extend(config::without_marked(text, BEGIN, END));
    let mode = match &before {
        Some(_) => mode(&path)?,
        None => {
            make_ssh_folder(&path)?;
            0o600
        }
    };
    write_atomic(&path, &after, mode).map_err(|error| match error {
        MachineError::Io { source, .. } => MachineError::User {
            message: format!("{} cannot be changed: {source}", path.display()),
            hint: Some(format!(
                "Where another program keeps it, let that add `{include}` at its top; or set `ssh-config = false` in \
                 codchi's configuration."
            )),
        },
        error => error,
    })
}

/// Removes what [`add`] has added. An include that the user has written stays.
pub(super) fn remove(paths: &Paths) -> Result<(), MachineError> {
    let link = user_config(paths);
    let path = target(&link)?;
    let Some(before) = read_optional(&path)? else { return Ok(()) };
    let after = config::without_marked(&before, BEGIN, END);
    if after == before {
        Ok(())
    } else if after.is_empty() && path == link {
        // We have made it.
        remove_file(&path)
    } else {
        write_atomic(&path, &after, mode(&path)?)
    }
}

/// The file itself, where the config is a link to one in a folder of dot files.
fn target(path: &Path) -> Result<PathBuf, MachineError> {
    if !path.is_symlink() {
        return Ok(path.to_owned());
    }
    dunce::canonicalize(path).map_err(|e| io_error("Following", path, e))
}

fn mode(path: &Path) -> Result<u32, MachineError> {
    let metadata = path.metadata().map_err(|e| io_error("Reading", path, e))?;
    Ok(access::mode(&metadata))
}

/// ssh refuses a folder that others may write to.
fn make_ssh_folder(config: &Path) -> Result<(), MachineError> {
    let folder = config.parent().unwrap_or(Path::new("/"));
    if folder.exists() {
        return Ok(());
    }
    make_folder(folder)?;
    access::set(folder, 0o700).map_err(|e| io_error("Writing", folder, e))
}
