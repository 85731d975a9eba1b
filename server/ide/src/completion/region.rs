//! The part of a long text that matters at the cursor, so that trying out endings costs the same in a text of any length.
//!
//! What the tree says to the left of the cursor can be believed: the parser reads from there. So everything around the
//! cursor's binding is kept as it is, the bindings beside those are left out, and what is open is closed. Where that is
//! not Nix after all, the [probe](super::probe) takes the whole text.

use crate::syntax::{is_local, tokens_at};
use crate::{Document, TextRange, TextSize};
use rnix::ast::{AttrpathValue, BinOp};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode;
use std::collections::BTreeSet;

/// A text of fewer bytes is taken as a whole.
const SHORT: usize = 4096;
/// A region of more bytes is no gain over the whole text, which needs no other ending as often as not.
const LONG: usize = 16 << 10;
/// A local name's binding is kept if it is on a line and up to this long: it may say what the name stands for.
const SHORT_BINDING: usize = 160;

/// The text before the word at the cursor's end, and after it.
pub(super) struct Region {
    pub(super) before: String,
    pub(super) after: String,
}

impl Region {
    /// Cuts it out; `word` is where the cursor's word ends. `None` where it is best to take the whole text.
    pub(super) fn new(document: &Document, offset: TextSize, end_of_word: TextSize) -> Option<Self> {
        let text = document.text();
        if text.len() < SHORT {
            return None;
        }
        let root = document.root();
        let token = tokens_at(root.syntax(), offset).left_biased()?;
        let sets: Vec<SyntaxNode> = token.parent_ancestors().filter(has_entries).collect();
        let innermost = sets.iter().position(|set| !is_in_body(set, offset))?;
        let inner = sets.get(innermost)?;
        let held = held(inner, offset);
        let start = held.map_or(offset, TextRange::start);

        let head = head(text, start, end_of_word)?;
        let mut before = String::new();
        let mut at = TextSize::new(0);
        for (depth, set) in sets.iter().enumerate().rev() {
            for entry in entries(set).take_while(|entry| entry.text_range().end() <= start) {
                let range = entry.text_range();
                if range.start() < at {
                    continue;
                }
                before.push_str(text.get(usize::from(at)..usize::from(range.start()))?);
                at = range.end();
                if set.kind() == SyntaxKind::NODE_ATTR_SET {
                    before.extend((depth == innermost).then(|| name_only(&entry, head)).flatten());
                } else {
                    let binding = text.get(usize::from(range.start())..usize::from(range.end()))?;
                    let is_short = binding.len() <= SHORT_BINDING && !binding.contains('\n');
                    before.extend(is_short.then_some(binding));
                }
            }
        }
        before.push_str(text.get(usize::from(at)..usize::from(offset))?);

        let end = end(text, usize::from(start), usize::from(end_of_word), held.is_some())?;
        let mut after = text.get(usize::from(end_of_word)..end)?.to_owned();
        let mut later = BTreeSet::new();
        for entry in entries(inner).filter(|entry| usize::from(entry.text_range().start()) >= end) {
            later.extend(name_only(&entry, head));
        }
        let later: String = later.into_iter().collect();
        after.push_str(&format!("\n{later}{}", closed(inner, offset)?));
        (before.len() + after.len() <= LONG).then_some(Self { before, after })
    }
}

fn has_entries(node: &SyntaxNode) -> bool {
    matches!(node.kind(), SyntaxKind::NODE_ATTR_SET | SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET)
}

fn entries(set: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    set.children()
        .filter(|child| matches!(child.kind(), SyntaxKind::NODE_ATTRPATH_VALUE | SyntaxKind::NODE_INHERIT))
}

/// Whether the offset is behind the `in` of a `let`.
fn is_in_body(set: &SyntaxNode, offset: TextSize) -> bool {
    let inside = set.children_with_tokens().find(|part| part.kind() == SyntaxKind::TOKEN_IN);
    inside.is_some_and(|token| token.text_range().end() <= offset)
}

/// The binding that the cursor is in, or that has no end yet before it.
fn held(set: &SyntaxNode, offset: TextSize) -> Option<TextRange> {
    let before = entries(set).take_while(|entry| entry.text_range().start() <= offset).last()?;
    let ended = before.last_token().is_some_and(|last| last.kind() == SyntaxKind::TOKEN_SEMICOLON);
    let range = before.text_range();
    (!ended || offset < range.end()).then_some(range)
}

/// The first name of the binding at the cursor with its dot; empty where the cursor is in the first name.
fn head(text: &str, start: TextSize, end_of_word: TextSize) -> Option<&str> {
    let binding = text.get(usize::from(start)..usize::from(end_of_word))?;
    Some(binding.find('.').and_then(|dot| binding.get(..=dot)).unwrap_or_default())
}

