//! Completion of names: codchi's options here, what a module's set may have besides; the others lead on.

use super::probe::{Probe, Value};
use super::{Context, options, packages, snippets};
use crate::markdown::{described, host_markdown, option_markdown};
use crate::module_path::{ModulePath, is_flake, module_path, names_before, selected_from};
use crate::syntax::{below_module, is_local, names, passed_on, site};
use crate::{Completion, CompletionKind, Completions, Document, Edit, TextRange, TextSize};
use codchi_module::{FREE_NAME, OptionDoc, OptionPath, OptionType, Options, SecretSpelling};
use rnix::SyntaxKind;
use rnix::ast::{Apply, Attr, AttrSet, Attrpath, AttrpathValue};
use rowan::ast::AstNode;
use std::collections::BTreeSet;

/// The names that can stand where the marker is in `attr`.
pub(super) fn completions(context: &Context<'_>, probe: &Probe<'_>, attr: &Attr) -> Completions {
    let start = probe.token.text_range().start();
    let attrpath = attr.syntax().parent().and_then(Attrpath::cast);
    let binding = attrpath.as_ref().and_then(|path| AttrpathValue::cast(path.syntax().parent()?));
    match (attrpath, binding) {
        (Some(attrpath), Some(binding)) if !is_local(&binding) => {
            defined(context, probe, &attrpath, &binding, names_before(&attrpath, start))
        }
        (_, Some(_)) => Completions::default(),
        _ => match selected_from(attr) {
            Some((argument, path)) if argument == "config" => read(context, probe, path),
            Some((argument, path)) if argument == "pkgs" => packages::below(context, probe, &path),
            Some((name, path)) if attr.syntax().kind() == SyntaxKind::NODE_IDENT => {
                let path: Vec<String> = std::iter::once(name).chain(path).collect();
                packages::in_with(context, probe, &path)
            }
            _ => Completions::default(),
        },
    }
}

/// Names below `config.PATH`.
fn read(context: &Context<'_>, probe: &Probe<'_>, path: Vec<String>) -> Completions {
    match path.first().map(String::as_str) {
        Some("codchi") => {
            let items = below_codchi(context, probe, &OptionPath::from(path), &BTreeSet::new(), true);
            Completions { items, is_incomplete: false }
        }
        Some(_) => options::completions(context, probe, &path, &BTreeSet::new(), true),
        None => {
            let mut found = options::completions(context, probe, &path, &BTreeSet::new(), true);
            found.items.insert(0, codchi(probe));
            found
        }
    }
}

/// Names that a binding can give a value.
fn defined(
    context: &Context<'_>,
    probe: &Probe<'_>,
    attrpath: &Attrpath,
    binding: &AttrpathValue,
    typed: Vec<String>,
) -> Completions {
    let is_flake = is_flake(context.file);
    let outer = site(binding.syntax()).names;
    let parent = below_module(outer.iter().chain(&typed).cloned().collect());
    let taken = siblings(attrpath, &typed);
    if parent.first().is_some_and(|name| name == "codchi") {
        let items = below_codchi(context, probe, &OptionPath::from(parent), &taken, false);
        return Completions { items, is_incomplete: false };
    }
    let place = module_path(binding.syntax(), &typed, is_flake);
    let mut found = match &place {
        Some(place) => options::completions(context, probe, &place.path, &taken, false),
        None => Completions::default(),
    };
    let no_output = is_flake && outer.is_empty() && typed.is_empty();
    if parent.is_empty() && is_top_of_module(attrpath, no_output) {
        let mut items = vec![codchi(probe)];
        if let Some(place) = place.filter(|_| typed.is_empty()) {
            items.extend(snippets::in_module(probe));
            items.extend(keywords(probe, &place, &taken));
        }
        found.items.splice(0..0, items);
    }
    found
}

/// What a module's set may have besides definitions.
fn keywords(probe: &Probe<'_>, place: &ModulePath, taken: &BTreeSet<String>) -> Vec<Completion> {
    const KEYWORDS: [(&str, &str, Value<'_>); 3] = [
        ("imports", "other modules", Value::Line { open: "[ ", value: "", close: " ]" }),
        ("options", "options that this module declares", Value::Block { open: "{", close: "}" }),
        ("config", "definitions, beside `options`", Value::Block { open: "{", close: "}" }),
    ];
    if place.in_config || !place.path.is_empty() {
        return Vec::new();
    }
    let wanted = KEYWORDS.into_iter().filter(|(name, ..)| !taken.contains(*name));
    wanted
        .map(|(name, detail, value)| {
            let (new_text, stops) = probe.definition(name, &value);
            Completion {
                label: name.to_owned(),
                kind: CompletionKind::Keyword,
                detail: detail.to_owned(),
                documentation: String::new(),
                edit: Edit { range: probe.word, new_text },
                stops,
                deprecated: false,
            }
        })
        .collect()
}

fn below_codchi(
    context: &Context<'_>,
    probe: &Probe<'_>,
    parent: &OptionPath,
    taken: &BTreeSet<String>,
    read: bool,
) -> Vec<Completion> {
    let declared =
        |name: &str| (name == FREE_NAME && read).then(|| declared(context.document, probe, parent));
    let mut items = Vec::new();
    for (name, doc) in Options::builtin().children(parent) {
        match declared(name) {
            Some(declared) => items.extend(declared),
            None if name == FREE_NAME => items.extend(template(probe, parent)),
            None if taken.contains(name) => {}
            None => items.push(item(context, probe, parent, name, doc, read)),
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
    context: &Context<'_>,
    probe: &Probe<'_>,
    parent: &OptionPath,
    name: &str,
    doc: Option<&OptionDoc>,
    read: bool,
) -> Completion {
    let path = parent.join(name);
    let is_set = !Options::builtin().children(&path).is_empty();
    let (new_text, stops) = match doc {
        Some(doc) if !read && !is_set => probe.definition(name, &value(doc)),
        _ => (name.to_owned(), Vec::new()),
    };
    let about = doc.map(described).or_else(|| option_markdown(&path)).into_iter();
    let about = about.chain(host_markdown(context.world, &path));
    Completion {
        label: name.to_owned(),
        kind: if is_set { CompletionKind::OptionSet } else { CompletionKind::Option },
        detail: doc.map_or_else(|| "options".to_owned(), |doc| doc.kind.to_string()),
        documentation: about.collect::<Vec<_>>().join("\n\n---\n\n"),
        edit: Edit { range: probe.word, new_text },
        stops,
        deprecated: doc.is_some_and(|doc| doc.deprecated.is_some()),
    }
}

/// How a value of the option's type is written.
fn value(doc: &OptionDoc) -> Value<'static> {
    let (open, value, close) = match without_null(&doc.kind) {
        OptionType::Bool if doc.default.as_deref() == Some("true") => ("", "false", ""),
        OptionType::Bool => ("", "true", ""),
        OptionType::Int => ("", "0", ""),
        OptionType::Str | OptionType::Enum { .. } => ("\"", "", "\""),
        OptionType::Lines => return Value::Block { open: "''", close: "''" },
        OptionType::ListOf { .. } => ("[ ", "", " ]"),
        _ => ("", "", ""),
    };
    Value::Line { open, value, close }
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
                if Apply::cast(ancestor).and_then(|apply| passed_on(&apply)).is_none() {
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
