//! Completion of option names.

use super::probe::Probe;
use super::values::passes_on;
use crate::markdown::option_markdown;
use crate::syntax::{attr_name, below_module, names, path_before};
use crate::{Completion, CompletionKind, Document, Edit, TextRange, TextSize};
use codchi_module::{FREE_NAME, OptionDoc, OptionPath, OptionType, Options, SecretSpelling};
use rnix::SyntaxKind;
use rnix::ast::{Apply, AttrSet, Attrpath, AttrpathValue};
use rowan::ast::AstNode;
use std::collections::BTreeSet;
use std::path::Path;

/// The names that can stand where the marker is in `attrpath`.
pub(super) fn completions(
    document: &Document,
    file: &Path,
    probe: &Probe<'_>,
    attrpath: &Attrpath,
) -> Vec<Completion> {
    let Some((outer, read)) = path_before(attrpath) else { return Vec::new() };
    let start = probe.token.text_range().start();
    let typed: Vec<String> = attrpath
        .attrs()
        .take_while(|attr| attr.syntax().text_range().end() <= start)
        .map(|attr| attr_name(&attr))
        .collect();
    let parent = below_module(outer.iter().chain(&typed).cloned().collect());
    if parent.is_empty() {
        let is_flake = file.file_name().is_some_and(|name| name == "flake.nix");
        let is_module = read || is_top_of_module(attrpath, is_flake && outer.is_empty() && typed.is_empty());
        return if is_module { vec![codchi(probe)] } else { Vec::new() };
    }
    if parent.first().is_none_or(|name| name != "codchi") {
        return Vec::new();
    }
    let parent = OptionPath(parent);
    let taken = if read { BTreeSet::new() } else { siblings(attrpath, &typed) };
    let declared = |name: &str| (name == FREE_NAME && read).then(|| declared(document, probe, &parent));
    let mut items = Vec::new();
    for (name, doc) in Options::builtin().children(&parent) {
        match declared(name) {
            Some(declared) => items.extend(declared),
            None if name == FREE_NAME => items.extend(template(probe, &parent)),
            None if taken.contains(name) => {}
            None => items.push(item(probe, &parent, name, doc, read)),
        }
    }
    items
}

fn codchi(probe: &Probe<'_>) -> Completion {
    Completion {
        label: "codchi".to_owned(),
        kind: CompletionKind::OptionSet,
        detail: "options of a code machine".to_owned(),
        documentation:
            "What this module asks of the computer that the code machine runs on: secrets, capabilities \
                        and more."
                .to_owned(),
        edit: Edit { range: probe.word, new_text: "codchi".to_owned() },
        stops: Vec::new(),
        deprecated: false,
    }
}

fn item(
    probe: &Probe<'_>,
    parent: &OptionPath,
    name: &str,
    doc: Option<&OptionDoc>,
    read: bool,
) -> Completion {
    let path = parent.join(name);
    let is_set = !Options::builtin().children(&path).is_empty();
    let needs_value = !read && !is_set && !probe.next().starts_with(['=', '.']) && !probe.in_string();
    let (new_text, stops) = match doc {
        Some(doc) if needs_value => assignment(probe, name, doc),
        _ => (name.to_owned(), Vec::new()),
    };
    Completion {
        label: name.to_owned(),
        kind: if is_set { CompletionKind::OptionSet } else { CompletionKind::Option },
        detail: doc.map_or_else(|| "options".to_owned(), |doc| doc.kind.to_string()),
        documentation: option_markdown(&path).unwrap_or_default(),
        edit: Edit { range: probe.word, new_text },
        stops,
        deprecated: doc.is_some_and(|doc| doc.deprecated.is_some()),
    }
}

/// `name = VALUE;` with the value to fill in.
fn assignment(probe: &Probe<'_>, name: &str, doc: &OptionDoc) -> (String, Vec<TextRange>) {
    let (open, value, close) = match without_null(&doc.kind) {
        OptionType::Bool if doc.default.as_deref() == Some("true") => ("", "false", ""),
        OptionType::Bool => ("", "true", ""),
        OptionType::Int => ("", "0", ""),
        OptionType::Str | OptionType::Enum { .. } => ("\"", "", "\""),
        OptionType::Lines => return script(probe, name),
        OptionType::ListOf { .. } => ("[ ", "", " ]"),
        _ => ("", "", ""),
    };
    let end = if probe.next().starts_with(';') { "" } else { ";" };
    let before = format!("{name} = {open}");
    let stop = TextRange::at(size(&before), size(value));
    (format!("{before}{value}{close}{end}"), vec![stop])
}

