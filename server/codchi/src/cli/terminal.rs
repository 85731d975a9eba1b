//! The person's terminal: its modes, and bringing it back to what it was, however a command ends.

#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod modes;
#[cfg(windows)]
#[path = "terminal/windows.rs"]
mod modes;

use codchi_driver::PtySize;
use modes::Modes;
pub(crate) use modes::Resized;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

/// The modes to bring back, as long as they are changed.
static BEFORE: Mutex<Option<Modes>> = Mutex::new(None);

/// Whether a person can be asked: questions are written to standard error and answered on standard input.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Brings the terminal back when it is dropped.
#[must_use]
pub(crate) struct Restored(());

impl Restored {
    /// Remembers how the terminal is, so that a prompt may change it; `None` where there is none.
    pub(crate) fn remember() -> Option<Self> {
        let now = Modes::now()?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Some(Self(()))
    }

    /// Hands every key on as it is typed; `None` where there is no terminal.
    pub(crate) fn raw() -> Option<Self> {
        let restored = Self::remember()?;
        Modes::make_raw()?;
        Some(restored)
    }

    /// Does not show what is typed; `None` where there is no terminal.
    pub(crate) fn silent() -> Option<Self> {
        let restored = Self::remember()?;
        Modes::make_silent()?;
        Some(restored)
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        restore();
    }
}

/// Brings the terminal back to what it was; for an end that does not drop.
pub(crate) fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        before.restore();
    }
}

/// The size of the terminal on standard output.
pub(crate) fn size() -> Option<PtySize> {
    modes::size()
}
