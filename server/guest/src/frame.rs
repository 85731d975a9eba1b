//! Frames: a byte that says of which kind, four with the length (big-endian), and that many bytes.

/// The longest payload of a frame, in bytes.
pub const LIMIT: usize = 64 << 10;
/// The length of a frame's head, in bytes.
pub const HEAD: usize = 5;

/// What a frame is. Those below 16 go to the program, the others come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A [`Request`](crate::Request) as JSON; may be longer than [`LIMIT`], up to 1 MiB.
    Request = 1,
    /// A piece of the command's input, or of a file's contents.
    Input = 2,
    /// The end of that, or of what goes on until then. The end of the stream itself says that who asked is gone: then the command is killed.
    InputEnd = 3,
    /// A signal for the command: its Linux number, 4 bytes, big-endian.
    Signal = 4,
    /// The terminal's new size: columns and rows, 2 bytes each, big-endian.
    Resize = 5,
    /// What happens to a [connection] at this end.
    ///
    /// [connection]: crate::connection
    ToConnection = 6,

    /// The first frame: the protocol's version, one byte.
    Hello = 16,
    /// A piece of the command's output, or of its terminal's.
    Output = 17,
    /// A piece of what the command wrote to its standard error.
    Errors = 18,
    /// The request is done; its result as JSON. For a command its exit code, 128 + N after signal N; it comes after all output.
    Done = 19,
    /// The request failed: why, as text.
    Failed = 20,
    /// What was asked for has begun, and goes on until who asked is gone.
    Begun = 21,
    /// What happens to a [connection] at the program's end.
    ///
    /// [connection]: crate::connection
    FromConnection = 22,
}

impl Kind {
    /// The kind with this byte.
    #[must_use]
    pub fn of(byte: u8) -> Option<Self> {
        [
            Self::Request,
            Self::Input,
            Self::InputEnd,
            Self::Signal,
            Self::Resize,
            Self::ToConnection,
            Self::Hello,
            Self::Output,
            Self::Errors,
            Self::Done,
            Self::Failed,
            Self::Begun,
            Self::FromConnection,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// The head of a frame with a payload of `length` bytes.
#[must_use]
pub fn head(kind: Kind, length: usize) -> [u8; HEAD] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [kind as u8, a, b, c, d]
}

/// What a head says: the kind and the payload's length in bytes. `None` where it is no head.
#[must_use]
pub fn parse_head(head: [u8; HEAD]) -> Option<(Kind, usize)> {
    let [kind, length @ ..] = head;
    let kind = Kind::of(kind)?;
    let length = u32::from_be_bytes(length) as usize;
    (length <= if kind == Kind::Request { 1 << 20 } else { LIMIT }).then_some((kind, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_it_was_made_of() {
        assert_eq!(parse_head(head(Kind::Output, 65_536)), Some((Kind::Output, 65_536)));
        assert_eq!(parse_head(head(Kind::Output, 65_537)), None);
        assert_eq!(parse_head(*b"There"), None, "what wsl.exe says is no head");
    }
}
