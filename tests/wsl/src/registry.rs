//! The registered distributions: what Windows keeps below `HKCU\Software\Microsoft\Windows\CurrentVersion\Lxss`.

use crate::computer::{Computer, lock};
use crate::failure::Failure;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// `registry.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Registry {
    /// The id of the default distribution.
    pub(crate) default_distribution: Option<String>,
    pub(crate) distributions: Vec<Distribution>,
}

/// A registered distribution.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Distribution {
    /// `{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}`.
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its folder, as Windows writes paths.
    pub(crate) base_path: String,
    /// The name of the disk's file in its folder.
    pub(crate) vhd_file_name: String,
    /// The user of its commands where `wsl.conf` names none.
    pub(crate) default_uid: u32,
    /// 2.
    pub(crate) version: u32,
    pub(crate) state: State,
}

/// What is done to a distribution at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Installed,
    Installing,
    Uninstalling,
}

impl Distribution {
    /// The name of its folder in `run`, which is short since sockets' paths are.
    pub(crate) fn short(&self) -> String {
        self.id.trim_matches(['{', '}']).chars().take(8).collect()
    }
}

/// Whether somebody exports the distribution.
pub(crate) fn is_exporting(computer: &Computer, of: &Distribution) -> bool {
    let file = computer.folder.join("run").join(of.short()).join("exporting");
    File::open(file).is_ok_and(|file| file.try_lock_shared().is_err())
}

/// The registry, held so that nobody else changes it.
pub(crate) struct Held<'a> {
    computer: &'a Computer,
    pub(crate) registry: Registry,
    _lock: File,
}

impl Registry {
    /// As it is now.
    ///
    /// # Errors
    /// That it cannot be read.
    pub(crate) fn read(computer: &Computer) -> Result<Self> {
        let file = computer.folder.join("registry.json");
        match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| file.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    /// By its name, in any case of letters; only one that is installed, unless `any`.
    pub(crate) fn named(&self, name: &str, any: bool) -> Option<&Distribution> {
        let fits = |one: &&Distribution| {
            one.name.eq_ignore_ascii_case(name)
                && (any || one.state != State::Installing && one.state != State::Uninstalling)
        };
        self.distributions.iter().find(fits)
    }

    pub(crate) fn with_id(&self, id: &str) -> Option<&Distribution> {
        self.distributions.iter().find(|one| one.id.eq_ignore_ascii_case(id))
    }

    pub(crate) fn default_one(&self) -> Option<&Distribution> {
        self.default_distribution.as_deref().and_then(|id| self.with_id(id))
    }

    /// The one to change, by its id.
    pub(crate) fn entry(&mut self, id: &str) -> Option<&mut Distribution> {
        self.distributions.iter_mut().find(|one| one.id == id)
    }

    /// Takes `id` away. Another one becomes the default where it was.
    pub(crate) fn remove(&mut self, id: &str) {
        self.distributions.retain(|one| one.id != id);
        if self.default_distribution.as_deref() == Some(id) {
            let other = self.distributions.iter().find(|one| one.state == State::Installed);
            self.default_distribution = other.map(|one| one.id.clone());
        }
    }
}

impl<'a> Held<'a> {
    /// Waits until nobody else holds it.
    ///
    /// # Errors
    /// That it cannot be read.
    pub(crate) fn of(computer: &'a Computer) -> Result<Self> {
        let lock = lock(&computer.folder.join("registry.lock"))?;
        Ok(Self { computer, registry: Registry::read(computer)?, _lock: lock })
    }

    /// Writes what was changed.
    ///
    /// # Errors
    /// That it cannot be written.
    pub(crate) fn write(&mut self) -> Result<()> {
        self.registry.distributions.sort_by(|one, other| one.id.cmp(&other.id));
        let (new, file) =
            (self.computer.folder.join("registry.new"), self.computer.folder.join("registry.json"));
        fs::write(&new, serde_json::to_vec_pretty(&self.registry)?)?;
        Ok(fs::rename(new, file)?)
    }
}

/// The one named, or the default one.
///
/// # Errors
/// What WSL says where there is none.
pub(crate) fn find(registry: &Registry, name: Option<&str>) -> Result<Distribution, Failure> {
    let found = match name {
        Some(name) => registry
            .named(name, false)
            .ok_or_else(|| Failure::new(&["Wsl", "Service"], "WSL_E_DISTRO_NOT_FOUND")),
        None => registry.default_one().ok_or_else(|| {
            Failure::new(
                &["Wsl", "Service", "CreateInstance", "GetDefaultDistro"],
                "WSL_E_DEFAULT_DISTRO_NOT_FOUND",
            )
        }),
    };
    found.cloned()
}

/// A new id.
///
/// # Errors
/// That there is no randomness.
pub(crate) fn new_id() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    Ok(format!("{{{}-{}-{}-{}-{}}}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// The file that stands for a distribution's disk holds the id of the disk.
pub(crate) mod disk {
    use super::{Computer, Distribution, PathBuf, Result, fs};
    use crate::windows_path;

    /// What the file begins with.
    const HEAD: &str = "vhdxfile of codchi-test-wsl, disk ";

    /// The file, as this process sees it.
    pub(crate) fn file(computer: &Computer, of: &Distribution) -> PathBuf {
        let folder = windows_path::here(computer, &of.base_path);
        folder.unwrap_or_default().join(&of.vhd_file_name)
    }

    /// The text of a file for the disk `id`.
    pub(crate) fn text(id: &str) -> String {
        format!("{HEAD}{id}\n")
    }

    /// The id of the disk that `file` stands for; `None` where it is no such file.
    pub(crate) fn id(text: &[u8]) -> Option<String> {
        let id = std::str::from_utf8(text).ok()?.strip_prefix(HEAD)?.trim();
        let is_safe = !id.is_empty() && id.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
        is_safe.then(|| id.into())
    }

    /// Where the root file system of a distribution is; `None` where its file is gone or is something else.
    ///
    /// # Errors
    /// That the file cannot be read.
    pub(crate) fn root(computer: &Computer, of: &Distribution) -> Result<Option<PathBuf>> {
        match fs::read(file(computer, of)) {
            Ok(text) => Ok(id(&text).map(|id| computer.disk(&id)).filter(|root| root.is_dir())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
