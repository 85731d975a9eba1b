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

/// Where in a flake's outputs an expression stands.
#[derive(Clone)]
enum Place {
    /// It is the outputs.
    Outputs,
    /// It is a module of flake-parts, which has outputs below `flake`.
    FlakeParts,
    /// It is the set of modules of this kind.
    Kind(String),
}

impl Walk<'_> {
    /// What the `outputs` function gives. Modules that are written in place are walked.
    pub(super) fn flake_outputs(&mut self, outputs: &Expr) {
        self.outputs(outputs, &Place::Outputs, 0);
    }

    fn outputs(&mut self, expr: &Expr, place: &Place, depth: u32) {
        if depth >= MAX_DEPTH {
            self.facts.flake_modules_unseen = true;
            return;
        }
        let (depth, scope) = (depth + 1, self.scope);
        let mut inner = |expr: Option<Expr>| {
            if let Some(expr) = expr {
                self.outputs(&expr, place, depth);
            }
        };
        match expr {
            Expr::AttrSet(set) => self.output_set(set, place, depth),
            Expr::Lambda(lambda) if !matches!(place, Place::Kind(_)) => inner(lambda.body()),
            Expr::Paren(paren) => inner(paren.expr()),
            Expr::LetIn(let_in) => inner(let_in.body()),
            Expr::With(with) => inner(with.body()),
            Expr::Assert(assert) => inner(assert.body()),
            Expr::IfElse(if_else) => {
                inner(if_else.body());
                inner(if_else.else_body());
            }
            Expr::BinOp(op) if op.operator() == Some(BinOpKind::Update) => {
                inner(op.lhs());
                inner(op.rhs());
            }
            Expr::Apply(apply) => match scope.call(apply) {
                Call::Lib(LibFunction::Optionals, arguments) => inner(arguments.into_iter().nth(1)),
                Call::Other(Some(name), arguments)
                    if name == "mkFlake" && matches!(place, Place::Outputs) =>
                {
                    if let [_, module] = arguments.as_slice() {
                        self.outputs(module, &Place::FlakeParts, depth);
                    }
                    // Its imports may give some, too.
                    self.facts.flake_modules_unseen = true;
                }
                _ => self.facts.flake_modules_unseen = true,
            },
            Expr::Ident(_) | Expr::Select(_) => {
                match scope.follow(expr).filter(|value| !matches!(value, Expr::Ident(_))) {
                    Some(value) => inner(Some(value)),
                    None => self.facts.flake_modules_unseen = true,
                }
            }
            _ => self.facts.flake_modules_unseen = true,
        }
    }

    fn output_set(&mut self, set: &ast::AttrSet, place: &Place, depth: u32) {
        for entry in set.entries() {
            match entry {
                ast::Entry::AttrpathValue(binding) => {
                    let attrs: Vec<_> =
                        binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                    let Some(value) = binding.value() else { continue };
                    self.output(place, &attrs, &value, depth);
                }
                ast::Entry::Inherit(inherit) => {
                    for attr in inherit.attrs() {
                        let value = attr_name(&attr).and_then(|name| self.scope.inherited(&inherit, &name));
                        match value {
                            Some(value) => self.output(place, &[attr], &value, depth),
                            None => self.facts.flake_modules_unseen = true,
                        }
                    }
                }
            }
        }
    }

    fn output(&mut self, place: &Place, attrs: &[ast::Attr], value: &Expr, depth: u32) {
        let mut place = place.clone();
        for (i, attr) in attrs.iter().enumerate() {
            let Some(name) = attr_name(attr) else {
                self.facts.flake_modules_unseen = true;
                return;
            };
            place = match place {
                Place::FlakeParts if name == "flake" => Place::Outputs,
                Place::Outputs if KINDS.contains(&name.as_str()) => Place::Kind(name),
                Place::Kind(kind) if i + 1 == attrs.len() => {
                    self.flake_module(kind, name, attr, value, depth);
                    return;
                }
                _ => return,
            };
        }
        self.outputs(value, &place, depth);
    }

    fn flake_module(&mut self, kind: String, name: String, attr: &ast::Attr, value: &Expr, depth: u32) {
        let followed = self.scope.follow(value);
        let value = followed.as_ref().unwrap_or(value);
        let file = self.imported_file(value).map(|(path, _)| path);
        if file.is_none() {
            if self.is_written_out(value) {
                self.module(value, Certainty::Always, depth);
            } else {
                self.facts.may_declare_more = true;
            }
        }
        self.facts.flake_modules.push(FlakeModule { kind, name, range: attr.syntax().text_range(), file });
    }
}
