//! What asks a process to end: signals, and on Windows what happens to its console.

#[cfg(unix)]
pub(crate) use unix::Signals;
#[cfg(windows)]
pub(crate) use windows::Signals;

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// The signals that ask a process to end.
    pub(crate) struct Signals {
        interrupt: Signal,
        terminate: Signal,
        hangup: Signal,
    }

    impl Signals {
        /// Takes them over.
        ///
        /// # Errors
        /// Where the operating system lets nobody take them.
        pub(crate) fn new() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: signal(SignalKind::hangup())?,
            })
        }

        /// The next one's number.
        pub(crate) async fn next(&mut self) -> i32 {
            tokio::select! {
                _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
                _ = self.hangup.recv() => SignalKind::hangup().as_raw_value(),
            }
        }
    }
}

/// Windows gives who closes a console some five seconds before it ends the process itself.
#[cfg(windows)]
mod windows {
    use tokio::signal::windows::{
        CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff,
        ctrl_shutdown,
    };

    /// What asks a process to end.
    pub(crate) struct Signals {
        interrupt: CtrlC,
        stop: CtrlBreak,
        close: CtrlClose,
        log_off: CtrlLogoff,
        shut_down: CtrlShutdown,
    }

    impl Signals {
        /// Takes them over.
        ///
        /// # Errors
        /// Where the operating system lets nobody take them.
        pub(crate) fn new() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                stop: ctrl_break()?,
                close: ctrl_close()?,
                log_off: ctrl_logoff()?,
                shut_down: ctrl_shutdown()?,
            })
        }

        /// The number of the next one, as the signal of Unix that means the same.
        pub(crate) async fn next(&mut self) -> i32 {
            const HANGUP: i32 = 1;
            const INTERRUPT: i32 = 2;
            const TERMINATE: i32 = 15;
            tokio::select! {
                _ = self.interrupt.recv() => INTERRUPT,
                _ = self.stop.recv() => TERMINATE,
                _ = self.close.recv() => HANGUP,
                _ = self.log_off.recv() => HANGUP,
                _ = self.shut_down.recv() => TERMINATE,
            }
        }
    }
}
