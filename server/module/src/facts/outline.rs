//! The outline: which attributes are where.

use super::Binding;
use rnix::SyntaxKind::NODE_ATTRPATH_VALUE;
use rnix::SyntaxNode;
use rnix::ast::{AttrpathValue, Expr};
use rowan::ast::AstNode as _;

/// How deep sets and other expressions are looked into.
const MAX_DEPTH: u32 = 128;

/// The bindings of an expression, in order of the text. A binding's children are those within its value, whatever
/// stands around them (a function, `mkIf`, `let`).
pub(super) fn outline(expr: &Expr) -> Vec<Binding> {
    let mut bindings = Vec::new();
    collect(expr.syntax(), &mut bindings, 0);
    bindings
}

fn collect(node: &SyntaxNode, bindings: &mut Vec<Binding>, depth: u32) {
    if depth >= MAX_DEPTH {
        return;
    }
    if node.kind() == NODE_ATTRPATH_VALUE {
        let Some(binding) = AttrpathValue::cast(node.clone()) else { return };
        let (Some(path), Some(value)) = (binding.attrpath(), binding.value()) else { return };
        let mut children = Vec::new();
        collect(value.syntax(), &mut children, depth + 1);
        bindings.push(Binding {
            name: path.syntax().text().to_string(),
            name_range: path.syntax().text_range(),
            range: node.text_range(),
            children,
        });
        return;
    }
    for child in node.children() {
        collect(&child, bindings, depth + 1);
    }
}
