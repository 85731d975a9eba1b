//! Folding: sets, lists, `let`s, strings of several lines and blocks of comments.

use crate::{Document, Fold, FoldKind, TextRange};
use rnix::{NodeOrToken, SyntaxKind};
use rowan::ast::AstNode as _;

/// Everything in the text that can be folded, in order of where it begins.
pub(crate) fn folds(document: &Document) -> Vec<Fold> {
    // Looked up, for to look through the text of each node is to look through all of it once a level.
    let has_lines = |range: TextRange| {
        let line = |offset| document.lines().line_col(offset).line;
        line(range.start()) < line(range.end())
    };
    let mut folds = Vec::new();
    // The comments of a block: each begins a line, and nothing is between them.
    let mut block: Option<TextRange> = None;
    let mut lines_between = 0;
    for element in document.root().syntax().descendants_with_tokens() {
        match element {
            NodeOrToken::Node(node) => {
                let foldable = matches!(
                    node.kind(),
                    SyntaxKind::NODE_ATTR_SET
                        | SyntaxKind::NODE_LIST
                        | SyntaxKind::NODE_LET_IN
                        | SyntaxKind::NODE_STRING
                );
                if foldable {
                    folds.push(Fold { range: node.text_range(), kind: FoldKind::Code });
                }
            }
            NodeOrToken::Token(token) => match token.kind() {
                SyntaxKind::TOKEN_COMMENT => {
                    block = match block {
                        Some(block) if lines_between <= 1 => Some(block.cover(token.text_range())),
                        other => {
                            folds.extend(other.map(comment));
                            Some(token.text_range())
                        }
                    };
                    lines_between = 0;
                }
                SyntaxKind::TOKEN_WHITESPACE => lines_between += token.text().matches('\n').count(),
                _ => folds.extend(block.take().map(comment)),
            },
        }
    }
    folds.extend(block.map(comment));
    folds.retain(|fold| has_lines(fold.range));
    folds.sort_by_key(|fold| (fold.range.start(), fold.range.end()));
    folds
}

fn comment(range: TextRange) -> Fold {
    Fold { range, kind: FoldKind::Comment }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::expect;

    #[test]
    fn what_takes_several_lines_can_be_folded() {
        let text = "# a\n# b\n{ x }:\nlet\n  a = 1;\nin\n{\n  # one\n  b = [\n    1\n  ];\n  c = { };\n  d = ''\n    e\n  '';\n\n  /* f\n     g */\n  # h\n\n  # i\n}\n";
        let fixture = Fixture::new(text);
        let folds = fixture.analysis().folds(&fixture.path);
        let shown: String =
            folds.iter().map(|fold| format!("{:?} {:?}\n", fold.kind, &text[fold.range])).collect();
        expect![[r##"
            Comment "# a\n# b"
            Code "let\n  a = 1;\nin\n{\n  # one\n  b = [\n    1\n  ];\n  c = { };\n  d = ''\n    e\n  '';\n\n  /* f\n     g */\n  # h\n\n  # i\n}"
            Code "{\n  # one\n  b = [\n    1\n  ];\n  c = { };\n  d = ''\n    e\n  '';\n\n  /* f\n     g */\n  # h\n\n  # i\n}"
            Code "[\n    1\n  ]"
            Code "''\n    e\n  ''"
            Comment "/* f\n     g */\n  # h"
        "##]].assert_eq(&shown);
    }
}
