//! Which options a place of the text is about, for options of all kinds.
//!
//! `codchi.…` is unmistakable wherever it stands; other names are options only where the set that they are in is surely
//! a part of a module. So this walks from a place outwards and gives up at everything that it does not know: arguments
//! of functions, local names, what overlays and packages are made of.

use crate::syntax::{attr_name, is_local, names, passed_on};
use crate::{Document, TextRange, TextSize};
use codchi_module::FREE_NAME;
use rnix::ast::{
    Apply, Attr, Attrpath, AttrpathValue, BinOp, BinOpKind, Expr, HasEntry as _, IfElse, Inherit, Lambda,
    LetIn, Param, Select,
};
use rnix::{SyntaxKind, SyntaxNode, SyntaxToken};
use rowan::ast::AstNode;
use std::path::Path;

/// How many local names in a row are followed.
const MAX_STEPS: u32 = 8;

/// A part of a module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ModulePath {
    /// Names of options, from the module on; an element of a list is `*`, what only evaluation knows `<name>`.
    pub(crate) path: Vec<String>,
    /// Whether they are below the module's `config`.
    pub(crate) in_config: bool,
}

/// An option's name in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameAt {
    /// The path up to and including the name.
    pub(crate) path: Vec<String>,
    /// The name's range.
    pub(crate) range: TextRange,
}

/// Whether a file is a flake, by its name.
pub(crate) fn is_flake(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "flake.nix")
}

/// The option path of the set that `binding` is in, continued by `typed`. `None` where that is not surely a module's.
pub(crate) fn module_path(binding: &SyntaxNode, typed: &[String], is_flake: bool) -> Option<ModulePath> {
    let (mut path, in_place) = path_around(binding)?;
    path.extend_from_slice(typed);
    let is = |i: usize, names: &[&str]| path.get(i).is_some_and(|name| names.contains(&name.as_str()));
    if is_flake && !in_place {
        let outputs = usize::from(is(0, &["outputs"]));
        let len = outputs
            + match () {
                () if is(outputs, &["nixosModules", "codchiModules"]) => 2,
                () if is(outputs, &["nixosModule"]) => 1,
                () => return None,
            };
        if path.len() < len {
            return None;
        }
        path.drain(..len);
    }
    match path.first().map(String::as_str) {
        Some("config") => {
            path.remove(0);
            Some(ModulePath { path, in_config: true })
        }
        // Declarations of options; what stands there are no definitions.
        Some("options" | "imports" | "disabledModules") => None,
        _ => Some(ModulePath { path, in_config: false }),
    }
}

/// The names around a binding, and whether they begin at a module that is written in place.
fn path_around(binding: &SyntaxNode) -> Option<(Vec<String>, bool)> {
    let mut path: Vec<String> = Vec::new();
    let mut in_list = false;
    let mut inner = binding.clone();
    if AttrpathValue::cast(binding.clone()).is_some_and(|binding| is_local(&binding)) {
        return None;
    }
    for node in binding.ancestors().skip(1) {
        let is_inner = |expr: Option<Expr>| expr.is_some_and(|expr| *expr.syntax() == inner);
        let goes_on = match node.kind() {
            SyntaxKind::NODE_ROOT => return (!in_list).then_some((path, false)),
            SyntaxKind::NODE_ATTR_SET | SyntaxKind::NODE_PAREN | SyntaxKind::NODE_ERROR => true,
            SyntaxKind::NODE_LIST => !std::mem::replace(&mut in_list, true),
            SyntaxKind::NODE_LAMBDA => !is_overlay(&node),
            SyntaxKind::NODE_LET_IN => is_inner(LetIn::cast(node.clone())?.body()),
            SyntaxKind::NODE_WITH | SyntaxKind::NODE_ASSERT => {
                node.last_child().is_some_and(|last| last == inner)
            }
            SyntaxKind::NODE_IF_ELSE => !is_inner(IfElse::cast(node.clone())?.condition()),
            SyntaxKind::NODE_BIN_OP => {
                matches!(BinOp::cast(node.clone())?.operator(), Some(BinOpKind::Update | BinOpKind::Concat))
            }
            SyntaxKind::NODE_APPLY => {
                let apply = Apply::cast(node.clone())?;
                match passed_on(&apply).as_deref() {
                    _ if !is_inner(apply.argument()) => false,
                    Some("mkMerge") => std::mem::take(&mut in_list),
                    Some("optional") => !std::mem::replace(&mut in_list, true),
                    name => name.is_some(),
                }
            }
            SyntaxKind::NODE_ATTRPATH_VALUE => {
                let binding = AttrpathValue::cast(node.clone())?;
                let mut names = names(&binding);
                let last = names.last().map(String::as_str);
                if in_list && matches!(last, Some("imports" | "modules")) {
                    return Some((path, true));
                }
                names.extend(std::mem::take(&mut in_list).then(|| "*".to_owned()));
                path.splice(0..0, names);
                !is_local(&binding)
            }
            _ => false,
        };
        if !goes_on {
            return None;
        }
        inner = node;
    }
    None
}

/// Whether a function is the second one of an overlay: `final: prev: { … }`.
fn is_overlay(lambda: &SyntaxNode) -> bool {
    let is_plain = |node: &SyntaxNode| {
        let param = Lambda::cast(node.clone()).and_then(|lambda| lambda.param());
        matches!(param, Some(Param::IdentParam(_)))
    };
    is_plain(lambda) && lambda.parent().is_some_and(|outer| outer.kind() == SyntaxKind::NODE_LAMBDA)
}

