//! What a lock holds of an input, as a person reads it.

use serde_json::Value;
use std::fmt;

/// Which revision of an input is locked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// The commit; `None` for what has none, as a folder.
    pub commit: Option<String>,
    /// The hash of its contents.
    pub hash: Option<String>,
    /// When it was changed last, in seconds since 1970; `None` where that is not known.
    pub date: Option<i64>,
}

impl Revision {
    /// What the `locked` of a lock's entry says.
    #[must_use]
    pub fn new(locked: &Value) -> Self {
        let text = |name: &str| locked.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            commit: text("rev"),
            hash: text("narHash"),
            // Nix 2.8 writes the moment of the epoch where it knows nothing.
            date: locked.get("lastModified").and_then(Value::as_i64).filter(|date| *date > 1),
        }
    }

    /// Its day (UTC), as `2025-11-02`.
    #[must_use]
    pub fn day(&self) -> Option<String> {
        let moment = jiff::Timestamp::from_second(self.date?).ok()?;
        Some(moment.strftime("%Y-%m-%d").to_string())
    }
}

/// So much of a commit tells it from others.
const SHORT: usize = 7;

impl fmt::Display for Revision {
    /// Day and short commit, or else the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = match (&self.commit, &self.hash) {
            (Some(commit), _) => commit.chars().take(SHORT).collect(),
            (None, Some(hash)) => hash.clone(),
            (None, None) => "unknown".to_owned(),
        };
        match self.day().filter(|_| self.commit.is_some()) {
            Some(day) => write!(f, "{day} {is}"),
            None => f.write_str(&is),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_revision_is_shown_with_its_day_and_a_folder_with_its_hash() {
        let commit =
            json!({ "rev": "0123456789abcdef", "lastModified": 1_762_128_000, "narHash": "sha256-x" });
        assert_eq!(Revision::new(&commit).to_string(), "2025-11-03 0123456");
        let folder = json!({ "narHash": "sha256-x", "lastModified": 1, "type": "path" });
        assert_eq!(Revision::new(&folder).to_string(), "sha256-x");
        assert_eq!(Revision::new(&json!({})).to_string(), "unknown");
    }
}
