//! Parses only the definitions around a change, where that gives the same tree as parsing the whole text.
//!
//! Within a set the parser begins anew after each `;`. So the definitions from one `;` to another, or to the set's `}`, are
//! read in their place as they are read alone, if all that is opened in them is closed in them, errors or not; and their
//! trees can stand where the old ones stood. Everything else is for the parser.

use crate::TextRange;
use crate::brackets::is_balanced;
use crate::limit::Cost;
use crate::repair::{Repaired, repaired};
use crate::syntax::{SyntaxError, position};
use rnix::SyntaxKind::*;
use rnix::{ParseError, Root, SyntaxElement, SyntaxNode, TextSize};
use rowan::{GreenNode, NodeOrToken, WalkEvent};
use std::ops::Range;

/// So many sets around a change are tried, the innermost first.
const ATTEMPTS: usize = 4;

/// No deeper than this are definitions read by themselves, as the parser counts levels from the text's beginning and gives
/// up at 512.
const DEPTH: usize = 256;

/// A text's tree.
pub(crate) struct Parsed {
    pub(crate) tree: GreenNode,
    /// What is wrong in it.
    pub(crate) errors: Vec<ParseError>,
    /// What it cost at most; `None` where there is no bound.
    pub(crate) cost: Option<Cost>,
    /// The text that the tree is of, where something is missing in the text itself, and what.
    pub(crate) repaired: Option<Repaired>,
}

/// The tree of `text`, given a text before with its tree and what that cost. `None` where the whole has to be parsed.
pub(crate) fn reparse(
    before: &str,
    tree: &SyntaxNode,
    errors: &[ParseError],
    cost: Option<Cost>,
    text: &str,
) -> Option<Parsed> {
    let parsed = as_it_is(before, tree, errors, cost, text, true)?;
    Some(mended_elsewhere(text, &parsed).unwrap_or(parsed))
}

/// The same; only where it `mends` with what is missing in what is parsed anew.
fn as_it_is(
    before: &str,
    tree: &SyntaxNode,
    errors: &[ParseError],
    cost: Option<Cost>,
    text: &str,
    mends: bool,
) -> Option<Parsed> {
    let cost = cost?;
    let change = Change::between(before, text)?;
    // A text that is too much for the parser has a tree of its beginning only.
    tree.text_range().contains_range(change.old).then_some(())?;
    tree.covering_element(change.old)
        .ancestors()
        .filter(|node| matches!(node.kind(), NODE_ATTR_SET | NODE_LET_IN))
        .take(ATTEMPTS)
        .find_map(|set| within(&set, errors, cost, text, &change, mends))
}

/// What differs between two texts.
struct Change {
    /// The range in the text before, on character boundaries.
    old: TextRange,
    /// How long what stands there now is.
    new_len: TextSize,
}

impl Change {
    fn between(before: &str, after: &str) -> Option<Self> {
        let pairs = before.bytes().zip(after.bytes());
        let start = before.floor_char_boundary(pairs.take_while(|(a, b)| a == b).count());
        let pairs = before.as_bytes()[start..].iter().rev().zip(after.as_bytes()[start..].iter().rev());
        let same = pairs.take_while(|(a, b)| a == b).count();
        let end = before.ceil_char_boundary(before.len() - same);
        let new_end = after.len() - (before.len() - end);
        let size = |offset: usize| TextSize::try_from(offset).ok();
        Some(Self { old: TextRange::new(size(start)?, size(end)?), new_len: size(new_end - start)? })
    }

    /// Where something behind the change is now.
    fn moved(&self, offset: TextSize) -> TextSize {
        offset - self.old.len() + self.new_len
    }
}