/// A binding of the same name without its value: it is not offered again.
fn name_only(entry: &SyntaxNode, head: &str) -> Option<String> {
    let binding = AttrpathValue::cast(entry.clone()).filter(|binding| !is_local(binding))?;
    let path = binding.attrpath()?;
    if head.is_empty() {
        let has_one_name = path.attrs().nth(1).is_none();
        return has_one_name.then(|| format!("{} = 0;", path.syntax().text()));
    }
    let first = path.attrs().next()?.syntax().text().to_string();
    (head.strip_suffix('.') == Some(first.as_str())).then(|| format!("{} = 0;", path.syntax().text()))
}

/// Where the binding at the cursor ends, by brackets and indentation: the parser does not know in half-typed text.
fn end(text: &str, start: usize, cursor: usize, is_binding: bool) -> Option<usize> {
    let line_start = text.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let first_line = text.get(line_start..)?;
    let indentation = indentation(first_line);
    let begins_line = text.get(line_start..start)?.trim().is_empty();
    let mut depth = 0_i32;
    let mut line = start;
    for part in text.get(start..)?.split_inclusive('\n') {
        let is_later = line > cursor;
        if is_later && !is_binding {
            return Some(line);
        }
        if is_later && !part.trim().is_empty() {
            let closes = part.trim_start().starts_with(['}', ']', ')', '"', '\'']);
            let own = closes && begins_line && self::indentation(part) == indentation;
            if self::indentation(part) <= indentation && !own {
                return Some(line);
            }
        }
        for (at, byte) in part.bytes().enumerate() {
            match byte {
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' => depth -= 1,
                _ => {}
            }
            if line + at >= cursor && depth < 0 {
                return Some(line + at);
            }
            if line + at >= cursor && depth == 0 && byte == b';' {
                return Some(line + at + 1);
            }
        }
        line += part.len();
    }
    Some(line)
}

