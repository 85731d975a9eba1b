//! What a `flake.lock` says about one of its flake's inputs.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// So many inputs may lead to each other: a lock that says more goes round in a circle.
const LONGEST_WAY: usize = 64;

/// A lock file.
#[derive(Debug, Clone, Deserialize)]
pub struct Lock {
    nodes: HashMap<String, Node>,
    root: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Node {
    #[serde(default)]
    inputs: HashMap<String, Input>,
    locked: Option<Value>,
    /// Whether it is read as a flake.
    #[serde(default = "yes")]
    flake: bool,
    /// The input whose flake a relative path is meant from; empty for the lock's own flake.
    #[serde(default)]
    parent: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Where an input's node is.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Input {
    Node(String),
    /// It is the input that these names lead to, from the lock's own flake.
    Follows(Vec<String>),
}

impl Lock {
    /// Reads a lock file's text.
    ///
    /// # Errors
    /// Where it is no lock.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Whether the lock's flake has an input of this name, and if so, whether that is read as a flake.
    #[must_use]
    pub fn is_flake(&self, name: &str) -> Option<bool> {
        let node = self.nodes.get(self.node(&[name.to_owned()], &mut 0)?)?;
        Some(node.flake)
    }

    /// What is locked for the input `name` of the flake in `folder`; `None` where it has no such input, or its entry
    /// cannot be understood.
    #[must_use]
    pub fn locked(&self, name: &str, folder: &Path) -> Option<Value> {
        let node = self.nodes.get(self.node(&[name.to_owned()], &mut 0)?)?;
        let mut locked = node.locked.clone()?;
        let relative = locked.get("type")? == "path" && !locked.get("path")?.as_str()?.starts_with('/');
        if relative {
            if !node.parent.is_empty() {
                return None;
            }
            let path = folder.join(locked.get("path")?.as_str()?);
            locked["path"] = path.to_str()?.into();
        }
        Some(locked)
    }

    /// The node that these names lead to.
    fn node(&self, names: &[String], steps: &mut usize) -> Option<&str> {
        let mut at = self.root.as_str();
        for name in names {
            *steps += 1;
            if *steps > LONGEST_WAY {
                return None;
            }
            at = match self.nodes.get(at)?.inputs.get(name)? {
                Input::Node(node) => node,
                Input::Follows(names) => self.node(names, steps)?,
            };
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn locked(nodes: &Value, name: &str) -> Option<Value> {
        let text = json!({ "nodes": nodes, "root": "root", "version": 7 }).to_string();
        Lock::parse(&text).unwrap().locked(name, Path::new("/flake"))
    }

    fn nixpkgs(rev: &str) -> Value {
        json!({ "locked": { "type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": rev } })
    }

    #[test]
    fn the_input_is_the_flakes_own_and_not_another_node_of_that_name() {
        let nodes = json!({
            "nixpkgs": nixpkgs("a"),
            "nixpkgs_2": nixpkgs("b"),
            "root": { "inputs": { "nixpkgs": "nixpkgs_2", "other": "other" } },
            "other": { "inputs": { "nixpkgs": "nixpkgs" } },
        });
        assert_eq!(locked(&nodes, "nixpkgs").unwrap()["rev"], "b");
        assert_eq!(locked(&nodes, "absent"), None);
    }

    #[test]
    fn an_input_that_follows_others_is_found_where_they_lead() {
        let nodes = json!({
            "root": { "inputs": { "nixpkgs": ["tools", "base", "nixpkgs"], "tools": "tools", "base": "base" } },
            "tools": { "inputs": { "base": ["base"] } },
            "base": { "inputs": { "nixpkgs": "pinned" } },
            "pinned": nixpkgs("c"),
        });
        assert_eq!(locked(&nodes, "nixpkgs").unwrap()["rev"], "c");
    }

    #[test]
    fn inputs_that_follow_each_other_in_a_circle_lead_nowhere() {
        let nodes = json!({ "root": { "inputs": { "nixpkgs": ["a"], "a": ["nixpkgs"], "b": ["b", "b"] } } });
        assert_eq!(locked(&nodes, "nixpkgs"), None);
        assert_eq!(locked(&nodes, "b"), None);
    }

    #[test]
    fn a_relative_path_is_meant_from_the_flake_that_names_it() {
        let nodes = json!({
            "root": { "inputs": { "nixpkgs": "near", "far": "far" } },
            "near": { "locked": { "type": "path", "path": "./nixpkgs" }, "parent": [] },
            "far": { "locked": { "type": "path", "path": "./nixpkgs" }, "parent": ["near"] },
        });
        assert_eq!(locked(&nodes, "nixpkgs").unwrap()["path"], "/flake/./nixpkgs");
        assert_eq!(locked(&nodes, "far"), None, "only an evaluation finds it");
    }

    #[test]
    fn what_is_no_lock_is_an_error_and_an_odd_one_says_nothing() {
        assert!(
            Lock::parse("").is_err() && Lock::parse("[1]").is_err() && Lock::parse("{\"nodes\": 1}").is_err()
        );
        assert_eq!(locked(&json!({}), "nixpkgs"), None);
        assert_eq!(locked(&json!({ "root": { "inputs": { "nixpkgs": "gone" } } }), "nixpkgs"), None);
        let odd = json!({ "root": { "inputs": { "nixpkgs": "n" } }, "n": { "locked": [] } });
        assert_eq!(locked(&odd, "nixpkgs"), None);
    }
}
