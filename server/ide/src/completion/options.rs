//! Completion of option names from the module's catalogue: all but codchi's own.

use super::probe::{Probe, Value};
use super::{Context, bounded};
use crate::kind::Kind;
use crate::module_path::is_free;
use crate::modules::Modules;
use crate::nixos_markdown::{described, documented};
use crate::{
    CatalogueEntry, CatalogueOption, Completion, CompletionKind, Completions, Edit, TextRange, TextSize,
};
use codchi_module::{OptionPath, is_identifier};
use std::collections::BTreeSet;

/// What a person gives a name to.
const PLACEHOLDER: &str = "NAME";

/// The names directly below `parent`, but those that are `taken`.
pub(super) fn completions(
    context: &Context<'_>,
    probe: &Probe<'_>,
    parent: &[String],
    taken: &BTreeSet<String>,
    read: bool,
) -> Completions {
    let Some(catalogue) = context.catalogue else { return Completions::default() };
    let mut entries = catalogue.children(parent);
    let free = entries.iter().find(|entry| is_free(&entry.name)).cloned();
    entries.retain(|entry| !is_free(&entry.name) && !taken.contains(&entry.name) && entry.name != "codchi");
    if let (Some(free), true) = (&free, read) {
        let listed: BTreeSet<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let mut defined = defined(context, parent);
        defined.retain(|name| !listed.contains(name));
        entries.extend(defined.into_iter().map(|name| CatalogueEntry { name, ..free.clone() }));
    }
    entries.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    let (entries, is_incomplete) = bounded(entries, probe.typed, |entry| &entry.name);
    let mut items: Vec<Completion> =
        entries.iter().map(|entry| item(context, probe, parent, entry, read)).collect();
    if let (Some(free), false) = (free, read) {
        items.extend(placeholder(context, probe, parent, &free));
    }
    Completions { items, is_incomplete }
}

/// What is most often set comes first: `enable`, then options, then sets of options; last what is internal.
fn rank(entry: &CatalogueEntry) -> u8 {
    match entry.name.as_str() {
        "enable" => 0,
        name if name.starts_with('_') => 3,
        _ if entry.kind.is_some() => 1,
        _ => 2,
    }
}

/// The names that the module's files define below a path whose names are free.
fn defined(context: &Context<'_>, parent: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for facts in Modules::new(context.files).related_facts(context.file) {
        let below = facts.settings.iter().filter_map(|used| used.path.0.strip_prefix(parent));
        names.extend(below.filter_map(|rest| rest.first()).filter(|name| !is_free(name)).cloned());
    }
    names
}

fn item(
    context: &Context<'_>,
    probe: &Probe<'_>,
    parent: &[String],
    entry: &CatalogueEntry,
    read: bool,
) -> Completion {
    let path: Vec<String> = parent.iter().cloned().chain([entry.name.clone()]).collect();
    let option = context.catalogue.filter(|_| entry.kind.is_some()).and_then(|known| known.option(&path));
    let name = match is_identifier(&entry.name) || probe.in_string() {
        true => entry.name.clone(),
        false => OptionPath::from(vec![entry.name.clone()]).to_string(),
    };
    let (new_text, stops) = match &entry.kind {
        Some(kind) if !read => with_value(probe, &name, kind, option.as_ref()),
        _ => (name, Vec::new()),
    };
    Completion {
        label: entry.name.clone(),
        kind: if entry.kind.is_some() { CompletionKind::Option } else { CompletionKind::OptionSet },
        detail: entry.kind.clone().unwrap_or_else(|| "options".to_owned()),
        documentation: option.map(|option| described(&option)).unwrap_or_default(),
        edit: Edit { range: probe.word, new_text },
        stops,
        deprecated: false,
    }
}

/// The name with a value of its type.
fn with_value(
    probe: &Probe<'_>,
    name: &str,
    kind: &str,
    option: Option<&CatalogueOption>,
) -> (String, Vec<TextRange>) {
    let default = option.and_then(|option| option.default.as_deref()).map(str::trim);
    let kind = Kind::of(kind);
    let line = |open, value, close| Value::Line { open, value, close };
    let value = match kind.without_null().unwrap_or(&Kind::Other) {
        Kind::Bool if default == Some("true") => line("", "false", ""),
        Kind::Bool => line("", "true", ""),
        Kind::Int => line("", default.filter(|text| text.parse::<i64>().is_ok()).unwrap_or("0"), ""),
        Kind::Str | Kind::Enum(_) => line("\"", "", "\""),
        Kind::Package => line("pkgs.", "", ""),
        Kind::List(_) => line("[ ", "", " ]"),
        Kind::Lines => Value::Block { open: "''", close: "''" },
        Kind::Attrs(_) | Kind::Submodule => Value::Block { open: "{", close: "}" },
        Kind::Null | Kind::Either(_) | Kind::Other => line("", "", ""),
    };
    probe.definition(name, &value)
}

/// A name that the person gives.
fn placeholder(
    context: &Context<'_>,
    probe: &Probe<'_>,
    parent: &[String],
    free: &CatalogueEntry,
) -> Option<Completion> {
    if free.name == "*" || probe.next().starts_with(['=', '.']) || probe.in_string() {
        return None;
    }
    let kind = match (&free.kind, free.has_children) {
        (Some(kind), _) => kind.as_str(),
        (None, true) => "submodule",
        (None, false) => "",
    };
    let (new_text, mut stops) = with_value(probe, PLACEHOLDER, kind, None);
    stops.insert(0, TextRange::up_to(TextSize::of(PLACEHOLDER)));
    let option = context.catalogue.and_then(|known| known.option(parent));
    Some(Completion {
        label: PLACEHOLDER.to_owned(),
        kind: CompletionKind::OptionSet,
        detail: "a name of your own".to_owned(),
        documentation: option.map(|option| documented(parent, &option)).unwrap_or_default(),
        edit: Edit { range: probe.word, new_text },
        stops,
        deprecated: false,
    })
}
