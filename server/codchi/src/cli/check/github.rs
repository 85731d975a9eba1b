//! For GitHub Actions: workflow commands, which it shows as annotations of the changed files.

use super::output;
use super::report::{Checked, Finding, Report};
use codchi_ide::Severity;
use codchi_module::WideEncoding;

pub(super) fn print(report: &Report) -> anyhow::Result<()> {
    let commands: String = report.findings().map(|(file, finding)| command(file, finding)).collect();
    if commands.is_empty() { Ok(()) } else { output::print(&commands) }
}

fn command(file: &Checked, finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information | Severity::Hint => "notice",
    };
    let lines = file.lines(finding, WideEncoding::Utf16);
    let ((line, column), (end_line, end_column)) = (lines.start, lines.end);
    // Columns are shown only within one line.
    let columns =
        if line == end_line { format!(",col={column},endColumn={end_column}") } else { String::new() };
    format!(
        "::{level} file={},line={line},endLine={end_line}{columns},title={}::{}\n",
        property(&file.shown),
        property(&format!("codchi: {}", finding.code)),
        data(&finding.message),
    )
}

/// What may be after the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What may be a property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_module::{Document, TextRange, TextSize};
    use std::sync::Arc;

    #[test]
    fn nothing_in_a_path_or_a_message_ends_the_command() {
        let finding = Finding {
            code: "syntax".into(),
            severity: Severity::Hint,
            message: "50% of\r\n::error::it: a, b".into(),
            range: TextRange::new(TextSize::from(1), TextSize::from(2)),
            related: Vec::new(),
        };
        let file = Checked {
            path: "/a,b:c%.nix".into(),
            shown: "a,b:c%.nix".into(),
            findings: Vec::new(),
            credentials: Vec::new(),
            document: Some(Arc::new(Document::new("{ }"))),
        };
        let expected = "::notice file=a%2Cb%3Ac%25.nix,line=1,endLine=1,col=2,endColumn=3,title=codchi%3A syntax::50%25 of%0D%0A::error::it: a, b\n";
        assert_eq!(command(&file, &finding), expected);
    }
}
