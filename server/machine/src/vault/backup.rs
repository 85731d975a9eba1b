//! What the vault was before: kept at each change, and taken back on request.
//!
//! | file | what |
//! | --- | --- |
//! | `vault.age.bak` | what the vault was before its last change |
//! | `vault.age.vN.bak` | the last one that was written in version N of the format |
//! | `vault.age.damaged-N` | a vault that could not be read, as [`Vault::repair`] found it; a key, too |

use super::error::io_error;
use super::format::{VERSION, Values};
use super::{Loaded, Vault, VaultError};
use crate::{MachineError, access, files};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A backup of the vault.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Its file.
    pub path: PathBuf,
    /// When it was written, in seconds since 1970.
    pub written: u64,
    /// How many values are in it; `None` where it cannot be opened.
    pub values: Option<usize>,
}

/// What [`Vault::repair`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The files that were set aside, where they are now.
    pub aside: Vec<PathBuf>,
    /// The backup that is the vault now; `None` where it begins anew.
    pub restored: Option<Backup>,
}

impl Vault {
    /// The backups that there are, the newest first. A locked vault's cannot be opened.
    ///
    /// # Errors
    /// Where the data folder cannot be read.
    pub fn backups(&self) -> Result<Vec<Backup>, VaultError> {
        let versions = (1..=VERSION).map(|version| self.beside(&format!("v{version}.bak")));
        let mut found = Vec::new();
        for path in std::iter::once(self.last()).chain(versions) {
            let written = match std::fs::metadata(&path).and_then(|metadata| metadata.modified()) {
                Ok(written) => written,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io_error("Reading", &path, e)),
            };
            let values = self.load(&path).ok().flatten().map(|loaded| count(&loaded.values));
            found.push((written, Backup { path, written: seconds(written), values }));
        }
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(found.into_iter().map(|(_, backup)| backup).collect())
    }

    /// Takes a backup in the place of the vault: the newest that can be opened where `from` is `None`. What the vault was
    /// until now is then the newest backup, so that doing it twice changes nothing.
    ///
    /// # Errors
    /// [`MachineError::User`] where there is none, or `from` is none; [`MachineError::Vault`], also where the vault cannot be
    /// read, which [`Vault::repair`] is for. Then all is as before.
    pub fn restore(&self, from: Option<&Path>) -> Result<Backup, MachineError> {
        let _lock = self.lock()?;
        let before = self.load(&self.file)?;
        let (backup, loaded) = match from {
            Some(path) => {
                let found = self.backups()?.into_iter().find(|backup| backup.path == path);
                let backup = found.ok_or_else(|| no_backup(&format!("{} is no backup", path.display())))?;
                let loaded = self.load(path)?.ok_or_else(|| no_backup("The backup is gone"))?;
                (backup, loaded)
            }
            None => self.newest()?.ok_or_else(|| no_backup("There is no backup that can be opened"))?,
        };
        self.write(&loaded.values, &loaded.key)?;
        if let Some(before) = before {
            self.back_up(&before)?;
        }
        Ok(backup)
    }

    /// Sets aside a vault that is damaged or has lost its key, and takes the newest backup that can be opened in its place, or
    /// begins anew.
    ///
    /// # Errors
    /// [`MachineError::User`] where there is nothing to repair; [`MachineError::Vault`], also where the vault is locked or of a
    /// newer version: that is no damage. Then all is as before.
    pub fn repair(&self) -> Result<Repaired, MachineError> {
        let _lock = self.lock()?;
        // What this process remembers may not be what is on the disk.
        let remembered = self.load(&self.file);
        let error = match remembered {
            Err(error) if error.is_damage() => error,
            Err(error) => return Err(error.into()),
            Ok(_) => {
                return Err(MachineError::User {
                    message: "There is nothing to repair: the vault can be read".into(),
                    hint: Some("`codchi vault restore` takes its last backup in its place.".into()),
                });
            }
        };
        // A key that is there and is none says nothing about the vault, which it may have belonged to.
        let key_is_damaged = matches!(self.keys.existing(), Err(VaultError::Corrupt { .. }));
        tracing::warn!("the vault is repaired: {error}");
        let newest = self.newest()?;
        let mut aside = vec![self.set_aside(&self.file)?];
        if key_is_damaged && self.keys.file().exists() {
            aside.push(self.set_aside(self.keys.file())?);
        }
        self.keys.forget();
        let restored = match newest {
            Some((backup, loaded)) => {
                self.write(&loaded.values, &loaded.key)?;
                Some(backup)
            }
            None => None,
        };
        Ok(Repaired { aside, restored })
    }

    /// Keeps what the vault is before it changes.
    pub(super) fn back_up(&self, before: &Loaded) -> Result<(), VaultError> {
        let keep = |path: &Path| {
            files::replace(path, &before.encrypted, 0o600).map_err(|e| io_error("Writing", path, e))
        };
        if before.version < VERSION {
            keep(&self.beside(&format!("v{}.bak", before.version)))?;
        }
        keep(&self.last())
    }

    /// The newest backup that can be opened.
    fn newest(&self) -> Result<Option<(Backup, Loaded)>, VaultError> {
        let backups = self.backups()?.into_iter().filter(|backup| backup.values.is_some());
        for backup in backups {
            if let Ok(Some(loaded)) = self.load(&backup.path) {
                return Ok(Some((backup, loaded)));
            }
        }
        Ok(None)
    }

    fn set_aside(&self, file: &Path) -> Result<PathBuf, VaultError> {
        let to = (1_u32..)
            .map(|number| with_suffix(file, &format!("damaged-{number}")))
            .find(|path| path.symlink_metadata().is_err())
            .unwrap_or_else(|| with_suffix(file, "damaged"));
        let moved = std::fs::rename(file, &to).and_then(|()| {
            let folder = file.parent().unwrap_or(Path::new("/"));
            access::sync_names(folder)
        });
        match moved {
            // A key was lost with its vault.
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("Moving", file, e)),
            _ => Ok(to),
        }
    }

    fn last(&self) -> PathBuf {
        self.beside("bak")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.file, suffix)
    }
}

/// How many values there are.
pub(super) fn count(values: &Values) -> usize {
    values.values().map(|values| values.len()).sum()
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn no_backup(message: &str) -> MachineError {
    MachineError::User {
        message: message.into(),
        hint: Some("`codchi vault status` lists the backups that there are.".into()),
    }
}
