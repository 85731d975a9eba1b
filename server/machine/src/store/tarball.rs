//! Where the Nix of the store instance comes from: a binary tarball as nixos.org offers it, fetched or given.
//!
//! It holds `nix-VERSION-SYSTEM/`: `store/` with Nix and all that it needs, and `.reginfo` with what a database has to know of
//! that.

mod archived;

pub(super) use archived::Archived;

use super::Tell;
use crate::files::{io_error, make_folder};
use crate::{CancellationToken, MachineError, Machines, access};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// The version that is fetched.
const VERSION: &str = "2.24.9";

/// The digests (SHA-256) of that version's tarballs, as its official installation script has them.
const DIGESTS: [(&str, &str); 2] = [
    ("x86_64", "3c0779e4878d1289cf3fbb158ec5ea9bdf61dfb9b4efac6b3b0b6bec5ba4cf13"),
    ("aarch64", "c57c2830bb407e02dacdf2b63c49cde273f905075b579f6d9a6114c669301f33"),
];

/// Where the tarball of a version and a processor is.
fn official(architecture: &str) -> String {
    format!("https://releases.nixos.org/nix/nix-{VERSION}/nix-{VERSION}-{architecture}-linux.tar.xz")
}

/// An unpacked tarball; its files go when this is dropped.
pub(super) struct Unpacked {
    /// What becomes `/nix/store` while the volume is filled.
    pub(super) store: PathBuf,
    /// Nix in it, as `/nix/store/HASH-nix-VERSION`.
    pub(super) nix: String,
    /// What a database has to know.
    pub(super) registration: Vec<u8>,
    folder: TempDir,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        make_removable(self.folder.path());
    }
}

/// Makes all folders below `folder` writable: what is in the store is not, and then only root could remove it.
pub(super) fn make_removable(folder: &Path) {
    for entry in ignore::WalkBuilder::new(folder).standard_filters(false).build().flatten() {
        if entry.file_type().is_some_and(|kind| kind.is_dir()) {
            // What cannot be made writable stays, and whoever removes it says so.
            let _ = access::set(entry.path(), 0o755);
        }
    }
}

