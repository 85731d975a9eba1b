//! Terminal escapes, taken out of what Nix and builders print.

/// `text` without escape sequences and control characters; of a line that was overwritten with carriage returns,
/// what was left standing. Newlines and tabs stay.
pub(crate) fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut line_start = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // Control sequence: parameters, then one final byte.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // Operating system command (titles, links): up to BEL or ESC \.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\r' => {
                if chars.peek().is_some_and(|&next| next != '\n') {
                    out.truncate(line_start);
                }
            }
            '\n' => {
                out.push(c);
                line_start = out.len();
            }
            '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn colours_links_and_overwritten_progress_go_and_text_stays() {
        assert_eq!(
            strip("\u{1b}[31;1merror:\u{1b}[0m attribute '\u{1b}[35;1mä\u{1b}[0m'"),
            "error: attribute 'ä'"
        );
        assert_eq!(strip("\u{1b}]8;;https://a\u{1b}\\text\u{1b}]8;;\u{7}!"), "text!");
        assert_eq!(strip("a\n10%\r20%\r\nb\tc\u{8}"), "a\n20%\nb\tc");
        assert_eq!(strip("cut \u{1b}[3"), "cut ");
    }
}
