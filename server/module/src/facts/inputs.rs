//! Flakes: what they take.

use super::FlakeInput;
use crate::literal::{literal, range};
use crate::scope::{Scope, attr_name, ident_text};
use crate::{Literal, TextRange};
use rnix::ast::{self, Expr, HasEntry as _};
use rowan::ast::AstNode as _;
use std::collections::HashSet;

/// The inputs of a flake, in order of the text; none where the file is no set. The inputs of inputs are theirs.
pub(super) fn inputs(scope: &Scope, file: &Expr) -> Vec<FlakeInput> {
    let mut inputs = Vec::new();
    if let Expr::AttrSet(set) = file
        && super::flake::outputs(scope, file).is_some()
    {
        for binding in set.attrpath_values() {
            let attrs: Vec<_> = binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
            if let Some((first, rest)) = attrs.split_first()
                && attr_name(first).as_deref() == Some("inputs")
                && let Some(value) = binding.value()
            {
                below(scope, rest, &value, &mut inputs);
            }
        }
    }
    inputs
}

/// The names of what a flake's outputs are made of: its inputs, also those that only its `outputs` function names. None
/// where the file is no flake.
pub(super) fn names(scope: &Scope, file: &Expr, inputs: &[FlakeInput]) -> HashSet<String> {
    let mut names: HashSet<String> = inputs.iter().map(|input| input.name.clone()).collect();
    if let Some(outputs) = super::flake::outputs(scope, file)
        && let Some(Expr::Lambda(lambda)) = scope.follow(&outputs)
        && let Some(ast::Param::Pattern(pattern)) = lambda.param()
    {
        let entries = pattern.pat_entries().filter_map(|entry| ident_text(&entry.ident()?));
        names.extend(entries.filter(|name| name != "self"));
    }
    names
}

/// `inputs.REST = VALUE;`
fn below(scope: &Scope, rest: &[ast::Attr], value: &Expr, inputs: &mut Vec<FlakeInput>) {
    match (rest, value) {
        ([], Expr::AttrSet(set)) => {
            for binding in set.attrpath_values() {
                let attrs: Vec<_> = binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                if let (false, Some(value)) = (attrs.is_empty(), binding.value()) {
                    below(scope, &attrs, &value, inputs);
                }
            }
        }
        ([name, path @ ..], _) => {
            let Some(text) = attr_name(name) else { return };
            let at = match inputs.iter().position(|input| input.name == text) {
                Some(at) => at,
                None => {
                    let range = name.syntax().text_range();
                    inputs.push(FlakeInput { name: text, range, url: None, follows: None });
                    inputs.len() - 1
                }
            };
            if let Some(input) = inputs.get_mut(at) {
                within(scope, path, value, input);
            }
        }
        _ => {}
    }
}

/// `inputs.NAME.PATH = VALUE;`
fn within(scope: &Scope, path: &[ast::Attr], value: &Expr, input: &mut FlakeInput) {
    let string = || -> Option<(String, TextRange)> {
        match literal(scope, value) {
            Literal::String(text) => Some((text, range(value))),
            _ => None,
        }
    };
    match (path, value) {
        ([], Expr::AttrSet(set)) => {
            for binding in set.attrpath_values() {
                let attrs: Vec<_> = binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                if let ([attr], Some(value)) = (attrs.as_slice(), binding.value()) {
                    within(scope, std::slice::from_ref(attr), &value, input);
                }
            }
        }
        ([attr], _) => match attr_name(attr).as_deref() {
            Some("url") => input.url = string(),
            Some("follows") => input.follows = string().map(|(text, _)| text),
            _ => {}
        },
        _ => {}
    }
}
