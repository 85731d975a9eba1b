//! Files of lines `NAME=value`, as many tools have them.
//!
//! Read and written here, since what a value is must not depend on this process's environment (other readers put `$NAME` in),
//! and an error must not quote the line that it is about. What is written is also what a POSIX shell reads.

use codchi_machine::Secret;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What the variables of user secrets begin with, in a machine and in what is written here.
const PREFIX: &str = "CODCHI_";

/// Reads secrets by name; the name's `CODCHI_` is left out.
///
/// - `NAME=value`, also after `export`; empty lines and those that begin with `#` say nothing.
/// - Without quotes a value ends with its line, or before ` #`; spaces around it are none of it.
/// - In `'…'` everything is what it is; in `"…"` a backslash takes the meaning from `"`, `\`, `$` and a backtick, and makes line
///   ends of `\n` and `\r` and a tab of `\t`. Both may have several lines.
///
/// # Errors
/// What is wrong in which line, without what it says.
pub(super) fn read(text: &[u8]) -> Result<BTreeMap<String, Secret>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    let mut found: BTreeMap<String, (usize, Secret)> = BTreeMap::new();
    loop {
        reader.skip(|byte| byte.is_ascii_whitespace());
        match reader.rest.first() {
            None => break,
            Some(b'#') => reader.skip(|byte| byte != b'\n'),
            Some(_) => {
                let line = reader.line;
                let (name, value) = reader.assignment().map_err(|what| format!("line {line}: {what}"))?;
                let value = Secret::new(value.to_vec())
                    .ok_or_else(|| format!("line {line}: the value of {name} holds a NUL byte"))?;
                if let Some((earlier, _)) = found.insert(name.clone(), (line, value)) {
                    return Err(format!("lines {earlier} and {line}: {name} is there twice"));
                }
            }
        }
    }
    Ok(found.into_iter().map(|(name, (_, value))| (name, value)).collect())
}

