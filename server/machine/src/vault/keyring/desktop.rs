//! The Secret Service of the desktop (GNOME Keyring, KWallet, KeePassXC, …) on the session's D-Bus.
//!
//! Nothing here waits for ever: a keyring that does not answer in time is treated as one that is not there.

use super::Lookup;
use secret_service::EncryptionType;
use secret_service::blocking::{Collection, SecretService};
use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

/// For a keyring to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// For a person to type the keyring's password.
const UNLOCK: Duration = Duration::from_secs(60);

/// The keyring of this session.
pub(in crate::vault) struct Keyring(());

impl Keyring {
    /// The keyring, where this process belongs to a session that can have one.
    pub(in crate::vault) fn of_session() -> Option<Self> {
        std::env::var_os("DBUS_SESSION_BUS_ADDRESS").filter(|address| !address.is_empty()).map(|_| Self(()))
    }

    /// What is stored for `vault`. A locked keyring asks the person for its password only where `unlock`.
    pub(in crate::vault) fn lookup(&self, vault: &Path, unlock: bool) -> Lookup {
        let Some(attributes) = attributes(vault) else {
            return Lookup::Nothing;
        };
        let found = with_limit(move |limit| {
            let service = SecretService::connect(EncryptionType::Dh)?;
            let items = service.search_items(borrowed(&attributes))?;
            let item = match (items.unlocked.first(), items.locked.first()) {
                (Some(item), _) => item,
                (None, Some(_)) if !unlock => return Ok(Lookup::Locked),
                (None, Some(item)) => {
                    limit.extend();
                    item.unlock()?;
                    item
                }
                (None, None) => return Ok(Lookup::Nothing),
            };
            Ok(match String::from_utf8(item.get_secret()?) {
                Ok(text) => Lookup::Found(Zeroizing::new(text)),
                Err(_) => Lookup::Nothing,
            })
        });
        found.unwrap_or_else(Lookup::NoAnswer)
    }

    /// Forgets what is stored for `vault`.
    ///
    /// # Errors
    /// Why it may still be there.
    pub(in crate::vault) fn remove(&self, vault: &Path) -> Result<(), String> {
        let Some(attributes) = attributes(vault) else { return Ok(()) };
        with_limit(move |_| {
            let service = SecretService::connect(EncryptionType::Dh)?;
            let items = service.search_items(borrowed(&attributes))?;
            items.unlocked.iter().chain(&items.locked).try_for_each(|item| item.delete())
        })
    }

    /// Stores `text` for `vault`; whether the keyring has taken it. Only in one that is open: nobody is asked for a
    /// password, because a file does as well.
    pub(in crate::vault) fn store(&self, vault: &Path, text: &str) -> bool {
        let Some(attributes) = attributes(vault) else { return false };
        let text = Zeroizing::new(text.to_owned());
        let stored = with_limit(move |_| {
            let service = SecretService::connect(EncryptionType::Dh)?;
            let collection: Collection<'_> = service.get_default_collection()?;
            if collection.is_locked()? {
                return Ok(false);
            }
            let item = collection.create_item(
                "codchi: key of the secret vault",
                borrowed(&attributes),
                text.as_bytes(),
                true,
                "text/plain",
            )?;
            // Some keyrings take a secret and cannot give it back.
            Ok(Zeroizing::new(item.get_secret()?).as_slice() == text.as_bytes())
        });
        match stored {
            Ok(stored) => stored,
            Err(reason) => {
                tracing::info!(reason, "the keyring was not used");
                false
            }
        }
    }
}

/// What an item is found by; `None` for a path that is no text.
fn attributes(vault: &Path) -> Option<[(&'static str, String); 2]> {
    Some([("application", "codchi".into()), ("vault", vault.to_str()?.into())])
}

fn borrowed<'a>(attributes: &'a [(&'static str, String); 2]) -> HashMap<&'a str, &'a str> {
    attributes.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn told(error: secret_service::Error) -> String {
    match error {
        secret_service::Error::Prompt => "its question was closed".into(),
        other => other.to_string(),
    }
}

/// Lets a job on a thread say that a person is at it now.
struct Limit<T>(mpsc::Sender<Message<T>>);

enum Message<T> {
    Extend,
    Done(Result<T, secret_service::Error>),
}

impl<T> Limit<T> {
    fn extend(&self) {
        // Nobody listens any more where the time is over.
        let _ = self.0.send(Message::Extend);
    }
}

/// Runs `job` on a thread of its own, which is left alone once the time is over.
fn with_limit<T: Send + 'static>(
    job: impl FnOnce(&Limit<T>) -> Result<T, secret_service::Error> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::channel();
    let limit = Limit(sender);
    let thread = std::thread::Builder::new().name("keyring".into());
    let thread = thread.spawn(move || {
        let result = job(&limit);
        let _ = limit.0.send(Message::Done(result));
    });
    thread.map_err(|e| e.to_string())?;
    let mut time = ANSWER;
    loop {
        match receiver.recv_timeout(time) {
            Ok(Message::Extend) => time = UNLOCK,
            Ok(Message::Done(result)) => return result.map_err(told),
            Err(_) => return Err(format!("no answer within {} s", time.as_secs())),
        }
    }
}
