//! The person's terminal: its modes, and bringing it back to what it was, however a command ends.

use codchi_driver::PtySize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

/// The modes to bring back, as long as they are changed.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

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
        let now = tcgetattr(std::io::stdin()).ok()?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Some(Self(()))
    }

    /// Hands every key on as it is typed; `None` where there is no terminal.
    pub(crate) fn raw() -> Option<Self> {
        let restored = Self::remember()?;
        let mut modes = tcgetattr(std::io::stdin()).ok()?;
        modes.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &modes).ok()?;
        Some(restored)
    }

    /// Does not show what is typed; `None` where there is no terminal.
    pub(crate) fn silent() -> Option<Self> {
        let restored = Self::remember()?;
        let mut modes = tcgetattr(std::io::stdin()).ok()?;
        modes.local_modes.remove(rustix::termios::LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &modes).ok()?;
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
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    }
}

/// The size of the terminal on standard output.
pub(crate) fn size() -> Option<PtySize> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some(PtySize { columns: size.ws_col, rows: size.ws_row })
}
