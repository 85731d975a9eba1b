//! Options that a module declares itself: what it defines below them is not codchi's business.

use super::walk::{MAX_DEPTH, Walk};
use crate::scope::attr_name;
use crate::{OptionPath, Options};
use rnix::ast::{self, BinOpKind, Expr, HasEntry as _};

impl Walk<'_> {
    /// One `options.a.b = VALUE;`, where `attrs` are the names after `options`.
    pub(super) fn declare_option(&mut self, attrs: &[ast::Attr], value: Option<Expr>, depth: u32) {
        self.declare_below(&[], attrs, value, depth);
    }

    fn declare_below(&mut self, outer: &[String], attrs: &[ast::Attr], value: Option<Expr>, depth: u32) {
        let mut path = outer.to_vec();
        path.extend(attrs.iter().map_while(attr_name));
        match value {
            Some(value) if path.len() == outer.len() + attrs.len() => {
                self.declare_options(&value, path, depth);
            }
            _ => self.note_declared(path),
        }
    }

    fn declare_options(&mut self, expr: &Expr, path: Vec<String>, depth: u32) {
        // Most modules that declare options declare others.
        if path.first().is_some_and(|name| name != "codchi") {
            return;
        }
        if depth >= MAX_DEPTH {
            self.note_declared(path);
            return;
        }
        let depth = depth + 1;
        let inner = match expr {
            Expr::AttrSet(set) => {
                for binding in set.attrpath_values() {
                    let attrs: Vec<_> =
                        binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                    self.declare_below(&path, &attrs, binding.value(), depth);
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
        match path.first() {
            None => self.facts.may_declare_more = true,
            Some(name) if name != "codchi" => return,
            Some(_) => {}
        }
        // A set that codchi does not have is the module's, with all that is in it.
        let options = Options::builtin();
        let own = (1..=path.len()).find(|&len| !options.exists(&OptionPath::from(&path[..len])));
        path.truncate(own.unwrap_or(path.len()));
        self.facts.declared.push(OptionPath::from(path));
    }
}
