//! What was found, ready to be printed in any format.

use super::rules::Rules;
use super::{Disk, shown, why_unread};
use codchi_ide::{Analysis, Diagnostic, DiagnosticCode, Files, Related, Severity, World};
use codchi_module::{Document, LineCol, TextRange, TextSize, WideEncoding};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was found in all files, in the order of their paths.
pub(super) struct Report {
    pub(super) files: Vec<Checked>,
    /// What could not be looked at.
    pub(super) unread: Vec<Unread>,
    /// What could not be evaluated, as sentences.
    pub(super) unevaluated: Vec<String>,
}

/// What was found in one file.
pub(super) struct Checked {
    pub(super) path: PathBuf,
    /// Its path as a person calls it.
    pub(super) shown: String,
    pub(super) findings: Vec<Finding>,
    /// The text that the findings are about; none where there are none.
    pub(super) document: Option<Arc<Document>>,
    /// Where credentials are, reported or not: they are never printed.
    pub(super) credentials: Vec<TextRange>,
}

/// One finding.
pub(super) struct Finding {
    pub(super) code: String,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) range: TextRange,
    pub(super) related: Vec<Elsewhere>,
}

/// Another place that a finding is about.
pub(super) struct Elsewhere {
    pub(super) path: PathBuf,
    pub(super) message: String,
    /// In characters, and in UTF-16 code units.
    pub(super) places: [Lines; 2],
}

/// A file or folder that could not be looked at.
pub(super) struct Unread {
    pub(super) path: String,
    pub(super) why: String,
}

/// A range in lines and columns, which count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) start: (u32, u32),
    pub(super) end: (u32, u32),
}

impl Report {
    /// Checks all files, on all processors.
    pub(super) fn of(disk: &Disk, world: &World, rules: &Rules, mut unread: Vec<Unread>) -> Self {
        let checked: Vec<_> = disk.checked().par_iter().map(|path| check(disk, world, rules, path)).collect();
        let mut files = Vec::new();
        for result in checked {
            match result {
                Ok(checked) => files.push(checked),
                Err(it) => unread.push(it),
            }
        }
        unread.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files, unread, unevaluated: Vec::new() }
    }

    /// All that could not be looked at or evaluated, as sentences.
    pub(super) fn troubles(&self) -> impl Iterator<Item = String> {
        let unread =
            self.unread.iter().map(|unread| format!("reading {} failed: {}", unread.path, unread.why));
        unread.chain(self.unevaluated.iter().cloned())
    }

    /// How many findings are of this severity.
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings().filter(|(_, finding)| finding.severity == severity).count()
    }

    /// All findings.
    pub(super) fn findings(&self) -> impl Iterator<Item = (&Checked, &Finding)> {
        self.files.iter().flat_map(|file| file.findings.iter().map(move |finding| (file, finding)))
    }
}

fn check(disk: &Disk, world: &World, rules: &Rules, path: &Path) -> Result<Checked, Unread> {
    match disk.document(path) {
        Some(document) => Ok(checked(disk, world, rules, path, document)),
        None => Err(Unread { path: shown(path), why: why_unread(path) }),
    }
}

/// What is found in this text of the file.
fn checked(disk: &Disk, world: &World, rules: &Rules, path: &Path, document: Arc<Document>) -> Checked {
    let files = disk.holding(path, document.clone());
    let found = Analysis::new(&files, world).diagnostics(path);
    let credentials = found.iter().filter(|diagnostic| diagnostic.code == DiagnosticCode::SecretInStore);
    let credentials = credentials.map(|diagnostic| diagnostic.range).collect();
    let findings: Vec<Finding> =
        found.into_iter().filter_map(|diagnostic| finding(&files, rules, diagnostic)).collect();
    let document = (!findings.is_empty()).then_some(document);
    Checked { path: path.to_owned(), shown: shown(path), findings, document, credentials }
}

fn finding(files: &dyn Files, rules: &Rules, diagnostic: Diagnostic) -> Option<Finding> {
    let Diagnostic { code, severity, message, range, related, .. } = diagnostic;
    let code = crate::lsp::code(code);
    let severity = rules.severity(&code, severity)?;
    let elsewhere = |related: Related| {
        let document = files.document(&related.path)?;
        let places =
            [WideEncoding::Utf32, WideEncoding::Utf16].map(|unit| lines(&document, related.range, unit));
        Some(Elsewhere { path: related.path, message: related.message, places })
    };
    Some(Finding {
        code,
        severity,
        message,
        range,
        related: related.into_iter().filter_map(elsewhere).collect(),
    })
}

impl Checked {
    /// Where a finding is, columns in `unit`.
    pub(super) fn lines(&self, finding: &Finding, unit: WideEncoding) -> Lines {
        match &self.document {
            Some(document) => lines(document, finding.range, unit),
            None => Lines { start: (1, 1), end: (1, 1) },
        }
    }
}

fn lines(document: &Document, range: TextRange, unit: WideEncoding) -> Lines {
    let place = |offset: TextSize| {
        let lines = document.lines();
        let offset = offset.min(lines.len());
        let LineCol { line, col } = lines.try_line_col(offset).unwrap_or(LineCol { line: 0, col: 0 });
        let column = lines.to_wide(unit, LineCol { line, col }).map_or(col, |wide| wide.col);
        (line + 1, column + 1)
    };
    Lines { start: place(range.start()), end: place(range.end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_about_the_text_that_was_read_whatever_becomes_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codchi.nix");
        std::fs::write(&path, "{\n  codchi.gpu.enabled = true;\n}\n").unwrap();
        let world = World::default();
        let disk = Disk::new(vec![path.clone()], None, &world);
        let document = disk.document(&path).unwrap();
        let rules = Rules { deny: Vec::new(), allow: Vec::new() };
        for text in ["", "{ codchi.secrets.A.descriptoin = \"a\"; }"] {
            std::fs::write(&path, text).unwrap();
            let checked = checked(&disk, &world, &rules, &path, document.clone());
            let found: Vec<&str> =
                checked.findings.iter().map(|finding| &document.text()[finding.range]).collect();
            assert_eq!(found, ["enabled"]);
            assert!(Arc::ptr_eq(checked.document.as_ref().unwrap(), &document));
        }
    }
}
