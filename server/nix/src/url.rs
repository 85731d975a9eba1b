//! Flake URLs of local folders, and names in the store.

use crate::inside;
use std::fmt::Write as _;
use std::path::Path;

/// The flake URL of a local folder, `path:/folder`, with everything escaped that means something in a URL. Add
/// `#attribute` to make it an installable. Nix 2.8, which is older than what nixpkgs supports, does not undo the
/// escapes: it only finds folders whose names need none.
#[must_use]
pub fn path_url(folder: &Path) -> String {
    inside(folder).as_os_str().as_encoded_bytes().iter().fold("path:".to_owned(), |mut url, &byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
        url
    })
}

/// `hello-2.12` of `/nix/store/HASH-hello-2.12.drv`.
pub(crate) fn store_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.split_once('-').map_or(name, |(_hash, name)| name);
    name.strip_suffix(".drv").unwrap_or(name)
}

/// `text` as a Nix string literal.
pub(crate) fn string_literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_any_name_becomes_a_url() {
        assert_eq!(path_url(Path::new("/home/a/my app #1?ä%")), "path:/home/a/my%20app%20%231%3F%C3%A4%25");
    }

    #[test]
    fn names_are_taken_out_of_store_paths() {
        assert_eq!(store_name("/nix/store/02q40ps9xpqnzw27gri4c9swwrn9n2i2-hello-2.12.drv"), "hello-2.12");
        assert_eq!(store_name(""), "");
    }

    #[test]
    fn a_string_literal_holds_nothing_that_nix_would_evaluate() {
        assert_eq!(string_literal(r#"a"${b}\"#), r#""a\"\${b}\\""#);
    }
}
