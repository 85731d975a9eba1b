//! What a person's session has: a sound server and displays.

use std::path::PathBuf;

/// The sockets of the person's sound server at which somebody answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sound {
    /// That of PipeWire.
    pub pipewire: Option<PathBuf>,
    /// That of PulseAudio, or of PipeWire in its place.
    pub pulse: Option<PathBuf>,
}

/// The displays of the person's session at which somebody answers.
#[derive(Debug, Default)]
pub struct Display {
    /// The socket of the Wayland compositor.
    pub wayland: Option<PathBuf>,
    /// The X server, which a Wayland session has, too.
    pub x11: Option<X11>,
}

/// An X server on this computer.
#[derive(Debug)]
pub struct X11 {
    /// Its socket.
    pub socket: PathBuf,
    /// The number in its name: 0 of `:0`.
    pub number: u32,
}
