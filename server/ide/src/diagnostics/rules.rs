//! What the person wants reported: levels by code, and `# codchi: allow CODE` on a line.

use super::{Context, Finding};
use crate::syntax::tokens_at;
use crate::{
    Action, ActionKind, Command, Diagnostic, DiagnosticCode, Document, Edit, Level, TextRange, TextSize,
};
use rnix::SyntaxKind;
use rnix::ast::AttrpathValue;
use rowan::ast::AstNode as _;

/// Leaves out what is not wanted and sets severities.
pub(super) fn apply(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    findings.retain_mut(|finding| {
        let Diagnostic { code, range, .. } = finding.diagnostic;
        match cx.world.rules.levels.get(&code) {
            Some(Level::Off) => return false,
            Some(Level::At(severity)) => finding.diagnostic.severity = *severity,
            None => {}
        }
        // To find a place in the tree takes its time, so only where something is allowed at all.
        cx.facts.allows.is_empty()
            || !is_allowed(cx, code, range.start()) && !is_allowed(cx, code, anchor(cx.document, range))
    });
}

/// Where a comment about the range can be: a line of a string is no place for one, the line where its definition begins is.
fn anchor(document: &Document, range: TextRange) -> TextSize {
    let root = document.root();
    let token = tokens_at(root.syntax(), range.start()).right_biased();
    token
        .filter(|token| token.kind() == SyntaxKind::TOKEN_STRING_CONTENT)
        .and_then(|token| token.parent_ancestors().find_map(AttrpathValue::cast))
        .map_or(range.start(), |binding| binding.syntax().text_range().start())
}

fn is_allowed(cx: &Context<'_>, code: DiagnosticCode, at: TextSize) -> bool {
    cx.facts.allows.iter().any(|allow| {
        allow.lines.contains_inclusive(at) && allow.codes.iter().any(|(name, _)| name == code.name())
    })
}

/// The action that allows a diagnostic on its line, with a comment above, as the line may end in a string; `None` where the
/// text is not Nix.
pub(crate) fn allow(document: &Document, diagnostic: &Diagnostic) -> Option<Action> {
    let Diagnostic { code, range, .. } = diagnostic;
    if *code == DiagnosticCode::Syntax {
        return None;
    }
    let text = document.text();
    let start = usize::from(anchor(document, *range)).min(text.len());
    let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let indentation: String = text[line..start].chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    let at = TextSize::try_from(line).unwrap_or_default();
    let new_text = format!("{indentation}# codchi: allow {}\n", code.name());
    Some(Action {
        title: format!("Allow `{}` on this line", code.name()),
        kind: ActionKind::QuickFix,
        fixes: Some((*code, *range)),
        edits: vec![Edit { range: TextRange::empty(at), new_text }],
        elsewhere: Vec::new(),
        command: Command::None,
        preferred: false,
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{DiagnosticCode, Level, Severity, World};
    use expect_test::expect;

    const TEXT: &str = "{\n  codchi.gpu.enabled = true;\n  boot.loader.grub.enable = true;\n}";

    #[test]
    fn levels_are_those_of_the_person() {
        let mut world = World::default();
        world.rules.levels.insert(DiagnosticCode::UnknownOption, Level::Off);
        world.rules.levels.insert(DiagnosticCode::NoEffect, Level::At(Severity::Error));
        expect![[r#"
            error no-effect at `boot.loader.grub.enable`: `boot.loader` has no effect here: a code machine has no boot loader: it is started by LXD, Incus or WSL. Leave it to the systems that are no machines.
        "#]].assert_eq(&Fixture::new(TEXT).with(world).diagnostics());
    }

    #[test]
    fn what_is_allowed_on_its_line_is_not_reported() {
        let text = "{\n  codchi.gpu.enabled = true; # codchi: allow unknown-option, wrong-type\n  # codchi: allow no-effect: for the server\n  boot.loader.grub.enable = true;\n}";
        expect![""].assert_eq(&Fixture::new(text).diagnostics());
        let other = "{\n  codchi.gpu.enabled = true; # codchi: allow wrong-type\n}";
        expect![[r#"
            error unknown-option at `enabled`: There is no option `codchi.gpu.enabled`. Did you mean `codchi.gpu.enable`?
        "#]].assert_eq(&Fixture::new(other).diagnostics());
    }
}
