//! For people: each finding over the source that it is about.

use super::report::{Checked, Finding, Report};
use super::{output, shown};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use codchi_ide::Severity;
use codchi_module::TextRange;
use std::io::IsTerminal as _;

pub(super) fn print(report: &Report) -> anyhow::Result<()> {
    let decor = if std::io::stdout().is_terminal() { DecorStyle::Unicode } else { DecorStyle::Ascii };
    let renderer = Renderer::styled().decor_style(decor);
    for file in &report.files {
        let Some(document) = &file.document else { continue };
        let source = masked(document.text(), file);
        for finding in &file.findings {
            output::print(&excerpt(file, &source, finding, &renderer))?;
            output::print("\n")?;
        }
    }
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let errors = number(report.count(Severity::Error), "error");
    let warnings = number(report.count(Severity::Warning), "warning");
    output::print(&format!("{errors}, {warnings} in {}", number(report.files.len(), "file")))
}

/// The text without the credentials in it: what is printed ends up in logs. Every place stays where it is.
fn masked(text: &str, file: &Checked) -> String {
    let mut text = text.to_owned();
    for range in &file.credentials {
        let range = std::ops::Range::<usize>::from(*range);
        let Some(secret) = text.get(range.clone()) else { continue };
        let mask: String = secret
            .chars()
            .flat_map(|c| {
                let is_kept = c.is_whitespace() || matches!(c, '"' | '\'');
                let shown = if is_kept { c } else { '*' };
                std::iter::repeat_n(shown, if is_kept { 1 } else { c.len_utf8() })
            })
            .collect();
        text.replace_range(range, &mask);
    }
    text
}

fn excerpt(file: &Checked, source: &str, finding: &Finding, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Information => Level::INFO,
        Severity::Hint => Level::HELP,
    };
    let span = |range: TextRange| usize::from(range.start())..usize::from(range.end());
    let (title, rest) = finding.message.split_once('\n').unwrap_or((&finding.message, ""));
    let mut group: Group<'_> = level.primary_title(title).id(&finding.code).element(
        Snippet::source(source)
            .path(&file.shown)
            .annotation(AnnotationKind::Primary.span(span(finding.range))),
    );
    if !rest.trim().is_empty() {
        group = group.element(Level::NOTE.message(rest.trim()));
    }
    for place in &finding.related {
        let (line, column) = place.places[0].start;
        let origin = Origin::path(shown(&place.path)).line(line as usize).char_column(column as usize);
        group = group.element(Level::NOTE.message(place.message.clone())).element(origin);
    }
    renderer.render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_module::TextSize;

    #[test]
    fn a_credential_is_not_printed() {
        let text = "{ a = \"ghp_ü1\nx\"; }";
        let (start, end) = (text.find('"').unwrap(), text.rfind('"').unwrap() + 1);
        let size = |n: usize| TextSize::try_from(n).unwrap();
        let file = Checked {
            path: "/a".into(),
            shown: "a".into(),
            findings: Vec::new(),
            document: None,
            credentials: vec![TextRange::new(size(start), size(end))],
        };
        assert_eq!(masked(text, &file), "{ a = \"*******\n*\"; }");
    }
}
