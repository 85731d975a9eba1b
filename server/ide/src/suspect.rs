//! Places whose facts may be wrong because the text is half-typed.
//!
//! The parser always gives a tree, and around an error the tree says what nobody wrote: `codchi.secrets.` swallows the
//! name on the next line without any error at all, an unclosed brace takes in everything below it. What is said about
//! such a place would be a false alarm that goes away with the next key, so it is not said.

use crate::syntax::tokens_at;
use crate::{Document, TextRange, TextSize};
use codchi_module::SyntaxError;
use rnix::ast::AttrpathValue;
use rnix::{NodeOrToken, SyntaxKind, SyntaxNode, SyntaxToken};
use rowan::ast::AstNode;

/// The doubtful places of one text.
pub(crate) struct Suspects<'a> {
    text: &'a str,
    ranges: Vec<TextRange>,
    /// The tree, where the text has errors: then nesting is doubted where the indentation contradicts it.
    broken: Option<SyntaxNode>,
}

impl<'a> Suspects<'a> {
    /// Finds them, given the text's syntax errors.
    pub(crate) fn of(document: &'a Document, errors: &[SyntaxError]) -> Self {
        let text = document.text();
        let dots = dangling_dots(text);
        if dots.is_empty() && errors.is_empty() {
            return Self { text, ranges: Vec::new(), broken: None };
        }
        let root = document.root().syntax().clone();
        let swallowed = dots.into_iter().filter_map(|dot| swallowing_binding(&root, dot));
        let broken = errors.iter().flat_map(|error| around_error(&root, error.range));
        Self { text, ranges: swallowed.chain(broken).collect(), broken: (!errors.is_empty()).then_some(root) }
    }

    /// Whether what the facts say about `range` may be wrong.
    pub(crate) fn contain(&self, range: TextRange) -> bool {
        self.ranges.iter().any(|suspect| suspect.intersect(range).is_some())
            || self.broken.as_ref().is_some_and(|root| self.contradicts_indentation(root, range))
    }

    /// Whether a binding around `range` is indented no deeper than one that it is said to be in.
    fn contradicts_indentation(&self, root: &SyntaxNode, range: TextRange) -> bool {
        if !root.text_range().contains_range(range) {
            return true;
        }
        // Much faster than looking for the token in a set of hundreds of bindings.
        let node = match root.covering_element(range) {
            NodeOrToken::Node(node) => Some(node),
            NodeOrToken::Token(token) => token.parent(),
        };
        let bindings = node
            .iter()
            .flat_map(SyntaxNode::ancestors)
            .filter(|n| n.kind() == SyntaxKind::NODE_ATTRPATH_VALUE);
        let starts: Vec<usize> = bindings.map(|n| usize::from(n.text_range().start())).collect();
        starts.windows(2).any(|pair| match pair {
            [inner, outer] => {
                let same_line = !self.text[*outer..*inner].contains('\n');
                !same_line && self.indentation(*inner) <= self.indentation(*outer)
            }
            _ => false,
        })
    }

    fn indentation(&self, offset: usize) -> usize {
        let line = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[line..offset].bytes().take_while(u8::is_ascii_whitespace).count()
    }
}

/// Offsets of dots that end their line, comments apart: cheap to find, seldom there.
fn dangling_dots(text: &str) -> Vec<TextSize> {
    let ends_line = |dot: &usize| {
        let rest = text[dot + 1..].trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
        rest.is_empty() || rest.starts_with('\n') || text[dot + 1..].starts_with(" #")
    };
    let dots = memchr::memchr_iter(b'.', text.as_bytes()).filter(ends_line);
    let is_code = |dot: &usize| {
        let start = text[..*dot].rfind('\n').map_or(0, |newline| newline + 1);
        !text[start..*dot].trim_start().starts_with('#')
    };
    dots.filter(is_code).filter_map(|dot| TextSize::try_from(dot).ok()).collect()
}

/// The whole binding whose attribute path goes on after the line's end at `dot`.
fn swallowing_binding(root: &SyntaxNode, dot: TextSize) -> Option<TextRange> {
    let token = tokens_at(root, dot).right_biased()?;
    let is_path_dot = token.kind() == SyntaxKind::TOKEN_DOT
        && token
            .parent()
            .is_some_and(|p| matches!(p.kind(), SyntaxKind::NODE_ATTRPATH | SyntaxKind::NODE_SELECT));
    is_path_dot.then(|| binding_around(&token)).flatten()
}

/// The innermost bindings at an error and just before it; the whole text where there is none.
fn around_error(root: &SyntaxNode, error: TextRange) -> Vec<TextRange> {
    let at = tokens_at(root, error.start()).right_biased();
    let before = at.as_ref().and_then(previous_token);
    let around: Vec<TextRange> = at.iter().chain(before.iter()).filter_map(binding_around).collect();
    if around.is_empty() { vec![root.text_range()] } else { around }
}

fn previous_token(token: &SyntaxToken) -> Option<SyntaxToken> {
    std::iter::successors(token.prev_token(), SyntaxToken::prev_token).find(|t| !t.kind().is_trivia())
}

fn binding_around(token: &SyntaxToken) -> Option<TextRange> {
    token.parent_ancestors().find_map(AttrpathValue::cast).map(|binding| binding.syntax().text_range())
}
