//! `imports` lists.

use super::walk::Walk;
use super::{Certainty, Import, Literal};
use crate::TextRange;
use crate::literal::{literal, range};
use crate::scope::Call;
use rnix::ast::Expr;

impl Walk<'_> {
    /// The value of `imports`: paths are noted, modules that are written in place are walked.
    pub(super) fn imports(&mut self, list: &Expr, certainty: Certainty, depth: u32) {
        let mut elements = Vec::new();
        let visible = self.list_elements(list, certainty, depth, &mut |_, element, certainty| {
            elements.push((element.clone(), certainty));
        });
        self.facts.may_declare_more |= !visible;
        for (element, certainty) in elements {
            if let Some((path, range)) = self.imported_file(&element) {
                self.facts.imports.push(Import { path, range, certainty });
            } else if self.is_written_out(&element) {
                self.module(&element, certainty, depth + 1);
            } else {
                self.facts.may_declare_more = true;
            }
        }
    }

    /// The value of `disabledModules`.
    pub(super) fn disabled(&mut self, list: &Expr, depth: u32) {
        let mut found = Vec::new();
        self.list_elements(list, Certainty::Always, depth, &mut |scope, element, _| {
            if let Literal::Path(path) = literal(scope, element) {
                found.push(path);
            }
        });
        self.facts.disabled.append(&mut found);
    }

    /// The file that a module comes from, and where it is named: a path, or `import` of one.
    pub(super) fn imported_file(&self, element: &Expr) -> Option<(String, TextRange)> {
        let named = match element {
            Expr::Paren(paren) => return self.imported_file(&paren.expr()?),
            Expr::Apply(apply) => match self.scope.call(apply) {
                Call::Import(path) => path,
                _ => return None,
            },
            other => other.clone(),
        };
        match literal(self.scope, &named) {
            // What is below the home folder is another file for each user.
            Literal::Path(path) if !path.starts_with('~') => Some((path, range(&named))),
            _ => None,
        }
    }

    /// Whether a module is a function or a set of this file.
    pub(super) fn is_written_out(&self, element: &Expr) -> bool {
        match element {
            Expr::Ident(_) | Expr::Select(_) | Expr::Paren(_) => {
                matches!(self.scope.follow(element), Some(Expr::AttrSet(_) | Expr::Lambda(_)))
            }
            Expr::AttrSet(_) | Expr::Lambda(_) => true,
            _ => false,
        }
    }
}
