//! Packages of another Debian release than this computer's, unpacked without being installed.

use crate::process::quietly;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What is known of a release, in a folder of its own.
pub(super) struct Release {
    folder: PathBuf,
}

impl Release {
    /// Fetches the list of packages of the release `suite` into `folder`, from which all else is removed.
    pub(super) fn new(folder: &Path, suite: &str) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        for below in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(below))?;
        }
        let source = format!("deb [signed-by={KEYS}] {} {suite} main\n", mirror()?);
        fs::write(folder.join("sources.list"), source)?;
        // An empty list of installed packages: all that a package depends on is fetched with it, the C library too.
        fs::write(folder.join("status"), "")?;
        let release = Self { folder: folder.to_owned() };
        quietly(release.apt_get().args(["update", "--quiet"])).context("fetching the list of packages")?;
        Ok(release)
    }

    /// `apt-get` that sees only this release.
    pub(super) fn apt_get(&self) -> Command {
        let mut command = Command::new("apt-get");
        let folder = &self.folder;
        let options = [
            ("Dir::Etc::SourceList", folder.join("sources.list")),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::State::Lists", folder.join("lists")),
            ("Dir::State::status", folder.join("status")),
            ("Dir::Cache", folder.to_owned()),
            ("Dir::Cache::archives", folder.join("archives")),
            ("APT::Install-Recommends", "false".into()),
            ("APT::Sandbox::User", "root".into()),
        ];
        for (name, value) in options {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        }
        command
    }

    /// Unpacks what was fetched to `archives` into `root`, and removes the archives.
    pub(super) fn unpack(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        let archives = self.folder.join("archives");
        for archive in fs::read_dir(&archives)? {
            let archive = archive?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                quietly(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(root))?;
            }
        }
        Ok(fs::remove_dir_all(archives)?)
    }
}

/// The Debian mirror that this machine uses.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d")?.flatten().map(|entry| entry.path()));
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| {
            let words = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .flat_map(str::split_whitespace);
            words
                .map(|word| word.trim_end_matches('/'))
                .find(|word| word.ends_with("/debian"))
                .map(str::to_owned)
        })
        .context("no Debian mirror is configured in /etc/apt")
}
