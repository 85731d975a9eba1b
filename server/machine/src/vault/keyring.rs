//! The OS keyring: what the person's login opens.

#[cfg(unix)]
mod desktop;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use desktop::Keyring;
#[cfg(windows)]
pub(super) use windows::Keyring;

use zeroize::Zeroizing;

/// What a keyring said.
pub(super) enum Lookup {
    Found(Zeroizing<String>),
    /// It has something, and is locked.
    #[cfg_attr(windows, expect(dead_code, reason = "that of Windows is open for whom is logged in"))]
    Locked,
    /// It answered, and has nothing.
    Nothing,
    /// Why it could not be asked.
    NoAnswer(String),
}
