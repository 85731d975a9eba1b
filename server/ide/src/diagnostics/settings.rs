//! Questions about definitions of NixOS options, for the diagnostics that have a table of them.

use codchi_module::{Literal, OptionPath, OptionUse};

/// Whether `path` is the option `dotted` (`a.b`), or is below it.
pub(super) fn is_below(path: &OptionPath, dotted: &str) -> bool {
    let mut rest = dotted;
    for name in path.0.iter() {
        // Names of file systems are paths, and have no dots of ours.
        match rest.strip_prefix(name.as_str()).filter(|_| !name.contains('.')) {
            Some("") => return true,
            Some(after) => match after.strip_prefix('.') {
                Some(after) => rest = after,
                None => return false,
            },
            None => return false,
        }
    }
    false
}

/// Whether it switches something off, or sets nothing: `enable = false`, `null`, `[ ]`.
pub(super) fn off(used: &OptionUse) -> bool {
    match &used.value {
        Literal::Bool(false) | Literal::Null => true,
        Literal::List(items) => items.is_empty(),
        _ => false,
    }
}
