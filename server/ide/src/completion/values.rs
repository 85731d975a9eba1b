//! Completion of values, by the option's type; and of what else can be an expression.

use super::probe::Probe;
use super::{Context, packages, snippets};
use crate::kind::Kind;
use crate::markdown::capability_markdown;
use crate::module_path::{is_flake, module_path};
use crate::syntax::{below_module, is_local, names, passed_on, site, string};
use crate::{Catalogue, Completion, CompletionKind, Completions, Edit, TextRange, TextSize};
use codchi_module::{OptionPath, OptionType, Options};
use rnix::ast::{Apply, AttrpathValue, Expr, List};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode;
use std::collections::BTreeSet;

/// What can stand where the marker is as an expression.
pub(super) fn completions(context: &Context<'_>, probe: &Probe<'_>) -> Completions {
    let Some(expr) = probe.token.parent().and_then(Expr::cast) else { return Completions::default() };
    let around = expr.syntax().parent().map(|parent| parent.kind());
    if around.is_some_and(is_parameter) {
        return Completions::default();
    }
    let items = match place(expr.syntax()) {
        Some(place) if place.path.0.first().is_some_and(|name| name == "codchi") => {
            of_codchi(context, probe, &place)
        }
        Some(place) => of_option(context, probe, &place),
        None => None,
    };
    let mut found = Completions { items: items.unwrap_or_default(), is_incomplete: false };
    if matches!(expr, Expr::Ident(_)) {
        if around == Some(SyntaxKind::NODE_ROOT) {
            found.items.extend(snippets::in_file(probe, is_flake(context.file)));
        }
        let packages = packages::in_with(context, probe, &[]);
        found.items.extend(packages.items);
        found.is_incomplete |= packages.is_incomplete;
    }
    found
}

/// Whether what is in such a node is the name of a function's argument.
fn is_parameter(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::NODE_PAT_ENTRY | SyntaxKind::NODE_PAT_BIND | SyntaxKind::NODE_IDENT_PARAM)
}

/// Values of codchi's options.
fn of_codchi(context: &Context<'_>, probe: &Probe<'_>, place: &Place) -> Option<Vec<Completion>> {
    let mut kind = Options::builtin().kind(&place.path)?;
    for _ in 0..place.lists {
        kind = match kind {
            OptionType::ListOf { of } => of,
            _ => return None,
        };
    }
    let taken = place.list.as_ref().map(elements).unwrap_or_default();
    let values = values(kind, probe.in_string()).into_iter().filter(|value| !taken.contains(value));
    Some(values.map(|value| item(context, probe, &place.path, kind, &value)).collect())
}

/// Values of all other options.
fn of_option(context: &Context<'_>, probe: &Probe<'_>, place: &Place) -> Option<Vec<Completion>> {
    let names = names(&place.binding);
    let path = module_path(place.binding.syntax(), &names, is_flake(context.file))?.path;
    let mut kind = kind_of(context.catalogue?, &path)?;
    for _ in 0..place.lists {
        kind = kind.element()?.clone();
    }
    let taken = place.list.as_ref().map(elements).unwrap_or_default();
    let mut items = Vec::new();
    written(probe, &OptionPath::from(path), &kind, &mut items);
    items.retain(|item| !taken.contains(&item.label));
    Some(items)
}

/// The type of what is at a path: an option's, or that of a name in an option's value.
fn kind_of(catalogue: &dyn Catalogue, path: &[String]) -> Option<Kind> {
    (1..=path.len()).rev().find_map(|len| {
        let (option, names) = path.split_at_checked(len)?;
        let mut kind = Kind::of(&catalogue.option(option)?.kind);
        for _ in names {
            kind = kind.member().cloned().unwrap_or(Kind::Other);
        }
        Some(kind)
    })
}

