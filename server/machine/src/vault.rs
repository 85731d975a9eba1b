//! The vault: every secret's value, in one age-encrypted file per user.

mod backup;
mod error;
mod format;
mod key;
mod keyring;
mod opened;
mod status;
mod unlock;

use crate::{MachineName, Paths, Secret, access, files};
use age::x25519::Identity;
pub use backup::{Backup, Repaired};
use error::io_error;
pub use error::{LockedBy, VaultError};
use format::{Stored, Unreadable, Values};
pub use key::KeyPlace;
use key::KeyStore;
use keyring::Keyring;
pub(crate) use opened::Opened;
pub use status::{VaultState, VaultStatus};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
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

/// A value in the vault, without the value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The secret's name.
    pub name: String,
    /// For which machines.
    pub scope: Scope,
    /// When it was set, in seconds since 1970; `None` where an earlier codchi set it, which did not say.
    pub set: Option<u64>,
}

/// The vault of this user: `vault.age` in [`Paths::data`]. Reads the file at each call, writes it atomically under a lock
/// between processes. Blocking; a call may wait for another process's write, and the first one for the keyring. None of
/// them asks a person but [`Vault::unlock`]; what that has opened stays open in this process, for all clones.
#[derive(Clone)]
pub struct Vault {
    file: PathBuf,
    lock: PathBuf,
    keys: Arc<KeyStore>,
    turn: Arc<unlock::Turn>,
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
        let passphrase = std::env::var_os(error::PASSPHRASE_FILE).filter(|file| !file.is_empty());
        Self::with(&paths, Keyring::of_session(), passphrase.map(Into::into))
    }

    fn with(paths: &Paths, keyring: Option<Keyring>, passphrase_file: Option<PathBuf>) -> Self {
        let file = paths.data.join("vault.age");
        let keys = KeyStore::new(paths.data.join("vault.key"), &file, keyring, passphrase_file);
        Self { file, lock: paths.data.join("vault.lock"), keys: Arc::new(keys), turn: Arc::default() }
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
        let names = |(scope, values): (_, BTreeMap<String, Stored>)| (scope, values.into_keys().collect());
        Ok(self.read()?.into_iter().map(names).collect())
    }

    /// What is in it, without the values: by scope, then by name.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, VaultError> {
        let of_scope = |(scope, values): (Scope, BTreeMap<String, Stored>)| {
            values.into_iter().map(move |(name, stored)| Entry {
                name,
                scope: scope.clone(),
                set: stored.set,
            })
        };
        Ok(self.read()?.into_iter().flat_map(of_scope).collect())
    }

    /// Stores a value.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then it is as before.
    pub fn set(&self, scope: &Scope, name: &str, value: &Secret) -> Result<(), VaultError> {
        self.change(|values| {
            let values = values.entry(scope.clone()).or_default();
            if values.get(name).is_some_and(|stored| stored.value == *value) {
                return false;
            }
            values.insert(name.to_owned(), Stored::now(value.clone()));
            true
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
            let mut plain =
                before.iter().map(|(name, stored)| (name.clone(), stored.value.clone())).collect();
            edit(&mut plain);
            let stored = |(name, value): (String, Secret)| {
                let same = before.get(&name).filter(|stored| stored.value == value).cloned();
                (name, same.unwrap_or_else(|| Stored::now(value)))
            };
            let after: BTreeMap<String, Stored> = plain.into_iter().map(stored).collect();
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
        let values = self.read()?.remove(scope).unwrap_or_default();
        Ok(values.into_iter().map(|(name, stored)| (name, stored.value)).collect())
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
                own.entry(name.clone()).or_insert_with(|| Stored::now(value.clone()));
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
        let loaded = self.load(&self.file)?;
        Ok(loaded.map(|loaded| Opened::new(loaded.values, &loaded.key)).unwrap_or_default())
    }

    fn read(&self) -> Result<Values, VaultError> {
        Ok(self.load(&self.file)?.map(|loaded| loaded.values).unwrap_or_default())
    }

    /// The vault, or a backup of it; `None` where there is no such file.
    fn load(&self, file: &Path) -> Result<Option<Loaded>, VaultError> {
        let encrypted = match std::fs::read(file) {
            Ok(encrypted) => encrypted,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_error("Reading", file, e)),
        };
        let key = self.keys.existing()?;
        let (values, version) = self.decrypt(file, &encrypted, &key)?;
        Ok(Some(Loaded { encrypted, values, version, key }))
    }

    /// Changes the values; `change` says whether it did. Gives what it said.
    fn change(&self, change: impl FnOnce(&mut Values) -> bool) -> Result<bool, VaultError> {
        let _lock = self.lock()?;
        let mut before = self.load(&self.file)?;
        let mut values = before.as_mut().map(|loaded| std::mem::take(&mut loaded.values)).unwrap_or_default();
        let changed = change(&mut values);
        if changed {
            // A new key only ever comes with a new vault: `load` has failed where a vault has lost its key.
            let key = match &before {
                Some(loaded) => loaded.key.clone(),
                None => self.keys.existing_or_new()?,
            };
            if let Some(before) = &before {
                self.back_up(before)?;
            }
            self.write(&values, &key)?;
        }
        Ok(changed)
    }

    fn write(&self, values: &Values, key: &Identity) -> Result<(), VaultError> {
        let failed = |e| io_error("Writing", &self.file, e);
        let encrypted = age::encrypt(&key.to_public(), &format::write(values))
            .map_err(|e| failed(io::Error::other(e)))?;
        files::replace(&self.file, &encrypted, 0o600).map_err(failed)
    }

    fn decrypt(&self, file: &Path, encrypted: &[u8], key: &Identity) -> Result<(Values, u32), VaultError> {
        let path = file.display().to_string();
        let plain = age::decrypt(key, encrypted).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => {
                VaultError::WrongKey { path: path.clone(), key: self.keys.place_found() }
            }
            error => VaultError::Corrupt { path: path.clone(), reason: error.to_string() },
        })?;
        format::read(plain.into()).map_err(|why| match why {
            Unreadable::Newer(version) => VaultError::Newer { path, version, known: format::VERSION },
            Unreadable::Damaged(reason) => VaultError::Corrupt { path, reason },
        })
    }

    /// Held until it is dropped, also by a process that dies.
    fn lock(&self) -> Result<File, VaultError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |e| io_error("Writing", &path, e)
        };
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        access::make_private(folder).map_err(failed(folder))?;
        let mut options = File::options();
        options.create(true).write(true).truncate(false);
        let lock = access::with_mode(&mut options, 0o600).open(&self.lock);
        let lock = lock.map_err(failed(&self.lock))?;
        lock.lock().map_err(failed(&self.lock))?;
        Ok(lock)
    }
}

/// A file of the vault as it was read.
struct Loaded {
    encrypted: Vec<u8>,
    values: Values,
    /// Of the format.
    version: u32,
    key: Identity,
}

#[cfg(test)]
mod tests;