/// What an expression selects from one of a module's arguments, or from a name that nothing in the text binds: that
/// name, and the names below it. Local names are followed.
pub(crate) fn argument_path(expr: &Expr) -> Option<(String, Vec<String>)> {
    argument_path_steps(expr, MAX_STEPS)
}

fn argument_path_steps(expr: &Expr, steps: u32) -> Option<(String, Vec<String>)> {
    let steps = steps.checked_sub(1)?;
    match expr {
        Expr::Paren(paren) => argument_path_steps(&paren.expr()?, steps),
        Expr::Select(select) if select.default_expr().is_none() => {
            let (argument, mut path) = argument_path_steps(&select.expr()?, steps)?;
            path.extend(select.attrpath()?.attrs().map(|attr| attr_name(&attr)));
            Some((argument, path))
        }
        Expr::Ident(ident) => {
            let name = ident.syntax().text().to_string();
            match bound(&name, ident.syntax()) {
                Bound::Value(value) => {
                    let known = argument_path_steps(&value, steps);
                    // `pkgs = import nixpkgs { … };`
                    known.or_else(|| (name == "pkgs").then(|| (name, Vec::new())))
                }
                Bound::Member(set) => {
                    let (argument, mut path) = argument_path_steps(&set, steps)?;
                    path.push(name);
                    Some((argument, path))
                }
                Bound::Argument if name != "config" && name != "pkgs" => None,
                Bound::Argument | Bound::No => Some((name, Vec::new())),
            }
        }
        _ => None,
    }
}

/// What a local name is.
enum Bound {
    Value(Expr),
    /// An attribute of the same name.
    Member(Expr),
    /// A function's argument.
    Argument,
    /// Nothing in the text: an argument that is not named, or what a `with` brings.
    No,
}

fn bound(name: &str, at: &SyntaxNode) -> Bound {
    for node in at.ancestors() {
        if let Some(lambda) = Lambda::cast(node.clone()) {
            let is_argument = match lambda.param() {
                Some(Param::IdentParam(param)) => param.syntax().text() == name,
                Some(Param::Pattern(pattern)) => pattern
                    .pat_entries()
                    .any(|entry| entry.ident().is_some_and(|ident| ident.syntax().text() == name)),
                None => false,
            };
            if is_argument {
                return Bound::Argument;
            }
        }
        let Some(let_in) = LetIn::cast(node) else { continue };
        for binding in let_in.attrpath_values() {
            if names(&binding) == [name]
                && let Some(value) = binding.value()
            {
                return Bound::Value(value);
            }
        }
        for inherit in let_in.inherits() {
            let is_named = inherit.attrs().any(|attr| attr_name(&attr) == name);
            if is_named && let Some(set) = inherit.from().and_then(|from| from.expr()) {
                return Bound::Member(set);
            }
        }
    }
    Bound::No
}

/// What the name of a selection or an `inherit (…)` is below: an argument's name and the names before this one.
pub(crate) fn selected_from(attr: &Attr) -> Option<(String, Vec<String>)> {
    let parent = attr.syntax().parent()?;
    if let Some(inherit) = Inherit::cast(parent.clone()) {
        return argument_path(&inherit.from()?.expr()?);
    }
    let attrpath = Attrpath::cast(parent)?;
    let select = Select::cast(attrpath.syntax().parent()?)?;
    let (argument, mut path) = argument_path(&select.expr()?)?;
    path.extend(names_before(&attrpath, attr.syntax().text_range().start()));
    Some((argument, path))
}

/// The path's names that end before an offset.
pub(crate) fn names_before(attrpath: &Attrpath, offset: TextSize) -> Vec<String> {
    attrpath
        .attrs()
        .take_while(|attr| attr.syntax().text_range().end() <= offset)
        .map(|attr| attr_name(&attr))
        .collect()
}

/// The option whose name is at `offset`, defined or read.
pub(crate) fn name_at(document: &Document, file: &Path, offset: TextSize) -> Option<NameAt> {
    let root = document.root();
    crate::syntax::tokens_at(root.syntax(), offset).find_map(|token| name_of(&token, is_flake(file)))
}

fn name_of(token: &SyntaxToken, is_flake: bool) -> Option<NameAt> {
    let attr = token.parent_ancestors().find_map(Attr::cast)?;
    let range = attr.syntax().text_range();
    let attrpath = Attrpath::cast(attr.syntax().parent()?);
    let binding = attrpath.as_ref().and_then(|path| AttrpathValue::cast(path.syntax().parent()?));
    let mut path = match (attrpath, binding) {
        (Some(attrpath), Some(binding)) => {
            let mut typed = names_before(&attrpath, range.start());
            typed.push(attr_name(&attr));
            return Some(NameAt { path: module_path(binding.syntax(), &typed, is_flake)?.path, range });
        }
        _ => match selected_from(&attr)? {
            (argument, path) if argument == "config" => path,
            _ => return None,
        },
    };
    path.push(attr_name(&attr));
    Some(NameAt { path, range })
}

/// Whether a name of a path stands for one that only evaluation or the person knows.
pub(crate) fn is_free(name: &str) -> bool {
    name == FREE_NAME || name == "*"
}
