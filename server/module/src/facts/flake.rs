//! Flakes: which modules they give.

use super::walk::{MAX_DEPTH, Walk};
use super::{Certainty, FlakeModule};
use crate::scope::{Call, LibFunction, Scope, attr_name};
use rnix::ast::{self, BinOpKind, Expr, HasEntry as _};
use rowan::ast::AstNode as _;

/// The outputs that hold modules.
const KINDS: [&str; 2] = ["codchiModules", "nixosModules"];

/// The `outputs` function of a flake; `None` where the file is none.
pub(super) fn outputs(scope: &Scope, file: &Expr) -> Option<Expr> {
    let Expr::AttrSet(set) = file else { return None };
    let binding = set.attrpath_values().find(|binding| {
        let names: Vec<_> =
            binding.attrpath().into_iter().flat_map(|path| path.attrs()).map(|a| attr_name(&a)).collect();
        names == [Some("outputs".to_owned())]
    })?;
    let value = binding.value()?;
    matches!(scope.follow(&value)?, Expr::Lambda(_)).then_some(value)
}

impl Walk<'_> {
    /// What the `outputs` function gives.
    pub(super) fn flake_outputs(&mut self, outputs: &Expr) {
        self.outputs(outputs, &[], Certainty::Always, 0);
    }

    /// The outputs below `path`, which is empty or one of [`KINDS`].
    fn outputs(&mut self, expr: &Expr, path: &[String], certainty: Certainty, depth: u32) {
        if depth >= MAX_DEPTH {
            return;
        }
        let depth = depth + 1;
        let mut inner = |expr: Option<Expr>, certainty| {
            if let Some(expr) = expr {
                self.outputs(&expr, path, certainty, depth);
            }
        };
        match expr {
            Expr::AttrSet(set) => self.output_set(set, path, certainty, depth),
            Expr::Lambda(lambda) if path.is_empty() => inner(lambda.body(), certainty),
            Expr::Paren(paren) => inner(paren.expr(), certainty),
            Expr::LetIn(let_in) => inner(let_in.body(), certainty),
            Expr::With(with) => inner(with.body(), certainty),
            Expr::Assert(assert) => inner(assert.body(), certainty),
            Expr::IfElse(if_else) => {
                inner(if_else.body(), Certainty::Conditional);
                inner(if_else.else_body(), Certainty::Conditional);
            }
            Expr::BinOp(op) if op.operator() == Some(BinOpKind::Update) => {
                inner(op.lhs(), Certainty::Conditional);
                inner(op.rhs(), certainty);
            }
            Expr::Apply(apply) => match self.scope.call(apply) {
                Call::Lib(LibFunction::Optionals, arguments) if arguments.len() == 2 => {
                    self.outputs(&arguments[1], path, Certainty::Conditional, depth);
                }
                // flake-parts: its modules give outputs as `flake.…`.
                Call::Other(Some(name), arguments) if name == "mkFlake" && path.is_empty() => {
                    if let [_, module] = arguments.as_slice() {
                        self.outputs(module, &["flake".to_owned()], certainty, depth);
                    }
                }
                _ => {}
            },
            Expr::Ident(_) | Expr::Select(_) => {
                if let Some(value) = self.scope.follow(expr)
                    && !matches!(value, Expr::Ident(_))
                {
                    self.outputs(&value, path, certainty, depth);
                }
            }
            _ => {}
        }
    }

    fn output_set(&mut self, set: &ast::AttrSet, path: &[String], certainty: Certainty, depth: u32) {
        for entry in set.entries() {
            match entry {
                ast::Entry::AttrpathValue(binding) => {
                    let attrs: Vec<_> =
                        binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                    let Some(value) = binding.value() else { continue };
                    self.output(path, &attrs, &value, certainty, depth);
                }
                ast::Entry::Inherit(inherit) => {
                    for attr in inherit.attrs() {
                        let value = attr_name(&attr).and_then(|name| self.scope.inherited(&inherit, &name));
                        if let Some(value) = value {
                            self.output(path, &[attr], &value, certainty, depth);
                        }
                    }
                }
            }
        }
    }

    fn output(
        &mut self,
        path: &[String],
        attrs: &[ast::Attr],
        value: &Expr,
        certainty: Certainty,
        depth: u32,
    ) {
        let mut path = path.to_vec();
        for (i, attr) in attrs.iter().enumerate() {
            let Some(name) = attr_name(attr) else { return };
            match path.last() {
                None if name == "flake" || KINDS.contains(&name.as_str()) => path.push(name),
                Some(last) if last == "flake" && KINDS.contains(&name.as_str()) => path.push(name),
                Some(kind) if KINDS.contains(&kind.as_str()) && i + 1 == attrs.len() => {
                    self.flake_module(kind.clone(), name, attr, value, certainty, depth);
                    return;
                }
                _ => return,
            }
        }
        self.outputs(value, &path, certainty, depth);
    }

    fn flake_module(
        &mut self,
        kind: String,
        name: String,
        attr: &ast::Attr,
        value: &Expr,
        certainty: Certainty,
        depth: u32,
    ) {
        let followed = self.scope.follow(value);
        let value = followed.as_ref().unwrap_or(value);
        let file = self.imported_file(value).map(|(path, _)| path);
        if file.is_none() && self.is_written_out(value) {
            self.module(value, certainty, depth);
        }
        self.facts.flake_modules.push(FlakeModule { kind, name, range: attr.syntax().text_range(), file });
    }
}
