//! What is inside the vault: JSON with values in base64, because they may hold any bytes.
//!
//! The version is read before all else, so that a vault of a newer codchi is refused and never rewritten without what
//! it has more.

use super::Scope;
use crate::{MachineName, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Every value, by scope and name.
pub(super) type Values = BTreeMap<Scope, BTreeMap<String, Secret>>;

const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    all: Encoded,
    machines: BTreeMap<MachineName, Encoded>,
}

/// Values in base64 by name.
type Encoded = BTreeMap<String, Zeroizing<String>>;

/// Reads what [`write`] gives.
///
/// # Errors
/// Why not, as a clause without values.
pub(super) fn read(plain: Zeroizing<Vec<u8>>) -> Result<Values, String> {
    let header: Header = serde_json::from_slice(&plain).map_err(|e| reason(&e))?;
    if header.version > VERSION {
        return Err(format!(
            "it is of version {}, and this codchi knows {VERSION}; update codchi",
            header.version
        ));
    }
    let contents: Contents = serde_json::from_slice(&plain).map_err(|e| reason(&e))?;
    let scopes = contents.machines.into_iter().map(|(name, values)| (Scope::Machine(name), values));
    std::iter::once((Scope::All, contents.all))
        .chain(scopes)
        .filter(|(_, values)| !values.is_empty())
        .map(|(scope, values)| Ok((scope, decode(values)?)))
        .collect()
}

/// As plain text to be encrypted.
pub(super) fn write(values: &Values) -> Zeroizing<Vec<u8>> {
    let mut contents = Contents { version: VERSION, all: Encoded::new(), machines: BTreeMap::new() };
    for (scope, values) in values {
        let encoded =
            values.iter().map(|(name, value)| (name.clone(), Zeroizing::new(BASE64.encode(value.expose()))));
        match scope {
            Scope::All => contents.all.extend(encoded),
            Scope::Machine(name) => {
                contents.machines.insert(name.clone(), encoded.collect());
            }
        }
    }
    // Enough room from the start: a buffer that grows leaves copies behind.
    let length =
        |values: &Encoded| values.iter().map(|(name, value)| 6 * name.len() + value.len() + 8).sum::<usize>();
    let size = contents.machines.values().map(|values| length(values) + 64).sum::<usize>();
    let mut plain = Zeroizing::new(Vec::with_capacity(size + length(&contents.all) + 64));
    // Maps with text keys always serialize, and writing to memory cannot fail.
    let _ = serde_json::to_writer(&mut *plain, &contents);
    plain
}

fn decode(values: Encoded) -> Result<BTreeMap<String, Secret>, String> {
    let values = values.into_iter().map(|(name, value)| {
        let value = BASE64.decode(value.as_bytes()).ok().and_then(Secret::new);
        let value = value.ok_or_else(|| format!("the value of {name} is damaged"))?;
        Ok((name, value))
    });
    values.collect()
}

/// Where the JSON is wrong; serde's own words could quote a value.
fn reason(error: &serde_json::Error) -> String {
    format!("its contents are damaged at line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_values_come_back_as_they_were(
            all in values(),
            machine in values(),
        ) {
            let mut before = Values::from([(Scope::All, all), (Scope::Machine("m".parse().unwrap()), machine)]);
            before.retain(|_, values| !values.is_empty());
            prop_assert_eq!(read(write(&before)).unwrap(), before);
        }
    }

    fn values() -> impl Strategy<Value = BTreeMap<String, Secret>> {
        let value = prop::collection::vec(1u8.., 0..200).prop_map(|bytes| Secret::new(bytes).unwrap());
        prop::collection::btree_map(any::<String>(), value, 0..8)
    }

    #[test]
    fn a_newer_version_is_refused_and_damage_is_told_without_values() {
        let error = |json: &str| read(Zeroizing::new(json.as_bytes().to_vec())).unwrap_err();
        assert_eq!(
            error(r#"{"version":2,"new":{}}"#),
            "it is of version 2, and this codchi knows 1; update codchi"
        );
        for json in [
            "",
            "{}",
            r#"{"version":1,"all":{"A":"hunter2!"},"machines":{}}"#,
            r#"{"version":1,"all":"hunter2!","machines":{}}"#,
            r#"{"version":1,"all":{},"machines":{"Hunter2!":{}}}"#,
        ] {
            let error = error(json);
            assert!(error.contains("damaged") && !error.to_lowercase().contains("hunter2"), "{error}");
        }
    }
}
