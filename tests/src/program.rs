//! Programs that tests make, and what programs print.

use std::path::Path;
use std::process::Command;

/// Writes a shell script that can be run at once.
///
/// Another process writes it: a child that another test starts meanwhile would have the file open for writing, too, and what is
/// open for writing cannot be run (`ETXTBSY`, execve(2)).
///
/// # Panics
/// Where it cannot be written.
pub fn script(path: &Path, text: &str) {
    const WRITE: &str = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 0755 \"$1\"";
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let written = Command::new("/bin/sh").args(["-c", WRITE, "sh"]).arg(path).arg(text).status().unwrap();
    assert!(written.success(), "{}", path.display());
}

/// What a program has printed, as text.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a program prints, without its errors.
///
/// # Panics
/// Where it fails, with all that it printed.
#[track_caller]
pub fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{errors}");
    out
}
