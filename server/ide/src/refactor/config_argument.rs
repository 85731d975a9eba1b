//! How a module reads `config` at a place: by the argument, which is added to the module's function where it is not there.

use crate::{Edit, TextRange};
use rnix::ast::{self, Attr, Expr, HasEntry as _, Param};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;

/// How `config` is written at a place, and what must be changed for that.
pub(super) struct ConfigArgument {
    pub(super) expression: String,
    pub(super) edit: Option<Edit>,
}

/// How `config` can be read at `node`; `None` where it is something else there, or the module cannot be told.
pub(super) fn config_at(node: &SyntaxNode, root: Expr) -> Option<ConfigArgument> {
    for outer in node.ancestors().skip(1) {
        match binds_config(&outer) {
            Some(true) => return Some(ConfigArgument { expression: "config".into(), edit: None }),
            Some(false) => return None,
            None => {}
        }
    }
    argument_of(root)
}

/// Whether a scope binds `config`, and if so, as the module's argument.
fn binds_config(scope: &SyntaxNode) -> Option<bool> {
    let mut entries: Box<dyn Iterator<Item = ast::Entry>> = match scope.kind() {
        SyntaxKind::NODE_LET_IN => Box::new(ast::LetIn::cast(scope.clone())?.entries()),
        SyntaxKind::NODE_LEGACY_LET => Box::new(ast::LegacyLet::cast(scope.clone())?.entries()),
        SyntaxKind::NODE_ATTR_SET => {
            let set = ast::AttrSet::cast(scope.clone())?;
            set.rec_token()?;
            Box::new(set.entries())
        }
        SyntaxKind::NODE_LAMBDA => {
            return match ast::Lambda::cast(scope.clone())?.param()? {
                Param::IdentParam(param) => (param.ident()?.syntax().text() == "config").then_some(false),
                Param::Pattern(pattern) => pattern
                    .pat_entries()
                    .filter_map(|entry| entry.ident())
                    .any(|ident| ident.syntax().text() == "config")
                    .then_some(true),
            };
        }
        _ => return None,
    };
    let is_config = |attr: &Attr| attr.syntax().text() == "config";
    let binds = entries.any(|entry| match entry {
        ast::Entry::AttrpathValue(binding) => {
            binding.attrpath().and_then(|path| path.attrs().next()).is_some_and(|attr| is_config(&attr))
        }
        ast::Entry::Inherit(inherit) => inherit.attrs().any(|attr| is_config(&attr)),
    });
    binds.then_some(false)
}

/// The argument of the file's function, which is made where there is none.
fn argument_of(root: Expr) -> Option<ConfigArgument> {
    let inserted = |at, new_text: &str| {
        let edit = Some(Edit { range: TextRange::empty(at), new_text: new_text.into() });
        Some(ConfigArgument { expression: "config".into(), edit })
    };
    match root {
        Expr::Paren(paren) => argument_of(paren.expr()?),
        Expr::AttrSet(set) => inserted(set.syntax().text_range().start(), "{ config, ... }:\n"),
        Expr::Lambda(lambda) => match lambda.param()? {
            Param::IdentParam(param) => {
                let expression = format!("{}.config", param.ident()?.syntax().text());
                Some(ConfigArgument { expression, edit: None })
            }
            Param::Pattern(pattern) => {
                let first = pattern.pat_entries().next().map(|entry| entry.syntax().text_range().start());
                match first.or(pattern.ellipsis_token().map(|token| token.text_range().start())) {
                    Some(first) => inserted(first, "config, "),
                    None => inserted(pattern.syntax().first_token()?.text_range().end(), " config, ..."),
                }
            }
        },
        _ => None,
    }
}
