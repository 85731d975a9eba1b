//! Which names and values a secret may have.

use crate::{Secret, SecretSpec};
use regex::bytes::Regex;

/// What a user secret's variable begins with.
pub(crate) const PREFIX: &str = "CODCHI_";

/// The most bytes that Linux takes for one variable with its name, `=` and the end (`MAX_ARG_STRLEN`). Where there is a longer
/// one, no program starts.
const LONGEST: usize = 128 << 10;

/// Names that `codchi.secrets` has for something else.
const RESERVED: [&str; 2] = ["env", "file"];

/// Whether `name` can be a secret's: it becomes part of a shell script, a file's name and a variable.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}

/// Whether a whole value matches `pattern`, a regular expression as a module has it. One that cannot be read here is left to the
/// person.
#[must_use]
pub fn matches_pattern(value: &Secret, pattern: &str) -> bool {
    Regex::new(&format!("^(?s:{pattern})$")).ok().is_none_or(|pattern| pattern.is_match(value.expose()))
}

/// Whether a value can be that of an environment variable of this whole name.
pub(crate) fn fits_variable(name: &str, value: &Secret) -> bool {
    name.len() + value.expose().len() + 2 <= LONGEST
}

/// What a module that declares a secret like this asks of its value that `value` is not: goes on after `it must`. Says nothing
/// of the value.
pub(crate) fn misfit(name: &str, value: &Secret, spec: &SecretSpec) -> Option<String> {
    if value.expose().is_empty() {
        return Some("not be empty".into());
    }
    let unit = spec.units.first().filter(|_| spec.env);
    if let Some(unit) = unit.filter(|_| std::str::from_utf8(value.expose()).is_err()) {
        return Some(format!(
            "be valid UTF-8: {unit}.service gets it as a variable, which takes nothing else"
        ));
    }
    if let Some(pattern) = spec.pattern.as_ref().filter(|pattern| !matches_pattern(value, pattern)) {
        return Some(format!("match `{pattern}`"));
    }
    let only_variable = spec.env && (!spec.file || unit.is_some());
    if only_variable && !fits_variable(&format!("{PREFIX}{name}"), value) {
        return Some(format!(
            "be shorter than {} KiB to be an environment variable; `deliver = [ \"file\" ]` takes longer ones",
            LONGEST >> 10
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::secret_spec as spec;

    fn asks(value: impl Into<Vec<u8>>, spec: &SecretSpec) -> Option<String> {
        misfit("X", &Secret::new(value).unwrap(), spec)
    }

    #[test]
    fn a_value_has_the_form_of_the_whole_pattern_and_a_pattern_that_cannot_be_read_asks_for_none() {
        let has = |value: &str, pattern: Option<&str>| {
            asks(value, &SecretSpec { pattern: pattern.map(Into::into), ..spec() }).is_none()
        };
        assert!(has("anything", None) && has("123", Some("[0-9]+")) && has("a\nb", Some("a.b")));
        assert!(!has("abc", Some("[0-9]+")) && !has("123x", Some("[0-9]+")) && !has("1\n2", Some("[0-9]+")));
        assert!(has("anything", Some("(")));
        assert!(!has("b", Some("a|bc")) && has("bc", Some("a|bc")));
    }

    #[test]
    fn what_no_variable_can_hold_is_for_files_only() {
        let long = vec![b'x'; LONGEST - "CODCHI_X=".len()];
        let fits = &long[1..];
        let of = |env, file, units: &[&str]| SecretSpec {
            env,
            file,
            units: units.iter().map(|unit| (*unit).into()).collect(),
            ..spec()
        };
        assert_eq!(asks(fits, &of(true, false, &["web"])), None);
        for refused in [of(true, false, &[]), of(true, true, &["web"])] {
            let told = asks(long.as_slice(), &refused).unwrap();
            assert!(told.contains("128 KiB") && !told.contains("xxx"), "{told}");
        }
        for taken in [of(true, true, &[]), of(false, true, &["web"])] {
            assert_eq!(asks(long.as_slice(), &taken), None);
        }
        assert!(asks(b"\xff".as_slice(), &of(true, true, &["web"])).unwrap().contains("web.service"));
        assert_eq!(asks(b"\xff".as_slice(), &of(false, true, &["web"])), None);
        assert_eq!(asks(b"\xff".as_slice(), &of(true, true, &[])), None);
        assert!(asks("", &of(true, true, &[])).unwrap().contains("empty"));
    }

    #[test]
    fn a_name_is_one_that_a_shell_knows_and_that_is_not_taken() {
        assert!(["A", "_x", "env1", "Env"].into_iter().all(is_secret_name));
        assert!(!["", "1A", "A-B", "../x", "ä", "env", "file", "A B"].into_iter().any(is_secret_name));
    }
}
