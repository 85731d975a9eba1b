//! The vault: every secret's value, in one age-encrypted file per user.

mod format;
mod key;
mod keyring;
mod opened;

use crate::{MachineName, Paths, Secret, files};
use age::x25519::Identity;
use format::Values;
use key::KeyStore;
use keyring::Keyring;
pub(crate) use opened::Opened;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// For which machines a value holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// For all machines that have no value of their own.
    All,
    /// For this one.
    Machine(MachineName),
}

/// Why the vault could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file or its key could not be read or written.
    #[error("{action} {path} failed")]
    Io {
        /// `Reading` or `Writing`.
        action: &'static str,
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key does not open the file.
    #[error("The vault {path} cannot be opened with the key in {key}")]
    WrongKey {
        /// The vault's file.
        path: String,
        /// Where the key was found.
        key: String,
    },
    /// The file is not a vault, or of a newer version.
    #[error("The vault {path} cannot be read: {reason}")]
    Corrupt {
        /// The vault's file.
        path: String,
        /// Why not; no values.
        reason: String,
    },
    /// The vault exists but its key does not.
    #[error("The key to the vault {path} is gone: it was looked for in {searched}")]
    KeyMissing {
        /// The vault's file.
        path: String,
        /// Where.
        searched: String,
    },
}

/// The vault of this user: `vault.age` in [`Paths::data`]. Reads the file at each call, writes it atomically under a lock
/// between processes. Blocking; a call may wait for another process's write, and the first one for the keyring.
#[derive(Clone)]
pub struct Vault {
    file: PathBuf,
    lock: PathBuf,
    keys: Arc<KeyStore>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.file.display())
    }
}

