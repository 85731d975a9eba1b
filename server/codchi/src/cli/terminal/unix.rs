//! Modes of a terminal: termios.

use codchi_driver::PtySize;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the terminal on standard input is.
pub(super) struct Modes(Termios);

impl Modes {
    /// As it is now; `None` where there is no terminal.
    pub(super) fn now() -> Option<Self> {
        tcgetattr(std::io::stdin()).ok().map(Self)
    }

    /// Hands every key on as it is typed.
    pub(super) fn make_raw() -> Option<()> {
        let mut modes = tcgetattr(std::io::stdin()).ok()?;
        modes.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &modes).ok()
    }

    /// Does not show what is typed.
    pub(super) fn make_silent() -> Option<()> {
        let mut modes = tcgetattr(std::io::stdin()).ok()?;
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &modes).ok()
    }

    /// Makes it so again.
    pub(super) fn restore(&self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The size of the terminal on standard output.
pub(super) fn size() -> Option<PtySize> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some(PtySize { columns: size.ws_col, rows: size.ws_row })
}

/// Hears when the size may have changed.
pub(crate) struct Resized(Signal);

impl Resized {
    /// From now on.
    ///
    /// # Errors
    /// Where the operating system tells nobody.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::window_change())?))
    }

    /// Waits until it may have changed.
    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}
