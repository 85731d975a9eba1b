//! What `wsl.exe` says.

/// What `wsl.exe` itself has printed, as text: UTF-16LE, unless `WSL_UTF8` is `1`, which older versions do not know.
///
/// Source: `wslutil::SetCrtEncoding` in microsoft/WSL.
pub(super) fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(&[0xff, 0xfe]).unwrap_or(bytes);
    // Every message of every language has blanks, digits or line ends, whose second byte is zero in UTF-16; and UTF-8 has no zeros.
    let text = if bytes.contains(&0) {
        let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    text.replace("\r\n", "\n").trim().replace('\0', "")
}

/// The last part of the error code in a message, which no language translates: `WSL_E_DISTRO_NOT_FOUND` of
/// `Wsl/Service/WSL_E_DISTRO_NOT_FOUND`, or a number such as `0x80070070`.
pub(super) fn token(message: &str) -> Option<&str> {
    let begin = message.rfind("Wsl/")?;
    let code = message[begin..].split_whitespace().next()?;
    code.rsplit('/').next().map(|last| last.trim_end_matches(['.', ')']))
}

/// The first version number in `message`, as in `WSL version: 2.3.26.0`.
pub(super) fn version(message: &str) -> Option<Version> {
    let words = message.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.filter_map(Version::parse).next()
}

/// A version of WSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32, u32);

impl Version {
    /// The first that runs systemd (`[boot] systemd=true`); see <https://learn.microsoft.com/windows/wsl/systemd>.
    pub(super) const FIRST: Self = Self(0, 67, 6);

    fn parse(word: &str) -> Option<Self> {
        let mut numbers = word.split('.').map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        Some(Self(next()?, next()?, next()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A distribution in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) state: ListedState,
}

/// How a distribution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListedState {
    Running,
    Stopped,
    /// It is being installed, removed, converted or exported.
    Busy,
}

/// The rows of `wsl --list --verbose`: the default is marked with `*`, then name, state and version. A name has no blank
/// (`DistributionRegistration::ValidateDistributionName`); the words for states are the same in all languages.
pub(super) fn rows(text: &str) -> Vec<Listed> {
    let row = |line: &str| {
        let mut words = line.trim_start_matches('*').split_whitespace();
        let (name, state, version) = (words.next()?, words.next()?, words.next()?);
        version.parse::<u8>().ok()?;
        let state = match state {
            "Running" => ListedState::Running,
            "Stopped" => ListedState::Stopped,
            _ => ListedState::Busy,
        };
        Some(Listed { name: name.to_owned(), state })
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn both_encodings_are_read() {
        for text in
            ["No such distribution.", "ディストリビューションが見つかりません。 0", "größer\nzweite Zeile"]
        {
            assert_eq!(decode(&utf16(text)), text);
        }
        assert_eq!(decode(&utf16("größer\r\n")), "größer");
        assert_eq!(decode("größer\r\n".as_bytes()), "größer");
        assert_eq!(decode(b"\xff\xfeo\0k\0"), "ok");
        assert_eq!(decode(&[0, 0xd8, b' ', 0]), "\u{fffd}", "half a pair");
        assert_eq!(decode(b""), "");
    }

    #[test]
    fn the_code_is_found_whatever_the_language() {
        let german = "Es gibt keine Verteilung.\nFehlercode: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\n";
        assert_eq!(token(german), Some("WSL_E_DISTRO_NOT_FOUND"));
        assert_eq!(token("エラー コード: Wsl/Service/RegisterDistro/0x80070070"), Some("0x80070070"));
        assert_eq!(token("all is well"), None);
    }

    #[test]
    fn the_version_is_found_whatever_the_language() {
        let of = |text| version(text).map(|version| version.to_string());
        assert_eq!(of("WSL version: 2.3.26.0\nKernel version: 5.15.167.4-1"), Some("2.3.26".into()));
        assert_eq!(of("WSL-Version: 0.58.0.0"), Some("0.58.0".into()));
        assert_eq!(of("WSL バージョン： 2.0.9.0"), Some("2.0.9".into()));
        assert_eq!(of("Usage: wsl.exe [Argument]"), None);
        assert!(version("1.2.5.0") > Some(Version::FIRST) && version("0.67.5.0") < Some(Version::FIRST));
    }

    #[test]
    fn rows_have_a_name_a_state_and_a_version() {
        let text = "  NAME             STATE           VERSION\n\
                    * Ubuntu-22.04     Running         2\n  codchi-x         Stopped         2\n  codchi-y         Installing      2\n";
        let rows = rows(text);
        let of = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.state);
        assert_eq!(rows.len(), 3);
        assert_eq!(of("Ubuntu-22.04"), Some(ListedState::Running));
        assert_eq!(of("codchi-x"), Some(ListedState::Stopped));
        assert_eq!(of("codchi-y"), Some(ListedState::Busy));
    }
}
