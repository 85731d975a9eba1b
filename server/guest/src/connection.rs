//! Connections to a socket that the program listens at ([`Request::Listen`](crate::Request::Listen)): many pass through one session. A frame
//! of [`Kind::ToConnection`](crate::Kind::ToConnection) or [`Kind::FromConnection`](crate::Kind::FromConnection) has the connection's number,
//! 4 bytes, big-endian, a byte that says what happens to it, and what belongs to that.
//!
//! Either end may send [`WINDOW`] bytes of a connection's data that the other has not [taken](Step::Taken) yet, and no more. So what waits for
//! one that nobody reads is bounded, and holds no other up.

use crate::frame::LIMIT;

/// How much of one connection's data may be on its way in one direction, in bytes.
pub const WINDOW: usize = 256 << 10;
/// The most data of one frame, in bytes.
pub const LONGEST: usize = LIMIT - HEAD;
/// The connection's number, and what happens.
const HEAD: usize = 5;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A program has connected. Its number was no other connection's of this session.
    Opened,
    /// A piece of data, at most [`LONGEST`] bytes.
    Data(&'a [u8]),
    /// No data comes any more; what goes the other way is not touched.
    End,
    /// To the program: nobody wants it any more; what was sent before still arrives. From the program: it is over, and the last of it.
    Closed,
    /// So many bytes were taken out of the window.
    Taken(u32),
}

/// The payload that says `step` of the connection `number`.
#[must_use]
pub fn payload(number: u32, step: Step<'_>) -> Vec<u8> {
    let (what, rest): (u8, &[u8]) = match step {
        Step::Opened => (0, &[]),
        Step::Data(bytes) => (1, bytes),
        Step::End => (2, &[]),
        Step::Closed => (3, &[]),
        Step::Taken(count) => (4, &count.to_be_bytes()),
    };
    let mut payload = Vec::with_capacity(HEAD + rest.len());
    payload.extend_from_slice(&number.to_be_bytes());
    payload.push(what);
    payload.extend_from_slice(rest);
    payload
}

/// What a payload says, of which connection; `None` where it is none.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<(u32, Step<'_>)> {
    let (&[a, b, c, d, what], rest) = payload.split_first_chunk::<HEAD>()?;
    let step = match (what, rest) {
        (0, []) => Step::Opened,
        (1, bytes) => Step::Data(bytes),
        (2, []) => Step::End,
        (3, []) => Step::Closed,
        (4, &[a, b, c, d]) => Step::Taken(u32::from_be_bytes([a, b, c, d])),
        _ => return None,
    };
    Some((u32::from_be_bytes([a, b, c, d]), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_what_it_was_made_of() {
        let all = [
            Step::Opened,
            Step::Data(b"x\0y"),
            Step::Data(b""),
            Step::End,
            Step::Closed,
            Step::Taken(70_000),
        ];
        for step in all {
            assert_eq!(parse(&payload(0x0102_0304, step)), Some((0x0102_0304, step)));
        }
        assert_eq!(payload(1, Step::Data(&[0; LONGEST])).len(), LIMIT);
        for none in [b"".as_slice(), b"\0\0\0\x01", b"\0\0\0\x01\x09", b"\0\0\0\x01\x02x", b"\0\0\0\x01\x04x"]
        {
            assert_eq!(parse(none), None, "{none:?}");
        }
    }
}
