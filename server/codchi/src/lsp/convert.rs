//! The analysis' plain data as LSP types.

use super::position::{self, Encoding};
use super::workspace::Snapshot;
use codchi_ide as ide;
use codchi_ide::Files as _;
use codchi_module::{LineIndex, TextRange};
use serde_json::json;
use tower_lsp::lsp_types as lsp;

/// How deep the outline may be: its JSON has two levels for each, and clients read no more than some 120 of these.
const NESTED: usize = 50;

/// What is needed to convert ranges in one document.
#[derive(Clone, Copy)]
pub(crate) struct Converter<'a> {
    /// All files, for places in others.
    pub(crate) files: &'a Snapshot,
    /// The document's lines.
    pub(crate) lines: &'a LineIndex,
    /// The client's unit.
    pub(crate) encoding: Encoding,
    /// Whether the client takes snippets.
    pub(crate) snippets: bool,
    /// Where the diagnostics' documentation is; none where it could not be written.
    pub(crate) documentation: Option<&'a lsp::Url>,
}

impl Converter<'_> {
    pub(crate) fn range(&self, range: TextRange) -> lsp::Range {
        position::range(self.lines, range, self.encoding)
    }

    pub(crate) fn diagnostic(&self, diagnostic: &ide::Diagnostic) -> lsp::Diagnostic {
        let code = code(diagnostic.code);
        lsp::Diagnostic {
            range: self.range(diagnostic.range),
            severity: Some(match diagnostic.severity {
                ide::Severity::Error => lsp::DiagnosticSeverity::ERROR,
                ide::Severity::Warning => lsp::DiagnosticSeverity::WARNING,
                ide::Severity::Information => lsp::DiagnosticSeverity::INFORMATION,
                ide::Severity::Hint => lsp::DiagnosticSeverity::HINT,
            }),
            code_description: self.documentation.map(|page| {
                let mut href = page.clone();
                href.set_fragment(Some(&code));
                lsp::CodeDescription { href }
            }),
            code: Some(lsp::NumberOrString::String(code)),
            source: Some("codchi".into()),
            message: diagnostic.message.clone(),
            tags: (!diagnostic.tags.is_empty()).then(|| {
                diagnostic
                    .tags
                    .iter()
                    .map(|tag| match tag {
                        ide::Tag::Unnecessary => lsp::DiagnosticTag::UNNECESSARY,
                        ide::Tag::Deprecated => lsp::DiagnosticTag::DEPRECATED,
                    })
                    .collect()
            }),
            related_information: (!diagnostic.related.is_empty())
                .then(|| diagnostic.related.iter().filter_map(|related| self.related(related)).collect()),
            ..lsp::Diagnostic::default()
        }
    }

    fn related(&self, related: &ide::Related) -> Option<lsp::DiagnosticRelatedInformation> {
        let (uri, range) = self.place(&related.path, related.range)?;
        let location = lsp::Location { uri, range };
        Some(lsp::DiagnosticRelatedInformation { location, message: related.message.clone() })
    }

    /// A range in any file; `None` where the file cannot be read (any more).
    pub(super) fn place(&self, path: &std::path::Path, range: TextRange) -> Option<(lsp::Url, lsp::Range)> {
        let uri = match self.files.open_file(path) {
            Some(file) => file.uri.clone(),
            None => lsp::Url::from_file_path(path).ok()?,
        };
        // A folder or another file that is no text can be gone to as well, at its start.
        let range = match self.files.document(path) {
            Some(document) => position::range(document.lines(), range, self.encoding),
            None => lsp::Range::default(),
        };
        Some((uri, range))
    }

    pub(crate) fn completions(&self, found: ide::Completions) -> lsp::CompletionList {
        let items = found.items.into_iter().enumerate();
        let items = items.map(|(number, item)| self.completion(number, item)).collect();
        lsp::CompletionList { is_incomplete: found.is_incomplete, items }
    }

    /// The number makes clients keep the order; otherwise they sort by label.
    fn completion(&self, number: usize, mut completion: ide::Completion) -> lsp::CompletionItem {
        let is_snippet = self.snippets && !completion.stops.is_empty();
        if is_snippet {
            completion.edit.new_text = snippet(&completion.edit.new_text, &completion.stops);
        }
        lsp::CompletionItem {
            label: completion.label,
            kind: Some(match completion.kind {
                ide::CompletionKind::Option => lsp::CompletionItemKind::PROPERTY,
                ide::CompletionKind::OptionSet => lsp::CompletionItemKind::MODULE,
                ide::CompletionKind::Value => lsp::CompletionItemKind::ENUM_MEMBER,
                ide::CompletionKind::Keyword => lsp::CompletionItemKind::KEYWORD,
                ide::CompletionKind::Package => lsp::CompletionItemKind::CONSTANT,
                ide::CompletionKind::Snippet => lsp::CompletionItemKind::SNIPPET,
            }),
            detail: (!completion.detail.is_empty()).then_some(completion.detail),
            sort_text: Some(format!("{number:04}")),
            documentation: (!completion.documentation.is_empty())
                .then(|| lsp::Documentation::MarkupContent(markdown(completion.documentation))),
            tags: completion.deprecated.then(|| vec![lsp::CompletionItemTag::DEPRECATED]),
            insert_text_format: is_snippet.then_some(lsp::InsertTextFormat::SNIPPET),
            text_edit: Some(lsp::CompletionTextEdit::Edit(self.edit(completion.edit))),
            ..lsp::CompletionItem::default()
        }
    }

    pub(super) fn edit(&self, edit: ide::Edit) -> lsp::TextEdit {
        lsp::TextEdit { range: self.range(edit.range), new_text: edit.new_text }
    }

    pub(crate) fn hover(&self, hover: ide::Hover) -> lsp::Hover {
        lsp::Hover {
            contents: lsp::HoverContents::Markup(markdown(hover.markdown)),
            range: Some(self.range(hover.range)),
        }
    }

    pub(crate) fn target(&self, target: &ide::Target) -> Option<lsp::LocationLink> {
        let (target_uri, target_range) = self.place(&target.path, target.range)?;
        Some(lsp::LocationLink {
            origin_selection_range: Some(self.range(target.origin)),
            target_uri,
            target_range,
            target_selection_range: target_range,
        })
    }

    pub(crate) fn symbol(&self, symbol: ide::Symbol) -> lsp::DocumentSymbol {
        self.symbol_within(symbol, NESTED)
    }

    /// With no more than so many levels in it.
    fn symbol_within(&self, symbol: ide::Symbol, levels: usize) -> lsp::DocumentSymbol {
        // The field `deprecated` must be named, and is itself deprecated in favour of `tags`.
        #[expect(deprecated, reason = "the type has no other way to be made")]
        lsp::DocumentSymbol {
            name: symbol.name,
            detail: None,
            kind: match symbol.kind {
                ide::SymbolKind::Set => lsp::SymbolKind::NAMESPACE,
                ide::SymbolKind::Value => lsp::SymbolKind::PROPERTY,
                ide::SymbolKind::Secret => lsp::SymbolKind::KEY,
            },
            tags: None,
            deprecated: None,
            range: self.range(symbol.range),
            selection_range: self.range(symbol.name_range),
            children: (!symbol.children.is_empty() && levels > 0).then(|| {
                symbol.children.into_iter().map(|child| self.symbol_within(child, levels - 1)).collect()
            }),
        }
    }

    pub(crate) fn lens(&self, lens: &ide::Lens) -> lsp::CodeLens {
        let command = command(&lens.title, &lens.command).unwrap_or_else(|| lsp::Command {
            title: lens.title.clone(),
            // A lens without a command is one that is yet to be resolved; an empty one is text only.
            command: String::new(),
            arguments: None,
        });
        lsp::CodeLens { range: self.range(lens.range), command: Some(command), data: None }
    }
}

