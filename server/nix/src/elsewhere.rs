//! Paths as Nix has them. On Windows it runs in a distribution of WSL, which has the drives of Windows at `/mnt/c`, `/mnt/d`, …;
//! elsewhere it has the paths of this computer.

use std::borrow::Cow;
use std::path::Path;

/// A path of this computer as Nix has it; one in the store stays as it is.
#[must_use]
pub fn inside(path: &Path) -> Cow<'_, Path> {
    if cfg!(windows) { Cow::Owned(from_windows(&path.to_string_lossy()).into()) } else { Cow::Borrowed(path) }
}

/// A path that Nix tells, as this computer has it; one that is not on a drive stays as it is.
pub(crate) fn outside(path: &str) -> Cow<'_, Path> {
    match to_windows(path).filter(|_| cfg!(windows)) {
        Some(path) => Cow::Owned(path.into()),
        None => Cow::Borrowed(Path::new(path)),
    }
}

/// `C:\a` as `/mnt/c/a`. What is on no drive gets slashes only.
fn from_windows(path: &str) -> String {
    let path = path.strip_prefix(r"\\?\").unwrap_or(path).replace('\\', "/");
    match path.split_at_checked(2) {
        Some((drive, rest))
            if drive.ends_with(':') && drive.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            format!("/mnt/{}{}", drive[..1].to_ascii_lowercase(), rest.trim_end_matches('/'))
        }
        _ => path,
    }
}

/// `/mnt/c/a` as `C:\a`; `None` for what is on no drive.
fn to_windows(path: &str) -> Option<String> {
    let (drive, rest) = path.strip_prefix("/mnt/")?.split_at_checked(1)?;
    let is_drive =
        drive.starts_with(|c: char| c.is_ascii_alphabetic()) && (rest.is_empty() || rest.starts_with('/'));
    is_drive.then(|| {
        let rest = if rest.is_empty() { "\\".to_owned() } else { rest.replace('/', "\\") };
        format!("{}:{rest}", drive.to_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_drives_are_found_in_a_distribution_and_back() {
        for (outside, inside) in [
            (r"C:\Users\Ana Muñoz\p", "/mnt/c/Users/Ana Muñoz/p"),
            (r"D:\", "/mnt/d"),
            (r"C:\a\b.nix", "/mnt/c/a/b.nix"),
        ] {
            assert_eq!(from_windows(outside), inside);
            assert_eq!(to_windows(inside).as_deref(), Some(outside));
        }
        assert_eq!(from_windows(r"\\?\C:\a"), "/mnt/c/a");
        assert_eq!(from_windows(r"/nix/store/x\init"), "/nix/store/x/init");
        for elsewhere in ["/nix/store/x", "/mnt/wsl/x", "/mnt", ""] {
            assert_eq!(to_windows(elsewhere), None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn on_linux_all_paths_stay() {
        assert_eq!(inside(Path::new("/mnt/c/a")), Path::new("/mnt/c/a"));
        assert_eq!(outside("/mnt/c/a"), Path::new("/mnt/c/a"));
    }
}
