//! Values as shells and systemd read them.

use crate::Secret;
use zeroize::Zeroizing;

/// A POSIX shell file that exports the variables. In single quotes nothing is special but the quote itself.
pub(super) fn shell(variables: &[(String, &Secret)]) -> Zeroizing<Vec<u8>> {
    lines(variables, "export ", b'\'', |byte| if byte == b'\'' { b"'\\''".as_slice() } else { b"" })
}

/// A systemd environment file. In double quotes a backslash takes the meaning from these four; newlines stay as they
/// are (systemd.exec(5), `EnvironmentFile=`).
pub(super) fn systemd(variables: &[(String, &Secret)]) -> Zeroizing<Vec<u8>> {
    lines(variables, "", b'"', |byte| match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'$' => b"\\$",
        b'`' => b"\\`",
        _ => b"",
    })
}

/// `escape` gives what a byte becomes; empty where it stays.
fn lines(
    variables: &[(String, &Secret)],
    keyword: &str,
    quote: u8,
    escape: impl Fn(u8) -> &'static [u8],
) -> Zeroizing<Vec<u8>> {
    // The most that they can need, for the buffer never to move.
    let size = variables.iter().map(|(name, value)| 32 + name.len() + 4 * value.expose().len()).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in variables {
        text.extend_from_slice(keyword.as_bytes());
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(&[b'=', quote]);
        for &byte in value.expose() {
            match escape(byte) {
                [] => text.push(byte),
                escaped => text.extend_from_slice(escaped),
            }
        }
        text.extend_from_slice(&[quote, b'\n']);
    }
    text
}
