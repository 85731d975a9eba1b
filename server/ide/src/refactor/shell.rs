//! Where in a shell script a place is: which quotes are around it decides how a variable can stand there.

/// The quotes around a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Single,
    Double,
}

/// The quotes around what comes after `before`; `None` where that is not certain, or a comment.
pub(super) fn quotes_after(before: &str) -> Option<Quotes> {
    // What a here-document expands depends on how its end is written.
    if before.contains("<<") {
        return None;
    }
    let mut quotes = Quotes::None;
    let mut chars = before.chars();
    let mut last = '\n';
    while let Some(c) = chars.next() {
        match (quotes, c) {
            (Quotes::None | Quotes::Double, '\\') => {
                chars.next()?;
            }
            // What is within it begins anew.
            (Quotes::None | Quotes::Double, '`') => return None,
            (Quotes::None | Quotes::Double, '(') if last == '$' => return None,
            (Quotes::None, '#') if last.is_whitespace() => {
                chars.by_ref().find(|c| *c == '\n')?;
            }
            (Quotes::None, '\'') => quotes = Quotes::Single,
            (Quotes::None, '"') => quotes = Quotes::Double,
            (Quotes::Single, '\'') | (Quotes::Double, '"') => quotes = Quotes::None,
            _ => {}
        }
        last = c;
    }
    Some(quotes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_the_shell() {
        for (before, quotes) in [
            ("a=", Some(Quotes::None)),
            ("a='b' c=\"", Some(Quotes::Double)),
            ("a=\"it's\" '", Some(Quotes::Single)),
            ("a \\\" ", Some(Quotes::None)),
            ("# it's\na ", Some(Quotes::None)),
            ("a # b ", None),
            ("cat <<'EOF'\n", None),
            ("a \"$(b '", None),
        ] {
            assert_eq!(quotes_after(before), quotes, "{before}");
        }
    }
}
