//! What of the language server's own files nothing needs any more.

use crate::{catalogue, evaluation, lsp};
use codchi_machine::{Leftover, Paths};

/// Catalogues that nobody has used for long, mirrors of processes that were killed, and pages of other versions. Blocking.
pub(crate) fn leftovers(paths: &Paths) -> Vec<Leftover> {
    let mut found = catalogue::leftovers(&paths.cache);
    found.extend(evaluation::leftovers());
    found.extend(lsp::documentation::leftovers(paths));
    found
}
