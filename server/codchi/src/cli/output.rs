//! Standard output and standard error, without colours where they are not wanted ($NO_COLOR, no terminal), and
//! without a panic where nobody reads any more.

use std::io::{self, Write as _};

/// Nobody reads standard output any more (`codchi status | head -1`): a reason to stop, not a failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(crate) struct OutputClosed;

/// Prints a text to standard output, which gets a newline where it has none.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = anstream::stdout().lock();
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let written = write!(stdout, "{text}{end}").and_then(|()| stdout.flush());
    told(written)
}

/// Prints a value as JSON to standard output.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Prints a line to standard error.
pub(crate) fn error(text: &str) -> io::Result<()> {
    writeln!(anstream::stderr().lock(), "{text}")
}

/// Tells a closed standard output from a failure to write.
pub(crate) fn told(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(anyhow::Error::from(error).context("writing to standard output failed")),
        Ok(()) => Ok(()),
    }
}

/// A text in columns, two spaces apart; the first row is the header. Widths are counted in characters.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(ToOwned::to_owned).to_vec();
        let rows = [row(["NAME", "STATE", "X"]), row(["ü", "running", ""])];
        assert_eq!(table(&rows), "NAME  STATE    X\nü     running\n");
    }
}
