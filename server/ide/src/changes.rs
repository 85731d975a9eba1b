//! Where the parts of an old text are in a new one.
//!
//! What was found out about an old text is shown in a newer one only where the text that it is about is still there. A part
//! that may have changed counts as changed.

use crate::{TextRange, TextSize};
use imara_diff::{Algorithm, Diff, InternedInput};

/// So many lines between the first and the last change are compared, as that takes more than its share where there are many; in
/// a text with more, all of them count as changed.
const LINES: usize = 10_000;

/// The parts that two texts have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// In order of both texts.
    same: Vec<Same>,
}

/// A part of both texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Same {
    old: usize,
    new: usize,
    len: usize,
}

impl Changes {
    /// Compares two texts: what is before the first and after the last change byte by byte, what is between by lines.
    pub(crate) fn between(old: &str, new: &str) -> Self {
        let start = common(old.bytes(), new.bytes());
        let start = floor(old, start).min(floor(new, start));
        let (old_rest, new_rest) = (&old[start..], &new[start..]);
        let end = common(old_rest.bytes().rev(), new_rest.bytes().rev());
        let end = old_rest.len() - ceil(old_rest, old_rest.len() - end);
        let (old_middle, new_middle) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);

        let mut same = vec![Same { old: 0, new: 0, len: start }];
        for common in lines_in_common(old_middle, new_middle) {
            same.push(Same { old: start + common.old, new: start + common.new, len: common.len });
        }
        same.push(Same { old: old.len() - end, new: new.len() - end, len: end });
        let mut joined: Vec<Same> = Vec::new();
        for part in same.into_iter().filter(|part| part.len > 0) {
            match joined.last_mut() {
                Some(last) if last.old + last.len == part.old && last.new + last.len == part.new => {
                    last.len += part.len;
                }
                _ => joined.push(part),
            }
        }
        Self { same: joined }
    }

    /// Where a range of the old text is in the new one; `None` where it does not stand there as it did.
    pub(crate) fn moved(&self, old: TextRange) -> Option<TextRange> {
        let (start, end) = (usize::from(old.start()), usize::from(old.end()));
        let part = self.same.iter().find(|part| part.old <= start && end <= part.old + part.len)?;
        let at = TextSize::try_from(part.new + (start - part.old)).ok()?;
        Some(TextRange::at(at, old.len()))
    }

    /// Whether `word` is in a part of the old text that is not in the new one.
    pub(crate) fn lost(&self, old: &str, word: &str) -> bool {
        let mut end = 0;
        let ends = self.same.iter().map(|part| (part.old, part.old + part.len));
        ends.chain([(old.len(), old.len())]).any(|(start, next)| {
            let gap = old.get(end..start).unwrap_or_default();
            end = next;
            gap.contains(word)
        })
    }

    /// Whether a range of the new text stood so in the old one.
    pub(crate) fn stood(&self, new: TextRange) -> bool {
        let (start, end) = (usize::from(new.start()), usize::from(new.end()));
        self.same.iter().any(|part| part.new <= start && end <= part.new + part.len)
    }
}

