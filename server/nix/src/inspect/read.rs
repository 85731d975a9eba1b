//! What is read out of the words of Nix: notes, options, files.

use crate::Position;
use crate::evaluate::Failed;
use std::path::{Path, PathBuf};

/// What `nix/inspect.nix` tells while it works.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Note {
    /// What is evaluated from now on.
    Begin(Vec<String>),
    /// Something was needed that is not known.
    Unknown(Vec<String>),
    /// A module was left out, because nobody has its file.
    Unseen(Vec<String>),
}

impl Note {
    /// From a line of the log.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix("trace: codchi-inspect ")?).ok()
    }
}

/// What Nix says where a value is not known without all of NixOS, a build, a download or the store.
const UNKNOWN: [&str; 10] = [
    "codchi: only an evaluation of all of NixOS knows",
    "allow-import-from-derivation",
    "in restricted mode",
    "is not supported by store",
    "operation is not supported",
    "is not supported for this store",
    "is required, but there is no substituter that can build it",
    "don't know how to build these paths",
    "unsupported operation",
    ".drv' is not valid",
];

impl Failed {
    /// Whether it is no error, but needs what is not known.
    pub(super) fn is_unknown(&self) -> bool {
        UNKNOWN.iter().any(|text| self.message.contains(text))
    }

    /// Whether a name is missing: of a set that the module has written, or of one that is only partly known.
    pub(super) fn is_missing_name(&self) -> bool {
        self.message.starts_with("attribute '") && self.message.contains("' missing")
            || self.message.starts_with("undefined variable '")
    }

    /// The option that does not evaluate: of which the message speaks, or which was evaluated last.
    pub(super) fn option(&self) -> Option<Vec<String>> {
        const ABOUT: [&str; 6] = [
            "does not exist",
            "is not of type",
            "has conflicting definition",
            "is read-only",
            "is defined multiple times",
            "cannot be a secret's name",
        ];
        let (first, _) = self.message.split_once('\n').unwrap_or((&self.message, ""));
        let named = ABOUT.iter().any(|text| first.contains(text)).then(|| option_in(first)).flatten();
        named.or_else(|| {
            self.trace
                .iter()
                .filter(|(text, _)| text.starts_with("while evaluating the option "))
                .find_map(|(text, _)| option_in(text))
        })
    }

    /// Files that define the option: those that the message names, else the one whose definition was evaluated last.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let named: Vec<PathBuf> = self
            .message
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("- In `")?.split_once("': "))
            .filter_map(|(file, _)| absolute(file))
            .collect();
        if !named.is_empty() {
            return named;
        }
        let defined = |text: &str| {
            absolute(text.strip_prefix("while evaluating definitions from `")?.strip_suffix("':")?)
        };
        self.trace.iter().find_map(|(text, _)| defined(text)).into_iter().collect()
    }

    /// Places, the innermost first, of which `is_users` says that they are in the user's files.
    pub(super) fn places(&self, is_users: impl Fn(&Path) -> bool) -> Vec<Position> {
        let mut places: Vec<Position> = Vec::new();
        for position in self.position.iter().chain(self.trace.iter().filter_map(|(_, at)| at.as_ref())) {
            if is_users(&position.file) && !places.contains(position) {
                places.push(position.clone());
            }
        }
        places
    }
}

/// A file, as a message names it.
fn absolute(file: &str) -> Option<PathBuf> {
    let file = file.split(", via option").next()?;
    Some(PathBuf::from(file)).filter(|file| file.is_absolute())
}

/// The option in ``… `codchi.a."b c"' …``; names that stand for a list's elements end it.
fn option_in(text: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text.split_once('`')?.1;
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = closing_quote(quoted)?;
            name = serde_json::from_str(&rest[..end + 2]).ok()?;
            rest = &quoted[end + 1..];
        } else {
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || "_-<>*".contains(c))).unwrap_or(rest.len());
            name = rest[..end].to_owned();
            rest = &rest[end..];
        }
        if name.is_empty() || name.starts_with("[definition ") {
            break;
        }
        path.push(name);
        match rest.strip_prefix('.') {
            Some(below) => rest = below,
            None => break,
        }
    }
    Some(path).filter(|path| !path.is_empty())
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        if c == '"' && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(message: &str, trace: &[&str]) -> Failed {
        let trace = trace.iter().map(|text| ((*text).to_owned(), None)).collect();
        Failed { message: message.into(), position: None, trace }
    }

    fn option(message: &str, trace: &[&str]) -> Option<String> {
        failed(message, trace).option().map(|path| path.join(" "))
    }

    #[test]
    fn notes_are_told_from_what_a_module_traces() {
        assert_eq!(
            Note::read(r#"trace: codchi-inspect {"begin":["codchi","a b"]}"#),
            Some(Note::Begin(vec!["codchi".into(), "a b".into()]))
        );
        for line in ["trace: hello", "trace: codchi-inspect {}", "trace: codchi-inspect {\"begin\":1}", ""] {
            assert_eq!(Note::read(line), None, "{line}");
        }
    }

    #[test]
    fn the_option_is_the_one_of_the_message_or_the_innermost_of_the_trace() {
        for (message, expected) in [
            ("The option `codchi.gpu.enabel' does not exist. Definition values:", "codchi gpu enabel"),
            ("A definition for option `codchi.a.\"[definition 1-entry 2]\"' is not of type `x'", "codchi a"),
            (
                "A definition for option `codchi.secrets.\"a \\\"b.c\".mode' is not of type",
                "codchi secrets a \"b.c mode",
            ),
            ("`codchi.secrets.my-token' cannot be a secret's name: …", "codchi secrets my-token"),
        ] {
            assert_eq!(option(message, &[]).as_deref(), Some(expected));
        }
        let trace = [
            "from call site",
            "while evaluating the option `codchi.docker.enable':",
            "while evaluating the option `codchi.manifest':",
        ];
        assert_eq!(option("attribute 'b' missing", &trace).as_deref(), Some("codchi docker enable"));
        assert_eq!(option("The option `a.b' was accessed but has no value defined.", &[]), None);
        assert_eq!(option("oops", &[]), None);
    }

    #[test]
    fn files_are_those_of_the_definitions() {
        let error = failed("x\n- In `/a b.nix': 5\n- In `/c.nix, via option flake.x': \"`'\"", &[]);
        assert_eq!(error.files(), [Path::new("/a b.nix"), Path::new("/c.nix")]);
        let trace =
            ["while evaluating definitions from `/in.nix':", "while evaluating definitions from `/out.nix':"];
        assert_eq!(failed("x", &trace).files(), [Path::new("/in.nix")]);
        assert_eq!(failed("x\n- In `<unknown-file>': 1", &[]).files(), Vec::<PathBuf>::new());
    }
}