/// The tree with the definitions of `set` around the change parsed anew.
fn within(
    set: &SyntaxNode,
    errors: &[ParseError],
    cost: Cost,
    text: &str,
    change: &Change,
    mends: bool,
) -> Option<Parsed> {
    let Around { elements, range } = Around::of(set, change.old)?;
    let region = text.get(usize::from(range.start())..usize::from(change.moved(range.end())))?;
    let cost = cost.with(Cost::of(region)?);
    cost.is_within().then_some(())?;
    let to_the_end = elements.end == set.children_with_tokens().count() - 1;
    let (parsed, found, repaired) = match alone(region, to_the_end) {
        Some((parsed, found)) if found.is_empty() => (parsed, found, None),
        broken => match mends.then(|| mended(region, to_the_end)).flatten() {
            Some((parsed, mended)) => (parsed, Vec::new(), Some(mended)),
            None => {
                let (parsed, found) = broken?;
                // What is wrong in a `let` is told by what stands around it, too.
                let is_set = set.kind() == NODE_ATTR_SET;
                (is_set && is_balanced(rnix::tokenize(region).map(|(kind, _)| kind))).then_some(())?;
                (parsed, found, None)
            }
        },
    };
    let depth = parsed.iter().filter_map(|element| element.as_node()).map(depth).max().unwrap_or_default();
    (set.ancestors().count() + depth < DEPTH).then_some(())?;

    let (mut all, mut behind) = (Vec::new(), Vec::new());
    for error in errors {
        let at = position(error)?;
        // An empty range may be that of what is missing on either side of it.
        if at.end() < range.start() || at.end() == range.start() && !at.is_empty() {
            all.push(error.clone());
        } else if at.start() > range.end() || at.start() == range.end() && !at.is_empty() {
            behind.push(moved(error, |offset| change.moved(offset))?);
        } else if !range.contains_range(at) {
            return None;
        }
    }
    for error in &found {
        all.push(moved(error, |offset| offset + range.start() - TextSize::of('{'))?);
    }
    all.extend(behind);
    let repaired = match repaired {
        // Only where nothing else is wrong.
        Some(_) if !all.is_empty() => return None,
        Some(Repaired { text: mended, error }) => {
            let mut whole = text.to_owned();
            let start = usize::from(range.start());
            whole.replace_range(start..start + region.len(), &mended);
            let error = SyntaxError { range: error.range + range.start(), ..error };
            Some(Repaired { text: whole, error })
        }
        None => None,
    };

    let parsed = parsed.into_iter().map(|element| match element {
        NodeOrToken::Node(node) => NodeOrToken::Node(node.green().to_owned()),
        NodeOrToken::Token(token) => NodeOrToken::Token(token.green().to_owned()),
    });
    let green = set.green().splice_children(elements, parsed);
    let tree = set.replace_with(green);
    Some(Parsed { tree, errors: all, cost: Some(cost), repaired })
}

/// The part of a set that is parsed anew for a change.
struct Around {
    /// Which of its children: from behind a `;` or its beginning to a `;` or its `}`.
    elements: Range<usize>,
    range: TextRange,
}

