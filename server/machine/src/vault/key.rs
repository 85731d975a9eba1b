//! The vault's key: an age x25519 identity, in the OS keyring or in a file that only its owner can read; on request the file is
//! encrypted to a passphrase.

use super::error::io_error;
use super::keyring::{Keyring, Lookup};
use super::{LockedBy, VaultError};
use crate::{Secret, access, files, passphrase};
use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What a key file begins with that is encrypted to a passphrase.
const WRAPPED: &[u8] = b"age-encryption.org/";

/// So long a keyring that gave no answer is not asked again by what nobody waits for.
const SILENCE: Duration = Duration::from_secs(30);

/// Where the key of one vault is kept.
pub(super) struct KeyStore {
    /// The key file: a vault that has one has its key there, and nowhere else.
    file: PathBuf,
    vault: PathBuf,
    keyring: Option<Keyring>,
    /// A file whose first line is the passphrase of the key file.
    passphrase_file: Option<PathBuf>,
    /// Asking a keyring or a person may open a dialog: once per process is enough.
    known: Mutex<Known>,
}

/// What this process has found out.
#[derive(Default)]
struct Known {
    key: Option<(Identity, Place)>,
    /// Why the keyring gave no answer, and when.
    silent: Option<(Instant, String)>,
}

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File,
    /// In the file, which is encrypted: these are its bytes.
    Wrapped(Vec<u8>),
    Keyring,
}

/// Where the key is, as far as that can be known without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// In the key file, which only its owner can read.
    File,
    /// In the key file, encrypted to a passphrase.
    ProtectedFile,
    /// There is no key file: it is in the keyring, or there is none yet.
    Keyring,
}

impl KeyStore {
    pub(super) fn new(
        file: PathBuf,
        vault: &Path,
        keyring: Option<Keyring>,
        passphrase_file: Option<PathBuf>,
    ) -> Self {
        Self { file, vault: vault.to_owned(), keyring, passphrase_file, known: Mutex::default() }
    }

    /// The key file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Where the key is.
    ///
    /// # Errors
    /// Where the key file cannot be read.
    pub(super) fn place(&self) -> Result<KeyPlace, VaultError> {
        Ok(match self.read_file()? {
            Some(bytes) if bytes.starts_with(WRAPPED) => KeyPlace::ProtectedFile,
            Some(_) => KeyPlace::File,
            None => KeyPlace::Keyring,
        })
    }

    /// The key of a vault that exists. Asks nobody.
    pub(super) fn existing(&self) -> Result<Identity, VaultError> {
        self.existing_in(&mut self.known(), false)
    }

    /// The same; a locked keyring asks for its password.
    pub(super) fn existing_from_keyring(&self) -> Result<Identity, VaultError> {
        self.existing_in(&mut self.known(), true)
    }

    fn existing_in(&self, known: &mut Known, ask_keyring: bool) -> Result<Identity, VaultError> {
        match self.find(known, ask_keyring)? {
            Found::Key(key) => Ok(key),
            Found::Nothing { searched, unanswered } => {
                let path = self.vault.display().to_string();
                Err(VaultError::KeyMissing { path, searched, unanswered })
            }
        }
    }

    /// The key, made where there is none. Call it only under the vault's lock, and without a vault or with one that
    /// was just read.
    pub(super) fn existing_or_new(&self) -> Result<Identity, VaultError> {
        let mut known = self.known();
        if let Found::Key(key) = self.find(&mut known, false)? {
            return Ok(key);
        }
        let key = Identity::generate();
        let text = text(&key);
        let stored = self.keyring.as_ref().is_some_and(|keyring| keyring.store(&self.vault, &text));
        let place = if stored {
            Place::Keyring
        } else {
            self.write_new(&text).map_err(|e| io_error("Writing", &self.file, e))?;
            Place::File
        };
        known.key = Some((key.clone(), place));
        Ok(key)
    }

    /// Opens the key file with a passphrase and keeps the key for as long as this process lives; whether it is the one.
    ///
    /// # Errors
    /// Where the file cannot be read, or is damaged.
    pub(super) fn open_with(&self, passphrase: &Secret) -> Result<bool, VaultError> {
        let mut known = self.known();
        let Some(bytes) = self.read_file()?.filter(|bytes| bytes.starts_with(WRAPPED)) else {
            return Ok(true);
        };
        let Some(key) = self.unwrap(&bytes, passphrase)? else { return Ok(false) };
        known.key = Some((key, Place::Wrapped(bytes.to_vec())));
        Ok(true)
    }

    /// Puts the key into the key file, encrypted to `passphrase` where there is one, and takes it out of the keyring. Call it
    /// only under the vault's lock. Gives why the keyring may still have it.
    ///
    /// # Errors
    /// Where the key cannot be had or the file not be written; then all is as before.
    pub(super) fn protect(&self, passphrase: Option<&Secret>) -> Result<Option<String>, VaultError> {
        let key = self.existing_or_new()?;
        let mut known = self.known();
        let mut plain = text(&key);
        plain.push('\n');
        let failed = |e| io_error("Writing", &self.file, e);
        let (bytes, place) = match passphrase {
            None => (Zeroizing::new(plain.as_bytes().to_vec()), Place::File),
            Some(passphrase) => {
                let wrapped = passphrase::encrypt(plain.as_bytes(), passphrase).map_err(failed)?;
                (Zeroizing::new(wrapped.clone()), Place::Wrapped(wrapped))
            }
        };
        files::replace(&self.file, &bytes, 0o600).map_err(failed)?;
        known.key = Some((key, place));
        Ok(self.keyring.as_ref().and_then(|keyring| keyring.remove(&self.vault).err()))
    }