impl Machines {
    /// The tarball that is configured, or else codchi's; and the folder for what is made of it.
    ///
    /// # Errors
    /// Where it cannot be fetched, is not the one that it should be, or holds no Nix.
    pub(super) async fn tarball(
        &self,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<(PathBuf, PathBuf), MachineError> {
        let folder = self.paths().cache.join("store");
        make_folder(&folder)?;
        let tarball = match &self.options().store.nix {
            Some(given) if !given.contains("://") => self.paths().home.join(relative_to_home(given)),
            Some(url) => fetch(url, None, &folder, tell, cancel).await?,
            None => {
                let known = DIGESTS.iter().find(|(name, _)| *name == std::env::consts::ARCH);
                let Some((architecture, digest)) = known else {
                    return Err(MachineError::User {
                        message: format!(
                            "codchi knows no Nix for this computer's processor ({})",
                            std::env::consts::ARCH
                        ),
                        hint: Some(HINT_GIVEN.into()),
                    });
                };
                fetch(&official(architecture), Some(digest), &folder, tell, cancel).await?
            }
        };
        Ok((tarball, folder))
    }

    /// The same, unpacked.
    ///
    /// # Errors
    /// Where it cannot be had, or holds no Nix.
    pub(super) async fn unpacked(
        &self,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<Unpacked, MachineError> {
        let (tarball, folder) = self.tarball(tell, cancel).await?;
        tell("Unpacking Nix");
        unpack(&tarball, &folder, cancel).await
    }

    /// The same as the root file system of an instance: Windows' drives cannot hold what is in it.
    ///
    /// # Errors
    /// Where it cannot be had, or holds no Nix.
    pub(super) async fn archived(
        &self,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<Archived, MachineError> {
        let (tarball, folder) = self.tarball(tell, cancel).await?;
        tell("Unpacking Nix");
        let made = tokio::task::spawn_blocking(move || archived::archive(&tarball, &folder)).await;
        made.unwrap_or_else(|error| Err(MachineError::User { message: error.to_string(), hint: None }))
    }
}

const HINT_GIVEN: &str = "Name a binary tarball of Nix for it in config.toml: `store-nix = \"/path/to/nix-VERSION-SYSTEM.tar.xz\"`.";

fn relative_to_home(given: &str) -> &str {
    given.strip_prefix("~/").unwrap_or(given)
}

/// The file behind `url`, kept in `folder`; fetched where it is not there or is not the one with this digest.
async fn fetch(
    url: &str,
    digest: Option<&str>,
    folder: &Path,
    tell: Tell<'_>,
    cancel: &CancellationToken,
) -> Result<PathBuf, MachineError> {
    let name = url.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("nix.tar.xz");
    let file = folder.join(name);
    if let Some(digest) = digest
        && file.exists()
        && digest_of(&file)? == digest
    {
        return Ok(file);
    }
    tell(&format!("Fetching Nix from {url}"));
    let new = folder.join(format!(".new-{}-{name}", std::process::id()));
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--silent", "--show-error", "--output"]).arg(&new).arg("--").arg(url);
    let fetched = run(curl, "curl", cancel).await.map_err(|error| match error {
        MachineError::User { message, .. } => MachineError::User {
            message: format!("Nix cannot be fetched from {url}: {message}"),
            hint: Some(format!("Check the network connection. {HINT_GIVEN}")),
        },
        error => error,
    });
    let checked = fetched.and_then(|()| match digest {
        Some(digest) => {
            let found = digest_of(&new)?;
            if found == digest {
                return Ok(());
            }
            Err(MachineError::User {
                message: format!("What {url} gave is not Nix {VERSION}: its SHA-256 is {found}"),
                hint: Some(
                    "Somebody on the way has changed it, or it was cut off: try again elsewhere.".into(),
                ),
            })
        }
        None => Ok(()),
    });
    let kept =
        checked.and_then(|()| fs::rename(&new, &file).map_err(|error| io_error("Writing", &file, error)));
    if kept.is_err() {
        let _ = fs::remove_file(&new);
    }
    kept.map(|()| file)
}

fn digest_of(path: &Path) -> Result<String, MachineError> {
    let failed = |error| io_error("Reading", path, error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => break,
            read => digest.update(&piece[..read]),
        }
    }
    Ok(hex::encode(digest.finalize()))
}

/// Unpacks `tarball` into a new folder in `folder`.
async fn unpack(tarball: &Path, folder: &Path, cancel: &CancellationToken) -> Result<Unpacked, MachineError> {
    let failed = |error| io_error("Making a folder in", folder, error);
    let new = tempfile::Builder::new().prefix(".unpacked-").tempdir_in(folder).map_err(failed)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(tarball).arg("--directory").arg(new.path());
    run(tar, "tar", cancel).await.map_err(|error| match error {
        MachineError::User { message, .. } => MachineError::User {
            message: format!("{} cannot be unpacked: {message}", tarball.display()),
            hint: Some("It must be a binary tarball of Nix, and `tar` and `xz` must be installed.".into()),
        },
        error => error,
    })?;
    look(new, tarball)
}

/// What is in an unpacked tarball.
fn look(folder: TempDir, tarball: &Path) -> Result<Unpacked, MachineError> {
    let bad = |what: &str| none(tarball, what);
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let top = entries(folder.path()).into_iter().find(|path| path.join("store").is_dir());
    let top = top.ok_or_else(|| bad("it has no folder `store` in a folder"))?;
    let store = top.join("store");
    let has_nix = |path: &PathBuf| path.join("bin/nix-daemon").symlink_metadata().is_ok();
    let packages = entries(&store).into_iter().filter(has_nix);
    let names = packages.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let nix = whole_nix(names).ok_or_else(|| bad(NO_NIX))?;
    let registration = fs::read(top.join(".reginfo")).map_err(|_| bad(NO_REGISTRATION))?;
    // Nix makes it where it is missing, and may not write here.
    make_folder(&store.join(".links"))?;
    Ok(Unpacked { store, nix, registration, folder })
}

const NO_NIX: &str = "nothing in its store has `bin/nix-daemon`";
const NO_REGISTRATION: &str = "it has no `.reginfo`";

fn none(tarball: &Path, what: &str) -> MachineError {
    MachineError::User {
        message: format!("{} is no binary tarball of Nix: {what}", tarball.display()),
        hint: Some("Name one as https://releases.nixos.org/nix offers them.".into()),
    }
}

/// Of the packages that have a Nix daemon the one that is all of Nix: newer versions are made of several packages, and their names are longer
/// than that of the whole.
fn whole_nix(packages: impl IntoIterator<Item = String>) -> Option<String> {
    let whole = packages.into_iter().min_by_key(String::len);
    whole.map(|name| format!("/nix/store/{name}"))
}

/// Runs a program of this computer to its end.
async fn run(mut command: Command, name: &str, cancel: &CancellationToken) -> Result<(), MachineError> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::select! {
        output = command.output() => output,
        () = cancel.cancelled() => return Err(MachineError::Cancelled),
    };
    let output = output.map_err(|error| MachineError::User {
        message: match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no `{name}` on PATH"),
            _ => format!("`{name}` does not run: {error}"),
        },
        hint: None,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = errors.lines().find(|line| !line.trim().is_empty());
    let message = line.map_or_else(|| format!("`{name}`: {}", output.status), str::to_owned);
    Err(MachineError::User { message, hint: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tarball with the layout of a real one.
    fn tarball(folder: &Path, files: &[&str]) -> PathBuf {
        let top = folder.join("nix-2.0-x86_64-linux");
        for file in files {
            let path = top.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        let tarball = folder.join("nix-2.0-x86_64-linux.tar");
        let mut builder = tar::Builder::new(fs::File::create(&tarball).unwrap());
        builder.append_dir_all("nix-2.0-x86_64-linux", &top).unwrap();
        builder.finish().unwrap();
        tarball
    }

    fn quiet(_: &str) {}

    #[tokio::test]
    async fn a_tarball_is_unpacked_and_looked_through() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let good = tarball(
            folder.path(),
            &[
                "store/f-nix-cli-2.0/bin/nix-daemon",
                "store/h-nix-2.0/bin/nix-daemon",
                "store/g-libc/x",
                ".reginfo",
            ],
        );
        let unpacked = unpack(&good, folder.path(), &cancel).await.unwrap();
        assert_eq!(
            (unpacked.nix.as_str(), unpacked.registration.as_slice()),
            ("/nix/store/h-nix-2.0", &b"text"[..])
        );
        assert!(unpacked.store.join("g-libc/x").is_file() && unpacked.store.join(".links").is_dir());
        let left = unpacked.store.clone();
        drop(unpacked);
        assert!(!left.exists());

        let folder = tempfile::tempdir().unwrap();
        let bad = tarball(folder.path(), &["store/h-nix-2.0/bin/other", ".reginfo"]);
        let error = unpack(&bad, folder.path(), &cancel).await.err().unwrap();
        assert!(error.to_string().contains("bin/nix-daemon"), "{error}");
        fs::write(&bad, "no archive").unwrap();
        let error = unpack(&bad, folder.path(), &cancel).await.err().unwrap();
        assert!(error.to_string().contains("cannot be unpacked"), "{error}");
    }

    #[tokio::test]
    async fn what_is_fetched_must_be_what_was_meant_and_is_fetched_once() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = from.path().join("nix.tar.xz");
        fs::write(&file, "right").unwrap();
        let digest = digest_of(&file).unwrap();
        let (url, cancel) = (format!("file://{}", file.display()), CancellationToken::new());
        let fetched = fetch(&url, Some(&digest), to.path(), &quiet, &cancel).await.unwrap();
        assert_eq!(fs::read(&fetched).unwrap(), b"right");
        // It is kept: what is there now is not looked at.
        fs::write(&file, "wrong").unwrap();
        fetch(&url, Some(&digest), to.path(), &quiet, &cancel).await.unwrap();
        fs::remove_file(&fetched).unwrap();
        let error = fetch(&url, Some(&digest), to.path(), &quiet, &cancel).await.unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{error}");
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0, "nothing of it is left");
        fs::remove_file(&file).unwrap();
        let error = fetch(&url, Some(&digest), to.path(), &quiet, &cancel).await.unwrap_err();
        assert!(error.hint().unwrap().contains("store-nix"), "{error}");
    }

    #[test]
    fn there_is_one_place_for_each_processor() {
        assert_eq!(
            official("aarch64"),
            "https://releases.nixos.org/nix/nix-2.24.9/nix-2.24.9-aarch64-linux.tar.xz"
        );
        assert!(DIGESTS.iter().all(|(_, digest)| digest.len() == 64));
    }
}