fn indentation(line: &str) -> usize {
    line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// What closes everything that is open around the cursor, from the set on. `None` where that is not to be told.
fn closed(set: &SyntaxNode, offset: TextSize) -> Option<String> {
    let mut closed = String::new();
    for node in set.ancestors() {
        let is_behind = |kind: SyntaxKind| {
            let token = node.children_with_tokens().find(|part| part.kind() == kind);
            token.is_some_and(|token| token.text_range().end() <= offset)
        };
        closed.push_str(match node.kind() {
            SyntaxKind::NODE_ATTR_SET => "}",
            SyntaxKind::NODE_LIST => "]",
            SyntaxKind::NODE_PAREN | SyntaxKind::NODE_INHERIT_FROM => ")",
            SyntaxKind::NODE_INTERPOL | SyntaxKind::NODE_DYNAMIC => "}",
            SyntaxKind::NODE_ATTRPATH_VALUE | SyntaxKind::NODE_INHERIT => ";",
            SyntaxKind::NODE_LET_IN if is_in_body(&node, offset) => "",
            SyntaxKind::NODE_LET_IN => " in 0",
            SyntaxKind::NODE_LEGACY_LET => "}",
            SyntaxKind::NODE_WITH | SyntaxKind::NODE_ASSERT if is_behind(SyntaxKind::TOKEN_SEMICOLON) => "",
            SyntaxKind::NODE_WITH | SyntaxKind::NODE_ASSERT => "; 0",
            SyntaxKind::NODE_IF_ELSE if is_behind(SyntaxKind::TOKEN_ELSE) => "",
            SyntaxKind::NODE_IF_ELSE if is_behind(SyntaxKind::TOKEN_THEN) => " else 0",
            SyntaxKind::NODE_IF_ELSE => " then 0 else 0",
            SyntaxKind::NODE_STRING => match node.first_token()?.text() {
                "\"" => "\"",
                _ => "''",
            },
            // What is updated by another set is a part of the value as well as that one.
            SyntaxKind::NODE_BIN_OP => {
                BinOp::cast(node.clone())?.operator()?;
                ""
            }
            SyntaxKind::NODE_APPLY
            | SyntaxKind::NODE_SELECT
            | SyntaxKind::NODE_LAMBDA
            | SyntaxKind::NODE_ATTRPATH
            | SyntaxKind::NODE_ROOT => "",
            _ => return None,
        });
    }
    Some(closed)
}

#[cfg(test)]
mod tests {
    use super::super::probe::Probe;
    use crate::Document;
    use crate::TextSize;
    use crate::fixture::Fixture;
    use crate::syntax::site;
    use crate::tests::MODULE;
    use rnix::SyntaxKind;

    /// A text that is long only because of what is beside the cursor.
    fn long(text: &str) -> String {
        let filler: String = (0..100)
            .map(|n| format!("  filler.\"a{n}\".b = {{ c = [ \"(\" ]; d = ''\n    }} ]\n  ''; }};\n"))
            .collect();
        text.replace("#FILL", &filler)
    }

    #[test]
    fn a_long_text_offers_what_a_short_one_does() {
        for text in [
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.gpu.$0\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.docker.enable = true;\n  codchi.docker.$0\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.docker.$0\n#FILL\n  codchi.docker.enable = true;\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi = {\n    docker.enable = true;\n    docker.$0\n  };\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.docker = {\n    $0\n    enable = true;\n  };\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.docker = { $0 };\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.gpu = { enable = t$0 };\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.gpu.enable = t$0\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.gpu.enable = $0;\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.requiredCapabilities = [ \"gpu\" \"k$0\n  ];\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.requiredCapabilities = [\n    \"gpu\"\n    \"k$0\n    \"kvm\"\n  ];\n#FILL\n}\n",
            "{ pkgs, ... }:\n{\n#FILL\n  codchi.requiredCapabilities = [ \"k$0 ];\n#FILL\n}\n",
            "{ lib, ... }:\nlet\n#FILL\nin\n{\n#FILL\n  config = lib.mkIf true {\n#FILL\n  codchi.$0\n#FILL\n};\n}\n",
            "{ lib, ... }:\n{\n#FILL\n  config = lib.mkMerge [ { a = 1; } { codchi.gpu.$0 } ];\n#FILL\n}\n",
            "{ config, ... }:\n{\n#FILL\n  a = \"${config.codchi.gpu.$0}\";\n#FILL\n}\n",
            "{ config, ... }:\n{\n#FILL\n  a = if config.codchi.gpu.$0 then 1 else 2;\n#FILL\n}\n",
            "{ config, ... }:\n{\n#FILL\n  # codchi.$0\n#FILL\n}\n",
            "{ config, ... }:\n{\n#FILL\n  a = ''\n    codchi.$0\n  '';\n#FILL\n}\n",
            "{ config, co$0, ... }:\n{\n#FILL\n}\n",
            "{ config, ... }:\n{\n#FILL\n$0\n}\n",
            "{ config, ... }:\n{\n$0\n#FILL\n}\n",
            "{ config, ... }:\n{\n#FILL\n  c$0\n#FILL\n}\n",
        ] {
            let short = Fixture::new(&text.replace("#FILL\n", "")).completions();
            let long = Fixture::new(&long(text));
            assert_eq!(long.completions(), short, "{text}");
            if !short.is_empty() {
                let document = long.files().document(&long.path).expect("it is there");
                let probe = Probe::new(&document, long.offset).expect("it can be completed");
                assert!(probe.tree_len() < TextSize::new(1_000), "only a part is parsed: {text}");
            }
        }
    }

    /// Where the marker stands in the tree.
    fn place(probe: &Probe<'_>) -> (SyntaxKind, bool, Vec<SyntaxKind>, Vec<String>) {
        let node = probe.token.parent().expect("it has one");
        let kinds = node.ancestors().take(3).map(|node| node.kind()).collect();
        (probe.token.kind(), probe.in_open_string, kinds, site(&node).names)
    }

    #[test]
    fn wherever_a_line_breaks_off_the_region_says_what_the_whole_text_does() {
        let filler: String = (0..110).map(|n| format!("  filler.a{n} = {{ b = [ \"c\" ]; }};\n")).collect();
        let module = MODULE.replacen("  codchi.gpu", &format!("{filler}  codchi.gpu"), 1);
        let from = module.find("  codchi.gpu").expect("it is there");
        let mut compared = 0;
        for (offset, _) in module.char_indices().filter(|(offset, _)| *offset > from).step_by(3) {
            let end = offset + module[offset..].find('\n').unwrap_or(0);
            let text = format!("{}{}", &module[..offset], &module[end..]);
            let document = Document::new(text);
            let offset = TextSize::try_from(offset).expect("a small text");
            let whole = Probe::with(&document, offset, |_, _, _| None);
            let part = Probe::new(&document, offset);
            // What cannot be made whole is another matter.
            let (Some(whole), Some(part)) = (whole, part) else { continue };
            if whole.tree_len() == part.tree_len() {
                continue;
            }
            let line = &document.text()[usize::from(offset).saturating_sub(40)..usize::from(offset)];
            assert_eq!(place(&part), place(&whole), "after {line:?}");
            compared += 1;
        }
        assert!(compared > 200, "{compared}");
    }
}
