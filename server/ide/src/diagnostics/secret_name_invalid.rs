//! `secret-name-invalid`: a name that cannot be a secret's: it becomes the environment variable `$CODCHI_NAME` and a
//! file's name, and `env` and `file` are the sets of the other two spellings.

use super::{Context, Finding};
use crate::rename::rename;
use crate::{DiagnosticCode, FileChange, Severity, TextRange};
use codchi_module::{FREE_NAME, Literal, OptionPath, OptionUse, Options, SecretDeclaration};

const RESERVED: [&str; 2] = ["env", "file"];

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    findings.extend(
        cx.facts.secrets.iter().filter(|secret| !is_valid(&secret.name)).map(|secret| invalid(cx, secret)),
    );
    for set in RESERVED {
        let Some(range) = reserved_range(cx, set) else { continue };
        let message = format!(
            "`{set}` cannot be a secret's name: `codchi.secrets.{set}` is the set of the secrets that are delivered \
             as {} only. Choose another name, or write `codchi.secrets.{set}.NAME = {{ … }}`.",
            if set == "env" { "environment variables" } else { "files" },
        );
        findings.push(Finding::new(DiagnosticCode::SecretNameInvalid, Severity::Error, range, message));
    }
}

fn invalid(cx: &Context<'_>, secret: &SecretDeclaration) -> Finding {
    let (name, range) = (&secret.name, secret.name_range);
    if RESERVED.contains(&name.as_str()) {
        let message = format!(
            "`{name}` cannot be a secret's name: it is reserved, as `codchi.secrets.{name}` is a set of secrets. \
             Choose another name."
        );
        return Finding::new(DiagnosticCode::SecretNameInvalid, Severity::Error, range, message);
    }
    let message = format!(
        "`{name}` cannot be a secret's name: it becomes the environment variable `$CODCHI_{name}`, so it must be \
         made of letters, digits and `_`, and not begin with a digit."
    );
    let finding = Finding::new(DiagnosticCode::SecretNameInvalid, Severity::Error, range, message);
    let valid = valid_name(name);
    // Where it is used as well, or nowhere: half a rename would declare two secrets.
    let Ok(mut edits) = rename(cx.modules.files(), cx.world, cx.path, range.start(), &valid) else {
        return finding;
    };
    let own = edits.remove(cx.path).unwrap_or_default();
    let elsewhere = edits.into_iter().map(|(path, edits)| FileChange::Edit { path, edits });
    finding.change(format!("Rename to `{valid}`"), own, elsewhere.collect())
}

/// Where `codchi.secrets.env` or `.file` is taken for a secret, if it is: at its own name.
fn reserved_range(cx: &Context<'_>, set: &str) -> Option<TextRange> {
    let misused = cx
        .facts
        .options
        .iter()
        .find(|used| used.path.0.get(2).is_some_and(|name| name == set) && is_reserved_set(used))?;
    if let [.., name, _] = misused.segments.as_slice() {
        return Some(*name);
    }
    let outer = cx.facts.options.iter().find(|used| *used.path.0 == ["codchi", "secrets", set]);
    outer.or(Some(misused))?.segments.last().copied()
}

/// Whether the definition takes `codchi.secrets.env` or `.file` for a secret: `codchi.secrets.env.description = "…"`.
pub(super) fn is_reserved_set(used: &OptionUse) -> bool {
    let [codchi, secrets, set, member] = &*used.path.0 else { return false };
    codchi == "codchi"
        && secrets == "secrets"
        && RESERVED.contains(&set.as_str())
        && !matches!(used.value, Literal::Set | Literal::Function | Literal::Path(_) | Literal::Unknown)
        && Options::builtin()
            .get(&OptionPath::new(["codchi", "secrets", FREE_NAME, member.as_str()]))
            .is_some()
}

/// Whether a name can be a secret's.
pub(super) fn is_valid(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name)
}

fn valid_name(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn a_name_must_do_for_an_environment_variable() {
        check(
            r#"{ codchi.secrets.my-token.description = "a"; }"#,
            expect![[r#"
            error secret-name-invalid at `my-token`: `my-token` cannot be a secret's name: it becomes the environment variable `$CODCHI_my-token`, so it must be made of letters, digits and `_`, and not begin with a digit.
        "#]],
        );
        check(
            r#"{ codchi.secrets.env."1st key".description = "a"; }"#,
            expect![[r#"
            error secret-name-invalid at `"1st key"`: `1st key` cannot be a secret's name: it becomes the environment variable `$CODCHI_1st key`, so it must be made of letters, digits and `_`, and not begin with a digit.
        "#]],
        );
    }

    #[test]
    fn env_and_file_are_reserved() {
        check(
            r#"{ codchi.secrets.env.description = "a"; }"#,
            expect![[r#"
            error secret-name-invalid at `env`: `env` cannot be a secret's name: `codchi.secrets.env` is the set of the secrets that are delivered as environment variables only. Choose another name, or write `codchi.secrets.env.NAME = { … }`.
        "#]],
        );
        check(
            r#"{ codchi.secrets.file = { description = "a"; required = false; }; }"#,
            expect![[r#"
                error secret-name-invalid at `file`: `file` cannot be a secret's name: `codchi.secrets.file` is the set of the secrets that are delivered as files only. Choose another name, or write `codchi.secrets.file.NAME = { … }`.
            "#]],
        );
        check(
            r#"{ codchi.secrets.env.file.description = "a"; }"#,
            expect![[r#"
                error secret-name-invalid at `file`: `file` cannot be a secret's name: it is reserved, as `codchi.secrets.file` is a set of secrets. Choose another name.
            "#]],
        );
    }

    #[test]
    fn other_names_are_fine() {
        check(
            r#"{ codchi.secrets = { A.description = "a"; _b2.description = "b"; env.description.description = "c"; file.C.description = "c"; }; }"#,
            expect![[r#""#]],
        );
    }

    #[test]
    fn it_is_renamed_wherever_it_is() {
        let text = "{ config, ... }: { imports = [ ./b.nix ]; codchi.secrets.my-to$0ken.description = \"a\"; codchi.secrets.my-token.required = false; a = config.codchi.secrets.my-token.path; }\n//- /project/b.nix\n{ config, ... }: { b = config.codchi.secrets.my-token.path; }\n";
        expect![[r#"
            Rename to `my_token`
            { config, ... }: { imports = [ ./b.nix ]; codchi.secrets.my_token.description = "a"; codchi.secrets.my_token.required = false; a = config.codchi.secrets.my_token.path; }
            * /project/b.nix
            { config, ... }: { b = config.codchi.secrets.my_token.path; }

        "#]].assert_eq(&Fixture::new(text).refactoring("Rename"));
        let taken =
            "{ codchi.secrets.my-to$0ken.description = \"a\"; codchi.secrets.my_token.description = \"b\"; }";
        assert_eq!(Fixture::new(taken).refactoring("Rename"), "", "there is one of this name");
    }
}
