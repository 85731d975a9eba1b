//! What a file is.

use super::walk::MAX_DEPTH;
use crate::scope::{Call, Scope};
use rnix::ast::{self, BinOpKind, Expr};

/// Whether a file's value may be a module.
pub(super) fn may_be_module(scope: &Scope, expr: &Expr) -> bool {
    may_be(scope, expr, None, 0)
}

/// `parameter` is that of the innermost function around the expression.
fn may_be(scope: &Scope, expr: &Expr, parameter: Option<&ast::Param>, depth: u32) -> bool {
    if depth >= MAX_DEPTH {
        return false;
    }
    let inner = |expr: Option<Expr>| expr.is_some_and(|expr| may_be(scope, &expr, parameter, depth + 1));
    match expr {
        Expr::AttrSet(_) => true,
        Expr::Lambda(lambda) => {
            let own = lambda.param();
            // Two plain arguments are those of an overlay.
            let overlay = matches!((parameter, &own), (Some(_), Some(ast::Param::IdentParam(_))));
            !overlay && lambda.body().is_some_and(|body| may_be(scope, &body, own.as_ref(), depth + 1))
        }
        Expr::Paren(paren) => inner(paren.expr()),
        Expr::LetIn(let_in) => inner(let_in.body()),
        Expr::With(with) => inner(with.body()),
        Expr::Assert(assert) => inner(assert.body()),
        Expr::IfElse(if_else) => inner(if_else.body()) || inner(if_else.else_body()),
        Expr::BinOp(op) if op.operator() == Some(BinOpKind::Update) => inner(op.lhs()) || inner(op.rhs()),
        Expr::Apply(apply) => matches!(scope.call(apply), Call::Lib(..)),
        Expr::Ident(_) | Expr::Select(_) => match scope.follow(expr) {
            Some(value) if !matches!(value, Expr::Ident(_)) => inner(Some(value)),
            _ => false,
        },
        _ => false,
    }
}
