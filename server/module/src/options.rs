//! The `codchi.*` options: what exists, of which type, and its documentation.
//!
//! The table is `nix/options.json`, which is generated from `nix/modules` by Nix itself; a test keeps the two equal.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// What stands for a free name in the table's paths.
pub const FREE_NAME: &str = "<name>";

/// A path of attribute names, e.g. `codchi.secrets.TOKEN.description`. Shared, as facts are copied at each keystroke.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OptionPath(pub Arc<[String]>);

/// One option's documentation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
///
/// Where a table has both a name and `<name>` at the same place, the name wins: `codchi.secrets.env` is never a
/// secret called `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    docs: BTreeMap<String, OptionDoc>,
    root: Node,
}

/// The table as a tree, so that each lookup takes one step per segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    /// The key in `docs`; `None` for what only leads to options.
    key: Option<String>,
    children: BTreeMap<String, Node>,
}

/// What a path leads to.
enum Place<'a> {
    /// A place of the table.
    Listed(&'a Node),
    /// A place inside a value whose type is this.
    Inside(&'a OptionType),
}

static BUILTIN: LazyLock<Options> = LazyLock::new(|| {
    // A table that does not parse is empty; the tests below keep that from being released.
    Options::from_json(include_str!("../../../nix/options.json"))
        .unwrap_or_else(|_| Options::new(BTreeMap::new()))
});

impl Options {
    /// The table that is built in.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads a table from JSON: an object of [`OptionDoc`]s by path.
    ///
    /// # Errors
    /// Where it is not of that shape.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        Ok(Self::new(serde_json::from_str(json)?))
    }

    /// A table of these options by path.
    #[must_use]
    pub fn new(docs: BTreeMap<String, OptionDoc>) -> Self {
        let mut root = Node::default();
        for key in docs.keys() {
            let mut node = &mut root;
            for segment in key.split('.') {
                node = node.children.entry(segment.to_owned()).or_default();
            }
            node.key = Some(key.clone());
        }
        Self { docs, root }
    }

    /// All options in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OptionDoc)> {
        self.docs.iter().map(|(path, doc)| (path.as_str(), doc))
    }

    /// The options that work still and have a successor: the path, in which a free name is [`FREE_NAME`], and what to use
    /// instead.
    pub fn deprecated(&self) -> impl Iterator<Item = (OptionPath, &str)> {
        self.docs.iter().filter_map(|(path, doc)| {
            doc.deprecated.as_deref().map(|instead| (OptionPath::new(path.split('.')), instead))
        })
    }

    /// The option at exactly this path, a free name matching any. `None` for a path that only leads to options
    /// (`codchi.gpu`, `codchi.secrets.TOKEN`) and for parts of an option's value (`codchi.welcome.text`).
    #[must_use]
    pub fn get(&self, path: &OptionPath) -> Option<&OptionDoc> {
        match self.place(path)? {
            Place::Listed(node) => self.doc(node),
            Place::Inside(_) => None,
        }
    }

    /// The innermost option that the path is at or in the value of: for `codchi.welcome.text` that is
    /// `codchi.welcome`, for `codchi.secrets.TOKEN` it is `codchi.secrets`.
    #[must_use]
    pub fn get_enclosing(&self, path: &OptionPath) -> Option<&OptionDoc> {
        let mut node = &self.root;
        let mut found = None;
        for segment in path.0.iter() {
            let Some(child) = node.child(segment) else { break };
            node = child;
            found = self.doc(node).or(found);
        }
        found
    }

    /// Whether something may be defined at the path: an option, a set that leads to options, a free name, or a part
    /// of a value of free form.
    #[must_use]
    pub fn exists(&self, path: &OptionPath) -> bool {
        self.place(path).is_some()
    }

    /// The type of what is at the path; a set that only leads to options is a [`OptionType::Submodule`]. `None` where
    /// nothing [exists](Self::exists).
    #[must_use]
    pub fn kind(&self, path: &OptionPath) -> Option<&OptionType> {
        Some(match self.place(path)? {
            Place::Listed(node) => self.doc(node).map_or(&OptionType::Submodule, |doc| &doc.kind),
            Place::Inside(kind) => kind,
        })
    }

    /// What can come next after the path, sorted: each segment (`<name>` for a free one) with its option, `None`
    /// where it only leads to options. Empty for a path that does not exist and for an option without sub-options.
    #[must_use]
    pub fn children(&self, path: &OptionPath) -> Vec<(&str, Option<&OptionDoc>)> {
        match self.place(path) {
            Some(Place::Listed(node)) => {
                node.children.iter().map(|(segment, child)| (segment.as_str(), self.doc(child))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn doc(&self, node: &Node) -> Option<&OptionDoc> {
        self.docs.get(node.key.as_ref()?)
    }

    fn place(&self, path: &OptionPath) -> Option<Place<'_>> {
        let mut place = Place::Listed(&self.root);
        for segment in path.0.iter() {
            place = match place {
                Place::Listed(node) => match node.child(segment) {
                    Some(child) => Place::Listed(child),
                    None => Place::Inside(self.doc(node)?.kind.member()?),
                },
                Place::Inside(kind) => Place::Inside(kind.member()?),
            };
        }
        Some(place)
    }
}

impl Node {
    fn child(&self, segment: &str) -> Option<&Self> {
        self.children.get(segment).or_else(|| self.children.get(FREE_NAME))
    }
}

impl OptionType {
    /// The type of a member of a set of this type, where its names are free and not listed; `None` where it can
    /// have no such members.
    fn member(&self) -> Option<&Self> {
        match self {
            Self::Anything => Some(self),
            Self::AttrsOf { of } => Some(of),
            Self::NullOr { of } => of.member(),
            // A package is a set, and a module may define one in place.
            Self::Package => Some(&Self::Anything),
            _ => None,
        }
    }
}

/// What a person calls it, for messages and completions: `list of (one of "env", "file")`.
impl fmt::Display for OptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("boolean"),
            Self::Str => f.write_str("string"),
            Self::Int => f.write_str("integer"),
            Self::Lines => f.write_str("lines of text"),
            Self::Path => f.write_str("path"),
            Self::Package => f.write_str("package"),
            Self::Enum { values } => {
                f.write_str("one of ")?;
                for (i, value) in values.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{value}\"")?;
                }
                Ok(())
            }
            Self::NullOr { of } => write!(f, "null or {of}"),
            Self::ListOf { of } => write!(f, "list of {}", Nested(of)),
            Self::AttrsOf { of } => write!(f, "attribute set of {}", Nested(of)),
            Self::Submodule => f.write_str("attribute set"),
            Self::Anything => f.write_str("anything"),
        }
    }
}

