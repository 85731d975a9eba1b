//! Options that a module declares itself: what it defines below them is not codchi's business.

use super::walk::{MAX_DEPTH, Walk};
use crate::scope::attr_name;
use crate::{OptionPath, Options};
use rnix::ast::{self, BinOpKind, Expr, HasEntry as _};

impl Walk<'_> {
    /// One `options.a.b = VALUE;`, where `attrs` are the names after `options`.
    pub(super) fn declare_option(&mut self, attrs: &[ast::Attr], value: Option<Expr>, depth: u32) {
        let names = attrs.iter().map_while(attr_name);
        let path: Vec<_> = names.collect();
        match value {
            Some(value) if path.len() == attrs.len() => self.declare_options(&value, path, depth),
            _ => self.note_declared(path),
        }
    }

    fn declare_options(&mut self, expr: &Expr, path: Vec<String>, depth: u32) {
        // Most modules that declare options declare others.
        if depth >= MAX_DEPTH || path.first().is_some_and(|name| name != "codchi") {
            return;
        }
        let depth = depth + 1;
        let inner = match expr {
            Expr::AttrSet(set) => {
                for binding in set.attrpath_values() {
                    let attrs = binding.attrpath().into_iter().flat_map(|path| path.attrs());
                    let mut path = path.clone();
                    path.extend(attrs.map_while(|attr| attr_name(&attr)));
                    if let Some(value) = binding.value() {
                        self.declare_options(&value, path, depth);
                    }
                }
                for attr in set.inherits().flat_map(|inherit| inherit.attrs()) {
                    let mut path = path.clone();
                    path.extend(attr_name(&attr));
                    self.note_declared(path);
                }
                return;
            }
            Expr::BinOp(op) if op.operator() == Some(BinOpKind::Update) => {
                if let Some(left) = op.lhs() {
                    self.declare_options(&left, path.clone(), depth);
                }
                op.rhs()
            }
            Expr::Paren(paren) => paren.expr(),
            Expr::LetIn(let_in) => let_in.body(),
            Expr::With(with) => with.body(),
            _ => None,
        };
        match inner {
            Some(inner) => self.declare_options(&inner, path, depth),
            None => self.note_declared(path),
        }
    }

    fn note_declared(&mut self, mut path: Vec<String>) {
        if path.first().is_none_or(|name| name != "codchi") {
            return;
        }
        // A set that codchi does not have is the module's, with all that is in it.
        let options = Options::builtin();
        let own = (1..=path.len()).find(|&len| !options.exists(&OptionPath(path[..len].to_vec())));
        path.truncate(own.unwrap_or(path.len()));
        self.declared.push(path);
    }
}