impl Vault {
    /// The vault in `paths`; nothing is read yet. Its key is, or will be, in the OS keyring where one answers on this
    /// session's D-Bus, else in `vault.key` beside it.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self::with_keyring(&paths, Keyring::of_session())
    }

    fn with_keyring(paths: &Paths, keyring: Option<Keyring>) -> Self {
        let file = paths.data.join("vault.age");
        let keys = Arc::new(KeyStore::new(paths.data.join("vault.key"), &file, keyring));
        Self { file, lock: paths.data.join("vault.lock"), keys }
    }

    /// The value that `machine` gets: its own, else that for all machines.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub fn get(&self, machine: &MachineName, name: &str) -> Result<Option<Secret>, VaultError> {
        Ok(self.open()?.value(machine, name).cloned())
    }

    /// Which names have a value, by scope. Values are not looked at.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub fn names(&self) -> Result<BTreeMap<Scope, Vec<String>>, VaultError> {
        let names = |(scope, values): (_, BTreeMap<String, Secret>)| (scope, values.into_keys().collect());
        Ok(self.read()?.into_iter().map(names).collect())
    }

    /// Stores a value.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub fn set(&self, scope: &Scope, name: &str, value: &Secret) -> Result<(), VaultError> {
        self.change(|values| {
            let values = values.entry(scope.clone()).or_default();
            values.insert(name.to_owned(), value.clone()).as_ref() != Some(value)
        })?;
        Ok(())
    }

    /// Changes the values of a scope all at once, as `edit` does.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub(crate) fn edit(
        &self,
        scope: &Scope,
        edit: impl FnOnce(&mut BTreeMap<String, Secret>),
    ) -> Result<(), VaultError> {
        self.change(|values| {
            let before = values.remove(scope).unwrap_or_default();
            let mut after = before.clone();
            edit(&mut after);
            let changed = after != before;
            if !after.is_empty() {
                values.insert(scope.clone(), after);
            }
            changed
        })?;
        Ok(())
    }

    /// Forgets a value; whether there was one.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub fn remove(&self, scope: &Scope, name: &str) -> Result<bool, VaultError> {
        self.change(|values| {
            let Some(of_scope) = values.get_mut(scope) else { return false };
            let removed = of_scope.remove(name).is_some();
            if of_scope.is_empty() {
                values.remove(scope);
            }
            removed
        })
    }

    /// The values of a machine's own.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub(crate) fn own(&self, machine: &MachineName) -> Result<BTreeMap<String, Secret>, VaultError> {
        self.of_scope(&Scope::Machine(machine.clone()))
    }

    /// The values of a scope itself.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub(crate) fn of_scope(&self, scope: &Scope) -> Result<BTreeMap<String, Secret>, VaultError> {
        Ok(self.read()?.remove(scope).unwrap_or_default())
    }

    /// Stores several values of a machine at once; one that there is stays as it is.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub(crate) fn add(
        &self,
        machine: &MachineName,
        added: &BTreeMap<String, Secret>,
    ) -> Result<(), VaultError> {
        self.change(|values| {
            let own = values.entry(Scope::Machine(machine.clone())).or_default();
            let before = own.len();
            for (name, value) in added {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
            own.len() > before
        })?;
        Ok(())
    }

    /// Forgets all values of a scope.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub(crate) fn remove_all(&self, scope: &Scope) -> Result<(), VaultError> {
        self.change(|values| values.remove(scope).is_some()).map(drop)
    }

    /// Gives the values of a machine to one of another name; where both have a value, the moved one stays.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub(crate) fn move_own(&self, from: &MachineName, to: &MachineName) -> Result<(), VaultError> {
        self.change(|values| {
            let Some(moved) = values.remove(&Scope::Machine(from.clone())) else { return false };
            values.entry(Scope::Machine(to.clone())).or_default().extend(moved);
            true
        })?;
        Ok(())
    }

    /// All that is in it now. Without a lock: the file is only ever replaced as a whole.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub(crate) fn open(&self) -> Result<Opened, VaultError> {
        let encrypted = match std::fs::read(&self.file) {
            Ok(encrypted) => encrypted,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Opened::default()),
            Err(e) => return Err(io_error("Reading", &self.file, e)),
        };
        let key = self.keys.existing()?;
        Ok(Opened::new(self.decrypt(&encrypted, &key)?, &key))
    }

    fn read(&self) -> Result<Values, VaultError> {
        Ok(self.open()?.into_values())
    }

    /// Changes the values; `change` says whether it did. Gives what it said.
    fn change(&self, change: impl FnOnce(&mut Values) -> bool) -> Result<bool, VaultError> {
        let _lock = self.lock()?;
        let mut values = self.read()?;
        let changed = change(&mut values);
        if changed {
            // A new key only ever comes with a new vault: `read` has failed where a vault has lost its key.
            let key = self.keys.existing_or_new()?;
            let encrypted = age::encrypt(&key.to_public(), &format::write(&values))
                .map_err(|e| io_error("Writing", &self.file, io::Error::other(e)))?;
            files::replace(&self.file, &encrypted, 0o600).map_err(|e| io_error("Writing", &self.file, e))?;
        }
        Ok(changed)
    }

    fn decrypt(&self, encrypted: &[u8], key: &Identity) -> Result<Values, VaultError> {
        let corrupt = |reason| VaultError::Corrupt { path: self.file.display().to_string(), reason };
        let plain = age::decrypt(key, encrypted).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => {
                VaultError::WrongKey { path: self.file.display().to_string(), key: self.keys.place() }
            }
            error => corrupt(error.to_string()),
        })?;
        format::read(plain.into()).map_err(corrupt)
    }

    /// Held until it is dropped, also by a process that dies.
    fn lock(&self) -> Result<File, VaultError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |e| io_error("Writing", &path, e)
        };
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed(folder))?;
        let mut options = File::options();
        let lock = options.create(true).write(true).truncate(false).mode(0o600).open(&self.lock);
        let lock = lock.map_err(failed(&self.lock))?;
        lock.lock().map_err(failed(&self.lock))?;
        Ok(lock)
    }
}

impl VaultError {
    /// What the user can do next, as a sentence; `None` where the message already says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WrongKey { path, .. } | Self::KeyMissing { path, .. } => Some(format!(
                "Unlock the keyring, or restore the key from a backup. Where it is lost, the values are too: move {path} \
                 away and set the secrets again."
            )),
            Self::Corrupt { path, .. } => Some(format!(
                "Restore it from a backup, or update codchi where a newer one has written it. Where it is lost, move \
                 {path} away and set the secrets again."
            )),
            Self::Io { source, .. } => crate::explain::hint(&source.to_string()).map(Into::into),
        }
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::Io { action, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests;
