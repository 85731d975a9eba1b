//! A secret's value.

use std::fmt;
use zeroize::Zeroizing;

/// A secret's value: any bytes but NUL. Cannot be printed or serialized, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes a value; `None` where it holds a NUL byte, which no environment variable can.
    #[must_use]
    pub fn new(value: impl Into<Vec<u8>>) -> Option<Self> {
        let value = Zeroizing::new(value.into());
        if value.contains(&0) { None } else { Some(Self(value)) }
    }

    /// The value, for the two places that may see it: the vault and the delivery.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
