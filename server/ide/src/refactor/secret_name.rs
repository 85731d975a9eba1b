//! A name for a secret that is made of a text.

use crate::syntax::names;
use codchi_module::FREE_NAME;
use rnix::ast::AttrpathValue;
use std::collections::BTreeSet;

/// A name for the secret: of the variable that it is given to, else of the option.
pub(super) fn suggested(
    before: Option<&str>,
    binding: &AttrpathValue,
    option: &[&str],
    taken: &BTreeSet<String>,
) -> String {
    // `TOKEN=…`, `--token …`: in a script the name before says more than that of the script.
    let variable = before.filter(|before| before.ends_with(['=', ' ', '"', '\''])).and_then(|before| {
        let before = before.trim_end_matches(['=', ' ', '"', '\'', '\\']);
        let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')).next()?;
        let is_named = name.starts_with("--") || before.len() == name.len() || name.contains('_');
        let is_named = is_named || name.chars().all(|c| c.is_ascii_uppercase());
        (is_named && !name.is_empty()).then(|| name.to_owned())
    });
    let own = names(binding);
    let path: Vec<&str> =
        if option.is_empty() { own.iter().map(String::as_str).collect() } else { option.to_vec() };
    let name = variable.unwrap_or_else(|| {
        let mut names = path.iter().rev().filter(|name| **name != FREE_NAME);
        let last = names.next().copied().unwrap_or("secret");
        let last = last.strip_suffix("File").unwrap_or(last);
        let is_general =
            ["password", "token", "secret", "key", "text", "value", "script", "passphrase"].contains(&last);
        match names.next() {
            Some(outer) if is_general => format!("{outer}_{last}"),
            _ => last.to_owned(),
        }
    });
    let name = screaming(&name);
    let mut candidates = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}_{n}")));
    candidates.find(|candidate| !taken.contains(candidate)).unwrap_or(name)
}

/// `adminPassword` as `ADMIN_PASSWORD`.
fn screaming(name: &str) -> String {
    let mut result = String::new();
    let mut last_is_lower = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && last_is_lower {
                result.push('_');
            }
            result.push(c.to_ascii_uppercase());
        } else if !result.ends_with('_') && !result.is_empty() {
            result.push('_');
        }
        last_is_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let result = result.trim_end_matches('_');
    match result.chars().next() {
        None => "SECRET".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("SECRET_{result}"),
        Some(_) => result.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_variables() {
        for (name, expected) in [
            ("adminPassword", "ADMIN_PASSWORD"),
            ("API_KEY", "API_KEY"),
            ("--my-token", "MY_TOKEN"),
            ("2fa", "SECRET_2FA"),
            ("é", "SECRET"),
        ] {
            assert_eq!(screaming(name), expected);
        }
    }
}
