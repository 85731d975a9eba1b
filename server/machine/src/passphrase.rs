//! Encryption to a passphrase: age files of its scrypt kind.

use crate::Secret;
use age::secrecy::SecretString;
use std::io;
use zeroize::Zeroizing;

/// The logarithm of the work that trying one passphrase takes: some half a second and 128 MiB. Not measured, as age would: what
/// a busy computer measures is too little.
const WORK: u8 = 17;
/// What is done at most for a file from elsewhere (1 GiB).
const MOST_WORK: u8 = 20;

/// Encrypts `plain`.
///
/// # Errors
/// Where the passphrase is no text.
pub(crate) fn encrypt(plain: &[u8], passphrase: &Secret) -> io::Result<Vec<u8>> {
    let mut recipient = age::scrypt::Recipient::new(text(passphrase).map_err(io::Error::other)?);
    recipient.set_work_factor(WORK);
    age::encrypt(&recipient, plain).map_err(io::Error::other)
}

/// Decrypts what [`encrypt`] gives.
///
/// # Errors
/// [`age::DecryptError::DecryptionFailed`] where it is another passphrase; others where the bytes are damaged.
pub(crate) fn decrypt(bytes: &[u8], passphrase: &Secret) -> Result<Zeroizing<Vec<u8>>, age::DecryptError> {
    // One that is no text cannot have been given.
    let passphrase = text(passphrase).map_err(|_| age::DecryptError::DecryptionFailed)?;
    let mut identity = age::scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MOST_WORK);
    age::decrypt(&identity, bytes).map(Zeroizing::new)
}

fn text(passphrase: &Secret) -> Result<SecretString, std::str::Utf8Error> {
    std::str::from_utf8(passphrase.expose()).map(|text| SecretString::from(text.to_owned()))
}
