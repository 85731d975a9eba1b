//! Machine names.

use std::fmt;
use std::str::FromStr;

/// A machine's name. A value of this type is valid: lowercase letters, digits and single hyphens, starting with a
/// letter, not ending in a hyphen, at most 40 characters (so that `codchi-NAME` is a host name everywhere).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct MachineName(String);

/// A text is not a machine name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a valid machine name: use lowercase letters, digits and hyphens, starting with a letter, at most 40"
)]
pub struct InvalidMachineName(pub String);

impl MachineName {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 40;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alias for SSH and the instance's name: `codchi-NAME`.
    #[must_use]
    pub fn host_alias(&self) -> String {
        format!("codchi-{}", self.0)
    }

    /// The nearest valid name to any text, e.g. a folder's name; `machine` where nothing of it can be used.
    #[must_use]
    pub fn suggest(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_alphanumeric() {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        let start = name.find(|c: char| c.is_ascii_lowercase()).unwrap_or(name.len());
        let mut name: String = name[start..].chars().take(Self::MAX_LENGTH).collect();
        while name.ends_with('-') {
            name.pop();
        }
        if name.is_empty() {
            return Self("machine".into());
        }
        if cfg!(windows) && is_device(&name) {
            name.push_str("-machine");
        }
        Self(name)
    }
}

/// Whether Windows takes `name` for a device wherever it is, so that no folder can have it.
fn is_device(name: &str) -> bool {
    let numbered = |device| name.strip_prefix(device).is_some_and(|number| number.len() == 1);
    matches!(name, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

impl FromStr for MachineName {
    type Err = InvalidMachineName;

    fn from_str(text: &str) -> Result<Self, InvalidMachineName> {
        // `suggest` leaves exactly the valid names as they are.
        if !text.is_empty() && Self::suggest(text).0 == text {
            Ok(Self(text.into()))
        } else {
            Err(InvalidMachineName(text.into()))
        }
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for MachineName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names_parse_and_invalid_ones_do_not() {
        for name in ["a", "hello", "my-app2", "a1-b2-c3"] {
            assert_eq!(name.parse::<MachineName>().unwrap().as_str(), name);
        }
        let long = "a".repeat(41);
        for name in ["", "-a", "a-", "a--b", "A", "1a", "ä", "a b", "a/b", "../a", long.as_str()] {
            assert!(name.parse::<MachineName>().is_err(), "{name}");
        }
    }

    #[test]
    fn any_folder_name_becomes_a_valid_name() {
        for (folder, name) in
            [("My App", "my-app"), ("01_foo.bar", "foo-bar"), ("…", "machine"), ("x-", "x"), ("", "machine")]
        {
            assert_eq!(MachineName::suggest(folder).as_str(), name);
        }
    }
}
