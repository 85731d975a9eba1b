//! Completion: what can be typed at the cursor, also in half-typed code.
//!
//! - names below `codchi.`, in dotted paths and nested sets, where they are defined and where `config.codchi.…` is read;
//! - names of all other options and of packages, where the module's [catalogue](Catalogue) is there;
//! - values: of options that are one of several, `true` and `false`, what a list or a set begins with;
//! - what a module's set may have besides, and snippets.

mod keys;
mod options;
mod packages;
mod probe;
mod region;
mod snippets;
mod values;

use crate::catalogue::catalogue;
use crate::{Catalogue, Completions, Document, Files, TextSize, World};
use probe::Probe;
use rnix::ast::Attr;
use rowan::ast::AstNode;
use std::path::Path;

/// How many are offered at once.
const MOST: usize = 250;

/// What is asked about.
struct Context<'a> {
    files: &'a dyn Files,
    world: &'a World,
    document: &'a Document,
    file: &'a Path,
    catalogue: Option<&'a dyn Catalogue>,
}

pub(crate) fn completions(files: &dyn Files, world: &World, path: &Path, offset: TextSize) -> Completions {
    let Some(document) = files.document(path) else { return Completions::default() };
    let Some(probe) = Probe::new(&document, offset) else { return Completions::default() };
    let context =
        Context { files, world, document: &document, file: path, catalogue: catalogue(files, world, path) };
    let attr = probe.token.parent_ancestors().find_map(Attr::cast);
    match attr.filter(|attr| attr.syntax().parent().is_some_and(|parent| is_path(parent.kind()))) {
        Some(attr) => keys::completions(&context, &probe, &attr),
        None => values::completions(&context, &probe),
    }
}

fn is_path(kind: rnix::SyntaxKind) -> bool {
    matches!(kind, rnix::SyntaxKind::NODE_ATTRPATH | rnix::SyntaxKind::NODE_INHERIT)
}

/// As many as are offered at once of those that what is typed may become, and whether that are not all.
fn bounded<T>(mut all: Vec<T>, typed: &str, name: impl Fn(&T) -> &str) -> (Vec<T>, bool) {
    if all.len() <= MOST {
        return (all, false);
    }
    let typed = typed.to_ascii_lowercase();
    all.retain(|item| has_letters(name(item), &typed));
    all.sort_by_cached_key(|item| {
        let name = name(item).to_ascii_lowercase();
        (name != typed, !name.starts_with(&typed), !name.contains(&typed))
    });
    all.truncate(MOST);
    (all, true)
}

/// Whether the name has these letters in this order.
fn has_letters(name: &str, letters: &str) -> bool {
    let mut rest = name.chars().map(|c| c.to_ascii_lowercase());
    letters.chars().all(|letter| rest.any(|c| c == letter))
}

#[cfg(test)]
mod tests;
