//! Secret declarations, put together from all definitions of a file.

use super::ranges::Ranged;
use super::{Certainty, Literal, SecretDeclaration, SecretSpelling};
use crate::{TextRange, TextSize};
use foldhash::{HashMap, HashSet};

/// The declarations so far.
#[derive(Default)]
pub(super) struct Secrets {
    found: Vec<Draft>,
    /// Where in `found` a secret is.
    index: HashMap<SecretSpelling, HashMap<String, usize>>,
    /// Paths at which something is defined that cannot be seen into.
    unseen: HashSet<Vec<String>>,
}

struct Draft {
    path: Vec<String>,
    declaration: SecretDeclaration,
    description_unknown: bool,
    required: Required,
}

impl Draft {
    fn describe(&mut self, value: &Literal, range: TextRange, certainty: Certainty) {
        let Literal::String(text) = value else {
            self.description_unknown = true;
            return;
        };
        // One that is always in force counts more than one that may not be.
        if self.declaration.description.is_none() || certainty == Certainty::Always {
            self.declaration.description = Some((text.clone(), range));
        }
    }
}

/// What the definitions of `required` say together.
enum Required {
    Unsaid,
    Said(bool),
    Unknown,
}

/// The secret whose definition or part a path is: its spelling, and how many names of the path lead to it.
fn secret_at(path: &[String]) -> Option<(SecretSpelling, usize)> {
    let [codchi, secrets, name, rest @ ..] = path else { return None };
    if codchi != "codchi" || secrets != "secrets" {
        return None;
    }
    match (name.as_str(), rest) {
        ("env", []) | ("file", []) => None,
        ("env", _) => Some((SecretSpelling::Env, 4)),
        ("file", _) => Some((SecretSpelling::File, 4)),
        _ => Some((SecretSpelling::Plain, 3)),
    }
}

/// What a definition means for secrets.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A secret's name was reached, with the range of the name and of its definition.
    Name(Vec<String>, TextRange, TextRange),
    /// Something is always defined at a secret's path.
    Declared(Vec<String>),
    /// Something is defined at a path that cannot be seen into, so that it may add to everything below.
    Unseen(Vec<String>),
    /// The value of one of a secret's options.
    Value(Vec<String>, Literal, TextRange, Certainty),
}

impl Event {
    /// A name of a definition's path was reached; `range` is that of the definition.
    pub(super) fn name(path: &[String], name_range: TextRange, range: TextRange) -> Option<Self> {
        let (_, len) = secret_at(path)?;
        (path.len() == len).then(|| Self::Name(path.to_vec(), name_range, range))
    }

    /// Something is defined at the path; where that is a secret, it is declared.
    pub(super) fn declared(path: &[String], certainty: Certainty) -> Option<Self> {
        let (_, len) = secret_at(path)?;
        (path.len() == len && certainty == Certainty::Always).then(|| Self::Declared(path.to_vec()))
    }

    /// Something is defined at the path that cannot be seen into.
    pub(super) fn unseen(path: &[String]) -> Option<Self> {
        let is_ours = path.first().is_none_or(|name| name == "codchi");
        // What is deeper than a secret is one of its options, whose values are looked at one by one.
        let in_secret = secret_at(path).is_some_and(|(_, len)| path.len() > len);
        (is_ours && !in_secret).then(|| Self::Unseen(path.to_vec()))
    }

    /// The value of a definition.
    pub(super) fn value(
        path: &[String],
        value: &Literal,
        range: TextRange,
        certainty: Certainty,
    ) -> Option<Self> {
        let (_, len) = secret_at(path)?;
        let is_option = path.len() == len + 1;
        is_option.then(|| Self::Value(path.to_vec(), value.clone(), range, certainty))
    }
}

impl Ranged for Event {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        match self {
            Self::Name(_, name, range) => [name, range].into_iter().for_each(change),
            Self::Value(_, value, range, _) => {
                value.change_ranges(change);
                change(range);
            }
            Self::Declared(_) | Self::Unseen(_) => {}
        }
    }
}

impl Secrets {
    /// Takes what the next definition means, with all that stands further behind by so much.
    pub(super) fn take(&mut self, event: &Event, by: TextSize) {
        match event {
            Event::Name(path, name_range, range) => self.name(path, *name_range + by, *range + by),
            Event::Declared(path) => {
                if let Some((draft, [])) = self.find(path) {
                    draft.declaration.certainty = Certainty::Always;
                }
            }
            Event::Unseen(path) => {
                if !self.unseen.contains(path) {
                    self.unseen.insert(path.clone());
                }
            }
            Event::Value(path, value, range, certainty) => self.value(path, value, *range + by, *certainty),
        }
    }

    fn name(&mut self, path: &[String], name_range: TextRange, range: TextRange) {
        let (Some((spelling, _)), Some(name)) = (secret_at(path), path.last()) else { return };
        let index = self.index.entry(spelling).or_default();
        if index.contains_key(name) {
            return;
        }
        index.insert(name.clone(), self.found.len());
        self.found.push(Draft {
            path: path.to_vec(),
            declaration: SecretDeclaration {
                name: name.clone(),
                name_range,
                range,
                spelling,
                description: None,
                required: None,
                complete: true,
                certainty: Certainty::Conditional,
            },
            description_unknown: false,
            required: Required::Unsaid,
        });
    }

    /// The secret that the path leads to or into, and the rest of the path.
    fn find<'a>(&mut self, path: &'a [String]) -> Option<(&mut Draft, &'a [String])> {
        let (spelling, len) = secret_at(path)?;
        let (secret, rest) = path.split_at_checked(len)?;
        let at = *self.index.get(&spelling)?.get(secret.last()?)?;
        Some((self.found.get_mut(at)?, rest))
    }

    fn value(&mut self, path: &[String], value: &Literal, range: TextRange, certainty: Certainty) {
        let Some((draft, [option])) = self.find(path) else { return };
        match option.as_str() {
            "description" => draft.describe(value, range, certainty),
            "required" => {
                draft.required = match (&draft.required, value, certainty) {
                    (Required::Unsaid, Literal::Bool(value), Certainty::Always) => Required::Said(*value),
                    // Where it is not in force, the default is, which is the same.
                    (Required::Unsaid, Literal::Bool(true), Certainty::Conditional) => Required::Said(true),
                    (Required::Said(old), Literal::Bool(new), _) if old == new => Required::Said(*new),
                    _ => Required::Unknown,
                };
            }
            _ => {}
        }
    }

    /// Whether something that cannot be seen into may declare secrets.
    pub(super) fn hides_some(&self) -> bool {
        let places: [&[&str]; 5] = [
            &[],
            &["codchi"],
            &["codchi", "secrets"],
            &["codchi", "secrets", "env"],
            &["codchi", "secrets", "file"],
        ];
        self.unseen.iter().any(|path| places.iter().any(|place| path.iter().eq(place.iter())))
    }

    /// The declarations in order of the text.
    pub(super) fn finish(self) -> Vec<SecretDeclaration> {
        let unseen = self.unseen;
        let mut secrets: Vec<_> = self
            .found
            .into_iter()
            .map(|draft| {
                let visible = !(0..=draft.path.len()).any(|len| unseen.contains(&draft.path[..len]));
                let mut declaration = draft.declaration;
                declaration.complete = visible && !draft.description_unknown;
                declaration.required = match draft.required {
                    Required::Said(required) => Some(required),
                    Required::Unsaid if visible => Some(true),
                    Required::Unsaid | Required::Unknown => None,
                };
                declaration
            })
            .collect();
        secrets.sort_by_key(|secret| secret.name_range.start());
        secrets
    }
}
