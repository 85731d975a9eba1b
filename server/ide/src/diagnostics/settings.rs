//! Questions about definitions of NixOS options, for the diagnostics that have a table of them.

use codchi_module::{Literal, OptionPath, OptionUse};

/// Whether `path` is the option `dotted` (`a.b`), or is below it.
pub(super) fn is_below(path: &OptionPath, dotted: &str) -> bool {
    // Names of file systems are paths, and have no dots of ours.
    let mut names = path.0.iter();
    dotted.split('.').all(|name| names.next().is_some_and(|it| it == name))
}

/// Whether it switches something off, or sets nothing: `enable = false`, `null`, `[ ]`.
pub(super) fn off(used: &OptionUse) -> bool {
    match &used.value {
        Literal::Bool(false) | Literal::Null => true,
        Literal::List(items) => items.is_empty(),
        _ => false,
    }
}
