//! The `codchi.*` options: what exists, of which type, and its documentation.
//!
//! The table is `nix/options.json`, which is generated from `nix/modules` by Nix itself; a test keeps the two equal.

use std::collections::BTreeMap;

/// A path of attribute names, e.g. `codchi.secrets.TOKEN.description`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OptionPath(pub Vec<String>);

/// One option's documentation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OptionDoc {
    /// In Markdown.
    pub description: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: OptionType,
    /// The default, as a Nix expression.
    #[serde(default)]
    pub default: Option<String>,
    /// An example, as a Nix expression.
    #[serde(default)]
    pub example: Option<String>,
    /// What to use instead, as a sentence, where it is deprecated.
    #[serde(default)]
    pub deprecated: Option<String>,
}

/// An option's type, as far as a literal can be checked against it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum OptionType {
    /// A boolean.
    Bool,
    /// A string.
    Str,
    /// An integer.
    Int,
    /// Several lines of text.
    Lines,
    /// A path.
    Path,
    /// A package.
    Package,
    /// One of these strings.
    Enum {
        /// The strings.
        values: Vec<String>,
    },
    /// `null` or the other.
    NullOr {
        /// The other.
        of: Box<OptionType>,
    },
    /// A list.
    ListOf {
        /// Of what.
        of: Box<OptionType>,
    },
    /// An attribute set with free names.
    AttrsOf {
        /// Of what.
        of: Box<OptionType>,
    },
    /// An attribute set whose options are listed below it, with `<name>` for a free name.
    Submodule,
    /// Anything: no literal is wrong.
    Anything,
}

/// All options by path; a free name is `<name>`: `codchi.secrets.<name>.description`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options(pub BTreeMap<String, OptionDoc>);

impl Options {
    /// The table that is built in.
    #[must_use]
    pub fn builtin() -> &'static Self {
        unimplemented!()
    }
}
