//! `deprecated-option`: an option that works still and has a successor.

use super::{Context, Finding};
use crate::syntax::{binding_at, with_line};
use crate::{DiagnosticCode, Edit, Severity, Tag, TextSize};
use codchi_module::{Literal, OptionPath, OptionUse, Options};
use rowan::ast::AstNode as _;

/// What once had a window of its own, and what came after it.
const WELCOME: [&str; 2] = ["codchi", "welcome"];
const SCRIPT: [&str; 2] = ["codchi", "initScript"];

/// What ends the text in the script.
const END: &str = "END";

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    for (path, instead) in Options::builtin().deprecated() {
        let below = cx.facts.options.iter().filter(|used| used.path.is_below(&path));
        findings.extend(below.filter_map(|used| finding(cx, used, path.0.len(), instead)));
    }
}

/// Where the deprecated name is in an outer set, the definition of that set is where it is reported.
fn finding(cx: &Context<'_>, used: &OptionUse, len: usize, instead: &str) -> Option<Finding> {
    let path = OptionPath::from(used.path.0.get(..len)?);
    let range = *used.segments.get((len - 1 + used.segments.len()).checked_sub(used.path.0.len())?)?;
    let message = format!("`{path}` is deprecated. {instead}");
    let finding = Finding::new(DiagnosticCode::DeprecatedOption, Severity::Warning, range, message)
        .tagged(Tag::Deprecated);
    Some(if *path.0 == WELCOME { fixed(cx, finding) } else { finding })
}

/// With what takes the place of a text that was shown once, and what removes what has no effect.
fn fixed(cx: &Context<'_>, mut finding: Finding) -> Finding {
    let (root, text) = (cx.document.root(), cx.document.text());
    let at = finding.diagnostic.range;
    let Some(binding) = binding_at(root.syntax(), at.start()) else { return finding };
    let binding = binding.syntax().text_range();
    let has_script = cx.facts.options.iter().any(|used| used.path.0.starts_with(&SCRIPT.map(str::to_owned)));
    let shown = cx.facts.options.iter().find_map(|used| match &used.value {
        Literal::String(shown) if binding.contains_range(used.value_range) => {
            (*used.path.0 == [WELCOME[0], WELCOME[1], "text"]).then_some(shown)
        }
        _ => None,
    });
    let before = text.get(usize::from(binding.start())..usize::from(at.start()));
    if let (Some(script), Some(before), false) = (shown.and_then(|shown| script(shown)), before, has_script) {
        let indentation = indentation(text, binding.start());
        let line =
            |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{indentation}  {line}\n") };
        let lines: String = script.lines().map(line).collect();
        let new_text = format!("{before}initScript = ''\n{lines}{indentation}'';");
        let title = "Show the text with `codchi.initScript`".to_owned();
        finding = finding.edit(title, vec![Edit { range: binding, new_text }]);
    }
    let removed = Edit { range: with_line(text, binding), new_text: String::new() };
    finding.edit("Remove it, as it has no effect".to_owned(), vec![removed])
}

/// A script that prints the text, as lines of an indented string.
fn script(shown: &str) -> Option<String> {
    let shown = shown.trim();
    let is_plain = |c: char| c == '\n' || !c.is_control();
    let can_end = !shown.is_empty() && !shown.lines().any(|line| line.trim() == END);
    // Quotes beside one another, or before what would be put in, have a meaning of their own.
    let has_quotes = ["'''", "'${"].iter().any(|quotes| shown.contains(quotes));
    if !can_end || has_quotes || !shown.chars().all(is_plain) {
        return None;
    }
    let shown = shown.replace("''", "'''").replace("${", "''${");
    Some(format!("cat <<'{END}'\n{shown}\n{END}"))
}

fn indentation(text: &str, at: TextSize) -> &str {
    let line = text[..usize::from(at)].rsplit('\n').next().unwrap_or_default();
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_deprecated_option_names_its_successor() {
        check(
            "{ codchi.welcome.text = \"Hello\"; }",
            expect![[r#"
            warning deprecated-option at `welcome`: `codchi.welcome` is deprecated. Use `codchi.initScript` for what the user should see or do after the machine was created.
        "#]],
        );
    }

    #[test]
    fn it_is_said_once_for_a_set() {
        check(
            "{ codchi = { welcome = { text = \"Hello\"; enable = true; }; gpu.enable = true; }; }",
            expect![[r#"
                warning deprecated-option at `welcome`: `codchi.welcome` is deprecated. Use `codchi.initScript` for what the user should see or do after the machine was created.
            "#]],
        );
    }

    #[test]
    fn a_text_can_be_shown_by_the_script_instead() {
        let fixture = Fixture::new(
            "{\n  codchi.wel$0come = {\n    title = \"a\";\n    text = \"Hello, it's \\${HOME}\\n''Bye''\";\n  };\n}\n",
        );
        expect![[r#"
            Show the text with `codchi.initScript`
            {
              codchi.initScript = ''
                cat <<'END'
                Hello, it's ''${HOME}
                '''Bye'''
                END
              '';
            }

        "#]]
        .assert_eq(&fixture.refactoring("Show"));
        expect![[r#"
            Remove it, as it has no effect
            {
            }

        "#]]
        .assert_eq(&fixture.refactoring("Remove"));
        let taken = "{ codchi.wel$0come.text = \"a\"; codchi.initScript = \"b\"; }";
        assert_eq!(Fixture::new(taken).refactoring("Show"), "");
        assert_eq!(Fixture::new("{ codchi.wel$0come.text = x; }").refactoring("Show"), "");
    }
}
