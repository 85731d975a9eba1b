//! What is inside the vault: JSON with values in base64, because they may hold any bytes.
//!
//! The version is read before all else, so that a vault of a newer codchi is refused and never rewritten without what
//! it has more.

use super::Scope;
use crate::state::now;
use crate::{MachineName, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Every value, by scope and name.
pub(super) type Values = BTreeMap<Scope, BTreeMap<String, Stored>>;

/// A value, and since when it is in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) value: Secret,
    /// Seconds since 1970; `None` where version 1 stored it, which did not say.
    pub(super) set: Option<u64>,
}

impl Stored {
    /// As of now.
    pub(super) fn now(value: Secret) -> Self {
        Self { value, set: Some(now()) }
    }
}

/// The version that is written. Version 1 had values alone, without the time.
pub(super) const VERSION: u32 = 2;

/// Why contents cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Of this version.
    Newer(u32),
    /// Why, as a clause without values.
    Damaged(String),
}

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents<V> {
    version: u32,
    all: BTreeMap<String, V>,
    machines: BTreeMap<MachineName, BTreeMap<String, V>>,
}

/// A value of version 1, in base64.
type Bare = Zeroizing<String>;

/// A value of version 2.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dated {
    /// In base64.
    value: Zeroizing<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<u64>,
}

/// Reads what [`write`] gives, or an earlier version of it; and says which version it is.
///
/// # Errors
/// Why not.
pub(super) fn read(plain: Zeroizing<Vec<u8>>) -> Result<(Values, u32), Unreadable> {
    let Header { version } = parse(&plain)?;
    let values = match version {
        1 => values(parse::<Contents<Bare>>(&plain)?, |value| (value, None)),
        VERSION => values(parse::<Contents<Dated>>(&plain)?, |dated| (dated.value, dated.set)),
        newer if newer > VERSION => return Err(Unreadable::Newer(newer)),
        _ => return Err(Unreadable::Damaged(format!("there is no version {version}"))),
    };
    Ok((values?, version))
}

fn parse<'a, T: Deserialize<'a>>(plain: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(plain).map_err(|e| Unreadable::Damaged(reason(&e)))
}

fn values<V>(
    contents: Contents<V>,
    parts: impl Fn(V) -> (Zeroizing<String>, Option<u64>),
) -> Result<Values, Unreadable> {
    let stored = |(name, value): (String, V)| {
        let (text, set) = parts(value);
        let value = BASE64.decode(text.as_bytes()).ok().and_then(Secret::new);
        let value = value.ok_or_else(|| Unreadable::Damaged(format!("the value of {name} is damaged")))?;
        Ok((name, Stored { value, set }))
    };
    let scopes = contents.machines.into_iter().map(|(name, values)| (Scope::Machine(name), values));
    std::iter::once((Scope::All, contents.all))
        .chain(scopes)
        .filter(|(_, values)| !values.is_empty())
        .map(|(scope, values)| Ok((scope, values.into_iter().map(stored).collect::<Result<_, _>>()?)))
        .collect()
}

/// As plain text to be encrypted.
pub(super) fn write(values: &Values) -> Zeroizing<Vec<u8>> {
    let mut contents = Contents { version: VERSION, all: BTreeMap::new(), machines: BTreeMap::new() };
    for (scope, values) in values {
        let encoded = values.iter().map(|(name, stored)| {
            let value = Zeroizing::new(BASE64.encode(stored.value.expose()));
            (name.clone(), Dated { value, set: stored.set })
        });
        match scope {
            Scope::All => contents.all.extend(encoded),
            Scope::Machine(name) => {
                contents.machines.insert(name.clone(), encoded.collect());
            }
        }
    }
    // Enough room from the start: a buffer that grows leaves copies behind.
    let length = |values: &BTreeMap<String, Dated>| {
        values.iter().map(|(name, dated)| 6 * name.len() + dated.value.len() + 64).sum::<usize>()
    };
    let size = contents.machines.values().map(|values| length(values) + 64).sum::<usize>();
    let mut plain = Zeroizing::new(Vec::with_capacity(size + length(&contents.all) + 64));
    // Maps with text keys always serialize, and writing to memory cannot fail.
    let _ = serde_json::to_writer(&mut *plain, &contents);
    plain
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
            prop_assert_eq!(read(write(&before)).unwrap(), (before, VERSION));
        }
    }

    fn values() -> impl Strategy<Value = BTreeMap<String, Stored>> {
        let value = prop::collection::vec(1u8.., 0..200).prop_map(|bytes| Secret::new(bytes).unwrap());
        let stored = (value, any::<Option<u64>>()).prop_map(|(value, set)| Stored { value, set });
        prop::collection::btree_map(any::<String>(), stored, 0..8)
    }

    #[test]
    fn the_room_is_enough_whatever_the_names_are() {
        let stored = Stored { value: Secret::new("x".repeat(1000)).unwrap(), set: Some(u64::MAX) };
        let of_scope = BTreeMap::from([("\u{1}".repeat(300), stored)]);
        let machine = Scope::Machine("m".repeat(30).parse().unwrap());
        let values = Values::from([(Scope::All, of_scope.clone()), (machine, of_scope)]);
        let plain = write(&values);
        let parts: usize = values.values().flatten().map(|(name, _)| 6 * name.len() + 1336 + 64).sum();
        assert!(plain.len() <= parts + 2 * 64, "{}", plain.len());
        assert_eq!(read(plain).unwrap().0, values);
    }

    #[test]
    fn version_1_is_read_and_says_no_time() {
        let json = br#"{"version":1,"all":{"A":"YQ=="},"machines":{"m":{"B":"Yg=="}}}"#;
        let (values, version) = read(Zeroizing::new(json.to_vec())).unwrap();
        let bare = |name: &str, value: &str| {
            BTreeMap::from([(name.to_owned(), Stored { value: Secret::new(value).unwrap(), set: None })])
        };
        let machine = Scope::Machine("m".parse().unwrap());
        assert_eq!(values, Values::from([(Scope::All, bare("A", "a")), (machine, bare("B", "b"))]));
        assert_eq!(version, 1);
    }

    #[test]
    fn a_newer_version_is_refused_and_damage_is_told_without_values() {
        let error = |json: &str| read(Zeroizing::new(json.as_bytes().to_vec())).unwrap_err();
        assert_eq!(error(r#"{"version":3,"new":{}}"#), Unreadable::Newer(3));
        assert_eq!(error(r#"{"version":0}"#), Unreadable::Damaged("there is no version 0".into()));
        for json in [
            "",
            "{}",
            r#"{"version":1,"all":{"A":"hunter2!"},"machines":{}}"#,
            r#"{"version":2,"all":{"A":"aHVudGVyMiE="},"machines":{}}"#,
            r#"{"version":2,"all":{"A":{"value":"hunter2!"}},"machines":{}}"#,
            r#"{"version":2,"all":{"A":{"value":"AA=="}},"machines":{}}"#,
            r#"{"version":1,"all":"hunter2!","machines":{}}"#,
            r#"{"version":2,"all":{},"machines":{"Hunter2!":{}}}"#,
            r#"{"version":2,"all":{},"machines":{},"more":"hunter2!"}"#,
        ] {
            let Unreadable::Damaged(why) = error(json) else { panic!("{json}") };
            assert!(why.contains("damaged") && !why.to_lowercase().contains("hunter2"), "{why}");
        }
    }
}