    /// Forgets what this process has found out.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    /// Where the key was found, for a message.
    pub(super) fn place_found(&self) -> String {
        match &self.known().key {
            Some((_, Place::Keyring)) => "the keyring".into(),
            _ => self.file.display().to_string(),
        }
    }

    fn read_file(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match std::fs::read(&self.file) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error("Reading", &self.file, e)),
        }
    }

    fn find(&self, known: &mut Known, ask_keyring: bool) -> Result<Found, VaultError> {
        // A file is read each time: it is cheap, and another process may have made a new vault.
        if let Some(bytes) = self.read_file()? {
            let (key, place) = if !bytes.starts_with(WRAPPED) {
                (self.parse(&bytes, Place::File)?, Place::File)
            } else if let Some((key, Place::Wrapped(before))) = &known.key
                && *before == *bytes
            {
                return Ok(Found::Key(key.clone()));
            } else {
                (self.open_by_file(&bytes)?, Place::Wrapped(bytes.to_vec()))
            };
            known.key = Some((key.clone(), place));
            return Ok(Found::Key(key));
        }
        if let Some((key, Place::Keyring)) = &known.key {
            return Ok(Found::Key(key.clone()));
        }
        let file = self.file.display();
        let nothing = |searched, unanswered| Ok(Found::Nothing { searched, unanswered });
        let Some(keyring) = &self.keyring else { return nothing(file.to_string(), false) };
        let silent = known.silent.as_ref().filter(|(when, _)| !ask_keyring && when.elapsed() < SILENCE);
        let lookup = match silent {
            Some((_, why)) => Lookup::NoAnswer(why.clone()),
            None => keyring.lookup(&self.vault, ask_keyring),
        };
        match lookup {
            Lookup::Found(text) => {
                let key = self.parse(text.as_bytes(), Place::Keyring)?;
                known.key = Some((key.clone(), Place::Keyring));
                Ok(Found::Key(key))
            }
            Lookup::Locked => Err(self.locked(LockedBy::Keyring)),
            Lookup::Nothing => nothing(format!("{file} and in the keyring"), false),
            Lookup::NoAnswer(why) => {
                let searched = format!("{file} and in the keyring ({why})");
                known.silent.get_or_insert((Instant::now(), why));
                nothing(searched, true)
            }
        }
    }

    /// The key in the encrypted key file, by the passphrase in the file that the environment names.
    fn open_by_file(&self, bytes: &[u8]) -> Result<Identity, VaultError> {
        let Some(file) = &self.passphrase_file else { return Err(self.locked(LockedBy::Passphrase)) };
        let text = std::fs::read_to_string(file).map(Zeroizing::new);
        let text = text.map_err(|e| io_error("Reading", file, e))?;
        let wrong = || VaultError::WrongPassphrase { file: file.display().to_string() };
        let passphrase = Secret::new(text.lines().next().unwrap_or_default()).ok_or_else(wrong)?;
        self.unwrap(bytes, &passphrase)?.ok_or_else(wrong)
    }

    fn locked(&self, by: LockedBy) -> VaultError {
        VaultError::Locked { path: self.vault.display().to_string(), by }
    }

    /// The key in an encrypted key file; `None` where the passphrase is another one.
    fn unwrap(&self, bytes: &[u8], passphrase: &Secret) -> Result<Option<Identity>, VaultError> {
        match passphrase::decrypt(bytes, passphrase) {
            Ok(plain) => self.parse(&plain, Place::File).map(Some),
            Err(age::DecryptError::DecryptionFailed) => Ok(None),
            Err(error) => Err(self.corrupt(format!("{} is damaged ({error})", self.file.display()))),
        }
    }

    fn parse(&self, bytes: &[u8], place: Place) -> Result<Identity, VaultError> {
        let key = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok());
        key.ok_or_else(|| {
            self.corrupt(match place {
                Place::Keyring => "what the keyring has for it is no key".into(),
                Place::File | Place::Wrapped(_) => format!("{} holds no key", self.file.display()),
            })
        })
    }

    fn corrupt(&self, reason: String) -> VaultError {
        VaultError::Corrupt { path: self.vault.display().to_string(), reason }
    }

    /// Never over another key.
    fn write_new(&self, text: &str) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        // A temporary file is readable by its owner only.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.file).map_err(|e| e.error)?;
        access::sync_names(folder)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What is behind it is replaced as a whole, so a panic elsewhere cannot have left half of it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key as it is kept.
fn text(key: &Identity) -> Zeroizing<String> {
    // Room for a newline: a text that grows leaves a copy behind.
    let key = key.to_string();
    let mut text = Zeroizing::new(String::with_capacity(key.expose_secret().len() + 1));
    text.push_str(key.expose_secret());
    text
}

/// What a search for the key gave.
enum Found {
    Key(Identity),
    Nothing {
        /// Where it was looked for, for a message.
        searched: String,
        /// Whether there is a keyring that gave no answer.
        unanswered: bool,
    },
}
