//! The diagnostics' codes, and what the command line wants of them.

use crate::lsp::documentation;
use codchi_ide::Severity;

/// Stands for all warnings.
const WARNINGS: &str = "warnings";

/// What is reported, and how.
pub(super) struct Rules {
    pub(super) deny: Vec<String>,
    pub(super) allow: Vec<String>,
}

impl Rules {
    /// How a finding is reported; `None` where it is not.
    pub(super) fn severity(&self, code: &str, severity: Severity) -> Option<Severity> {
        let is_named = |names: &[String]| names.iter().any(|name| name == code);
        if is_named(&self.deny) {
            return Some(Severity::Error);
        }
        if is_named(&self.allow) {
            return None;
        }
        let is_warning = severity == Severity::Warning && self.deny.iter().any(|name| name == WARNINGS);
        Some(if is_warning { Severity::Error } else { severity })
    }
}

/// A code on the command line.
pub(super) fn code(name: &str) -> Result<String, String> {
    let codes: Vec<&str> = documentation::codes().map(|(code, _)| code).collect();
    if codes.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("there is no diagnostic of this name; there are {}", codes.join(", ")))
}

/// A code on the command line, or all warnings.
pub(super) fn denied(name: &str) -> Result<String, String> {
    if name == WARNINGS { Ok(name.to_owned()) } else { code(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_an_error_and_what_is_allowed_is_silent() {
        let rules = |deny: &[&str], allow: &[&str]| Rules {
            deny: deny.iter().map(ToString::to_string).collect(),
            allow: allow.iter().map(ToString::to_string).collect(),
        };
        let (warning, hint, error) = (Severity::Warning, Severity::Hint, Severity::Error);
        assert_eq!(rules(&[], &[]).severity("a", warning), Some(warning));
        assert_eq!(rules(&["a"], &["a"]).severity("a", hint), Some(error));
        assert_eq!(rules(&["warnings"], &[]).severity("a", warning), Some(error));
        assert_eq!(rules(&["warnings"], &[]).severity("a", hint), Some(hint));
        assert_eq!(rules(&["warnings"], &["a"]).severity("a", warning), None);
    }

    #[test]
    fn only_codes_that_there_are_can_be_named() {
        assert!(code("unknown-option").is_ok() && denied("warnings").is_ok());
        assert!(code("warnings").unwrap_err().contains("secret-not-set"));
    }
}
