//! The command line as Windows has it: one text, which each program takes apart by itself.
//!
//! A Linux program is given its arguments one by one. They are put together here as Rust's standard library does on Windows, and
//! taken apart again as `wsl.exe` does, so that what gets lost on the way there gets lost here.

/// `arguments` as one text, quoted where needed.
pub(crate) fn joined(arguments: &[String]) -> String {
    arguments.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ")
}

/// See `append_arg` in `library/std/src/sys/args/windows.rs` of Rust.
fn quoted(argument: &str) -> String {
    let quote = argument.is_empty() || argument.contains([' ', '\t']);
    let mut text = String::new();
    let mut backslashes = 0;
    for character in argument.chars() {
        if character == '\\' {
            backslashes += 1;
        } else {
            if character == '"' {
                text.extend(std::iter::repeat_n('\\', backslashes + 1));
            }
            backslashes = 0;
        }
        text.push(character);
    }
    if quote {
        text.extend(std::iter::repeat_n('\\', backslashes));
        text = format!("\"{text}\"");
    }
    text
}

/// What `CommandLineToArgvW` makes of `line`: the first argument is taken for a program's path, in which no backslash escapes.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/shellapi/nf-shellapi-commandlinetoargvw>.
pub(crate) fn apart(line: &str) -> Vec<String> {
    let mut characters = line.chars().peekable();
    let mut arguments = Vec::new();
    let mut program = String::new();
    if characters.peek() == Some(&'"') {
        characters.next();
        program.extend(characters.by_ref().take_while(|&character| character != '"'));
    } else {
        program.extend(characters.by_ref().take_while(|&character| !is_space(character)));
    }
    arguments.push(program);
    while characters.next_if(|&character| is_space(character)).is_some() {}
    let (mut argument, mut open, mut quotes) = (String::new(), false, false);
    while let Some(character) = characters.next() {
        match character {
            character if is_space(character) && !quotes => {
                if open {
                    arguments.push(std::mem::take(&mut argument));
                }
                open = false;
            }
            '\\' => {
                let mut backslashes = 1;
                while characters.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                open = true;
                if characters.peek() == Some(&'"') {
                    argument.extend(std::iter::repeat_n('\\', backslashes / 2));
                    if backslashes % 2 == 1 {
                        characters.next();
                        argument.push('"');
                    }
                } else {
                    argument.extend(std::iter::repeat_n('\\', backslashes));
                }
            }
            '"' => {
                open = true;
                if quotes && characters.next_if_eq(&'"').is_some() {
                    argument.push('"');
                } else {
                    quotes = !quotes;
                }
            }
            character => {
                open = true;
                argument.push(character);
            }
        }
    }
    if open {
        arguments.push(argument);
    }
    arguments
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// What is left of a command line.
#[derive(Debug, Clone)]
pub(crate) struct Rest(String);

impl Rest {
    pub(crate) fn new(line: &str) -> Self {
        Self(line.trim_start_matches(is_space).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The next argument as `wsl.exe`'s own options are read: up to the next space, with the quotes that are in it. Empty at the end.
    pub(crate) fn peek(&self) -> &str {
        self.0.split(is_space).next().unwrap_or_default()
    }

    /// As [`Self::peek`], but one in quotes goes up to the closing one.
    pub(crate) fn peek_quoted(&self) -> &str {
        if let Some(inner) = self.0.strip_prefix('"')
            && let Some(end) = inner.find('"')
        {
            return &self.0[..end + 2];
        }
        self.peek()
    }

    /// Goes on after `length` bytes, those of an argument.
    pub(crate) fn consume(&mut self, length: usize) {
        self.0 = self.0[length..].trim_start_matches(is_space).into();
    }

    /// Takes the next argument.
    pub(crate) fn next(&mut self) -> String {
        let argument = self.peek().to_owned();
        self.consume(argument.len());
        argument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_comes_apart_again() {
        for arguments in [
            vec!["prog", "", "a b", r#"say "hi""#, r"C:\dir\", r"a b\", "$HOME", "new\nline", r#"\\""#],
            vec!["prog"],
            vec!["a program", "x"],
        ] {
            let arguments: Vec<String> = arguments.into_iter().map(Into::into).collect();
            assert_eq!(apart(&joined(&arguments)), arguments);
        }
    }

    #[test]
    fn the_first_is_a_path() {
        assert_eq!(apart(r#"C:\x\" y"#), [r#"C:\x\""#, "y"]);
    }

    #[test]
    fn options_are_read_up_to_the_next_space() {
        let mut rest = Rest::new(r#"  -d "a b" c"#);
        assert_eq!(rest.next(), "-d");
        assert_eq!(rest.peek(), "\"a");
        assert_eq!(rest.peek_quoted(), "\"a b\"");
    }
}
