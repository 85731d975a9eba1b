//! Modes of a console.
//!
//! Source: <https://learn.microsoft.com/windows/console/setconsolemode>.

use codchi_driver::PtySize;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use winapi_util::HandleRef;
use winapi_util::console::{mode, screen_buffer_info, set_mode};

/// `ENABLE_PROCESSED_INPUT`, `ENABLE_LINE_INPUT` and `ENABLE_ECHO_INPUT`: what makes lines of keys.
const COOKED: u32 = 0x1 | 0x2 | ECHO;
/// `ENABLE_ECHO_INPUT`.
const ECHO: u32 = 0x4;
/// `ENABLE_VIRTUAL_TERMINAL_INPUT`: keys such as arrows come as a terminal of Linux sends them.
const KEYS: u32 = 0x200;
/// `ENABLE_PROCESSED_OUTPUT`, `ENABLE_VIRTUAL_TERMINAL_PROCESSING` and `DISABLE_NEWLINE_AUTO_RETURN`.
const COLOURS: u32 = 0x1 | 0x4 | 0x8;

/// How often the size is looked at: nothing tells of it but what is read with the keys.
const LOOK: Duration = Duration::from_millis(500);

/// How the console is.
pub(super) struct Modes {
    input: u32,
    /// Where standard output is one, too.
    output: Option<u32>,
}

impl Modes {
    /// As it is now; `None` where there is no console.
    pub(super) fn now() -> Option<Self> {
        Some(Self { input: mode(HandleRef::stdin()).ok()?, output: mode(HandleRef::stdout()).ok() })
    }

    /// Hands every key on as it is typed.
    pub(super) fn make_raw() -> Option<()> {
        let now = Self::now()?;
        set_mode(HandleRef::stdin(), now.input & !COOKED | KEYS).ok()?;
        if let Some(output) = now.output {
            // A console that knows no colours shows their codes.
            let _ = set_mode(HandleRef::stdout(), output | COLOURS);
        }
        Some(())
    }

    /// Does not show what is typed.
    pub(super) fn make_silent() -> Option<()> {
        set_mode(HandleRef::stdin(), Self::now()?.input & !ECHO).ok()
    }

    /// Makes it so again.
    pub(super) fn restore(&self) {
        let _ = set_mode(HandleRef::stdin(), self.input);
        if let Some(output) = self.output {
            let _ = set_mode(HandleRef::stdout(), output);
        }
    }
}

/// The size of the console's window.
pub(super) fn size() -> Option<PtySize> {
    let window = screen_buffer_info(HandleRef::stdout()).ok()?.window_rect();
    let length = |first: i16, last: i16| u16::try_from(i32::from(last) - i32::from(first) + 1).ok();
    Some(PtySize { columns: length(window.left, window.right)?, rows: length(window.top, window.bottom)? })
}

/// Looks now and then whether the size has changed.
pub(crate) struct Resized {
    clock: Interval,
    last: Option<PtySize>,
}

impl Resized {
    /// From now on.
    ///
    /// # Errors
    /// None.
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut clock = interval(LOOK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { clock, last: size() })
    }

    /// Waits until it has changed.
    pub(crate) async fn next(&mut self) {
        loop {
            self.clock.tick().await;
            let now = size();
            if now != self.last {
                self.last = now;
                return;
            }
        }
    }
}
