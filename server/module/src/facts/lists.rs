//! Lists, as far as their elements are visible.

use super::walk::{MAX_DEPTH, Walk};
use super::{Capability, Certainty, Literal};
use crate::literal::{literal, range};
use crate::scope::{Call, LibFunction, Scope};
use rnix::ast::{BinOpKind, Expr};

impl Walk<'_> {
    /// The value of the current definition, where that is of capabilities.
    pub(super) fn capabilities(&mut self, expr: &Expr, certainty: Certainty, depth: u32) {
        let names: Vec<_> = self.path.iter().map(String::as_str).collect();
        let required = match names.as_slice() {
            ["codchi", "requiredCapabilities"] => true,
            ["codchi", "optionalCapabilities"] => false,
            _ => return,
        };
        let mut found = Vec::new();
        self.list_elements(expr, certainty, depth, &mut |scope, element, certainty| {
            if let Literal::String(name) = literal(scope, element) {
                found.push(Capability { name, range: range(element), required, certainty });
            }
        });
        self.defined.capabilities.append(&mut found);
    }

    /// Calls `found` with each element of a list that is visible; gives whether all are.
    pub(super) fn list_elements(
        &self,
        expr: &Expr,
        certainty: Certainty,
        depth: u32,
        found: &mut dyn FnMut(&Scope, &Expr, Certainty),
    ) -> bool {
        if depth >= MAX_DEPTH {
            return false;
        }
        let depth = depth + 1;
        let mut inner = |expr: Option<Expr>, certainty| {
            expr.is_some_and(|expr| self.list_elements(&expr, certainty, depth, found))
        };
        match expr {
            Expr::List(list) => {
                for item in list.items() {
                    found(self.scope, &item, certainty);
                }
                true
            }
            Expr::Paren(paren) => inner(paren.expr(), certainty),
            Expr::LetIn(let_in) => inner(let_in.body(), certainty),
            Expr::With(with) => inner(with.body(), certainty),
            Expr::Assert(assert) => inner(assert.body(), certainty),
            Expr::IfElse(if_else) => {
                let then = inner(if_else.body(), Certainty::Conditional);
                inner(if_else.else_body(), Certainty::Conditional) && then
            }
            Expr::BinOp(op) if op.operator() == Some(BinOpKind::Concat) => {
                let left = inner(op.lhs(), certainty);
                inner(op.rhs(), certainty) && left
            }
            Expr::Apply(apply) => match self.scope.call(apply) {
                Call::Lib(LibFunction::Optionals, arguments) => match arguments.as_slice() {
                    [_, list] => inner(Some(list.clone()), Certainty::Conditional),
                    _ => false,
                },
                Call::Lib(LibFunction::Optional, arguments) => match arguments.as_slice() {
                    [_, element] => {
                        found(self.scope, element, Certainty::Conditional);
                        true
                    }
                    _ => false,
                },
                _ => false,
            },
            Expr::Ident(_) | Expr::Select(_) => match self.scope.follow(expr) {
                Some(value) if !matches!(value, Expr::Ident(_)) => inner(Some(value), certainty),
                _ => false,
            },
            _ => false,
        }
    }
}
