//! The outline: which attributes are where.

use super::Binding;
use crate::{TextRange, TextSize};
use rnix::ast::Expr;
use rnix::{NixLanguage, SyntaxKind, SyntaxKind::*};
use rowan::ast::AstNode as _;
use rowan::{GreenNodeData, Language as _, NodeOrToken};

/// How deep sets and other expressions are looked into.
const MAX_DEPTH: u32 = 128;

/// The bindings of an expression, in order of the text. A binding's children are those within its value, whatever
/// stands around them (a function, `mkIf`, `let`).
pub(crate) fn outline(expr: &Expr) -> Vec<Binding> {
    let mut bindings = Vec::new();
    // The green tree has no parents and is therefore much quicker to walk; everything of a file is visited here.
    collect(expr.syntax().green(), expr.syntax().text_range().start(), &mut bindings, 0);
    bindings
}

fn collect(node: &GreenNodeData, start: TextSize, bindings: &mut Vec<Binding>, depth: u32) {
    if depth >= MAX_DEPTH {
        return;
    }
    match kind(node) {
        NODE_ATTRPATH_VALUE => bindings.extend(binding(node, start, depth)),
        NODE_APPLY | NODE_ASSERT | NODE_ATTR_SET | NODE_BIN_OP | NODE_IF_ELSE | NODE_LAMBDA
        | NODE_LEGACY_LET | NODE_LET_IN | NODE_LIST | NODE_PAREN | NODE_WITH => {
            for (child, start) in children(node, start) {
                collect(child, start, bindings, depth + 1);
            }
        }
        _ => {}
    }
}

fn binding(node: &GreenNodeData, start: TextSize, depth: u32) -> Option<Binding> {
    let mut parts = children(node, start);
    let (path, path_start) = parts.find(|(part, _)| kind(part) == NODE_ATTRPATH)?;
    let mut inner = Vec::new();
    for (part, start) in parts {
        collect(part, start, &mut inner, depth + 1);
    }
    Some(Binding {
        name: text(path),
        name_range: TextRange::at(path_start, path.text_len()),
        range: TextRange::at(start, node.text_len()),
        children: inner,
    })
}

/// As `to_string` gives it, without going through the formatter for each token.
fn text(node: &GreenNodeData) -> String {
    let mut out = String::with_capacity(usize::from(node.text_len()));
    push_text(node, &mut out);
    out
}

fn push_text(node: &GreenNodeData, out: &mut String) {
    for child in node.children() {
        match child {
            NodeOrToken::Node(node) => push_text(node, out),
            NodeOrToken::Token(token) => out.push_str(token.text()),
        }
    }
}

fn kind(node: &GreenNodeData) -> SyntaxKind {
    NixLanguage::kind_from_raw(node.kind())
}

/// The nodes right below a node that begins at `start`, each with where it begins.
fn children(node: &GreenNodeData, start: TextSize) -> impl Iterator<Item = (&GreenNodeData, TextSize)> {
    let mut at = start;
    node.children().filter_map(move |child| {
        let child_start = at;
        match child {
            NodeOrToken::Node(node) => {
                at += node.text_len();
                Some((node, child_start))
            }
            NodeOrToken::Token(token) => {
                at += token.text_len();
                None
            }
        }
    })
}
