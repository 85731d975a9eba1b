//! Source trees in the store: those that a lock names, and those that a flake URL means today.

use crate::url::string_literal;
use crate::{CancellationToken, Nix, NixError};
use serde::Deserialize;
use std::path::PathBuf;

/// A source tree in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it lies.
    pub path: PathBuf,
    /// The hash of its contents, as a lock has it.
    pub hash: String,
}

impl Nix {
    /// The tree that a lock file's entry names (the value of its `locked`); fetched only where it is not in the store.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it cannot be fetched or is another one than was locked, and the others.
    pub async fn locked_tree(
        &self,
        locked: &serde_json::Value,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, NixError> {
        let expression = format!(
            "let locked = builtins.removeAttrs (builtins.fromJSON {}) [ \"dir\" \"__final\" ]; {LOOK_FIRST}",
            string_literal(&locked.to_string())
        );
        // Read-only: what `derivationStrict` describes is not written to the store. Trees are fetched all the same.
        let mut command = self.command(&["eval", "--json", "--read-only", "--impure", "--expr"]);
        command.arg(expression);
        self.json(command, "nix eval", cancel).await
    }

    /// Whether the tree that a flake URL means today has a `flake.nix`. It is fetched, and nothing of it evaluated.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it cannot be fetched, and the others.
    pub async fn has_flake(&self, url: &str, cancel: &CancellationToken) -> Result<bool, NixError> {
        let (url, folder) = without_folder(url);
        let file = format!("/{}/flake.nix", folder.trim_matches('/'));
        // Impure, because a URL that a person types names no revision.
        let mut command = self.command(&["eval", "--json", "--impure", "--expr"]);
        command.arg(format!(
            "builtins.pathExists ((builtins.fetchTree {}).outPath + {})",
            string_literal(&url),
            string_literal(&file)
        ));
        self.json(command, "nix eval", cancel).await
    }

    /// The tree that a flake URL means today.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it cannot be fetched or is no flake, and the others.
    pub async fn flake_tree(&self, url: &str, cancel: &CancellationToken) -> Result<Tree, NixError> {
        #[derive(Deserialize)]
        struct Metadata {
            path: PathBuf,
            locked: Locked,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Locked {
            nar_hash: String,
        }
        // Not `nix flake prefetch`: Nix 2.8 downloads the list of known names for it even where the URL needs none.
        let mut command = self.command(&["flake", "metadata", "--json", "--no-write-lock-file"]);
        // A URL that begins with a dash is none.
        command.arg("--").arg(url);
        let Metadata { path, locked } = self.json(command, "nix flake metadata", cancel).await?;
        Ok(Tree { path, hash: locked.nar_hash })
    }
}

/// A flake URL without the folder in its tree, and that folder, as both are written.
fn without_folder(url: &str) -> (String, String) {
    let Some((place, query)) = url.split_once('?') else { return (url.to_owned(), String::new()) };
    let (folder, others): (Vec<_>, Vec<_>) = query.split('&').partition(|part| part.starts_with("dir="));
    let folder = folder.first().map(|part| part.trim_start_matches("dir=").to_owned()).unwrap_or_default();
    let url = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
    (url, folder)
}

/// A tree's place in the store follows from its hash: the same as that of a derivation with this output.
///
/// Nix looks there itself only for some kinds of inputs in some versions; others are downloaded once more, or are not
/// found where the folder that was locked has changed since.
const LOOK_FIRST: &str = r#"
  expected = builtins.unsafeDiscardStringContext (builtins.derivationStrict {
    name = "source"; builder = "none"; system = "none";
    outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = locked.narHash;
  }).out;
in if locked ? narHash && builtins.pathExists expected then expected else "${builtins.fetchTree locked}"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_in_a_tree_is_taken_out_of_a_url() {
        let cases = [
            ("git+https://h/a?ref=x&dir=sub/b&shallow=1", "git+https://h/a?ref=x&shallow=1", "sub/b"),
            ("github:o/r?dir=x", "github:o/r", "x"),
            ("git+ssh://git@h/dir=a", "git+ssh://git@h/dir=a", ""),
        ];
        for (url, place, folder) in cases {
            assert_eq!(without_folder(url), (place.to_owned(), folder.to_owned()));
        }
    }
}
