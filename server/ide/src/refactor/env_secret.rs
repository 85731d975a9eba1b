//! `codchi.secrets.env.NAME` as `codchi.secrets.NAME` with `deliver = [ "env" ]`, which means the same.

use super::rewrite;
use crate::modules::Modules;
use crate::{Action, Edit, Files, TextRange, TextSize, World};
use codchi_module::{Certainty, Facts, OptionUse, SecretSpelling, SecretUse, SecretUseKind};
use rnix::ast::{Attrpath, AttrpathValue, Expr};
use rnix::{NodeOrToken, SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;
use std::path::Path;

/// The rewriting of the secret that is declared at `range`; `None` where another file or a set that is not seen into is about it.
pub(crate) fn to_plain(files: &dyn Files, world: &World, path: &Path, range: TextRange) -> Option<Action> {
    let document = files.document(path)?;
    let facts = document.facts();
    let is_at = |used: &&OptionUse| {
        is_env(used) && used.segments.iter().any(|segment| segment.intersect(range).is_some())
    };
    let at = facts.options.iter().find(is_at)?;
    let name = at.path.0.get(3)?;
    let is_plain_too = facts.secrets.iter().any(|it| it.name == *name && it.spelling != SecretSpelling::Env);
    if facts.has_syntax_errors || is_plain_too || is_elsewhere(files, world, path, name) {
        return None;
    }

    let root = document.root();
    let mut edits = Vec::new();
    let mut deliver = None;
    let of_secret = facts.options.iter().filter(|used| is_env(used) && used.path.0.get(3) == Some(name));
    for used in of_secret {
        // Inside of another definition of it, which is in this list as well.
        let Some(outer) = used.path.0.len().checked_sub(used.segments.len()) else { continue };
        if outer > 3 {
            continue;
        }
        if used.certainty != Certainty::Always || outer > 2 {
            return None;
        }
        let env = used.segments.get(2 - outer)?;
        let named = used.segments.get(3 - outer)?;
        edits.push(Edit { range: TextRange::new(env.start(), named.start()), new_text: String::new() });
        if deliver.is_none() {
            deliver = Some(delivery(root.syntax(), document.text(), used, *env, *named)?);
        }
    }
    edits.push(deliver?);
    edits.extend(facts.secret_uses.iter().filter(|used| reads(used, name)).map(|used| {
        // `env.` before the name.
        let len = TextSize::of("env.");
        Edit { range: TextRange::new(used.range.start() - len, used.range.start()), new_text: String::new() }
    }));
    let removes_env = |edit: &Edit| {
        let text = document.text().get(usize::from(edit.range.start())..usize::from(edit.range.end()));
        !edit.new_text.is_empty() || text.is_some_and(|text| text == "env." || text == "\"env\".")
    };
    if !edits.iter().all(removes_env) {
        return None;
    }
    edits.sort_by_key(|edit| edit.range.start());
    Some(rewrite(format!("Write as `codchi.secrets.{name}` with `deliver`"), edits))
}

fn is_env(used: &OptionUse) -> bool {
    let names: Vec<&str> = used.path.0.iter().map(String::as_str).collect();
    matches!(names.as_slice(), ["codchi", "secrets", "env", _, ..])
}

fn reads(used: &SecretUse, name: &str) -> bool {
    used.kind == SecretUseKind::Config(SecretSpelling::Env) && used.name == name
}

/// Whether another file is about the secret in this spelling.
fn is_elsewhere(files: &dyn Files, world: &World, path: &Path, name: &str) -> bool {
    let is_about = |facts: &Facts| {
        facts.secrets.iter().any(|secret| secret.name == name)
            || facts.secret_uses.iter().any(|used| reads(used, name))
    };
    let modules = Modules::new(files);
    let others = modules.evaluated_with(world, path);
    others
        .iter()
        .filter(|file| &***file != path)
        .any(|file| modules.facts(file).is_none_or(|it| is_about(&it)))
}

/// The definition of how it is delivered: in the secret's set, or beside the definition.
fn delivery(
    root: &SyntaxNode,
    text: &str,
    used: &OptionUse,
    env: TextRange,
    named: TextRange,
) -> Option<Edit> {
    let node = match root.covering_element(named) {
        NodeOrToken::Node(node) => node,
        NodeOrToken::Token(token) => token.parent()?,
    };
    let attrpath = node.ancestors().find_map(Attrpath::cast)?;
    let binding = AttrpathValue::cast(attrpath.syntax().parent()?)?;
    if used.path.0.len() == 4 {
        let Some(Expr::AttrSet(set)) = binding.value() else { return None };
        let (at, before) = crate::syntax::first_place(&set, text)?;
        let new_text = format!("{before}deliver = [ \"env\" ];");
        return Some(Edit { range: TextRange::empty(at), new_text });
    }
    let start = binding.syntax().text_range().start();
    let slice = |from: TextSize, to: TextSize| text.get(usize::from(from)..usize::from(to));
    let (before, name) = (slice(start, env.start())?, slice(named.start(), named.end())?);
    let space = binding.syntax().prev_sibling_or_token();
    let space = space.filter(|it| it.kind() == SyntaxKind::TOKEN_WHITESPACE).map(|it| it.to_string());
    let space = space.as_deref().map_or(" ", |space| space.rfind('\n').map_or(" ", |at| &space[at..]));
    let new_text = format!("{before}{name}.deliver = [ \"env\" ];{space}");
    Some(Edit { range: TextRange::empty(start), new_text })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).refactoring("Write as"));
    }

    #[test]
    fn the_old_spelling_can_be_written_as_the_new_one() {
        check(
            "{ config, ... }:\n{\n  codchi.secrets.env.TOK$0EN.description = \"a\";\n  codchi.secrets.env.TOKEN.required = false;\n  a = config.codchi.secrets.env.TOKEN.description;\n}\n",
            expect![[r#"
                Write as `codchi.secrets.TOKEN` with `deliver`
                { config, ... }:
                {
                  codchi.secrets.TOKEN.deliver = [ "env" ];
                  codchi.secrets.TOKEN.description = "a";
                  codchi.secrets.TOKEN.required = false;
                  a = config.codchi.secrets.TOKEN.description;
                }

            "#]],
        );
        check(
            "{ codchi.secrets.env.TOK$0EN = { description = \"a\"; }; }",
            expect![[r#"
            Write as `codchi.secrets.TOKEN` with `deliver`
            { codchi.secrets.TOKEN = { deliver = [ "env" ]; description = "a"; }; }
        "#]],
        );
        check(
            "{\n  codchi.secrets = {\n    env.TOK$0EN = {\n      description = \"a\";\n    };\n  };\n}\n",
            expect![[r#"
                Write as `codchi.secrets.TOKEN` with `deliver`
                {
                  codchi.secrets = {
                    TOKEN = {
                      deliver = [ "env" ];
                      description = "a";
                    };
                  };
                }

            "#]],
        );
    }

    #[test]
    fn what_is_not_wholly_seen_is_left_alone() {
        check("{ codchi.secrets.env = { TOK$0EN.description = \"a\"; }; }", expect![""]);
        check("{ codchi.secrets.TOK$0EN.description = \"a\"; }", expect![""]);
        check(
            "{ lib, ... }: { codchi.secrets.env.TOK$0EN = lib.mkIf true { description = \"a\"; }; }",
            expect![""],
        );
        check(
            "{ imports = [ ./b.nix ]; codchi.secrets.env.TOK$0EN.description = \"a\"; }\n//- /project/b.nix\n{ codchi.secrets.env.TOKEN.required = false; }",
            expect![""],
        );
    }
}
