//! Uses of `$CODCHI_NAME` that are no secret's, or that the module copes without.

use crate::diagnostics::Context;
use crate::syntax::{names, tokens_at};
use codchi_module::{SecretUse, SecretUseKind};
use rnix::ast::AttrpathValue;
use rowan::ast::AstNode as _;

/// Words of a shell that give the variables after them a value, or take it.
const SETTERS: [&str; 10] =
    ["for", "read", "local", "declare", "typeset", "readonly", "unset", "mapfile", "readarray", "printf"];

/// Attributes whose text people read.
const PROSE: [&str; 5] = ["description", "longDescription", "message", "example", "defaultText"];

/// The outputs of a flake that modules are in.
const MODULES: [&str; 2] = ["nixosModules", "codchiModules"];

/// Whether nothing is missing where nothing declares it.
pub(super) fn is_no_secret(cx: &Context<'_>, used: &SecretUse) -> bool {
    let is_variable = used.kind == SecretUseKind::Variable;
    is_guarded(cx, used)
        || is_variable && (is_set_here(cx, used) || is_mentioned(cx, used) || is_elsewhere(cx, used))
}

/// Whether the file says anywhere what happens without it.
fn is_guarded(cx: &Context<'_>, used: &SecretUse) -> bool {
    cx.facts.secret_uses.iter().any(|other| other.guarded && other.name == used.name)
}

/// Whether the file gives the variable a value itself: `CODCHI_NAME=…` in a script, `CODCHI_NAME = …` in a set of variables,
/// `read CODCHI_NAME` and the like.
fn is_set_here(cx: &Context<'_>, used: &SecretUse) -> bool {
    let (text, variable) = (cx.document.text(), format!("CODCHI_{}", used.name));
    text.match_indices(&variable).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + variable.len()..]);
        let is_word = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_read = before.trim_end_matches(['{', '#', '!']).ends_with('$');
        let line = before.rsplit('\n').next().unwrap_or_default();
        let after = after.trim_start_matches('"').trim_start_matches([' ', '\t']);
        let is_set = after.starts_with('=') && !after.starts_with("==");
        is_word && !is_read && (is_set || line.split_whitespace().any(|word| SETTERS.contains(&word)))
    })
}

/// Whether it is only talked about: in a comment of a script, or in a text that people read.
fn is_mentioned(cx: &Context<'_>, used: &SecretUse) -> bool {
    let before = cx.document.text().get(..usize::from(used.range.start())).unwrap_or_default();
    let is_comment = before.rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('#'));
    is_comment
        || bindings(cx, used)
            .first()
            .and_then(|names| names.last())
            .is_some_and(|name| PROSE.contains(&&**name))
}

/// Whether it is in no module: a flake has shells and packages as well.
fn is_elsewhere(cx: &Context<'_>, used: &SecretUse) -> bool {
    let is_flake = !cx.facts.flake_modules.is_empty() || !cx.facts.flake_inputs.is_empty();
    is_flake && !bindings(cx, used).iter().flatten().any(|name| MODULES.contains(&name.as_str()))
}

/// The names of the bindings that it is in, the innermost first.
fn bindings(cx: &Context<'_>, used: &SecretUse) -> Vec<Vec<String>> {
    let root = cx.document.root();
    let token = tokens_at(root.syntax(), used.range.start()).right_biased();
    let bindings = token.iter().flat_map(|token| token.parent_ancestors()).filter_map(AttrpathValue::cast);
    bindings.map(|binding| names(&binding)).collect()
}
