//! No mirror: nothing is evaluated for the editor on Windows, where there is no Nix.

use codchi_machine::Leftover;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// None can be made.
pub(super) enum Mirror {}

impl Mirror {
    /// Makes none.
    ///
    /// # Errors
    /// Always.
    pub(super) fn new(_: &BTreeMap<PathBuf, Arc<str>>) -> Result<Self, String> {
        Err("nothing is evaluated on Windows".into())
    }

    /// Nowhere.
    pub(super) fn inside(&self, _: &Path) -> PathBuf {
        match *self {}
    }

    /// Nowhere.
    pub(super) fn outside(&self, _: &Path) -> Option<PathBuf> {
        match *self {}
    }

    /// Nothing.
    pub(super) fn outside_text<'a>(&self, _: &'a str) -> Cow<'a, str> {
        match *self {}
    }
}

/// None.
pub(super) fn leftovers() -> Vec<Leftover> {
    Vec::new()
}
