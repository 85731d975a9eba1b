//! Names that are bound twice, as Nix's parser sees it: attribute paths that lead into sets which are written out are
//! merged, everything else that is there already is refused.

use super::Duplicate;
use super::walk::MAX_DEPTH;
use crate::TextRange;
use crate::scope::{attr_name, ident_text};
use foldhash::{HashMap, HashMapExt as _};
use rnix::ast::{self, Expr, HasEntry};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;

/// What a name is bound to.
enum Bound {
    /// A set that is written out: more may be added to it.
    Set(TextRange, Names),
    /// Anything else.
    Value(TextRange),
}

type Names = HashMap<String, Bound>;

/// Adds those that a node binds, where it is a set, a `let` or a function's arguments.
pub(super) fn at(node: &SyntaxNode, found: &mut Vec<Duplicate>) {
    let (mut names, mut path) = (Names::new(), Vec::new());
    match node.kind() {
        // A set that is a binding's value is looked at together with what the set around it adds to it.
        SyntaxKind::NODE_ATTR_SET if !is_value(node) => {
            if let Some(set) = ast::AttrSet::cast(node.clone()) {
                bind_all(&set, &mut names, &mut path, found);
            }
        }
        SyntaxKind::NODE_LET_IN => {
            if let Some(set) = ast::LetIn::cast(node.clone()) {
                bind_all(&set, &mut names, &mut path, found);
            }
        }
        SyntaxKind::NODE_LEGACY_LET => {
            if let Some(set) = ast::LegacyLet::cast(node.clone()) {
                bind_all(&set, &mut names, &mut path, found);
            }
        }
        SyntaxKind::NODE_PATTERN => {
            if let Some(pattern) = ast::Pattern::cast(node.clone()) {
                parameters(&pattern, found);
            }
        }
        _ => {}
    }
}

fn is_value(set: &SyntaxNode) -> bool {
    let mut parents = set.ancestors().skip(1).skip_while(|node| node.kind() == SyntaxKind::NODE_PAREN);
    parents.next().is_some_and(|node| node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE)
        && depth_of(set) < MAX_DEPTH
}

/// How many sets in a row a set is in; what is deeper than is looked into begins anew.
fn depth_of(set: &SyntaxNode) -> u32 {
    let bindings = set.ancestors().filter(|node| node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE);
    u32::try_from(bindings.take(MAX_DEPTH as usize + 1).count()).unwrap_or(u32::MAX)
}

fn bind_all(set: &impl HasEntry, names: &mut Names, path: &mut Vec<String>, found: &mut Vec<Duplicate>) {
    if path.len() >= MAX_DEPTH as usize {
        return;
    }
    for entry in set.entries() {
        match entry {
            ast::Entry::AttrpathValue(binding) => bind(&binding, names, path, found),
            ast::Entry::Inherit(inherit) => {
                for attr in inherit.attrs() {
                    let Some(name) = attr_name(&attr) else { continue };
                    let range = attr.syntax().text_range();
                    match names.get(&name) {
                        Some(Bound::Set(first, _) | Bound::Value(first)) => {
                            let mut path = path.clone();
                            path.push(name);
                            found.push(Duplicate { path, first: *first, second: range, binding: range });
                        }
                        None => {
                            names.insert(name, Bound::Value(range));
                        }
                    }
                }
            }
        }
    }
}

/// One `a.b = VALUE;`.
fn bind(
    binding: &ast::AttrpathValue,
    mut names: &mut Names,
    path: &mut Vec<String>,
    found: &mut Vec<Duplicate>,
) {
    let Some(attrpath) = binding.attrpath() else { return };
    let outer = path.len();
    let range = attrpath.syntax().text_range();
    let attrs: Vec<_> = attrpath.attrs().collect();
    let value = binding.value().and_then(written_out);
    for (i, attr) in attrs.iter().enumerate() {
        // What a computed name is, only evaluation knows; the set below it is one of its own.
        let Some(name) = attr_name(attr) else {
            if let Some(set) = &value {
                bind_all(set, &mut Names::new(), path, found);
            }
            break;
        };
        path.push(name.clone());
        let is_last = i + 1 == attrs.len();
        if is_last && value.is_none() {
            match names.get(&name) {
                Some(Bound::Set(first, _) | Bound::Value(first)) => {
                    found.push(duplicate(path, *first, range, binding))
                }
                None => {
                    names.insert(name, Bound::Value(range));
                }
            }
            break;
        }
        match names.entry(name).or_insert_with(|| Bound::Set(range, Names::new())) {
            Bound::Set(_, inner) => {
                if let (true, Some(set)) = (is_last, &value) {
                    bind_all(set, inner, path, found);
                }
                names = inner;
            }
            Bound::Value(first) => {
                found.push(duplicate(path, *first, range, binding));
                break;
            }
        }
    }
    path.truncate(outer);
}

fn duplicate(
    path: &[String],
    first: TextRange,
    second: TextRange,
    binding: &ast::AttrpathValue,
) -> Duplicate {
    Duplicate { path: path.to_vec(), first, second, binding: binding.syntax().text_range() }
}

/// The set that a value is.
fn written_out(value: Expr) -> Option<ast::AttrSet> {
    match value {
        Expr::AttrSet(set) => Some(set),
        Expr::Paren(paren) => written_out(paren.expr()?),
        _ => None,
    }
}

fn parameters(pattern: &ast::Pattern, found: &mut Vec<Duplicate>) {
    let mut names: HashMap<String, TextRange> = HashMap::new();
    let bound = pattern.pat_bind().and_then(|bind| bind.ident());
    for ident in pattern.pat_entries().filter_map(|entry| entry.ident()).chain(bound) {
        let (Some(name), second) = (ident_text(&ident), ident.syntax().text_range()) else { continue };
        match names.get(&name) {
            Some(&first) => {
                found.push(Duplicate { path: vec![name], first, second, binding: second });
            }
            None => {
                names.insert(name, second);
            }
        }
    }
}
