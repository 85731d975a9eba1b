//! Names that Nix and nixpkgs' `lib` bring, as far as what they are follows from the name.

use super::TokenKind;

/// Whether a name that nothing binds is one of Nix's own functions.
pub(super) fn is_global_function(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "abort",
        "baseNameOf",
        "break",
        "derivation",
        "derivationStrict",
        "dirOf",
        "fetchGit",
        "fetchMercurial",
        "fetchTarball",
        "fetchTree",
        "fromTOML",
        "import",
        "isNull",
        "map",
        "placeholder",
        "removeAttrs",
        "scopedImport",
        "throw",
        "toString",
    ];
    NAMES.binary_search(&name).is_ok()
}

/// What a member of `builtins` is.
pub(super) fn builtin(name: &str) -> TokenKind {
    match name {
        "currentSystem" | "currentTime" | "false" | "langVersion" | "nixPath" | "nixVersion" | "null"
        | "storeDir" | "true" => TokenKind::Variable,
        "builtins" => TokenKind::Namespace,
        _ => TokenKind::Function,
    }
}

/// What is below a part of `lib`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// Functions and other parts.
    Functions,
    /// Types of options.
    Types,
    /// Values: licences, maintainers, platforms.
    Values,
}

impl Inside {
    /// What `name` is here, and what is below it.
    pub(super) fn member(self, name: &str) -> (TokenKind, Self) {
        match (self, name) {
            (Self::Values, _) => (TokenKind::Property, Self::Values),
            (Self::Types, _) => (TokenKind::Type, Self::Values),
            (Self::Functions, "types") => (TokenKind::Namespace, Self::Types),
            (
                Self::Functions,
                "licenses" | "maintainers" | "platforms" | "sourceTypes" | "systems" | "teams",
            ) => (TokenKind::Namespace, Self::Values),
            (
                Self::Functions,
                "asserts" | "attrsets" | "cli" | "customisation" | "debug" | "derivations" | "fetchers"
                | "fileset" | "filesystem" | "fixedPoints" | "generators" | "gvariant" | "kernel" | "lists"
                | "meta" | "modules" | "network" | "options" | "path" | "sources" | "strings" | "trivial"
                | "versions",
            ) => (TokenKind::Namespace, Self::Functions),
            (Self::Functions, "version" | "inPureEvalMode") => (TokenKind::Property, Self::Values),
            (Self::Functions, _) => (TokenKind::Function, Self::Values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_nix_s_own_functions_are_known() {
        for name in ["abort", "import", "map", "toString", "throw", "derivation", "removeAttrs"] {
            assert!(is_global_function(name), "{name}");
        }
        assert!(!is_global_function("mkIf"));
    }
}
