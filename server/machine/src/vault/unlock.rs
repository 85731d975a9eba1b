//! Asking for what opens the vault, once per process.

use super::{KeyPlace, LockedBy, Vault, VaultError};
use crate::{Answer, Event, Front, LogLevel, MachineError, Question, Secret};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Mutex;

/// How often a passphrase is asked for.
const ATTEMPTS: u32 = 3;

/// Whose turn it is to ask: operations at the same time ask once for all of them.
#[derive(Default)]
pub(super) struct Turn {
    asking: Mutex<()>,
    /// How often a person was asked.
    asked: AtomicU32,
}

impl Vault {
    /// Makes the vault readable for as long as this process lives, where a person is needed for that: asks for the passphrase
    /// through `front`, or lets the keyring ask for its own. Where nothing is locked, nobody is asked.
    ///
    /// # Errors
    /// [`MachineError::Cancelled`] where the person closes the question; [`MachineError::User`] where the passphrase is wrong
    /// three times; [`MachineError::Vault`] where nobody can be asked, or the vault is damaged.
    pub async fn unlock(&self, front: &dyn Front) -> Result<(), MachineError> {
        if self.locked().await?.is_none() {
            return Ok(());
        }
        let before = self.turn.asked.load(Ordering::Relaxed);
        let _turn = self.turn.asking.lock().await;
        let Some(by) = self.locked().await? else { return Ok(()) };
        if self.turn.asked.load(Ordering::Relaxed) != before {
            // The person has just declined for another operation.
            return Err(MachineError::Cancelled);
        }
        let done = match by {
            LockedBy::Passphrase => self.ask_passphrase(front).await,
            LockedBy::Keyring => self.ask_keyring(front).await,
        };
        self.turn.asked.fetch_add(1, Ordering::Relaxed);
        done
    }

    /// By what the vault is locked.
    async fn locked(&self) -> Result<Option<LockedBy>, MachineError> {
        let opened = self.blocking(|vault| {
            // Without a vault there is nothing to open but a key that a new one would get.
            if !vault.file.exists() && vault.keys.place()? == KeyPlace::Keyring {
                return Ok(());
            }
            vault.keys.existing().map(drop)
        });
        match opened.await? {
            Ok(()) => Ok(None),
            Err(VaultError::Locked { by, .. }) => Ok(Some(by)),
            Err(error) => Err(error.into()),
        }
    }

    async fn ask_passphrase(&self, front: &dyn Front) -> Result<(), MachineError> {
        let mut detail = "It is asked for once; codchi forgets it when it ends.";
        for _ in 0..ATTEMPTS {
            let prompt = "Passphrase of the secret vault".into();
            let question = Question::Passphrase { prompt, detail: detail.into() };
            let passphrase = match front.ask(question).await {
                Answer::Secret(passphrase) => passphrase,
                Answer::CannotAsk => {
                    let path = self.file.display().to_string();
                    return Err(VaultError::Locked { path, by: LockedBy::Passphrase }.into());
                }
                _ => return Err(MachineError::Cancelled),
            };
            if self.opens(passphrase).await? {
                return Ok(());
            }
            detail = "That was not the passphrase. Try again.";
        }
        Err(MachineError::User {
            message: format!(
                "The passphrase of the vault {} was wrong {ATTEMPTS} times",
                self.file.display()
            ),
            hint: Some(format!(
                "Try again. Where it is lost, the values are too: move {} and {} away and set the secrets again.",
                self.file.display(),
                self.keys.file().display()
            )),
        })
    }

    async fn opens(&self, passphrase: Secret) -> Result<bool, MachineError> {
        Ok(self.blocking(move |vault| vault.keys.open_with(&passphrase)).await??)
    }

    async fn ask_keyring(&self, front: &dyn Front) -> Result<(), MachineError> {
        let line = "The keyring that has the key of the vault is locked, and asks for its password.".into();
        front.event(Event::Log { level: LogLevel::Warning, line });
        match self.blocking(|vault| vault.keys.existing_from_keyring()).await? {
            Ok(_) => Ok(()),
            Err(VaultError::KeyMissing { searched, .. }) => Err(MachineError::User {
                message: format!("The key of the vault could not be had: it was looked for in {searched}"),
                hint: Some("Unlock the keyring, then try again.".into()),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts the key into the key file, encrypted to `passphrase`, or in clear and readable by its owner only where there is
    /// none. A keyring that has the key forgets it. Blocking; the vault must not be locked. Gives why the keyring may still
    /// have it.
    ///
    /// # Errors
    /// Where the key cannot be had or written; then all is as before.
    pub fn protect(&self, passphrase: Option<&Secret>) -> Result<Option<String>, VaultError> {
        let _lock = self.lock()?;
        // Not over the key of a vault that another one opens.
        self.load(&self.file)?;
        self.keys.protect(passphrase)
    }

    /// Does something that reads files on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, MachineError> {
        let vault = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&vault)).await;
        done.map_err(|e| crate::files::io_error("Reading", &self.file, std::io::Error::other(e)))
    }
}