/// A diagnostic code's name in the protocol and in the documentation.
pub(crate) fn code(code: ide::DiagnosticCode) -> String {
    code.name().to_owned()
}

/// The text as a snippet whose stops are to be filled in, in order; those with the same text have the same number.
fn snippet(text: &str, stops: &[TextRange]) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}");
    let mut snippet = String::new();
    let mut rest = 0;
    let mut numbered: Vec<&str> = Vec::new();
    for stop in stops {
        let (start, end) = (usize::from(stop.start()), usize::from(stop.end()));
        let (Some(before), Some(filled)) = (text.get(rest..start), text.get(start..end)) else { continue };
        let same = numbered.iter().position(|other| !filled.is_empty() && *other == filled);
        let number = same.unwrap_or(numbered.len()) + 1;
        if same.is_none() {
            numbered.push(filled);
        }
        snippet.push_str(&escaped(before));
        snippet.push_str(&format!("${{{number}:{}}}", escaped(filled)));
        rest = end;
    }
    snippet.push_str(&escaped(text.get(rest..).unwrap_or_default()));
    snippet
}

fn markdown(value: String) -> lsp::MarkupContent {
    lsp::MarkupContent { kind: lsp::MarkupKind::Markdown, value }
}

/// A lens' or an action's command as PROTOCOL.md has it; `None` for none, and for one that is about a place in a text.
pub(super) fn command(title: &str, command: &ide::Command) -> Option<lsp::Command> {
    use super::commands::name;
    let (id, argument) = match command {
        // Opening a module's machine creates it first where there is none.
        ide::Command::Create { module, output } => {
            let output = output.as_ref().map(|output| format!("#{output}")).unwrap_or_default();
            (name::OPEN, json!({ "module": format!("{}{output}", module.display()) }))
        }
        ide::Command::Rebuild { machine } => (name::REBUILD, json!({ "name": machine })),
        ide::Command::Start { machine } => (name::START, json!({ "name": machine })),
        ide::Command::Stop { machine } => (name::STOP, json!({ "name": machine })),
        ide::Command::Open { machine } => (name::OPEN, json!({ "name": machine })),
        ide::Command::SetSecret { name: secret, description, machine } => {
            let mut argument = json!({ "name": secret, "description": description });
            if let Some(machine) = machine {
                argument["machine"] = json!(machine);
            }
            (name::SECRET_SET, argument)
        }
        ide::Command::ExtractSecret { .. } | ide::Command::None => return None,
    };
    Some(lsp::Command { title: title.into(), command: id.into(), arguments: Some(vec![argument]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_has_numbered_stops_and_plain_text_in_between() {
        let stops = [TextRange::new(0.into(), 4.into()), TextRange::empty(8.into())];
        assert_eq!(snippet("NAME = \"\";", &stops), "${1:NAME} = \"${2:}\";");
        assert_eq!(snippet("a = ''${b}'';", &[]), "a = ''\\${b\\}'';");
    }

    #[test]
    fn stops_with_the_same_text_are_filled_in_together() {
        let at = |start: u32, end: u32| TextRange::new(start.into(), end.into());
        let stops = [at(0, 1), at(2, 3), at(4, 5), at(6, 6), at(7, 7)];
        assert_eq!(snippet("A B A  ", &stops), "${1:A} ${2:B} ${1:A} ${3:} ${4:}");
    }
}
