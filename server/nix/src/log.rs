//! The internal-json log (`--log-format internal-json`), line by line, as counts a person can follow.

/// What Nix is doing now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Derivations built so far, and expected in all.
    pub built: Activity,
    /// Store paths copied or downloaded so far, and expected in all.
    pub copied: Activity,
    /// Bytes downloaded so far, and expected in all.
    pub downloaded_bytes: Activity,
    /// What is under way, e.g. `building hello-2.12`; empty between two things.
    pub current: String,
}

/// How far a kind of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Finished.
    pub done: u64,
    /// Expected in all; grows while Nix finds out.
    pub expected: u64,
}
