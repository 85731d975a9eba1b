//! Comments that say which diagnostics are not wanted: `# codchi: allow CODE, CODE`.

use super::Allow;
use crate::{TextRange, TextSize};
use rnix::SyntaxKind::TOKEN_COMMENT;
use rnix::SyntaxNode;

const MARK: &str = "codchi: allow ";

/// All of them, in order of the text.
pub(super) fn allows(text: &str, root: &SyntaxNode) -> Vec<Allow> {
    let found = text.match_indices(MARK).filter_map(|(at, _)| {
        let offset = TextSize::try_from(at).ok()?;
        // What is cut off for the parser has no tree.
        let token =
            root.text_range().contains(offset).then(|| root.token_at_offset(offset).right_biased())??;
        let begins =
            text[usize::from(token.text_range().start())..at].trim_start_matches('#').trim().is_empty();
        (token.kind() == TOKEN_COMMENT && begins).then(|| allow(text, at))
    });
    found.collect()
}

/// The one whose mark is at `at`.
fn allow(text: &str, at: usize) -> Allow {
    let start = at + MARK.len();
    let end = text[start..].find(['\n', '\r']).map_or(text.len(), |len| start + len);
    let mut codes = Vec::new();
    let mut offset = start;
    for part in text[start..end].split_inclusive(',') {
        // What follows a code is why it is allowed.
        let code: &str = part.trim_start().split([' ', '\t', ',', ':', '(']).next().unwrap_or_default();
        let begin = offset + (part.len() - part.trim_start().len());
        if !code.is_empty() {
            codes.push((code.to_owned(), text_range(begin, begin + code.len())));
        }
        offset += part.len();
        let is_list = part.trim_start()[code.len()..].trim_start().starts_with(',');
        if !is_list {
            break;
        }
    }
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let alone = text[line..at].trim_start().starts_with('#');
    let lines = if alone {
        // The next line that has something on it but a comment.
        let mut begin = end;
        let mut rest = text[end..].split_inclusive('\n').skip(1);
        begin += text[end..].find('\n').map_or(0, |len| len + 1);
        loop {
            match rest.next() {
                Some(next) if next.trim().is_empty() || next.trim_start().starts_with('#') => {
                    begin += next.len()
                }
                Some(next) => break text_range(begin, begin + next.trim_end().len()),
                None => break text_range(end, end),
            }
        }
    } else {
        text_range(line, end)
    };
    Allow { codes, lines }
}

fn text_range(start: usize, end: usize) -> TextRange {
    let size = |offset: usize| TextSize::try_from(offset).unwrap_or_default();
    TextRange::new(size(start), size(end))
}
