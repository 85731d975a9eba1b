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
