//! Completion of values: of options that are one of several strings, and of booleans.

use super::probe::Probe;
use crate::markdown::capability_markdown;
use crate::syntax::{below_module, is_local, names, site, string};
use crate::{Completion, CompletionKind, Edit};
use codchi_module::{OptionPath, OptionType, Options};
use rnix::ast::{Apply, AttrpathValue, Expr, List};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode;
use std::collections::BTreeSet;

/// The values that can stand where the marker is; `None` where that is no option's value.
pub(super) fn completions(probe: &Probe<'_>) -> Option<Vec<Completion>> {
    let expr = probe.token.parent().and_then(Expr::cast)?;
    let place = place(expr.syntax())?;
    let options = Options::builtin();
    let mut kind = options.kind(&place.path)?;
    for _ in 0..place.lists {
        kind = match kind {
            OptionType::ListOf { of } => of,
            _ => return None,
        };
    }
    let taken = place.list.map(|list| elements(&list)).unwrap_or_default();
    let values = values(kind, probe.in_string()).into_iter().filter(|value| !taken.contains(value));
    Some(values.map(|value| item(probe, &place.path, kind, &value)).collect())
}

/// The option that an expression is a value of.
struct Place {
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
                match function_name(&Expr::Apply(apply.clone()))?.as_str() {
                    "mkMerge" => lists = lists.checked_sub(1)?,
                    "optional" => lists += 1,
                    _ if passes_on(&apply) => {}
                    _ => return None,
                }
            }
            SyntaxKind::NODE_ATTRPATH_VALUE => {
                let binding = AttrpathValue::cast(ancestor)?;
                if is_local(&binding) {
                    return None;
                }
                let mut path = site(binding.syntax()).names;
                path.extend(names(&binding));
                return Some(Place { path: OptionPath(below_module(path)), lists, list });
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

/// Whether it is `mkIf … x`, `mkMerge x` or the like, whose argument is a part of the module.
pub(super) fn passes_on(apply: &Apply) -> bool {
    const NAMES: [&str; 10] = [
        "mkIf",
        "mkMerge",
        "mkDefault",
        "mkForce",
        "mkOverride",
        "mkBefore",
        "mkAfter",
        "mkOrder",
        "optionals",
        "optionalAttrs",
    ];
    function_name(&Expr::Apply(apply.clone())).is_some_and(|name| NAMES.contains(&name.as_str()))
}

/// The name of the function that is applied, without what it is selected from: `mkIf` of `lib.mkIf a b`.
fn function_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Apply(apply) => function_name(&apply.lambda()?),
        Expr::Paren(paren) => function_name(&paren.expr()?),
        Expr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Expr::Select(select) => Some(select.attrpath()?.attrs().last()?.syntax().text().to_string()),
        _ => None,
    }
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

fn item(probe: &Probe<'_>, path: &OptionPath, kind: &OptionType, value: &str) -> Completion {
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
        documentation: capability_markdown(path, value).unwrap_or_default(),
        edit: Edit { range: probe.word, new_text },
        stops: Vec::new(),
        deprecated: false,
    }
}
