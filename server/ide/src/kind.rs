//! Types of NixOS options, read from the words that nixpkgs describes them with.
//!
//! What is not understood is [`Kind::Other`]: nothing is offered for it, and nothing is said about it.

/// How deep types are read into each other.
const MAX_DEPTH: u32 = 8;

/// A type, as far as it tells what can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Str,
    /// Text of several lines.
    Lines,
    Package,
    /// One of these strings.
    Enum(Vec<String>),
    List(Box<Kind>),
    /// A set whose names are free.
    Attrs(Box<Kind>),
    /// A set of options.
    Submodule,
    Null,
    /// Any of these.
    Either(Vec<Kind>),
    Other,
}

impl Kind {
    /// Reads a description: `null or (list of string)`.
    pub(crate) fn of(description: &str) -> Self {
        read(description, MAX_DEPTH)
    }

    /// The type of what is in a list.
    pub(crate) fn element(&self) -> Option<&Self> {
        self.any(&|kind| match kind {
            Self::List(of) => Some(&**of),
            _ => None,
        })
    }

    /// The type of what is in a set with free names.
    pub(crate) fn member(&self) -> Option<&Self> {
        self.any(&|kind| match kind {
            Self::Attrs(of) => Some(&**of),
            _ => None,
        })
    }

    /// Whether its values may be sets with names that are no options.
    pub(crate) fn is_free(&self) -> bool {
        self.member().is_some()
    }

    fn any<'a>(&'a self, find: &dyn Fn(&'a Self) -> Option<&'a Self>) -> Option<&'a Self> {
        match self {
            Self::Either(kinds) => kinds.iter().find_map(|kind| kind.any(find)),
            kind => find(kind),
        }
    }

    /// The one type of its values but `null`; `None` where they may be of several.
    pub(crate) fn without_null(&self) -> Option<&Self> {
        match self {
            Self::Either(kinds) => {
                let mut others = kinds.iter().filter(|kind| **kind != Self::Null);
                others.next().filter(|_| others.next().is_none())
            }
            kind => Some(kind),
        }
    }
}

fn read(description: &str, depth: u32) -> Kind {
    let Some(depth) = depth.checked_sub(1) else { return Kind::Other };
    let text = unwrapped(description.trim());
    if let Some(values) = text.strip_prefix("one of ") {
        return one_of(values, depth);
    }
    let alternatives = split(text, " or ");
    if alternatives.len() > 1 {
        return either(alternatives.into_iter().map(|text| read(text, depth)));
    }
    let inner = |text| Box::new(read(text, depth));
    let sets = ["attribute set of ", "lazy attribute set of "];
    if let Some(of) = sets.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        return Kind::Attrs(inner(of));
    }
    if let Some(of) = text.strip_prefix("list of ") {
        return Kind::List(inner(of));
    }
    if let Some(of) = text.strip_prefix("non-empty ") {
        return read(of, depth);
    }
    if let Some(value) = text.strip_prefix("value ").and_then(|text| text.strip_suffix(" (singular enum)")) {
        return one_of(value, depth);
    }
    match text {
        "boolean" => Kind::Bool,
        "null" => Kind::Null,
        "package" => Kind::Package,
        "submodule" => Kind::Submodule,
        "attribute set" => Kind::Attrs(Box::new(Kind::Other)),
        "list" => Kind::List(Box::new(Kind::Other)),
        "strings concatenated with \"\\n\"" => Kind::Lines,
        "string" | "(optionally newline-terminated) single-line string" => Kind::Str,
        text if text.starts_with("string ") || text.starts_with("strings concatenated with ") => Kind::Str,
        text if text.contains("integer") => Kind::Int,
        _ => Kind::Other,
    }
}

fn either(kinds: impl Iterator<Item = Kind>) -> Kind {
    let mut flat = Vec::new();
    for kind in kinds {
        match kind {
            Kind::Either(kinds) => flat.extend(kinds),
            kind => flat.push(kind),
        }
    }
    Kind::Either(flat)
}

