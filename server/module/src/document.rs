//! One text and everything that follows from it.

use crate::facts::Pieces;
use crate::facts::outline::outline;
use crate::limit::{Cost, LARGEST, excess};
use crate::names::{Name, Rebinding, name_at, spelled_out};
use crate::repair::{Repaired, repaired};
use crate::reparse::{Parsed, reparse};
use crate::syntax::{SyntaxError, syntax_errors};
use crate::{Binding, Facts, LineIndex, TextRange, TextSize};
use rnix::{Root, SyntaxNode};
use rowan::GreenNode;
use rowan::ast::AstNode as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// One text, its lines, its syntax tree and its facts. Immutable; an edit makes a new one.
pub struct Document {
    text: Arc<str>,
    lines: LineIndex,
    tree: GreenNode,
    errors: Vec<rnix::ParseError>,
    /// The text that the tree is of, where something is missing in the text itself, and what.
    repaired: Option<Repaired>,
    /// What it costs the parser at most; `None` where there is no bound.
    cost: Option<Cost>,
    /// Where the text was cut off for the parser, and why.
    excess: Option<SyntaxError>,
    facts: OnceLock<Arc<Facts>>,
    /// What the definitions say, once the facts are worked out: for the texts after this one.
    pieces: OnceLock<Arc<Pieces>>,
    /// That of a text before, until then.
    before: Mutex<Option<Arc<Pieces>>>,
    /// Apart from the facts, as it is not needed at each keystroke.
    outline: OnceLock<Vec<Binding>>,
}

impl Document {
    /// Parses `text`; some 25 ms per MB. What is too much for the parser is not part of the tree.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let cost = if text.len() > LARGEST { None } else { Cost::of(&text) };
        let excess = excess(&text, cost);
        let readable = excess.as_ref().and_then(|error| text.get(..usize::from(error.range.start())));
        let parse = Root::parse(readable.unwrap_or(&text));
        if excess.is_none()
            && let Some(repaired) = repaired(&text, &parse.syntax(), parse.errors())
            && let Ok(root) = Root::parse(&repaired.text).ok()
        {
            let tree = root.syntax().green().to_owned();
            let parsed = Parsed { tree, errors: Vec::new(), cost, repaired: Some(repaired) };
            return Self::of(text, parsed, None);
        }
        let tree = parse.syntax().green().to_owned();
        let parsed = Parsed { tree, errors: parse.errors().to_vec(), cost, repaired: None };
        Self::of(text, parsed, excess)
    }

    /// The same as [`Self::new`], but where only definitions of a set differ from this text, only those are parsed.
    #[must_use]
    pub fn edited(&self, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        if self.excess.is_some() || text.len() > LARGEST {
            return Self::new(text);
        }
        let before = self.repaired.as_ref().map_or(&*self.text, |repaired| &repaired.text);
        match reparse(before, self.root().syntax(), &self.errors, self.cost, &text) {
            Some(parsed) => {
                let pieces = self.pieces.get().cloned().or_else(|| self.before().clone());
                Self { before: Mutex::new(pieces), ..Self::of(text, parsed, None) }
            }
            None => Self::new(text),
        }
    }

    fn of(text: Arc<str>, parsed: Parsed, excess: Option<SyntaxError>) -> Self {
        let Parsed { tree, errors, cost, repaired } = parsed;
        Self {
            lines: LineIndex::new(&text),
            text,
            tree,
            errors,
            repaired,
            cost,
            excess,
            facts: OnceLock::new(),
            pieces: OnceLock::new(),
            before: Mutex::new(None),
            outline: OnceLock::new(),
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Offsets to lines and back, in UTF-8 and UTF-16.
    #[must_use]
    pub fn lines(&self) -> &LineIndex {
        &self.lines
    }

    /// The tree's root, for use within one function. Where the only thing that is wrong is that a definition does not end, it
    /// is that of a text with what is missing in place of the space there.
    #[must_use]
    pub fn root(&self) -> Root {
        let root = SyntaxNode::new_root(self.tree.clone());
        // The parser makes a root of any text, so it is one.
        Root::cast(root).unwrap_or_else(|| Root::parse("").tree())
    }

    /// What the text says; worked out at the first call.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.facts_once()
    }

    /// The same, to be kept when the text and its tree are gone.
    #[must_use]
    pub fn shared_facts(&self) -> Arc<Facts> {
        self.facts_once().clone()
    }

    fn facts_once(&self) -> &Arc<Facts> {
        self.facts.get_or_init(|| {
            let has_syntax_errors = self.has_syntax_errors();
            let before = self.before().take().unwrap_or_default();
            let (facts, pieces) = Facts::of(&self.text, &self.root(), &before);
            let _ = self.pieces.set(Arc::new(pieces));
            Arc::new(Facts { has_syntax_errors, ..facts })
        })
    }

    fn before(&self) -> MutexGuard<'_, Option<Arc<Pieces>>> {
        // It is only ever set or taken whole.
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outline: attribute paths and their ranges, nested; worked out at the first call.
    #[must_use]
    pub fn outline(&self) -> &[Binding] {
        self.outline.get_or_init(|| self.root().expr().map(|expr| outline(&expr)).unwrap_or_default())
    }

    /// All names in the text, in order: what stays the same when only its layout changes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let tokens = self.root().syntax().descendants_with_tokens().filter_map(|it| it.into_token());
        tokens
            .filter(|token| token.kind() == rnix::SyntaxKind::TOKEN_IDENT)
            .map(|token| token.text().to_owned())
            .collect()
    }

    /// The name at `offset` that the text binds, with all places where it stands.
    #[must_use]
    pub fn name_at(&self, offset: TextSize) -> Option<Name> {
        name_at(self.root().syntax(), offset)
    }

    /// What stands instead of the `inherit …;` at the range where names of it get bindings of their own: `None` where that cannot be told.
    #[must_use]
    pub fn spelled_out(&self, inherit: TextRange, names: &[Rebinding]) -> Option<String> {
        spelled_out(self.root().syntax(), inherit, names)
    }

    /// What the parser says is wrong.
    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[rnix::ParseError] {
        &self.errors
    }

    /// What the text costs the parser at most.
    #[cfg(test)]
    pub(crate) fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// Whether all of a text can be given to the parser: it is neither too long nor too deeply nested.
    #[must_use]
    pub fn is_readable(text: &str) -> bool {
        text.len() <= LARGEST && excess(text, Cost::of(text)).is_none()
    }

    /// Whether the text is too large to be read: then nothing is known of it.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.text.len() > LARGEST
    }

    /// Whether the text is not Nix; cheaper than to list what is wrong.
    #[must_use]
    pub fn has_syntax_errors(&self) -> bool {
        self.excess.is_some() || self.repaired.is_some() || !self.errors.is_empty()
    }

    /// The parser's errors, the first of each region: what follows from it is left out.
    #[must_use]
    pub fn syntax_errors(&self) -> Vec<SyntaxError> {
        let repaired = self.repaired.as_ref().map(|repaired| &repaired.error);
        match self.excess.as_ref().or(repaired) {
            Some(error) => vec![error.clone()],
            None => syntax_errors(&self.text, self.root().syntax(), &self.errors),
        }
    }
}
