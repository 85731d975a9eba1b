//! What Nix says, for people: short, and without values.

/// Longer messages are cut.
const LONGEST: usize = 400;

/// The first paragraph of a message, in one line. The values of definitions are left out: they are at the place already,
/// and may be what nobody should read.
pub(super) fn of(message: &str) -> String {
    let message = message.trim();
    let message = message.strip_prefix("error:").unwrap_or(message).trim_start();
    let paragraph = message.split("\n\n").next().unwrap_or_default();
    let paragraph = paragraph.split("Definition values:").next().unwrap_or_default();
    let paragraph = without_value(paragraph);
    let mut text: String = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return "Nix cannot evaluate this.".to_owned();
    }
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
        return text;
    }
    let text = crate::diagnostics::sentence(text.trim_end_matches(':'));
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + chars.as_str()
}

/// Newer Nix shows what it found: `expected a set but found a string: "…"`.
fn without_value(text: &str) -> &str {
    let found = text.find("but found ").and_then(|at| Some(at + text.get(at..)?.find(": ")?));
    found.and_then(|at| text.get(..at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_first_paragraph_is_one_line_and_ends_with_a_full_stop() {
        assert_eq!(of("error: undefined variable 'x'\n\nat /a.nix:1:2"), "Undefined variable 'x'.");
        assert_eq!(of("one\n  two"), "One two.");
        assert_eq!(of("  \n"), "Nix cannot evaluate this.");
        assert_eq!(of(&"é".repeat(500)).chars().count(), 201);
    }

    #[test]
    fn values_are_left_out() {
        assert_eq!(of("expected a set but found a string: \"ghp_x\""), "Expected a set but found a string.");
        let text = "A definition for option `a.b' is not of type `boolean'. Definition values:\n- In `/a.nix': \"ghp_x\"";
        assert_eq!(of(text), "A definition for option `a.b' is not of type `boolean'.");
    }
}
