//! Ed25519 key pairs in OpenSSH's format.

use crate::files::{io_error, make_folder};
use crate::{MachineError, Secret};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use std::io::{self, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// A key pair.
pub(super) struct KeyPair {
    /// As OpenSSH keeps it.
    pub(super) private: Secret,
    /// One line, with its newline.
    pub(super) public: String,
}

/// The key pair in `path`, made where there is none. Two processes that make one at once get the same.
pub(super) fn read_or_make(path: &Path, comment: &str) -> Result<KeyPair, MachineError> {
    match read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make(path, comment)?;
            read(path)
        }
        result => result,
    }
    .map_err(|e| io_error("Reading", path, e))
}

fn read(path: &Path) -> io::Result<KeyPair> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let key = PrivateKey::from_openssh(text.as_str()).map_err(|_| invalid())?;
    let public = key.public_key().to_openssh().map_err(|_| invalid())?;
    let private = Secret::new(text.as_bytes()).ok_or_else(invalid)?;
    Ok(KeyPair { private, public: format!("{public}\n") })
}

fn invalid() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it is not an OpenSSH private key; remove it, and a new one is made",
    )
}

fn make(path: &Path, comment: &str) -> Result<(), MachineError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let write = || -> io::Result<()> {
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(io::Error::other)?;
        key.set_comment(comment);
        let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
        // A temporary file is readable by its owner only.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => Err(e.error),
            _ => Ok(()),
        }
    };
    write().map_err(|e| io_error("Writing", path, e))
}
