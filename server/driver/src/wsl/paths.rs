//! Paths of this computer as Windows writes them, and as a distribution of ours has them.
//!
//! Our distributions have Windows' drives at `/mnt/c`, `/mnt/d`, …; that is the default, and their `wsl.conf` is ours. The distribution that
//! codchi itself may run in has them where its own `wsl.conf` says.

use std::path::{Path, PathBuf};

/// Where our distributions have Windows' drives.
const MOUNTS: &str = "/mnt";

/// Where this process sees Windows' drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Drives {
    /// As drives: it runs on Windows.
    Windows,
    /// In this folder, by their letters: it runs in a distribution.
    Below(PathBuf),
}

/// What a path of Windows leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// On the drive with this letter.
    Drive(char, Vec<String>),
    /// In a distribution, by its name.
    Distribution(String),
}

impl Drives {
    /// As this process sees them. In a distribution `CODCHI_WSL_DRIVES` names the folder, else `root` of `[automount]` in
    /// `/etc/wsl.conf`, else it is `/mnt`.
    pub(super) fn of_this_process() -> Self {
        if cfg!(windows) {
            return Self::Windows;
        }
        let named = std::env::var_os("CODCHI_WSL_DRIVES").filter(|value| !value.is_empty());
        let configured = || {
            let text = std::fs::read_to_string("/etc/wsl.conf").unwrap_or_default();
            automount_root(&text).unwrap_or_else(|| MOUNTS.into())
        };
        Self::Below(named.map_or_else(configured, PathBuf::from))
    }

    /// `path` as Windows writes it.
    ///
    /// # Errors
    /// Why it is nowhere on a drive.
    pub(super) fn on_windows(&self, path: &Path) -> Result<String, String> {
        let (letter, names) = self.place(path)?;
        Ok(format!("{}:\\{}", letter.to_ascii_uppercase(), names.join("\\")))
    }

    /// `path` as a distribution of ours has it.
    ///
    /// # Errors
    /// Why no distribution of ours has it.
    pub(super) fn inside(&self, path: &Path) -> Result<String, String> {
        let (letter, names) = self.place(path)?;
        let letter = letter.to_ascii_lowercase();
        Ok(std::iter::once(format!("{MOUNTS}/{letter}")).chain(names).collect::<Vec<_>>().join("/"))
    }

    fn place(&self, path: &Path) -> Result<(char, Vec<String>), String> {
        let shown = path.display();
        match self {
            Self::Below(root) => {
                let below = path.strip_prefix(root).ok().and_then(Path::to_str);
                let mut names = below.unwrap_or_default().split('/').filter(|name| !name.is_empty());
                let mut letters = names.next().unwrap_or_default().chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None) if letter.is_ascii_alphabetic() => {
                        Ok((letter, names.map(Into::into).collect()))
                    }
                    _ => Err(format!(
                        "{shown} is on no drive of Windows, and machines see nothing else of this computer"
                    )),
                }
            }
            Self::Windows => match path.to_str().and_then(place_on_windows) {
                Some(Place::Drive(letter, names)) => Ok((letter, names)),
                Some(Place::Distribution(name)) => Err(format!(
                    "{shown} is in the distribution `{name}`, and a machine sees none but its own; put it onto a drive of Windows, \
                     or have the machine clone the repository"
                )),
                None => {
                    Err(format!("{shown} is on no drive of this computer, and machines see nothing else"))
                }
            },
        }
    }
}

/// What an absolute path of Windows leads to; `None` for other network shares and what is no absolute path.
fn place_on_windows(text: &str) -> Option<Place> {
    let text = text.replace('/', "\\");
    let names = |rest: &str| rest.split('\\').filter(|name| !name.is_empty()).map(Into::into).collect();
    // Long paths: <https://learn.microsoft.com/windows/win32/fileio/naming-a-file#maximum-path-length-limitation>.
    let (network, rest) = if let Some(rest) = text.strip_prefix(r"\\?\UNC\") {
        (true, rest)
    } else if let Some(rest) = text.strip_prefix(r"\\?\") {
        (false, rest)
    } else if let Some(rest) = text.strip_prefix(r"\\") {
        (true, rest)
    } else {
        (false, &*text)
    };
    if network {
        let mut parts = rest.split('\\');
        let host = parts.next()?;
        let is_wsl = ["wsl.localhost", "wsl$"].iter().any(|name| host.eq_ignore_ascii_case(name));
        return parts.next().filter(|_| is_wsl).map(|name| Place::Distribution(name.into()));
    }
    let (drive, rest) = rest.split_once(':')?;
    let mut letters = drive.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_alphabetic() && rest.starts_with('\\') => {
            Some(Place::Drive(letter, names(rest)))
        }
        _ => None,
    }
}

/// `root` of `[automount]` in a `wsl.conf`.
fn automount_root(conf: &str) -> Option<PathBuf> {
    let mut section = "";
    let mut root = None;
    for line in conf.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim();
        } else if let Some((key, value)) = line.split_once('=')
            && section.eq_ignore_ascii_case("automount")
            && key.trim().eq_ignore_ascii_case("root")
        {
            root = Some(value.trim().trim_matches('"').into());
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_windows_are_found_inside() {
        let inside = |text: &str| Drives::Windows.inside(Path::new(text));
        assert_eq!(inside(r"C:\Users\Ana Muñoz\src").unwrap(), "/mnt/c/Users/Ana Muñoz/src");
        assert_eq!(inside("d:/src/").unwrap(), "/mnt/d/src");
        assert_eq!(inside(r"\\?\C:\very\long").unwrap(), "/mnt/c/very/long");
        assert_eq!(inside(r"C:\").unwrap(), "/mnt/c");
        for elsewhere in [r"\\server\share\x", r"relative\path", "C:relative", r"\\?\UNC\server\share"] {
            assert!(inside(elsewhere).is_err(), "{elsewhere}");
        }
        for of_ubuntu in
            [r"\\wsl.localhost\Ubuntu\home\me", r"\\WSL$\Ubuntu\home", r"\\?\UNC\wsl.localhost\Ubuntu\x"]
        {
            assert!(inside(of_ubuntu).unwrap_err().contains("the distribution `Ubuntu`"), "{of_ubuntu}");
        }
    }

    #[test]
    fn paths_of_a_distribution_are_found_on_windows() {
        let drives = Drives::Below("/mnt".into());
        assert_eq!(drives.on_windows(Path::new("/mnt/c/Users/Ana Muñoz")).unwrap(), r"C:\Users\Ana Muñoz");
        assert_eq!(drives.on_windows(Path::new("/mnt/d")).unwrap(), r"D:\");
        for elsewhere in ["/home/me", "/mnt", "/mnt/wsl/x"] {
            assert!(drives.on_windows(Path::new(elsewhere)).is_err(), "{elsewhere}");
        }
        let drives = Drives::Below("/".into());
        assert_eq!(drives.inside(Path::new("/c/x")).unwrap(), "/mnt/c/x");
    }

    #[test]
    fn the_root_of_drives_is_read() {
        let conf = "[boot]\nroot=/no\n[automount]\n# root=/comment\n root = /windir/ \n";
        assert_eq!(automount_root(conf), Some("/windir/".into()));
        assert_eq!(automount_root("[automount]\nenabled=true"), None);
    }
}
