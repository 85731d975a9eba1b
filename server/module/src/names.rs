//! Lexical names: what a name is bound to, and everywhere it is used.

use crate::TextRange;
use crate::scope::{Scope, attr_name, ident_text};
use rnix::ast;
use rnix::{SyntaxKind, SyntaxNode, TextSize};
use rowan::ast::AstNode as _;

/// A name that the text binds, with all places where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// What binds it.
    pub kind: NameKind,
    /// Every place, in order of the text.
    pub places: Vec<NamePlace>,
}

/// What binds a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A `let`.
    Let,
    /// A recursive set: others can read it from outside.
    RecursiveSet,
    /// The only argument of a function, or all of its arguments (`name@{ … }`).
    Argument,
    /// One of the named arguments of a function: who calls it names it, too.
    NamedArgument,
}

/// A place where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamePlace {
    /// The name's range.
    pub range: TextRange,
    /// Whether it is bound there, rather than used.
    pub is_definition: bool,
    /// The range of the `inherit …;` that it is in.
    pub inherit: Option<TextRange>,
}

/// The name at `offset`; `None` where there is none that the text binds.
pub(crate) fn name_at(root: &SyntaxNode, offset: TextSize) -> Option<Name> {
    let tokens = root.text_range().contains_inclusive(offset).then(|| root.token_at_offset(offset))?;
    let ident =
        tokens.filter(|token| token.kind() == SyntaxKind::TOKEN_IDENT).find_map(|token| token.parent())?;
    let ident = ast::Ident::cast(ident)?;
    let text = ident_text(&ident)?;
    let scope = Scope::new(0);
    let mut binders = Vec::new();
    roles(&scope, ident.syntax(), &text, &mut |binder, is_definition, _| {
        binders.push((binder, is_definition));
    });
    // Of `inherit x;` in a `let`, what is bound there is meant.
    binders.sort_by_key(|(_, is_definition)| !is_definition);
    let (binder, _) = binders.into_iter().next()?;

    let mut places = Vec::new();
    for node in binder.descendants().filter(|node| node.kind() == SyntaxKind::NODE_IDENT) {
        if node.first_token().is_none_or(|token| token.text() != text) {
            continue;
        }
        roles(&scope, &node, &text, &mut |of, is_definition, inherit| {
            if of == binder {
                places.push(NamePlace { range: node.text_range(), is_definition, inherit });
            }
        });
    }
    let kind = kind(&binder, &text)?;
    Some(Name { text, kind, places })
}

/// Calls `found` with each binder that an identifier is about, whether it binds the name there, and the `inherit` that it
/// is in. `inherit x;` in a `let` is about two.
fn roles(
    scope: &Scope,
    ident: &SyntaxNode,
    text: &str,
    found: &mut dyn FnMut(SyntaxNode, bool, Option<TextRange>),
) {
    let Some(parent) = ident.parent() else { return };
    match parent.kind() {
        SyntaxKind::NODE_ATTRPATH => {
            // `name.a.b = …`: only the first name is one of the set.
            let is_first = parent.children().next().as_ref() == Some(ident);
            let set = parent
                .parent()
                .filter(|node| is_first && node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE)
                .and_then(|binding| binding.parent());
            if let Some(set) = set.filter(|set| scope.binds(set, text)) {
                found(set, true, None);
            }
        }
        SyntaxKind::NODE_INHERIT => {
            let (Some(inherit), Some(set)) = (ast::Inherit::cast(parent.clone()), parent.parent()) else {
                return;
            };
            let range = Some(parent.text_range());
            if scope.binds(&set, text) {
                found(set.clone(), true, range);
            }
            if inherit.from().is_none()
                && let Some(binder) = scope.binder(&set, text)
            {
                found(binder, false, range);
            }
        }
        SyntaxKind::NODE_PAT_ENTRY | SyntaxKind::NODE_PAT_BIND | SyntaxKind::NODE_IDENT_PARAM => {
            // A default's value is a use; the name itself comes first.
            let is_name = parent.children().next().as_ref() == Some(ident);
            let lambda = parent.ancestors().find(|node| node.kind() == SyntaxKind::NODE_LAMBDA);
            match lambda.filter(|_| is_name) {
                Some(lambda) => found(lambda, true, None),
                None => {
                    if let Some(binder) = scope.binder(ident, text) {
                        found(binder, false, None);
                    }
                }
            }
        }
        _ => {
            if let Some(binder) = scope.binder(ident, text) {
                found(binder, false, None);
            }
        }
    }
}

fn kind(binder: &SyntaxNode, text: &str) -> Option<NameKind> {
    Some(match binder.kind() {
        SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET => NameKind::Let,
        SyntaxKind::NODE_ATTR_SET => NameKind::RecursiveSet,
        _ => match ast::Lambda::cast(binder.clone())?.param()? {
            ast::Param::IdentParam(_) => NameKind::Argument,
            ast::Param::Pattern(pattern) => {
                let mut entries = pattern.pat_entries().filter_map(|entry| ident_text(&entry.ident()?));
                if entries.any(|entry| entry == text) { NameKind::NamedArgument } else { NameKind::Argument }
            }
        },
    })
}

/// A name of an `inherit` that gets a binding of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebinding {
    /// Where the name is in the `inherit`.
    pub range: TextRange,
    /// What is bound.
    pub name: String,
    /// To what; below what is inherited from, where the `inherit` says that.
    pub value: String,
}

/// What stands instead of an `inherit …;` of which some names get bindings of their own: those bindings, after what is
/// left of it.
#[must_use]
pub(crate) fn spelled_out(root: &SyntaxNode, inherit: TextRange, names: &[Rebinding]) -> Option<String> {
    let node = root.covering_element(inherit).into_node()?;
    let inherit =
        node.descendants().find(|node| node.text_range() == inherit).and_then(ast::Inherit::cast)?;
    let from = inherit.from().map(|from| from.expr().map(|expr| expr.syntax().text().to_string()));
    let mut rest = String::new();
    let mut bindings = String::new();
    for attr in inherit.attrs() {
        match names.iter().find(|name| name.range == attr.syntax().text_range()) {
            Some(Rebinding { name: left, value: right, .. }) => {
                let right = match &from {
                    Some(from) => {
                        let from = from.as_ref()?;
                        let plain = from.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
                        if plain { format!("{from}.{right}") } else { format!("({from}).{right}") }
                    }
                    None => right.clone(),
                };
                if !bindings.is_empty() {
                    bindings.push(' ');
                }
                bindings.push_str(&format!("{left} = {right};"));
            }
            None => {
                rest.push(' ');
                rest.push_str(&attr_name(&attr)?);
            }
        }
    }
    if rest.is_empty() {
        return Some(bindings);
    }
    let from = match from {
        Some(from) => format!(" ({})", from?),
        None => String::new(),
    };
    Some(format!("inherit{from}{rest}; {bindings}"))
}

/// Whether the text can be a name of Nix.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    const KEYWORDS: [&str; 9] = ["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"];
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '\''))
        && !KEYWORDS.contains(&text)
        && text != "or"
}
