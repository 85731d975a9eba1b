//! Where `nix` is on this computer, and which one it is.

use crate::group::without_window;
use crate::{NixError, Version};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Where installers put it, for a process whose PATH does not have it (an editor started from a desktop).
const PLACES: [&str; 2] = ["/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin"];

/// The first executable `nix` in the folders of `path`, then in the places of installers. None on Windows, where Nix runs in a
/// distribution.
pub(crate) fn find_in(path: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    let path = path.map(std::env::split_paths).into_iter().flatten();
    path.chain(home.map(|home| Path::new(home).join(".nix-profile/bin")))
        .chain(PLACES.into_iter().map(PathBuf::from))
        .map(|folder| folder.join("nix"))
        // A relative entry of PATH would depend on where each child runs.
        .find(|program| program.is_absolute() && is_executable(program))
}

#[cfg(unix)]
fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    program.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    false
}

/// Asks a `nix`, which `command` starts, for its version; it answers in a few milliseconds, unless it lies on a disk that
/// does not.
pub(crate) async fn version(command: Command) -> Result<Version, NixError> {
    version_within(command, Duration::from_secs(10)).await
}

async fn version_within(mut command: Command, limit: Duration) -> Result<Version, NixError> {
    let failed = |source| NixError::Process { command: "nix --version".into(), source };
    // Our own standard input is not for others to read: the editor speaks to us there.
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    without_window(&mut command);
    let output = match tokio::time::timeout(limit, command.output()).await {
        Ok(output) => output.map_err(failed)?,
        Err(_elapsed) => {
            let message = format!("it has not answered within {} s", limit.as_secs_f32());
            return Err(failed(io::Error::new(io::ErrorKind::TimedOut, message)));
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text).ok_or_else(|| {
        let text = text.lines().next().unwrap_or_default();
        failed(io::Error::other(format!("its version cannot be read from `{text}`")))
    })
}

/// From `nix (Nix) 2.18.1`, `nix (Determinate Nix 3.6.2) 2.29.0`, `nix (Nix) 2.19.0pre20230901_abc`, …
fn parse_version(text: &str) -> Option<Version> {
    let mut parts = text.lines().next()?.split_whitespace().last()?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?;
    let digits = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
    Some(Version(major, minor[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_makers_are_read() {
        for (text, version) in [
            ("nix (Nix) 2.8.0\n", Some(Version(2, 8))),
            ("nix (Nix) 2.18.1", Some(Version(2, 18))),
            ("nix (Nix) 2.19pre20230901_abc", Some(Version(2, 19))),
            ("nix (Determinate Nix 3.6.2) 2.29.0", Some(Version(2, 29))),
            ("nix (Lix, like Nix) 2.91.1\nSystem type: x86_64-linux", Some(Version(2, 91))),
            ("", None),
            ("something else", None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }

    #[test]
    fn the_first_executable_on_the_path_is_taken() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let [no, yes] = ["no", "yes"].map(|name| folder.path().join(name));
        for (folder, mode) in [(&no, 0o644), (&yes, 0o755)] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("nix"), "").unwrap();
            std::fs::set_permissions(folder.join("nix"), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([&folder.path().join("missing"), &no, &yes]).unwrap();
        assert_eq!(find_in(Some(&path), None), Some(yes.join("nix")));
    }
    #[tokio::test]
    async fn a_nix_that_does_not_answer_is_not_waited_for_and_cannot_read_what_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let program = |script: &str| {
            let program = folder.path().join(format!("nix{}", script.len()));
            crate::script::script(&program, script);
            program
        };
        let limit = Duration::from_millis(100);
        let error = version_within(Command::new(program("exec sleep 300")), limit).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(
            (error.to_string().as_str(), source.as_str()),
            ("Running `nix --version` failed", "it has not answered within 0.1 s")
        );
        let reads = program("cat; echo nix 2.18.1");
        assert_eq!(
            version_within(Command::new(reads), Duration::from_secs(5)).await.unwrap(),
            Version(2, 18)
        );
    }
}
