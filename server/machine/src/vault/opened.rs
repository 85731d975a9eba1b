//! The vault as one reading has found it.

use super::Scope;
use super::format::Values;
use crate::{MachineName, Secret};
use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// All values, and what tells one from another without it.
#[derive(Default)]
pub(crate) struct Opened {
    values: Values,
    /// `None` where there is no vault yet, and so no value.
    digests: Option<DigestKey>,
}

/// Derived from the vault's own key: who has the digests alone cannot try what they are of.
struct DigestKey(Zeroizing<Vec<u8>>);

/// Tells what is made with the vault's key apart from whatever else may ever be.
const PURPOSE: &[u8] = b"codchi: digests of delivered secrets";

impl Opened {
    /// What was decrypted with `key`.
    pub(super) fn new(values: Values, key: &Identity) -> Self {
        let digests = mac(key.to_string().expose_secret().as_bytes(), &[PURPOSE]).map(DigestKey);
        Self { values, digests }
    }

    /// The value that `machine` gets: its own, else that for all machines.
    pub(crate) fn value(&self, machine: &MachineName, name: &str) -> Option<&Secret> {
        let own = self.values.get(&Scope::Machine(machine.clone())).and_then(|values| values.get(name));
        own.or_else(|| self.values.get(&Scope::All)?.get(name)).map(|stored| &stored.value)
    }

    /// Whether `machine` has a value of its own.
    pub(crate) fn has_own(&self, machine: &MachineName, name: &str) -> bool {
        self.values.get(&Scope::Machine(machine.clone())).is_some_and(|values| values.contains_key(name))
    }

    /// Digests of the values that `machine` gets for `names`, where there are any. They may be written to disk: without
    /// the vault's key nothing follows from one, not even that two secrets or machines have the same value.
    pub(crate) fn digests<'n>(
        &self,
        machine: &MachineName,
        names: impl IntoIterator<Item = &'n String>,
    ) -> BTreeMap<String, String> {
        let Some(DigestKey(key)) = &self.digests else { return BTreeMap::new() };
        let digest = |name: &'n String| {
            let value = self.value(machine, name)?;
            let digest = mac(key, &[machine.as_str().as_bytes(), name.as_bytes(), value.expose()])?;
            Some((name.clone(), hex::encode(digest)))
        };
        names.into_iter().filter_map(digest).collect()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(…)")
    }
}

/// HMAC-SHA256 of `parts`, none of which can be taken for a piece of another: no name and no value holds a NUL byte.
fn mac(key: &[u8], parts: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    // A key of any length will do.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
        mac.update(&[0]);
    }
    Some(Zeroizing::new(mac.finalize().into_bytes().to_vec()))
}