/// `"a", "b", <null>`: those that are strings; and what an `or` behind them allows as well.
fn one_of(values: &str, depth: u32) -> Kind {
    let mut rest = values.trim_start();
    let mut strings = Vec::new();
    let mut others = Vec::new();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let Some((value, after)) = unquoted(quoted) else { return Kind::Other };
            strings.push(value);
            rest = after;
        } else {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            match rest.get(..end) {
                Some("<null>") => others.push(Kind::Null),
                _ => others.push(Kind::Other),
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        match rest.strip_prefix(", ") {
            Some(next) => rest = next,
            None => break,
        }
    }
    let strings = Kind::Enum(strings);
    if let Some(other) = rest.strip_prefix(" or ") {
        others.push(read(other, depth));
    }
    if others.is_empty() { strings } else { either(std::iter::once(strings).chain(others)) }
}

/// The string whose opening quote was read, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// Without parentheses around the whole.
fn unwrapped(mut text: &str) -> &str {
    for _ in 0..MAX_DEPTH {
        match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            Some(inner) if depths(inner).all(|(_, depth)| depth >= 0) => text = inner,
            _ => break,
        }
    }
    text
}

/// The parts between separators that are in no parentheses and no string.
fn split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, depth) in depths(text) {
        let is_separator =
            depth == 0 && at >= start && text.get(at..).is_some_and(|t| t.starts_with(separator));
        if is_separator {
            parts.extend(text.get(start..at));
            start = at + separator.len();
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// Each character's offset outside of strings, with how many parentheses are open after it.
fn depths(text: &str) -> impl Iterator<Item = (usize, i32)> {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    text.char_indices().filter_map(move |(at, c)| {
        let was_in_string = in_string;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            '(' if !in_string => depth += 1,
            ')' if !in_string => depth -= 1,
            _ => {}
        }
        (!was_in_string).then_some((at, depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nixpkgs_calls_its_types_is_understood() {
        let list = |of| Kind::List(Box::new(of));
        let attrs = |of| Kind::Attrs(Box::new(of));
        let one_of = |values: &[&str]| Kind::Enum(values.iter().map(|v| (*v).to_owned()).collect());
        for (text, kind) in [
            ("boolean", Kind::Bool),
            ("16 bit unsigned integer; between 0 and 65535 (both inclusive)", Kind::Int),
            ("positive integer, meaning >0", Kind::Int),
            ("string", Kind::Str),
            ("string matching the pattern [a-z]+ or so", Kind::Either(vec![Kind::Str, Kind::Other])),
            ("strings concatenated with \"\\n\"", Kind::Lines),
            ("strings concatenated with \",\"", Kind::Str),
            ("non-empty string", Kind::Str),
            ("non-empty (list of package)", list(Kind::Package)),
            ("null or string", Kind::Either(vec![Kind::Null, Kind::Str])),
            ("one of \"a\", \"b or c\"", one_of(&["a", "b or c"])),
            ("one of <null>, \"a\"", Kind::Either(vec![one_of(&["a"]), Kind::Null])),
            ("value \"a\" (singular enum)", one_of(&["a"])),
            ("boolean or one of \"a\", \"b\"", Kind::Either(vec![Kind::Bool, one_of(&["a", "b"])])),
            ("one of \"a\", \"b\" or boolean", Kind::Either(vec![one_of(&["a", "b"]), Kind::Bool])),
            ("list of (one of \"a)\", \"b\")", list(one_of(&["a)", "b"]))),
            ("attribute set of (list of string)", attrs(list(Kind::Str))),
            ("lazy attribute set of (submodule)", attrs(Kind::Submodule)),
            (
                "null or (attribute set of (null or string))",
                Kind::Either(vec![Kind::Null, attrs(Kind::Either(vec![Kind::Null, Kind::Str]))]),
            ),
            ("absolute path", Kind::Other),
            ("", Kind::Other),
            ("one of \"a", Kind::Other),
        ] {
            assert_eq!(Kind::of(text), kind, "{text}");
        }
    }

    #[test]
    fn deep_and_odd_descriptions_cost_nothing() {
        Kind::of(&"list of (".repeat(10_000));
        Kind::of(&format!("{}string{}", "(".repeat(2_000), ")".repeat(2_000)));
        Kind::of(&"one of \"a\" or ".repeat(10_000));
        Kind::of(&"string or ".repeat(10_000));
    }
}