fn common(a: impl Iterator<Item = u8>, b: impl Iterator<Item = u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

fn lines_in_common(old: &str, new: &str) -> Vec<Same> {
    if old.is_empty() || new.is_empty() {
        return Vec::new();
    }
    let input = InternedInput::new(old, new);
    if input.before.len().max(input.after.len()) > LINES {
        return Vec::new();
    }
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let (old, new) = (starts(old), starts(new));
    // What is between two changes is in both.
    let end = [old.len() as u32 - 1, new.len() as u32 - 1];
    let changes =
        diff.hunks().map(|hunk| ([hunk.before.start, hunk.after.start], [hunk.before.end, hunk.after.end]));
    let mut at = [0, 0];
    let common = changes.chain([(end, end)]).filter_map(|(start, next)| {
        let [from, new_from] = std::mem::replace(&mut at, next);
        let start_of = |starts: &[usize], line: u32| starts.get(line as usize).copied();
        let (from, to) = (start_of(&old, from)?, start_of(&old, start[0])?);
        Some(Same { old: from, new: start_of(&new, new_from)?, len: to - from })
    });
    common.filter(|common| common.len > 0).collect()
}

/// Where each line starts, and where the last one ends.
fn starts(text: &str) -> Vec<usize> {
    let ends = text.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str, part: &str) -> TextRange {
        let at = text.find(part).expect("the part");
        TextRange::at(TextSize::try_from(at).expect("small"), TextSize::of(part))
    }

    #[test]
    fn what_is_around_one_change_is_found_to_the_letter() {
        let (old, new) = ("a = 1; b = 2; c = 3;", "a = 1; b = 2222; c = 3;");
        let changes = Changes::between(old, new);
        assert_eq!(changes.moved(range(old, "a = 1;")), Some(range(new, "a = 1;")));
        assert_eq!(changes.moved(range(old, "c = 3;")), Some(range(new, "c = 3;")));
        assert_eq!(changes.moved(range(old, "b = 2; ")), None);
        assert!(changes.stood(range(new, "c = 3;")) && !changes.stood(range(new, "b = 2222;")));
    }

    #[test]
    fn lines_between_changes_are_found() {
        let (old, new) = ("a = 1;\nb = 2;\nc = 3;\nd = é;\n", "a = 10;\nx = 0;\nb = 2;\nc = 3;\nd = è;\n");
        let changes = Changes::between(old, new);
        assert_eq!(changes.moved(range(old, "b = 2;\nc = 3;")), Some(range(new, "b = 2;\nc = 3;")));
        assert_eq!(changes.moved(range(old, "a = 1;")), None);
        assert_eq!(changes.moved(range(old, "é")), None);
    }

    #[test]
    fn words_that_are_gone_are_known() {
        let old = "a = 1;\nb = 2;\nc = 3;\n";
        let changes = Changes::between(old, "a = 1;\nc = 3;\n");
        assert!(changes.lost(old, "b") && !changes.lost(old, "a") && !changes.lost(old, "c"));
        assert!(Changes::between(old, "a = 1;\n").lost(old, "c"));
    }

    #[test]
    fn what_was_cut_out_of_a_range_changes_it() {
        let changes = Changes::between("{ a = 1; b = 2; }", "{ a = 1; }");
        assert!(!changes.stood(range("{ a = 1; }", "{ a = 1; }")));
    }

    #[test]
    fn what_is_between_the_ends_of_a_very_long_text_counts_as_changed() {
        let text = |lines: usize, end: &str| format!("{end}\n{}{end}\n", "a = 1;\n".repeat(lines));
        let stands = |lines: usize| {
            let (old, new) = (text(lines, "x"), text(lines, "y"));
            Changes::between(&old, &new).moved(range(&old, "a = 1;")).is_some()
        };
        assert!(stands(LINES - 2) && !stands(LINES));
    }

    proptest! {
        #[test]
        fn what_stands_is_the_same_text(
            old in prop::collection::vec(prop::sample::select(vec!["a\n", "b\n", "é", "c", "\n", "d e"]), 0..12),
            new in prop::collection::vec(prop::sample::select(vec!["a\n", "b\n", "è", "c", "\n", "d e"]), 0..12),
            at in any::<prop::sample::Index>(), len in 0_usize..6,
        ) {
            let (old, new) = (old.concat(), new.concat());
            let changes = Changes::between(&old, &new);
            let start = at.index(old.len() + 1);
            let end = (start + len).min(old.len());
            let size = |at| TextSize::try_from(at).expect("small");
            if let (Some(part), Some(moved)) = (old.get(start..end), changes.moved(TextRange::new(size(start), size(end)))) {
                prop_assert_eq!(part, &new[std::ops::Range::<usize>::from(moved)]);
                prop_assert!(changes.stood(moved));
            }
        }
    }
}
