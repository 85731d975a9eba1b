//! Selection: from a position outwards, what the text holds together.

use crate::syntax::tokens_at;
use crate::{TextRange, TextSize};
use rnix::SyntaxNode;

/// The ranges around `offset`, the innermost first; each holds the one before it.
pub(crate) fn selection(root: &SyntaxNode, offset: TextSize) -> Vec<TextRange> {
    let tokens = tokens_at(root, offset);
    let Some(token) = tokens.clone().find(|token| !token.kind().is_trivia()).or_else(|| tokens.left_biased())
    else {
        return vec![root.text_range()];
    };
    let nodes = token.parent_ancestors().map(|node| node.text_range());
    let mut ranges: Vec<TextRange> = std::iter::once(token.text_range()).chain(nodes).collect();
    ranges.dedup();
    ranges
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::expect;

    #[test]
    fn a_selection_grows_by_what_belongs_together() {
        let fixture = Fixture::new("{ a = [ f x$0.y ]; }");
        let ranges = fixture.analysis().selection(&fixture.path, fixture.offset);
        let text = fixture.text(&fixture.path);
        let shown: String = ranges.iter().map(|range| format!("{}\n", &text[*range])).collect();
        expect![[r#"
            x
            x.y
            [ f x.y ]
            a = [ f x.y ];
            { a = [ f x.y ]; }
        "#]]
        .assert_eq(&shown);
    }
}
