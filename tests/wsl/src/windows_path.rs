//! Paths of Windows and what they are here and in a distribution.

use crate::computer::Computer;
use std::path::{Path, PathBuf};

/// The drive's letter, in lower case, and the names below it; `None` for what is no absolute path on a drive.
fn on_drive(path: &str) -> Option<(char, Vec<String>)> {
    let text = path.replace('/', "\\");
    let text = text.strip_prefix(r"\\?\").unwrap_or(&text);
    let (drive, rest) = text.split_once(':')?;
    let mut letters = drive.chars();
    let (letter, None) = (letters.next()?, letters.next()) else { return None };
    if !letter.is_ascii_alphabetic() || !rest.starts_with('\\') {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for name in rest.split('\\').filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." {
            names.pop();
        } else {
            names.push(name.into());
        }
    }
    Some((letter.to_ascii_lowercase(), names))
}

/// Whether `path` is absolute, as Windows sees it.
pub(crate) fn is_absolute(path: &str) -> bool {
    on_drive(path).is_some() || path.starts_with(r"\\")
}

/// `path`, absolute and as Windows writes it. One that is relative begins at the folder that this process is in. One that begins with
/// `/` is a path of this Linux, for use by hand.
pub(crate) fn absolute(computer: &Computer, path: &str) -> String {
    if is_absolute(path) {
        return match on_drive(path) {
            Some((letter, names)) => written(letter, &names),
            None => path.into(),
        };
    }
    let here = std::path::absolute(path.replace('\\', "/")).unwrap_or_else(|_| PathBuf::from(path));
    of_here(computer, &here).unwrap_or_else(|| path.into())
}

fn written(letter: char, names: &[String]) -> String {
    format!("{}:\\{}", letter.to_ascii_uppercase(), names.join("\\"))
}

/// A path of Windows where this process sees it; `None` for what is on no drive.
pub(crate) fn here(computer: &Computer, path: &str) -> Option<PathBuf> {
    let (letter, names) = on_drive(path)?;
    Some(names.iter().fold(computer.folder.join(letter.to_string()), |folder, name| folder.join(name)))
}

/// A path that this process sees as Windows writes it; `None` for what is on no drive.
pub(crate) fn of_here(computer: &Computer, path: &Path) -> Option<String> {
    let below = path.strip_prefix(&computer.folder).ok()?.to_str()?;
    let mut names = below.split('/').filter(|name| !name.is_empty()).map(str::to_owned);
    let drive = names.next()?;
    let mut letters = drive.chars();
    let (letter, None) = (letters.next()?, letters.next()) else { return None };
    letter.is_ascii_lowercase().then(|| written(letter, &names.collect::<Vec<_>>()))
}

/// A path of Windows in a distribution that has the drives below `prefix`, which ends with `/`; `None` for what is on no drive.
pub(crate) fn inside(path: &str, prefix: &str) -> Option<String> {
    let (letter, names) = on_drive(path)?;
    Some(std::iter::once(format!("{prefix}{letter}")).chain(names).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_drives_are_found() {
        assert_eq!(inside(r"C:\Users\A b", "/mnt/").as_deref(), Some("/mnt/c/Users/A b"));
        assert_eq!(inside(r"D:/x/..\y\", "/").as_deref(), Some("/d/y"));
        assert_eq!(inside(r"\\server\x", "/mnt/"), None);
        assert_eq!(inside(r"C:x", "/mnt/"), None);
    }
}
