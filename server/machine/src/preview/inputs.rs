//! What a system is made of: the modules and nixpkgs that `flake.lock` names, and how two of them differ. Pure.

use crate::flake::Copied;
use serde_json::Value;

/// An input of a machine's flake, as it was locked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Its name in the machine's flake, e.g. `nixpkgs`.
    pub name: String,
    /// Where it comes from, as a person reads it.
    pub source: String,
    /// The commit, or the hash of what was copied where there is none.
    pub revision: String,
    /// When that was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<u64>,
}

/// An input that differs between two systems.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionChange {
    /// Its name.
    pub name: String,
    /// Where it comes from, or came from where it is gone.
    pub source: String,
    /// Its revision in the earlier system; `None` where it is new.
    pub before: Option<String>,
    /// Its revision in the later system; `None` where it is gone.
    pub after: Option<String>,
}

impl RevisionChange {
    /// The change in a line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.name, self.how())
    }

    /// From what to what, commits shortened as people do; a hash of contents says nothing to them.
    #[must_use]
    pub fn how(&self) -> String {
        let short = |revision: &str| match revision.strip_prefix("sha256-") {
            Some(_) => "its contents".to_owned(),
            None => revision.chars().take(8).collect(),
        };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => match (short(before), short(after)) {
                (before, after) if before == after => "changed".into(),
                (before, after) => format!("{before} → {after}"),
            },
            (None, _) => "added".into(),
            (_, None) => "removed".into(),
        }
    }
}

/// Reads the inputs of a flake from the text of its lock. `copies` are the local folders behind copies.
pub(crate) fn read(lock: &str, copies: &[Copied]) -> Vec<Input> {
    let lock: Value = serde_json::from_str(lock).unwrap_or_default();
    let root = lock["root"].as_str().unwrap_or("root");
    let Some(inputs) = lock["nodes"][root]["inputs"].as_object() else { return Vec::new() };
    let one = |(name, node): (&String, &Value)| {
        // What follows another input has no node of its own.
        let node = &lock["nodes"][node.as_str()?];
        let locked = &node["locked"];
        let revision = locked["rev"].as_str().or_else(|| locked["narHash"].as_str())?;
        Some(Input {
            name: name.clone(),
            source: source(&node["original"], copies),
            revision: revision.into(),
            date: locked["lastModified"].as_u64(),
        })
    };
    inputs.iter().filter_map(one).collect()
}

fn source(original: &Value, copies: &[Copied]) -> String {
    let text = |key: &str| original[key].as_str().unwrap_or_default();
    let reference = match text("ref") {
        "" => String::new(),
        reference => format!(" ({reference})"),
    };
    match text("type") {
        "path" => {
            let path = std::path::Path::new(text("path"));
            let copied = copies.iter().find(|copied| copied.copy == path);
            copied.map_or(path, |copied| copied.root.as_path()).display().to_string()
        }
        "indirect" => format!("flake:{}", text("id")),
        kind @ ("github" | "gitlab" | "sourcehut") => {
            format!("{kind}:{}/{}{reference}", text("owner"), text("repo"))
        }
        _ => format!("{}{reference}", text("url")),
    }
}

/// Compares what two systems are made of.
pub(crate) fn compare(before: &[Input], after: &[Input]) -> Vec<RevisionChange> {
    let revision = |inputs: &[Input], name: &str| {
        inputs.iter().find(|input| input.name == name).map(|input| input.revision.clone())
    };
    let gone = before.iter().filter(|input| revision(after, &input.name).is_none());
    after
        .iter()
        .chain(gone)
        .map(|input| RevisionChange {
            name: input.name.clone(),
            source: input.source.clone(),
            before: revision(before, &input.name),
            after: revision(after, &input.name),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{ "root": "root", "version": 7, "nodes": {
        "root": { "inputs": { "nixpkgs": "nixpkgs_2", "module-0": "module-0", "module-1": "module-1", "follows": ["nixpkgs"] } },
        "nixpkgs_2": {
            "locked": { "rev": "abc", "lastModified": 7 },
            "original": { "type": "github", "owner": "NixOS", "repo": "nixpkgs", "ref": "nixos-unstable" } },
        "module-0": { "locked": { "narHash": "sha256-x" }, "original": { "type": "path", "path": "/copies/0" } },
        "module-1": { "locked": { "rev": "def" }, "original": { "type": "git", "url": "https://host/m" } }
    } }"#;

    #[test]
    fn inputs_are_read_from_a_lock_and_copies_are_the_users_folders() {
        let copies = [Copied { root: "/home/me/project".into(), copy: "/copies/0".into() }];
        let inputs = read(LOCK, &copies);
        let says = |i: &Input| format!("{} {} {}", i.name, i.source, i.revision);
        assert_eq!(
            inputs.iter().map(says).collect::<Vec<_>>(),
            [
                "module-0 /home/me/project sha256-x",
                "module-1 https://host/m def",
                "nixpkgs github:NixOS/nixpkgs (nixos-unstable) abc"
            ]
        );
        assert_eq!(read("no lock", &[]), []);
    }

    #[test]
    fn what_differs_is_told_with_both_revisions() {
        let before = read(LOCK, &[]);
        assert_eq!(compare(&before, &before), []);
        let after = read(&LOCK.replace("abc", "abd").replace("\"module-1\": \"module-1\",", ""), &[]);
        let lines = |after: &[Input]| -> Vec<String> {
            compare(&before, after).iter().map(RevisionChange::line).collect()
        };
        assert_eq!(lines(&after), ["nixpkgs abc → abd", "module-1 removed"]);
        assert_eq!(lines(&read(&LOCK.replace("sha256-x", "sha256-y"), &[])), ["module-0 changed"]);
    }
}