impl Around {
    fn of(set: &SyntaxNode, change: TextRange) -> Option<Self> {
        let (mut first, mut start) = (None, TextSize::default());
        for (index, element) in set.children_with_tokens().enumerate() {
            let range = element.text_range();
            match element.kind() {
                TOKEN_L_BRACE if range.end() <= change.start() => {
                    (first, start) = (Some(index + 1), range.end())
                }
                // What follows directly would be a part of the word.
                TOKEN_LET if range.end() < change.start() => (first, start) = (Some(index + 1), range.end()),
                TOKEN_IN => return None,
                TOKEN_R_BRACE if change.end() <= range.start() => {
                    return Some(Self {
                        elements: first?..index,
                        range: TextRange::new(start, range.start()),
                    });
                }
                NODE_ATTRPATH_VALUE | NODE_INHERIT if is_closed(&element) => {
                    if range.end() <= change.start() {
                        (first, start) = (Some(index + 1), range.end());
                    } else if change.end() < range.end() {
                        let range = TextRange::new(start, range.end());
                        return Some(Self { elements: first?..index + 1, range });
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Whether a definition ends with its `;`.
fn is_closed(definition: &SyntaxElement) -> bool {
    let last = definition.as_node().and_then(SyntaxNode::last_child_or_token);
    last.is_some_and(|last| last.kind() == TOKEN_SEMICOLON)
}

/// What a text is in a set, and what is wrong in it; `None` where it is not just definitions, up to the set's end or to a
/// `;`.
fn alone(text: &str, to_the_end: bool) -> Option<(Vec<SyntaxElement>, Vec<ParseError>)> {
    let parse = Root::parse(&["{", text, "}"].concat());
    let root = parse.syntax();
    let set = root.first_child_or_token()?;
    let is_whole = set.kind() == NODE_ATTR_SET && set.text_range() == root.text_range();
    let mut elements: Vec<_> = is_whole.then_some(set)?.as_node()?.children_with_tokens().collect();
    let is_brace =
        |element: Option<&SyntaxElement>, kind| element.is_some_and(|element| element.kind() == kind);
    let is_set = is_brace(elements.first(), TOKEN_L_BRACE) && is_brace(elements.last(), TOKEN_R_BRACE);
    is_set.then(|| elements.remove(0))?;
    elements.pop()?;
    (to_the_end || elements.last().is_some_and(is_closed)).then(|| (elements, parse.errors().to_vec()))
}

/// What a text is in a set with what was missing in it, where that is all that is wrong.
fn mended(text: &str, to_the_end: bool) -> Option<(Vec<SyntaxElement>, Repaired)> {
    let set = ["{", text, "}"].concat();
    let parse = Root::parse(&set);
    let Repaired { text, error } = repaired(&set, &parse.syntax(), parse.errors())?;
    let text = text.get(1..text.len() - 1)?.to_owned();
    let (elements, found) = alone(&text, to_the_end)?;
    let range = error.range.checked_sub(TextSize::of('{'))?;
    found.is_empty().then_some((elements, Repaired { text, error: SyntaxError { range, ..error } }))
}

/// The same with what was missing in another place than where the text was edited, where that is all that is wrong.
fn mended_elsewhere(text: &str, parsed: &Parsed) -> Option<Parsed> {
    let root = SyntaxNode::new_root(parsed.tree.clone());
    let repaired = repaired(text, &root, &parsed.errors)?;
    let mended = as_it_is(text, &root, &parsed.errors, parsed.cost, &repaired.text, false)?;
    mended.errors.is_empty().then(|| Parsed { repaired: Some(repaired), ..mended })
}

/// How many nodes are in each other at most.
fn depth(node: &SyntaxNode) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for event in node.preorder() {
        match event {
            WalkEvent::Enter(_) => {
                now += 1;
                most = most.max(now);
            }
            WalkEvent::Leave(_) => now -= 1,
        }
    }
    most
}

/// The same error elsewhere; `None` for one that is about the text's end.
fn moved(error: &ParseError, to: impl Fn(TextSize) -> TextSize) -> Option<ParseError> {
    let at = |range: &TextRange| TextRange::new(to(range.start()), to(range.end()));
    Some(match error {
        ParseError::Unexpected(range) => ParseError::Unexpected(at(range)),
        ParseError::UnexpectedExtra(range) => ParseError::UnexpectedExtra(at(range)),
        ParseError::UnexpectedWanted(got, range, wanted) => {
            ParseError::UnexpectedWanted(*got, at(range), wanted.clone())
        }
        ParseError::UnexpectedDoubleBind(range) => ParseError::UnexpectedDoubleBind(at(range)),
        ParseError::DuplicatedArgs(range, name) => ParseError::DuplicatedArgs(at(range), name.clone()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::Document;
    use proptest::prelude::*;
    use rowan::GreenNode;
    use rowan::ast::AstNode as _;

    fn tree(document: &Document) -> GreenNode {
        document.root().syntax().green().to_owned()
    }

    /// Whether only a part was parsed; the tree must be the same as that of the whole text in either case.
    fn check(before: &str, after: &str) -> bool {
        let first = Document::new(before);
        let (edited, whole) = (first.edited(after), Document::new(after));
        assert_eq!(tree(&edited), tree(&whole), "{before:?} -> {after:?}");
        assert_eq!(edited.syntax_errors(), whole.syntax_errors(), "{before:?} -> {after:?}");
        assert_eq!(edited.facts(), whole.facts(), "{before:?} -> {after:?}");
        super::reparse(before, first.root().syntax(), first.errors(), first.cost(), after).is_some()
    }

    #[test]
    fn a_change_between_definitions_parses_the_definitions_around_it() {
        for (before, after) in [
            ("{ a = 1; b = 2; }", "{ a = 15; b = 2; }"),
            ("{ a = 1; }", "{ a = 1; b = 2; }"),
            ("{ a = 1; }", "{ ba = 1; }"),
            ("{ a = 1; b = 2; }", "{ a = 1; # b = 2;\n }"),
            ("{ a = 1; b = 2; }", "{ a = 1; c b = 2; }"),
            ("{ a = 1; c b = 2; }", "{ a = 1; c. b = 2; }"),
            ("{ a = 1; b = 2; c = 3; }", "{ a = 1; b = 2 c = 3; }"),
            ("{ x z = 1; y = 1; b z = 2; }", "{ x z = 1; y = 12; b z = 2; }"),
            ("{ a.b = { c = \"x\"; }; }", "{ a.b = { c = \"xé\"; }; }"),
            ("let a = 1; in { b = a; }", "let a = x: x; in { b = a; }"),
            ("{ a = ''\n  ${b}\n''; }", "{ a = ''\n  ${b}c\n''; }"),
            ("{ a = \"${x { b = 1; }}\"; }", "{ a = \"${x { b = 12; }}\"; }"),
            ("{ a = { b = 1; }; }", "{ a = { b = 1; c = 2; }; }"),
            ("{ }", "{ a = 1; }"),
            ("{ a = x y; b c; d = 1\n e = 2; }", "{ a = x y; b = c; d = 1\n e = 2; }"),
            ("{ x = { a = 1 }; b = 2; }", "{ x = { a = 1; }; b = 2; }"),
        ] {
            assert!(check(before, after), "{before} -> {after}");
        }
    }

    #[test]
    fn a_change_that_opens_or_closes_something_parses_the_whole() {
        for (before, after) in [
            ("{ a = 1; b = 2; }", "{ a = 1; # b = 2; }"),
            ("{ a = 1; b = \"\"; }", "{ a = \"1; b = \"\"; }"),
            ("{ a = 1; b = 2; }", "{ a = 1; } { b = 2; }"),
            ("{ a = 1; /* c */ b = 2; }", "{ a = /* 1; /* c */ b = 2; }"),
            ("{ a = 1; } // { b = 2; }", "{ a = 1; } // c // { b = 2; }"),
            ("( { a = 1; } )", "( { a = 1 ); } )"),
            ("let a = 1; in a", "let a = 1; b in a"),
            ("let a = 1; in a", "letx a = 1; in a"),
            ("{ a = 1; }", "{ a, a = 1; }"),
        ] {
            assert!(!check(before, after), "{before} -> {after}");
        }
    }

    #[test]
    fn a_definition_is_typed_without_parsing_the_others() {
        let (before, after) =
            ("{ config, ... }:\n{\n  a.b = { c = 1; };\n", "\n  # d\n  d.e = { f = 2; };\n}\n");
        let typed = "  g.h = config.i;";
        let mut document = Document::new([before, after].concat());
        for end in 1..=typed.len() {
            let text = [before, &typed[..end], after].concat();
            let edited = document.edited(text.as_str());
            let whole = Document::new(text.as_str());
            assert_eq!(tree(&edited), tree(&whole), "{text}");
            assert_eq!(edited.syntax_errors(), whole.syntax_errors(), "{text}");
            assert_eq!(edited.facts(), whole.facts(), "{text}");
            // From the `=` on nothing else is hidden.
            let others = edited
                .facts()
                .settings
                .iter()
                .filter(|it| ["c", "f"].map(String::from).contains(&it.path.0[it.path.0.len() - 1]));
            assert!(end < 7 || others.count() == 2, "{text}");
            assert_eq!(edited.has_syntax_errors(), !matches!(end, 1 | 2 | 4 | 17), "{text}");
            document = edited;
        }
    }

    #[test]
    fn levels_are_counted_from_the_beginning() {
        let nested = |levels: usize, value: &str| {
            format!("{{ a = {}{value}{}; }}", "{ a = ".repeat(levels), "; }".repeat(levels))
        };
        for levels in [50, 200, 300, 500, 520] {
            check(&nested(levels, "1"), &nested(levels, "[ (1) ]"));
        }
    }

    const PIECES: [&str; 40] = [
        "a",
        "b.c",
        " = ",
        ";",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "''",
        "${",
        "}",
        "#",
        "\n",
        "/*",
        "*/",
        " ",
        "let ",
        " in ",
        "rec ",
        "with x;",
        "inherit a;",
        "1",
        ":",
        "x: ",
        "{ x }: ",
        "//",
        "++",
        "é",
        "😀",
        "\r\n",
        "./p",
        "$",
        "\\",
        "''$",
        "= {",
        "};",
        "if a then b else c",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_change_gives_the_tree_of_the_whole_text(
            start in 0.0..1.0_f64,
            len in 0_usize..12,
            pieces in proptest::collection::vec(prop::sample::select(PIECES.to_vec()), 0..4),
        ) {
            let before = include_str!("tests/robust.nix");
            let at = |offset: usize| before.floor_char_boundary(offset.min(before.len()));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let start = at((start * before.len() as f64) as usize);
            let after = [&before[..start], &pieces.concat(), &before[at(start + len)..]].concat();
            check(before, &after);
        }

        #[test]
        fn changes_in_a_row_stay_right(changes in proptest::collection::vec((0_usize..200, prop::sample::select(PIECES.to_vec())), 1..12)) {
            let mut text = "{ a = 1; b.c = { d = \"x${y}\"; }; e = [ 1 (f: g) ]; }".to_owned();
            let mut document = Document::new(text.as_str());
            for (at, piece) in changes {
                let at = text.floor_char_boundary(at.min(text.len()));
                text.insert_str(at, piece);
                document = document.edited(text.as_str());
                let whole = Document::new(text.as_str());
                prop_assert_eq!(tree(&document), tree(&whole));
                prop_assert_eq!(document.syntax_errors(), whole.syntax_errors());
            }
        }
    }
}
