//! Values as far as they are literal.

use crate::scope::Scope;
use crate::strings::{is_interpolated, path_text, string_value};
use crate::{Literal, TextRange};
use rnix::SyntaxKind::{TOKEN_FLOAT, TOKEN_INTEGER, TOKEN_URI};
use rnix::ast::{self, BinOpKind, Expr, UnaryOpKind};
use rowan::ast::AstNode as _;

/// How deep lists and operators are looked into.
const MAX_DEPTH: u32 = 64;

/// The value of an expression; [`Literal::Unknown`] where only evaluation can tell.
pub(crate) fn literal(scope: &Scope, expr: &Expr) -> Literal {
    at_depth(scope, expr, MAX_DEPTH)
}

fn at_depth(scope: &Scope, expr: &Expr, depth: u32) -> Literal {
    let Some(depth) = depth.checked_sub(1) else { return Literal::Unknown };
    let inner = |inner: Option<Expr>| inner.map_or(Literal::Unknown, |inner| at_depth(scope, &inner, depth));
    match expr {
        Expr::Str(string) => match string_value(string) {
            Some(value) => Literal::String(value),
            None if is_interpolated(string) => Literal::Interpolated,
            None => Literal::Unknown,
        },
        Expr::Literal(token) => number(token),
        Expr::PathAbs(_) | Expr::PathRel(_) | Expr::PathHome(_) => {
            path_text(expr.syntax()).map_or(Literal::Unknown, Literal::Path)
        }
        Expr::List(list) => Literal::List(
            list.items().map(|item| (at_depth(scope, &item, depth), item.syntax().text_range())).collect(),
        ),
        Expr::AttrSet(_) => Literal::Set,
        Expr::Lambda(_) => Literal::Function,
        Expr::Ident(ident) if scope.is_global(ident, "true") => Literal::Bool(true),
        Expr::Ident(ident) if scope.is_global(ident, "false") => Literal::Bool(false),
        Expr::Ident(ident) if scope.is_global(ident, "null") => Literal::Null,
        Expr::Ident(_) | Expr::Select(_) => inner(scope.follow(expr)),
        Expr::Paren(paren) => inner(paren.expr()),
        Expr::LetIn(let_in) => inner(let_in.body()),
        Expr::With(with) => inner(with.body()),
        Expr::Assert(assert) => inner(assert.body()),
        Expr::UnaryOp(op) if op.operator() == Some(UnaryOpKind::Negate) => match inner(op.expr()) {
            Literal::Int(value) => value.checked_neg().map_or(Literal::Unknown, Literal::Int),
            Literal::Float => Literal::Float,
            _ => Literal::Unknown,
        },
        Expr::BinOp(op) => match op.operator() {
            Some(BinOpKind::Add) => match (inner(op.lhs()), inner(op.rhs())) {
                (Literal::String(left), Literal::String(right)) => Literal::String(left + &right),
                (Literal::Path(left), Literal::String(right)) if right.starts_with('/') => {
                    Literal::Path(left.trim_end_matches('/').to_owned() + &right)
                }
                _ => Literal::Unknown,
            },
            Some(BinOpKind::Concat) => match (inner(op.lhs()), inner(op.rhs())) {
                (Literal::List(mut left), Literal::List(right)) => {
                    left.extend(right);
                    Literal::List(left)
                }
                _ => Literal::Unknown,
            },
            _ => Literal::Unknown,
        },
        _ => Literal::Unknown,
    }
}

fn number(literal: &ast::Literal) -> Literal {
    let Some(token) = literal.syntax().first_token() else { return Literal::Unknown };
    match token.kind() {
        TOKEN_INTEGER => token.text().parse().map_or(Literal::Unknown, Literal::Int),
        TOKEN_FLOAT => Literal::Float,
        TOKEN_URI => Literal::String(token.text().to_owned()),
        _ => Literal::Unknown,
    }
}

/// An expression's range.
pub(crate) fn range(expr: &Expr) -> TextRange {
    expr.syntax().text_range()
}
