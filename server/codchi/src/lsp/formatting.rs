//! `textDocument/formatting`: what a formatter makes of the text, as edits of the lines that change. Ranges are not offered: the
//! formatters know whole texts only.

use super::position::{Encoding, range};
use super::server::{Server, refused};
use super::workspace::path;
use crate::formatter::{Failure, Formatter};
use codchi_ide::Files as _;
use codchi_module::{Document, TextRange, TextSize};
use imara_diff::{Algorithm, Diff, InternedInput};
use std::sync::{Arc, Mutex, PoisonError};
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::lsp_types as lsp;

/// LSP's `ContentModified`.
const CONTENT_MODIFIED: i64 = -32801;

/// What the person was told last: each save would tell it again.
#[derive(Default)]
pub(crate) struct Told(Mutex<Option<String>>);

impl Told {
    fn is_new(&self, message: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.as_deref() != Some(message);
        *last = Some(message.to_owned());
        is_new
    }
}

/// `textDocument/formatting`.
pub(super) async fn formatting(
    server: &Server,
    params: lsp::DocumentFormattingParams,
) -> Result<Option<Vec<lsp::TextEdit>>> {
    let Some(path) = path(&params.text_document.uri) else { return Ok(None) };
    let shared = server.shared();
    let files = shared.workspace.snapshot();
    let setting = shared.formatter();
    let read = tokio::task::spawn_blocking({
        let (files, path) = (files.clone(), path.clone());
        move || {
            let document = files.document(&path)?;
            let error = document.syntax_errors().into_iter().next();
            Some((document, error, Formatter::find(&setting)))
        }
    });
    let read = read.await.map_err(|_| Error::internal_error())?;
    let Some((document, error, formatter)) = read else { return Ok(None) };
    let formatter = match formatter {
        Ok(formatter) => formatter,
        Err(Failure::Off) => return Ok(None),
        Err(Failure::Missing(message) | Failure::Failed(message)) => {
            if shared.formatting.is_new(&message) {
                server.client().show_message(lsp::MessageType::INFO, message).await;
            }
            return Ok(None);
        }
    };
    // Told as a diagnostic already, and each save would tell it again.
    if let Some(error) = error {
        return Err(refused(format!("This text is not formatted, as it is not Nix: {}", error.message)));
    }
    let folder = path.parent().filter(|folder| folder.is_absolute());
    let formatted = tokio::select! {
        formatted = formatter.format(document.clone(), folder) => formatted,
        () = shared.operations.cancelled() => return Err(Error::request_cancelled()),
    };
    let text = match formatted {
        Ok(text) => text,
        Err(Failure::Off) => return Ok(None),
        Err(Failure::Missing(message) | Failure::Failed(message)) => {
            if shared.formatting.is_new(&message) {
                server.client().show_message(lsp::MessageType::WARNING, &message).await;
            }
            return Err(refused(message));
        }
    };
    let version = |files: &super::workspace::Snapshot| files.open_file(&path).map(|file| file.version);
    if version(&shared.workspace.snapshot()) != version(&files) {
        return Err(Error {
            code: ErrorCode::ServerError(CONTENT_MODIFIED),
            message: "The text was changed while it was formatted.".into(),
            data: None,
        });
    }
    let encoding = shared.session().encoding;
    let edits = tokio::task::spawn_blocking(move || edits(&document, &text, encoding));
    edits.await.map(Some).map_err(|_| Error::internal_error())
}

/// The lines that change.
fn edits(document: &Arc<Document>, new: &str, encoding: Encoding) -> Vec<lsp::TextEdit> {
    let old = document.text();
    let input = InternedInput::new(old, new);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let (old, new) = (starts(old), (starts(new), new));
    let at = |starts: &[usize], line: u32| {
        starts.get(line as usize).or(starts.last()).copied().unwrap_or_default()
    };
    diff.hunks()
        .map(|hunk| {
            let size = |line| TextSize::try_from(at(&old, line)).unwrap_or_default();
            let replaced = TextRange::new(size(hunk.before.start), size(hunk.before.end));
            let inserted = at(&new.0, hunk.after.start)..at(&new.0, hunk.after.end);
            lsp::TextEdit {
                range: range(document.lines(), replaced, encoding),
                new_text: new.1.get(inserted).unwrap_or_default().to_owned(),
            }
        })
        .collect()
}

/// Where each line begins, and where the last one ends.
fn starts(text: &str) -> Vec<usize> {
    let ends = text.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::super::edit;
    use super::*;

    fn changed(old: &str, new: &str) -> Vec<String> {
        let edits = edits(&Arc::new(Document::new(old)), new, Encoding::Utf16);
        let shown = edits.iter().map(|it| format!("{}-{}", it.range.start.line, it.range.end.line)).collect();
        // Those that come later in the text are made first, as each is about the text as it was.
        let changes = edits.into_iter().rev().map(|it| lsp::TextDocumentContentChangeEvent {
            range: Some(it.range),
            range_length: None,
            text: it.new_text,
        });
        assert_eq!(edit::apply(old, changes.collect(), Encoding::Utf16), new);
        shown
    }

    #[test]
    fn only_the_lines_that_differ_are_replaced() {
        assert_eq!(
            changed("{\na=1;\n  b = \"é𝄞\";\nc=2;\n}", "{\n  a = 1;\n  b = \"é𝄞\";\n  c = 2;\n}\n"),
            ["1-2", "3-4"]
        );
        assert_eq!(changed("{ }\n", "{ }\n"), Vec::<String>::new());
        assert_eq!(changed("", "{ }\n"), ["0-0"]);
        assert_eq!(changed("a\nb", "a\nb\n"), ["1-1"]);
        assert_eq!(changed("a\r\n\r\n\r\nb\r\n", "a\r\nb\r\n"), ["1-3"]);
    }
}