/// A type within another's name: in parentheses where it is more than a word or two.
struct Nested<'a>(&'a OptionType);

impl fmt::Display for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            OptionType::Enum { .. }
            | OptionType::NullOr { .. }
            | OptionType::ListOf { .. }
            | OptionType::AttrsOf { .. } => write!(f, "({})", self.0),
            simple => write!(f, "{simple}"),
        }
    }
}

impl OptionPath {
    /// The path of these names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Whether it is that of `option`, in which a [`FREE_NAME`] matches any, or leads to something below it.
    #[must_use]
    pub fn is_below(&self, option: &Self) -> bool {
        let mut pairs = option.0.iter().zip(self.0.iter());
        self.0.len() >= option.0.len() && pairs.all(|(option, name)| option == name || option == FREE_NAME)
    }

    /// This path with one more name.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        self.0.iter().cloned().chain([name.to_owned()]).collect()
    }
}

impl FromIterator<String> for OptionPath {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}

impl From<&[String]> for OptionPath {
    fn from(names: &[String]) -> Self {
        Self(names.into())
    }
}

impl From<Vec<String>> for OptionPath {
    fn from(names: Vec<String>) -> Self {
        Self(names.into())
    }
}

/// As Nix writes it: names that are no identifiers in quotes.
impl fmt::Display for OptionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\''));
            if plain || name == FREE_NAME {
                f.write_str(name)?;
            } else {
                write!(f, "\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> OptionPath {
        OptionPath::new(text.split('.'))
    }

    fn get(text: &str) -> Option<&'static OptionDoc> {
        Options::builtin().get(&path(text))
    }

    #[test]
    fn the_builtin_table_reads_and_is_documented() {
        let table = Options::from_json(include_str!("../../../nix/options.json")).expect("nix/options.json");
        assert!(table.iter().count() > 30);
        for (name, doc) in table.iter() {
            assert!(name.starts_with("codchi."), "{name}");
            assert!(
                doc.description.trim_end().ends_with(['.', '`', ')', 's']),
                "{name}: {}",
                doc.description
            );
        }
        assert_eq!(&table, Options::builtin());
    }

    #[test]
    fn a_free_name_matches_any_but_env_and_file_are_sets_of_secrets() {
        assert_eq!(get("codchi.secrets.TOKEN.required").expect("found").kind, OptionType::Bool);
        assert_eq!(get("codchi.secrets.env.TOKEN.required").expect("found").kind, OptionType::Bool);
        assert_eq!(get("codchi.secrets.file.KEY.mode").expect("found").kind, OptionType::Str);
        assert!(get("codchi.secrets.env.description").is_none());
        assert!(get("codchi.secrets.env.TOKEN.mode").is_none());
        assert!(get("codchi.secrets.env.TOKEN.deliver").is_none());
    }

    #[test]
    fn prefixes_and_parts_of_free_form_values_exist() {
        let exists = |text| Options::builtin().exists(&path(text));
        for there in [
            "codchi",
            "codchi.gpu",
            "codchi.secrets.TOKEN",
            "codchi.secrets.env",
            "codchi.secrets.env.TOKEN",
            "codchi.welcome.text",
            "codchi.welcome.a.b.c",
            "codchi.java.jdks.jdk17",
        ] {
            assert!(exists(there), "{there}");
        }
        for missing in [
            "services",
            "codchi.secret",
            "codchi.gpu.enabled",
            "codchi.gpu.enable.x",
            "codchi.secrets.TOKEN.descriptoin",
            "codchi.secrets.TOKEN.description.x",
            "codchi.initScript.text",
        ] {
            assert!(!exists(missing), "{missing}");
        }
    }

    #[test]
    fn what_leads_to_options_is_a_set() {
        let kind = |text| Options::builtin().kind(&path(text));
        assert_eq!(kind("codchi"), Some(&OptionType::Submodule));
        assert_eq!(kind("codchi.secrets.TOKEN"), Some(&OptionType::Submodule));
        assert_eq!(kind("codchi.secrets.env.TOKEN"), Some(&OptionType::Submodule));
        assert_eq!(kind("codchi.welcome.text"), Some(&OptionType::Anything));
        assert_eq!(kind("codchi.nothing"), None);
    }

    #[test]
    fn children_are_sorted_and_show_free_names() {
        let children = |text| {
            Options::builtin()
                .children(&path(text))
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(children("codchi.secrets"), "<name> env file");
        assert_eq!(children("codchi.docker"), "enable enableNvidia");
        assert_eq!(children("codchi.secrets.env.TOKEN"), "description multiline pattern required units");
        assert_eq!(children("codchi.initScript"), "");
        assert_eq!(children("codchi.nothing"), "");
    }

    #[test]
    fn the_enclosing_option_is_the_innermost_one() {
        let options = Options::builtin();
        assert_eq!(options.get_enclosing(&path("codchi.welcome.text")), get("codchi.welcome"));
        assert_eq!(options.get_enclosing(&path("codchi.secrets.TOKEN")), get("codchi.secrets"));
        assert_eq!(options.get_enclosing(&path("codchi.gpu")), None);
    }

    #[test]
    fn paths_are_shown_as_nix_writes_them() {
        assert_eq!(OptionPath::new(["codchi", "secrets", "A_B"]).to_string(), "codchi.secrets.A_B");
        assert_eq!(OptionPath::new(["codchi", "secrets", "a \"b"]).to_string(), r#"codchi.secrets."a \"b""#);
        assert_eq!(OptionPath::new(["codchi", "secrets", "<name>"]).to_string(), "codchi.secrets.<name>");
    }

    #[test]
    fn types_have_names_that_people_read() {
        let deliver = get("codchi.secrets.TOKEN.deliver").expect("found");
        assert_eq!(deliver.kind.to_string(), r#"list of (one of "env", "file")"#);
        assert_eq!(get("codchi.secrets.TOKEN.pattern").expect("found").kind.to_string(), "null or string");
    }
}
