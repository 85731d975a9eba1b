//! Levels of diagnostics as a person configures them: `{ "no-effect": "off" }`.

use codchi_ide::{DiagnosticCode, Level, Severity};
use std::collections::BTreeMap;

/// Levels by code as they are written, in settings and in `config.toml`.
pub(crate) type Written = BTreeMap<String, String>;

/// What is understood of them; and what is not, as sentences. What is not understood changes nothing.
pub(crate) fn read(written: &Written) -> (BTreeMap<DiagnosticCode, Level>, Vec<String>) {
    let mut levels = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, level) in written {
        let Some(code) = DiagnosticCode::named(name) else {
            problems.push(format!("there is no diagnostic `{name}`"));
            continue;
        };
        let level = match level.as_str() {
            "off" => Level::Off,
            "hint" => Level::At(Severity::Hint),
            "information" => Level::At(Severity::Information),
            "warning" => Level::At(Severity::Warning),
            "error" => Level::At(Severity::Error),
            other => {
                problems.push(format!(
                    "`{other}` is no level for `{name}`: it is off, hint, information, warning or error"
                ));
                continue;
            }
        };
        levels.insert(code, level);
    }
    (levels, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_told_and_changes_nothing_else() {
        let written = [("no-effect", "off"), ("nothing", "off"), ("syntax", "loud"), ("wrong-type", "hint")];
        let written = written.map(|(code, level)| (code.to_owned(), level.to_owned())).into();
        let (levels, problems) = read(&written);
        assert_eq!(
            levels,
            [(DiagnosticCode::NoEffect, Level::Off), (DiagnosticCode::WrongType, Level::At(Severity::Hint))]
                .into()
        );
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