fn script(probe: &Probe<'_>, name: &str) -> (String, Vec<TextRange>) {
    let before = format!("{name} = ''\n{}  ", probe.indentation);
    let stop = TextRange::empty(size(&before));
    let end = if probe.next().starts_with(';') { "" } else { ";" };
    (format!("{before}\n{}''{end}", probe.indentation), vec![stop])
}

/// A new secret: its name and its description are to be filled in.
fn template(probe: &Probe<'_>, parent: &OptionPath) -> Option<Completion> {
    let name = "NAME";
    let path = parent.join(FREE_NAME);
    if probe.next().starts_with(['=', '.']) || probe.in_string() {
        return None;
    }
    Options::builtin().get(&path.join("description"))?;
    let before = format!("{name}.description = \"");
    let stops = vec![TextRange::up_to(size(name)), TextRange::empty(size(&before))];
    Some(Completion {
        label: name.to_owned(),
        kind: CompletionKind::OptionSet,
        detail: "a new secret".to_owned(),
        documentation: option_markdown(parent).unwrap_or_default(),
        edit: Edit { range: probe.word, new_text: format!("{before}\";") },
        stops,
        deprecated: false,
    })
}

/// The secrets that the file declares below `parent`.
fn declared(document: &Document, probe: &Probe<'_>, parent: &OptionPath) -> Vec<Completion> {
    let spelling = match parent.0.last().map(String::as_str) {
        Some("env") => SecretSpelling::Env,
        Some("file") => SecretSpelling::File,
        _ => SecretSpelling::Plain,
    };
    let secrets = document.facts().secrets.iter().filter(|secret| secret.spelling == spelling);
    let mut seen = BTreeSet::new();
    secrets
        .filter(|secret| seen.insert(secret.name.as_str()))
        .map(|secret| Completion {
            label: secret.name.clone(),
            kind: CompletionKind::OptionSet,
            detail: "secret".to_owned(),
            documentation: secret.description.as_ref().map(|(text, _)| text.clone()).unwrap_or_default(),
            edit: Edit { range: probe.word, new_text: secret.name.clone() },
            stops: Vec::new(),
            deprecated: false,
        })
        .collect()
}

/// The names that other bindings of the same set already give a whole value, below what is typed of this one.
fn siblings(attrpath: &Attrpath, typed: &[String]) -> BTreeSet<String> {
    let Some(binding) = attrpath.syntax().parent() else { return BTreeSet::new() };
    let others =
        binding.parent().into_iter().flat_map(|set| set.children()).filter(|other| *other != binding);
    others
        .filter_map(AttrpathValue::cast)
        .filter_map(|other| match names(&other).split_last() {
            Some((last, before)) if before == typed => Some(last.clone()),
            _ => None,
        })
        .collect()
}

/// Whether the set that the attribute path is in can be a module's outermost set, rather than an argument of a
/// function or a set of anything else.
fn is_top_of_module(attrpath: &Attrpath, is_flake: bool) -> bool {
    let Some(set) = attrpath.syntax().ancestors().find_map(AttrSet::cast) else { return false };
    for ancestor in set.syntax().ancestors().skip(1) {
        match ancestor.kind() {
            SyntaxKind::NODE_ROOT => return !is_flake,
            SyntaxKind::NODE_ATTRPATH_VALUE => return true,
            SyntaxKind::NODE_APPLY => {
                if !Apply::cast(ancestor).is_some_and(|apply| passes_on(&apply)) {
                    return false;
                }
            }
            SyntaxKind::NODE_LAMBDA
            | SyntaxKind::NODE_LET_IN
            | SyntaxKind::NODE_WITH
            | SyntaxKind::NODE_ASSERT
            | SyntaxKind::NODE_PAREN
            | SyntaxKind::NODE_LIST
            | SyntaxKind::NODE_IF_ELSE
            | SyntaxKind::NODE_BIN_OP
            | SyntaxKind::NODE_ERROR => {}
            _ => return false,
        }
    }
    false
}

fn without_null(kind: &OptionType) -> &OptionType {
    match kind {
        OptionType::NullOr { of } => without_null(of),
        other => other,
    }
}

fn size(text: &str) -> TextSize {
    TextSize::of(text)
}
