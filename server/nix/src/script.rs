//! Programs that tests make.

use std::path::Path;
use std::process::Command;

/// Writes a shell script that can be run at once. Another process writes it: a child that another test starts meanwhile would
/// have the file open for writing, too, and what is open for writing cannot be run (`ETXTBSY`, execve(2)).
pub(crate) fn script(path: &Path, text: &str) {
    const WRITE: &str = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 0755 \"$1\"";
    let written = Command::new("/bin/sh").args(["-c", WRITE, "sh"]).arg(path).arg(text).status();
    assert!(written.is_ok_and(|status| status.success()), "{}", path.display());
}
