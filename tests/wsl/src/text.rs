//! What `wsl.exe` says, in the language that the computer is set to, and how it is written.

use std::collections::BTreeMap;
use std::io::{self, Write};

/// What is said of a command line that is wrong. The real text is longer.
pub(crate) const USAGE: &str = "Usage: wsl.exe [Argument] [Options...] [CommandLine]\n";

/// Texts of one language, by the keys of WSL's `Resources.resw`; those of Windows itself by their codes.
pub(crate) struct Texts {
    own: BTreeMap<String, String>,
    english: BTreeMap<String, String>,
}

impl Texts {
    /// Those of `locale`, e.g. `de-DE`; English for what is not there.
    pub(crate) fn of(locale: &str) -> Self {
        let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let own = match locale {
            "de-DE" => read(include_str!("texts/de-DE.json")),
            "ja-JP" => read(include_str!("texts/ja-JP.json")),
            "zh-CN" => read(include_str!("texts/zh-CN.json")),
            _ => BTreeMap::new(),
        };
        Self { own, english: read(include_str!("texts/en-US.json")) }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.own.contains_key(key) || self.english.contains_key(key)
    }

    /// The text `key`, with `values` instead of each `{}`.
    pub(crate) fn get(&self, key: &str, values: &[&str]) -> String {
        let text = self.own.get(key).or_else(|| self.english.get(key)).map_or(key, String::as_str);
        let mut pieces = text.split("{}");
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for (index, piece) in pieces.enumerate() {
            whole.push_str(values.get(index).copied().unwrap_or_default());
            whole.push_str(piece);
        }
        whole
    }
}

/// The streams as `wsl.exe` writes them: UTF-16LE without a byte order mark, or UTF-8 where `WSL_UTF8` is exactly `1`; lines end as on
/// Windows.
pub(crate) struct Console {
    utf8: bool,
    warnings: bool,
}

impl Console {
    pub(crate) fn of_this_process() -> Self {
        let is_one = |name| std::env::var_os(name).is_some_and(|value| value == "1");
        Self { utf8: is_one("WSL_UTF8"), warnings: !is_one("WSL_DISABLE_WARNINGS") }
    }

    /// Prints `text` and a line's end on standard output.
    pub(crate) fn line(&self, text: &str) {
        self.write(&mut io::stdout(), &format!("{text}\n"));
    }

    /// Prints a warning on standard error, unless `WSL_DISABLE_WARNINGS` is `1`.
    pub(crate) fn warn(&self, text: &str) {
        if self.warnings {
            self.write(&mut io::stderr(), &format!("wsl: {text}\n"));
        }
    }

    fn write(&self, stream: &mut impl Write, text: &str) {
        // Nobody is left to be told that nobody reads.
        let _ = stream.write_all(&self.encoded(text)).and_then(|()| stream.flush());
    }

    fn encoded(&self, text: &str) -> Vec<u8> {
        let text = text.replace('\n', "\r\n");
        if self.utf8 {
            return text.into_bytes();
        }
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in() {
        let texts = Texts::of("ja-JP");
        assert_eq!(texts.get("MessageErrorCode", &["x", "Wsl/Y"]), "x\nエラー コード: Wsl/Y");
        assert_eq!(Texts::of("xx").get("MessageErrorCode", &["x", "Wsl/Y"]), "x\nError code: Wsl/Y");
    }

    #[test]
    fn lines_end_as_on_windows() {
        assert_eq!(Console { utf8: true, warnings: true }.encoded("é\n"), "é\r\n".as_bytes());
        assert_eq!(Console { utf8: false, warnings: true }.encoded("é\n"), [0xe9, 0, 13, 0, 10, 0]);
    }
}
