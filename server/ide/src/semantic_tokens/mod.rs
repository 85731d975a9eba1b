//! Semantic tokens: what a grammar of regular expressions cannot know. Which names are options, secrets, capabilities,
//! packages, and what each name of the text is bound to.
//!
//! What is no more than its shape (keywords, strings, comments, the names of plain sets) has no token: the grammar colours it.
//! Invariant: tokens are in order of the text and none overlaps another.

mod builtins;
mod names;

use crate::references::declared;
use crate::{Document, Facts, TextRange, TextSize};
use codchi_module::{OptionPath, OptionUse, Options, SecretUseKind};
use names::Names;
use std::ops::BitOr;

/// A part of the text and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SemanticToken {
    /// Where; may reach over several lines, as a name in quotes can.
    pub range: TextRange,
    /// What.
    pub kind: TokenKind,
    /// More about it.
    pub modifiers: TokenModifiers,
}

/// What a token is. The names of LSP, which themes know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    /// `builtins`, parts of `lib`, a module that is imported.
    Namespace,
    /// A type of options: `lib.types.str`.
    Type,
    /// A package.
    Class,
    /// A capability.
    EnumMember,
    /// An argument of a function.
    Parameter,
    /// A name that `let` or a recursive set binds.
    Variable,
    /// An option, set or read; what only evaluation knows more about.
    Property,
    /// A function.
    Function,
    /// A secret.
    Macro,
    /// A path.
    String,
}

impl TokenKind {
    /// All of them; each one's place is its number.
    pub const ALL: [Self; 10] = [
        Self::Namespace,
        Self::Type,
        Self::Class,
        Self::EnumMember,
        Self::Parameter,
        Self::Variable,
        Self::Property,
        Self::Function,
        Self::Macro,
        Self::String,
    ];
}

/// More about a token: a set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenModifiers(u32);

impl TokenModifiers {
    /// None.
    pub const NONE: Self = Self(0);
    /// It is bound, set or declared here.
    pub const DECLARATION: Self = Self(1);
    /// It is read, and cannot be set by this.
    pub const READONLY: Self = Self(1 << 1);
    /// It has a successor.
    pub const DEPRECATED: Self = Self(1 << 2);
    /// It comes with Nix or nixpkgs.
    pub const DEFAULT_LIBRARY: Self = Self(1 << 3);

    /// As a number with a bit for each.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for TokenModifiers {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The tokens of the text; only those that touch `within`, where it is given.
pub(crate) fn semantic_tokens(document: &Document, within: Option<TextRange>) -> Vec<SemanticToken> {
    let within = within.unwrap_or(TextRange::up_to(TextSize::of(document.text())));
    let facts = document.facts();
    // What is known best comes first: of two tokens at one place the first stays.
    let mut tokens = Vec::new();
    secrets(facts, document.text(), &mut tokens);
    push_all(&mut tokens, TokenKind::EnumMember, facts.capabilities.iter().map(|it| it.range));
    push_all(&mut tokens, TokenKind::Namespace, facts.imports.iter().map(|it| it.range));
    for used in facts.options.iter().chain(&facts.settings) {
        option(used, &mut tokens);
    }
    tokens.retain(|token| touches(within, token.range));
    Names::new(&mut tokens, &facts.packages, within).walk(&document.root());

    // Stable, so that what came first stays first.
    tokens.sort_by_key(|token| token.range.start());
    let mut end = TextSize::default();
    tokens.retain(|token| {
        let is_free = token.range.start() >= end && !token.range.is_empty();
        if is_free {
            end = token.range.end();
        }
        is_free
    });
    tokens
}

fn touches(within: TextRange, range: TextRange) -> bool {
    within.intersect(range).is_some()
}

fn push_all(tokens: &mut Vec<SemanticToken>, kind: TokenKind, ranges: impl IntoIterator<Item = TextRange>) {
    let modifiers = TokenModifiers::NONE;
    tokens.extend(ranges.into_iter().map(|range| SemanticToken { range, kind, modifiers }));
}

/// Where secrets are declared, and where they are used.
fn secrets(facts: &Facts, text: &str, tokens: &mut Vec<SemanticToken>) {
    let mut push = |range, modifiers| {
        tokens.push(SemanticToken { range, kind: TokenKind::Macro, modifiers });
    };
    for used in &facts.secret_uses {
        let range = match used.kind {
            SecretUseKind::Variable => variable(text, used.range),
            SecretUseKind::Config(_) => used.range,
        };
        push(range, TokenModifiers::READONLY);
    }
    let named = facts.options.iter().filter_map(declared).map(|(_, range)| range);
    for range in named.chain(facts.secrets.iter().map(|secret| secret.name_range)) {
        push(range, TokenModifiers::DECLARATION);
    }
}

/// The whole variable of a secret's name: `$CODCHI_NAME`, or `CODCHI_NAME` where braces are around it.
fn variable(text: &str, name: TextRange) -> TextRange {
    let before = &text[..usize::from(name.start())];
    let prefix = ["$CODCHI_", "CODCHI_"].into_iter().find(|prefix| before.ends_with(prefix));
    let len = prefix.map_or(TextSize::new(0), TextSize::of);
    TextRange::new(name.start() - len, name.end())
}

/// The names of an option that is set.
fn option(used: &OptionUse, tokens: &mut Vec<SemanticToken>) {
    let Some(outer) = used.path.0.len().checked_sub(used.segments.len()) else { return };
    let is_ours = used.path.0.first().is_some_and(|name| name == "codchi");
    for (index, &range) in used.segments.iter().enumerate() {
        let mut modifiers = TokenModifiers::DECLARATION;
        if is_ours && is_deprecated(&used.path, outer + index + 1) {
            modifiers = modifiers | TokenModifiers::DEPRECATED;
        }
        tokens.push(SemanticToken { range, kind: TokenKind::Property, modifiers });
    }
}

/// Whether the first `len` names of the path lead to an option that has a successor.
fn is_deprecated(path: &OptionPath, len: usize) -> bool {
    let path = path.0.iter().take(len).cloned().collect::<OptionPath>();
    Options::builtin().get_enclosing(&path).is_some_and(|doc| doc.deprecated.is_some())
}

#[cfg(test)]
mod tests;