struct Reader<'t> {
    rest: &'t [u8],
    line: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        while self.rest.first().is_some_and(|byte| what(*byte)) {
            self.next();
        }
    }

    /// All that `what` holds for.
    fn take(&mut self, what: impl Fn(u8) -> bool) -> &'t [u8] {
        let before = self.rest;
        self.skip(what);
        before.get(..before.len() - self.rest.len()).unwrap_or_default()
    }

    fn assignment(&mut self) -> Result<(String, Zeroizing<Vec<u8>>), &'static str> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let mut name = self.take(is_name);
        if name == b"export" && self.rest.first().is_some_and(|byte| is_blank(*byte)) {
            self.skip(is_blank);
            name = self.take(is_name);
        }
        self.skip(is_blank);
        if name.is_empty() || self.next() != Some(b'=') {
            return Err("it is not of the form NAME=value");
        }
        let name = String::from_utf8_lossy(name);
        let name = name.strip_prefix(PREFIX).unwrap_or(&name).to_owned();
        self.skip(is_blank);
        let value = match self.rest.first() {
            Some(b'\'' | b'"') => self.quoted()?,
            _ => return Ok((name, self.plain())),
        };
        self.skip(|byte| is_blank(byte) || byte == b'\r');
        match self.rest.first() {
            None | Some(b'\n') => Ok((name, value)),
            Some(b'#') => {
                self.skip(|byte| byte != b'\n');
                Ok((name, value))
            }
            Some(_) => Err("there is something after the quotes"),
        }
    }

    fn plain(&mut self) -> Zeroizing<Vec<u8>> {
        let line = self.take(|byte| byte != b'\n');
        let comment = (0..line.len()).find(|at| {
            line.get(*at) == Some(&b'#') && (*at == 0 || line.get(at - 1).is_some_and(|byte| is_blank(*byte)))
        });
        Zeroizing::new(
            line.get(..comment.unwrap_or(line.len())).unwrap_or_default().trim_ascii_end().to_vec(),
        )
    }

    fn quoted(&mut self) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let quote = self.next();
        // The most that it can be, for the buffer never to move.
        let mut value = Zeroizing::new(Vec::with_capacity(self.rest.len()));
        loop {
            let byte = self.next().ok_or("the quotes are not closed")?;
            if Some(byte) == quote {
                return Ok(value);
            }
            if byte != b'\\' || quote == Some(b'\'') {
                value.push(byte);
                continue;
            }
            match self.next().ok_or("the quotes are not closed")? {
                b'n' => value.push(b'\n'),
                b'r' => value.push(b'\r'),
                b't' => value.push(b'\t'),
                escaped @ (b'"' | b'\\' | b'$' | b'`') => value.push(escaped),
                other => value.extend([b'\\', other]),
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Writes secrets, so that [`read`] gives them back.
///
/// # Errors
/// The names of those whose values are no UTF-8.
pub(super) fn write(values: &BTreeMap<String, Secret>) -> Result<Zeroizing<Vec<u8>>, Vec<&str>> {
    let binary = values.iter().filter(|(_, value)| std::str::from_utf8(value.expose()).is_err());
    let binary: Vec<&str> = binary.map(|(name, _)| name.as_str()).collect();
    if !binary.is_empty() {
        return Err(binary);
    }
    // The most that it can be, for the buffer never to move.
    let size = values.iter().map(|(name, value)| name.len() + 2 * value.expose().len() + 16).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in values {
        let value = value.expose();
        text.extend_from_slice(PREFIX.as_bytes());
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(byte);
        if !value.is_empty() && value.iter().all(is_plain) {
            text.extend_from_slice(value);
        } else if !value.contains(&b'\'') {
            text.push(b'\'');
            text.extend_from_slice(value);
            text.push(b'\'');
        } else {
            text.push(b'"');
            for &byte in value {
                if b"\"\\$`".contains(&byte) {
                    text.push(b'\\');
                }
                text.push(byte);
            }
            text.push(b'"');
        }
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn secrets(values: &[(&str, &[u8])]) -> BTreeMap<String, Secret> {
        values.iter().map(|(name, value)| ((*name).into(), Secret::new(*value).unwrap())).collect()
    }

    /// What a shell has after it has read `file`.
    fn shell_reads(file: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, file).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", ". \"$1\"; printf %s \"$CODCHI_X\"", "sh"]).arg(path).env("LC_ALL", "C");
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn what_is_written_is_read_back_also_by_a_shell(
            value in "[\\PC\"\\\\$`'# =\n\r\t]{0,40}",
            other in "\\PC{0,20}",
        ) {
            let values = secrets(&[("X", value.as_bytes()), ("Y_1", other.as_bytes())]);
            let text = write(&values).unwrap();
            prop_assert_eq!(&read(&text).unwrap(), &values);
            prop_assert_eq!(shell_reads(&text), value.as_bytes());
        }

        #[test]
        fn anything_is_read_or_refused_without_what_it_says(text in "[A-C=\"'\\\\# \nx-z\u{0}]{0,40}") {
            if let Err(why) = read(text.as_bytes()) {
                prop_assert!(why.starts_with("line"), "{}", why);
            }
        }
    }

    #[test]
    fn files_of_other_tools_are_read() {
        let text = b"\xef\xbb\xbf# of the project\r\n\nexport A=plain value # told\r\n B = \"two\\nlines $HOME \\$x\" # c\nCODCHI_C='a\"b\\n\nc'\nD=\nE=a#b$c\nF=\"\\q\"\nexport=x";
        let expected = secrets(&[
            ("A", b"plain value"),
            ("B", b"two\nlines $HOME $x"),
            ("C", b"a\"b\\n\nc"),
            ("D", b""),
            ("E", b"a#b$c"),
            ("F", b"\\q"),
            ("export", b"x"),
        ]);
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_not_with_the_value() {
        for (text, told) in [
            ("A=1\nsesame", "line 2: it is not"),
            ("A=1\n\n=sesame", "line 3: it is not"),
            ("A='sesame\n\n", "line 1: the quotes"),
            ("A=\"sesame\\", "line 1: the quotes"),
            ("A='b'sesame'", "line 1: there is something after"),
            ("A=sesame\0", "line 1: the value of A holds a NUL"),
            ("A='x\ny'\nB=1\nCODCHI_A=sesame", "lines 1 and 4: A is there twice"),
        ] {
            let why = read(text.as_bytes()).unwrap_err();
            assert!(why.starts_with(told) && !why.contains("sesame"), "{why}");
        }
    }

    #[test]
    fn a_value_that_is_no_text_is_refused_by_name() {
        let values = secrets(&[("A", b"text"), ("B", b"\xff"), ("C", b"\xc3")]);
        assert_eq!(write(&values).unwrap_err(), ["B", "C"]);
        assert_eq!(
            write(&secrets(&[("A", b"x"), ("B", b"")])).unwrap().as_slice(),
            b"CODCHI_A=x\nCODCHI_B=''\n"
        );
    }
}
