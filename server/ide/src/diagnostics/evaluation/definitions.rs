//! The definitions of an option in the files of a module.

use crate::{Facts, TextRange};
use codchi_module::{Literal, OptionUse};

/// How well a definition is what an option's value comes from; the higher, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    /// It defines something so far above that it may define the option, in what cannot be seen into: how many names of the
    /// option's path lead there.
    Above(usize),
    /// It defines a part of the option's value.
    Below,
    /// It is the set that the option's parts are in.
    Set,
    /// It defines the option.
    Exact,
}

impl Match {
    /// What a definition is for the option; `None` for one that has nothing to do with it.
    fn of(used: &OptionUse, option: &[String]) -> Option<Self> {
        let path = &used.path.0;
        match () {
            () if **path == *option && used.value == Literal::Set => Some(Self::Set),
            () if **path == *option => Some(Self::Exact),
            () if path.starts_with(option) => Some(Self::Below),
            () if option.starts_with(path) && is_opaque(&used.value) => Some(Self::Above(path.len())),
            () => None,
        }
    }
}

/// Whether there may be definitions in a value.
fn is_opaque(value: &Literal) -> bool {
    matches!(value, Literal::Unknown | Literal::Function | Literal::Path(_))
}

/// The definitions in a file that match the option best, and how well.
pub(super) fn best<'a>(facts: &'a Facts, option: &[String]) -> Option<(Match, Vec<&'a OptionUse>)> {
    let all =
        if option.first().is_some_and(|first| first == "codchi") { &facts.options } else { &facts.settings };
    let mut best: Option<(Match, Vec<&OptionUse>)> = None;
    for used in all {
        let Some(found) = Match::of(used, option) else { continue };
        match &mut best {
            Some((before, uses)) if *before == found => uses.push(used),
            Some((before, _)) if *before > found => {}
            _ => best = Some((found, vec![used])),
        }
    }
    best
}

/// Where a definition's path is.
pub(super) fn path_range(used: &OptionUse) -> TextRange {
    used.segments.iter().copied().reduce(TextRange::cover).unwrap_or(used.value_range)
}

/// The options of codchi that a message names in quotes.
pub(super) fn named_in(message: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in message.match_indices("codchi.") {
        if !message[..at].ends_with(['`', '\'', '"']) {
            continue;
        }
        let rest = &message[at..];
        let end =
            rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))).unwrap_or(rest.len());
        let path: Vec<String> = rest[..end].split('.').map(str::to_owned).collect();
        if path.iter().all(|name| !name.is_empty()) {
            found.push(path);
        }
    }
    found
}
