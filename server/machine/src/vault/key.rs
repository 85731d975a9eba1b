//! The vault's key: an age x25519 identity, in the OS keyring or in a file that only its owner can read.

use super::keyring::{Keyring, Lookup};
use super::{VaultError, io_error};
use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Where the key of one vault is kept.
pub(super) struct KeyStore {
    /// The key file: a vault that has one has its key there, and nowhere else.
    file: PathBuf,
    vault: PathBuf,
    keyring: Option<Keyring>,
    /// Asking a keyring may open a dialog: once per process is enough.
    known: Mutex<Option<(Identity, Place)>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    File,
    Keyring,
}

impl KeyStore {
    pub(super) fn new(file: PathBuf, vault: &Path, keyring: Option<Keyring>) -> Self {
        Self { file, vault: vault.to_owned(), keyring, known: Mutex::new(None) }
    }

    /// The key of a vault that exists.
    pub(super) fn existing(&self) -> Result<Identity, VaultError> {
        let searched = match self.find(&mut self.known())? {
            Found::Key(key) => return Ok(key),
            Found::Nothing(searched) => searched,
        };
        Err(VaultError::KeyMissing { path: self.vault.display().to_string(), searched })
    }

    /// The key, made where there is none. Call it only under the vault's lock, and without a vault or with one that
    /// was just read.
    pub(super) fn existing_or_new(&self) -> Result<Identity, VaultError> {
        let mut known = self.known();
        if let Found::Key(key) = self.find(&mut known)? {
            return Ok(key);
        }
        let key = Identity::generate();
        let text = Zeroizing::new(key.to_string().expose_secret().to_owned());
        let stored = self.keyring.as_ref().is_some_and(|keyring| keyring.store(&self.vault, &text));
        let place = if stored {
            Place::Keyring
        } else {
            self.write_file(&text).map_err(|e| io_error("Writing", &self.file, e))?;
            Place::File
        };
        *known = Some((key.clone(), place));
        Ok(key)
    }

    /// Where the key was found, for a message.
    pub(super) fn place(&self) -> String {
        match self.known().as_ref() {
            Some((_, Place::Keyring)) => "the keyring".into(),
            _ => self.file.display().to_string(),
        }
    }

    fn find(&self, known: &mut Option<(Identity, Place)>) -> Result<Found, VaultError> {
        if let Some((key, _)) = known.as_ref().filter(|(_, place)| *place == Place::Keyring) {
            return Ok(Found::Key(key.clone()));
        }
        // A file is read each time: it is cheap, and another process may have made a new vault.
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => Some((Zeroizing::new(text), Place::File)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(io_error("Reading", &self.file, e)),
        };
        let mut searched = self.file.display().to_string();
        let text = match (text, &self.keyring) {
            (Some(text), _) => Some(text),
            (None, None) => None,
            (None, Some(keyring)) => match keyring.lookup(&self.vault) {
                Lookup::Found(text) => Some((text, Place::Keyring)),
                Lookup::Nothing => {
                    searched.push_str(" and in the keyring");
                    None
                }
                Lookup::NoAnswer(reason) => {
                    searched.push_str(&format!(" and in the keyring ({reason})"));
                    None
                }
            },
        };
        let Some((text, place)) = text else { return Ok(Found::Nothing(searched)) };
        let key: Identity = text.trim().parse().map_err(|_| VaultError::Corrupt {
            path: self.vault.display().to_string(),
            reason: match place {
                Place::File => format!("{} holds no key", self.file.display()),
                Place::Keyring => "what the keyring has for it is no key".into(),
            },
        })?;
        *known = Some((key.clone(), place));
        Ok(Found::Key(key))
    }

    /// Never over another key.
    fn write_file(&self, text: &str) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        // A temporary file is readable by its owner only.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.file).map_err(|e| e.error)?;
        std::fs::File::open(folder)?.sync_all()
    }

    fn known(&self) -> MutexGuard<'_, Option<(Identity, Place)>> {
        // What is behind it is replaced as a whole, so a panic elsewhere cannot have left half of it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a search for the key gave.
enum Found {
    Key(Identity),
    /// Where it was looked for, for a message.
    Nothing(String),
}