/// How values of a type are written.
fn written(probe: &Probe<'_>, path: &OptionPath, kind: &Kind, items: &mut Vec<Completion>) {
    let in_string = probe.in_string();
    let mut add = |label: &str, before: &str, after: &str, is_open: bool| {
        let stops = is_open.then(|| TextRange::empty(TextSize::of(before)));
        if items.iter().all(|item| item.label != label) {
            items.push(Completion {
                label: label.to_owned(),
                kind: CompletionKind::Value,
                detail: path.to_string(),
                documentation: String::new(),
                edit: Edit { range: probe.word, new_text: format!("{before}{after}") },
                stops: stops.into_iter().collect(),
                deprecated: false,
            });
        }
    };
    match kind {
        Kind::Enum(values) => {
            let start = if in_string { "" } else { "\"" };
            let end = if in_string && !probe.in_open_string { "" } else { "\"" };
            for value in values {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
                add(value, start, &format!("{escaped}{end}"), false);
            }
        }
        Kind::Either(kinds) => {
            let nulls = kinds.iter().filter(|kind| **kind == Kind::Null);
            let others = kinds.iter().filter(|kind| **kind != Kind::Null);
            others.chain(nulls).for_each(|kind| written(probe, path, kind, items));
        }
        _ if in_string => {}
        Kind::Bool => {
            add("true", "true", "", false);
            add("false", "false", "", false);
        }
        Kind::Null => add("null", "null", "", false),
        Kind::Package => add("pkgs", "pkgs.", "", false),
        Kind::Str => add("\"\"", "\"", "\"", true),
        Kind::Lines => {
            let indentation = probe.indentation;
            add("''''", &format!("''\n{indentation}  "), &format!("\n{indentation}''"), true);
        }
        Kind::List(_) => add("[ ]", "[ ", " ]", true),
        Kind::Attrs(_) | Kind::Submodule => add("{ }", "{ ", " }", true),
        Kind::Int | Kind::Other => {}
    }
}

/// The option that an expression is a value of.
struct Place {
    binding: AttrpathValue,
    path: OptionPath,
    /// How many lists it is inside of.
    lists: usize,
    /// The innermost of them.
    list: Option<List>,
}

fn place(expr: &SyntaxNode) -> Option<Place> {
    let (mut lists, mut list) = (0_usize, None);
    for ancestor in expr.ancestors().skip(1) {
        match ancestor.kind() {
            SyntaxKind::NODE_LIST => {
                lists += 1;
                list = list.or_else(|| List::cast(ancestor));
            }
            SyntaxKind::NODE_APPLY => {
                let apply = Apply::cast(ancestor)?;
                match passed_on(&apply)?.as_str() {
                    "mkMerge" => lists = lists.checked_sub(1)?,
                    "optional" => lists += 1,
                    _ => {}
                }
            }
            SyntaxKind::NODE_ATTRPATH_VALUE => {
                let binding = AttrpathValue::cast(ancestor)?;
                if is_local(&binding) {
                    return None;
                }
                let mut path = site(binding.syntax()).names;
                path.extend(names(&binding));
                return Some(Place { binding, path: OptionPath::from(below_module(path)), lists, list });
            }
            SyntaxKind::NODE_PAREN
            | SyntaxKind::NODE_WITH
            | SyntaxKind::NODE_LET_IN
            | SyntaxKind::NODE_ASSERT
            | SyntaxKind::NODE_IF_ELSE
            | SyntaxKind::NODE_BIN_OP
            | SyntaxKind::NODE_ERROR => {}
            _ => return None,
        }
    }
    None
}

fn elements(list: &List) -> BTreeSet<String> {
    list.items()
        .filter_map(|item| match item {
            Expr::Str(text) => string(&text),
            _ => None,
        })
        .collect()
}

fn values(kind: &OptionType, in_string: bool) -> Vec<String> {
    match kind {
        OptionType::Enum { values } => values.clone(),
        OptionType::Bool if !in_string => vec!["true".to_owned(), "false".to_owned()],
        OptionType::NullOr { of } => {
            let null = (!in_string).then(|| "null".to_owned());
            values(of, in_string).into_iter().chain(null).collect()
        }
        _ => Vec::new(),
    }
}

fn item(
    context: &Context<'_>,
    probe: &Probe<'_>,
    path: &OptionPath,
    kind: &OptionType,
    value: &str,
) -> Completion {
    let is_text = matches!(kind, OptionType::Enum { .. }) && value != "null";
    let new_text = match (is_text, probe.in_string()) {
        (true, false) => format!("\"{value}\""),
        (true, true) if probe.in_open_string => format!("{value}\""),
        _ => value.to_owned(),
    };
    Completion {
        label: value.to_owned(),
        kind: CompletionKind::Value,
        detail: path.to_string(),
        documentation: capability_markdown(context.world, path, value).unwrap_or_default(),
        edit: Edit { range: probe.word, new_text },
        stops: Vec::new(),
        deprecated: false,
    }
}
